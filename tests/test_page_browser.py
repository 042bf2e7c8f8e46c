from __future__ import annotations

import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright
from tests.serving import ask, wait_until

import matinee as mt
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.recommender import Recommender

PATIENCE = 120_000  # milliseconds, for busy machines
expect.set_options(timeout=PATIENCE)
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
SERVE = "import sys, matinee.service as s; s.serve(sys.argv[1], port=int(sys.argv[2]), workers=2)"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


class Server:
    def __init__(self, store: Path, port: int = 0) -> None:
        self.store = store
        command = [sys.executable, "-c", SERVE, str(store), str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = re.search("http://127.0.0.1:[0-9]+/", self.process.stdout.readline())[0]
        self.port = int(self.url.split(":")[2].strip("/"))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE / 1_000)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "store"
    dataset = mt.load("sample")
    models = [config.fit(dataset.ratings, dataset.catalog) for config in (ALS(rank=4, iterations=3), Ease())]
    Recommender(dataset, *models).publish(folder)
    return folder


@pytest.fixture(scope="module")
def server(store):
    running = Server(store)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chromium():
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, server):
    opened, troubles = [], []

    def open_one(path="", size=DESKTOP, **options) -> Page:
        context = chromium.new_context(viewport=size, **options)
        context.set_default_timeout(PATIENCE)
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if "Content Security" in said.text else None)
        page.goto(server.url + path)
        return page

    yield open_one
    for context in opened:
        context.close()
    assert not troubles


def card(page, place=0):
    return page.locator(".card:not(.folded)").nth(place)


def give(page, stars="4.5", place=0):
    chosen = card(page, place)
    title = chosen.locator("h2").inner_text()
    chosen.locator(f"input[value='{stars}']").click()
    expect(page.locator(".fold", has_text=title)).to_be_visible()
    return title


def films(page):
    return page.locator("#tonight [data-film]").evaluate_all("all => all.map(one => one.dataset.film)")


def choose(page, name, chooser="genre"):
    page.locator(f"summary[data-key='{chooser}']").click()
    page.get_by_role("link", name=name, exact=True).click()


def test_first_visit__three_stars_and_the_list_is_there(visit):
    page = visit()
    expect(page.get_by_role("heading", name="What did you love?")).to_be_visible()
    assert page.locator(".card").count() == 12
    for n in range(3):
        give(page, place=n)
    expect(page.locator(".note")).to_have_text("3 ratings: a rough guess. Each one sharpens it.")
    expect(page.locator("[data-pick] .because")).to_contain_text("because you loved")
    assert len(films(page)) == 25


def test_stars_of_a_scale_to_ten__stay_on_their_card_and_are_all_reached(visit, tmp_path):
    pairs = ((user, movie) for user in range(40) for movie in range(30))
    rows = (f"{user},{movie},{1 + (user * movie + user) % 10}" for user, movie in pairs)
    table = tmp_path / "ten.csv"
    table.write_text("userId,movieId,rating\n" + "\n".join(rows), "utf-8")
    dataset = mt.load(table, scale="1:10")
    Recommender(dataset, ALS(rank=4, iterations=2).fit(dataset.ratings, dataset.catalog)).publish(tmp_path / "store")
    other = Server(tmp_path / "store")
    try:
        for size in (DESKTOP, PHONE):
            page = visit(size=size)
            page.goto(other.url)
            assert page.locator(".card").evaluate_all("all => all.every(one => one.scrollWidth <= one.clientWidth)")
            last = page.locator(".card input[value='10']").first
            assert last.evaluate(ON_TOP)
            last.click()
            expect(page.locator(".fold")).to_contain_text("10 stars")
    finally:
        other.stop()


def test_reload__keeps_the_ratings(visit):
    page = visit()
    title = give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    page.reload()
    expect(page.locator(".note")).to_contain_text("1 rating")
    page.get_by_role("link", name="Mine").first.click()
    expect(page.locator(".said")).to_contain_text(title)


def test_two_visitors__do_not_see_each_other(visit):
    one, other = visit(), visit()
    give(one)
    expect(one.locator("[data-pick]")).to_be_visible()
    other.reload()
    expect(other.locator("[data-pick]")).to_have_count(0)


def test_after_a_rating__new_films_are_marked_and_told_and_nothing_else_moves(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    untouched = page.locator(".card").nth(5)
    before = untouched.bounding_box()
    known = films(page)
    give(page, "0.5")
    fresh = page.locator("#tonight .fresh")
    expect(fresh.first).to_be_attached()
    new = [movie for movie in films(page) if movie not in known]
    assert fresh.count() == len(new)
    expect(page.locator("#said")).to_have_text("1 new film" if len(new) == 1 else f"{len(new)} new films")
    assert untouched.bounding_box() == before


def test_undo__takes_a_rating_back(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    page.locator(".fold").get_by_role("button", name="Undo").click()
    expect(page.locator("[data-pick]")).to_have_count(0)
    expect(page.locator(".fold")).to_have_count(0)
    page.goto(page.url + "mine")
    expect(page.locator("main")).to_contain_text("You have rated nothing yet")


def test_a_folded_card__makes_room_for_another_after_eight_seconds(visit):
    page = visit()
    title = give(page)
    page.mouse.move(1, 1)
    page.locator(".brand").focus()
    expect(page.locator(".fold")).to_have_count(0)
    assert page.locator(".card").count() == 12
    assert title not in page.locator(".cards h2").all_inner_texts()


def test_a_folded_card__also_goes_after_eight_seconds_where_a_thumb_left_the_focus_and_moves_nothing(visit):
    page = visit(size=PHONE, has_touch=True, is_mobile=True)
    chosen = card(page)
    title = chosen.locator("h2").inner_text()
    boxes = "all => all.map(one => [one.offsetTop, one.offsetHeight])"
    before = page.locator(".card").evaluate_all(boxes)
    page.clock.install()
    chosen.locator("input[value='4']").tap()
    expect(page.locator(".fold").get_by_role("button", name="Undo")).to_be_focused()
    page.clock.run_for(7_500)
    expect(page.locator(".fold")).to_have_count(1)
    page.clock.run_for(1_000)
    expect(page.locator(".fold")).to_have_count(0)
    assert title not in page.locator(".cards h2").all_inner_texts()
    assert page.locator(".card").evaluate_all(boxes) == before
    assert page.evaluate("document.activeElement.closest('.card') === document.querySelector('.card')")


@pytest.mark.parametrize("offline", [False, True])
def test_havent_seen__folds_the_card_at_once_with_a_way_back(visit, offline):
    page = visit()
    title = card(page).locator("h2").inner_text()
    page.context.set_offline(offline)
    card(page).get_by_role("button", name="Haven’t seen").click()
    expect(page.locator(".fold")).to_contain_text(f"Not seen: {title}")
    expect(page.locator("#said")).to_have_text(f"Not seen: {title}.")
    page.locator(".fold").get_by_role("button", name="Undo").click()
    expect(card(page).locator("h2")).to_have_text(title)
    assert page.evaluate("localStorage['matinee.unknown']") == "[]"


def test_havent_seen__brings_another_card_after_eight_seconds_and_is_not_asked_again(visit):
    page = visit()
    page.clock.install()
    titles = page.locator(".cards h2").all_inner_texts()
    card(page).get_by_role("button", name="Haven’t seen").click()
    expect(page.locator(".fold")).to_have_count(1)
    page.mouse.move(1, 1)
    page.clock.run_for(8_500)
    expect(page.locator(".fold")).to_have_count(0)
    expect(page.locator(".cards h2").first).not_to_have_text(titles[0])
    assert titles[0] not in page.locator(".cards h2").all_inner_texts()


def test_the_pick__is_kept_put_aside_or_never_listed_again(visit):
    page = visit()
    give(page)
    pick = page.locator("[data-pick]")
    first = pick.get_attribute("data-film")
    pick.get_by_role("button", name="Watch this").click()
    expect(pick.locator(".kept")).to_contain_text("On your list.")
    pick.get_by_role("link", name="Another").click()
    expect(pick).not_to_have_attribute("data-film", first)
    second = pick.get_attribute("data-film")
    expect(pick.get_by_role("link", name="Another")).to_be_focused()
    pick.get_by_role("button", name="Never").click()
    expect(pick).not_to_have_attribute("data-film", second)
    assert second not in films(page)
    expect(page.locator(".toast")).to_contain_text("Never again")
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(f"[data-film='{second}']")).to_have_count(1)


def test_a_row__folds_where_it_lies_and_can_be_taken_back(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    row = page.locator(".rows li").nth(2)
    movie = row.get_attribute("data-film")
    row.locator("summary").click()
    row.get_by_role("button", name="Seen").click()
    expect(row).to_contain_text("Seen: ")
    expect(row.get_by_role("button", name="Undo")).to_be_focused()
    row.get_by_role("button", name="Undo").click()
    expect(page.locator(f"[data-film='{movie}'] summary")).to_be_visible()


@pytest.mark.parametrize("size", [DESKTOP, {"width": 1024, "height": 900}, PHONE], ids=["1440", "1024", "360"])
def test_a_chooser__shows_all_there_is_to_choose_from_and_closes_by_escape(visit, size):
    page = visit("?less_known=1&tab=tonight", size=size)
    chooser = page.locator("summary[data-key='genre']")
    chooser.click()
    chips = page.locator(".chooser[open] .chip:not(summary)")
    assert chips.count() > 10
    inside = "all => all.every(one => one.getBoundingClientRect().right <= innerWidth && one.checkVisibility())"
    assert chips.evaluate_all(inside)
    assert chips.evaluate_all(f"all => all.every({ON_TOP})")
    chips.first.focus()
    page.keyboard.press("Escape")
    expect(page.locator(".chooser[open]")).to_have_count(0)
    expect(chooser).to_be_focused()


@pytest.mark.parametrize("width", [1440, 1024])
def test_on_a_desktop__the_pick_stays_in_view(visit, width):
    page = visit(size={"width": width, "height": 900})
    give(page, place=7)
    page.locator(".card").nth(7).scroll_into_view_if_needed()
    expect(page.locator("[data-pick]")).to_be_in_viewport()
    expect(page.locator("[data-pick]").get_by_role("button", name="Watch this")).to_be_in_viewport()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_picks_buttons__never_move_from_film_to_film_nor_when_it_is_kept(visit, size):
    page = visit(size=size)
    give(page)
    expect(page.locator("[data-pick]")).to_be_attached()
    page.goto(page.url.split("?")[0] + "?tab=tonight")
    pick = page.locator("[data-pick]")
    places = "one => [...one.querySelectorAll('.acts > *')].map(each => JSON.stringify(each.getBoundingClientRect()))"
    height = "one => one.offsetHeight"
    before = pick.evaluate(places), pick.evaluate(height)
    assert len(before[0]) == 4
    for _ in range(12):
        movie = pick.get_attribute("data-film")
        pick.get_by_role("link", name="Another").click()
        expect(pick).not_to_have_attribute("data-film", movie)
        assert (pick.evaluate(places), pick.evaluate(height)) == before, movie
    pick.get_by_role("button", name="Watch this").click()
    expect(pick.get_by_role("button", name="Take off")).to_be_visible()
    assert (pick.evaluate(places), pick.evaluate(height)) == before


def test_a_film_kept_in_the_list__is_not_asked_about_any_more(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    movie = page.locator(".card:not(.folded)").first.get_attribute("data-card")
    row = page.locator(f"#tonight [data-film='{movie}']")
    assert row.count() == 1
    if row.locator("summary[data-key^='row']").count():
        row.locator("summary").click()
    row.get_by_role("button", name="Watch this").click()
    expect(page.locator(f"[data-card='{movie}']")).to_have_count(0)
    assert page.locator(".card").count() == 12


def test_off_line__search_and_chips_say_so_and_the_list_comes_with_the_line(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("searchbox").press_sequentially("matr")
    expect(page.locator("#found")).to_contain_text("The films could not be loaded.")
    choose(page, "Western")
    expect(page.locator(".toast")).to_contain_text("The films could not be loaded.")
    assert "Western" not in page.url
    expect(page.locator("[data-key='genre-']")).to_have_attribute("aria-current", "true")
    expect(page.locator("[data-key='genre-Western']")).not_to_have_attribute("aria-current", "true")
    page.context.set_offline(False)
    expect(page).to_have_url(re.compile("genre=Western"))
    expect(page.locator("[data-key='genre-Western']")).to_have_attribute("aria-current", "true")


def test_on_a_slow_line__a_choice_is_marked_at_the_press(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    page.route("**/parts/tonight*", lambda route: None)
    choose(page, "Western")
    expect(page.locator("[data-key='genre-Western']")).to_have_attribute(
        "aria-current", "true"
    )  # though no answer comes
    expect(page.locator("[data-key='genre-']")).not_to_have_attribute("aria-current", "true")


def test_a_private_link__is_in_view_when_it_is_made(visit):
    page = visit("mine", size=PHONE)
    page.get_by_role("button", name="Make a link").click()
    expect(page.locator("a.address")).to_be_in_viewport()


def test_a_chip_chosen_by_the_address__is_in_sight_on_a_phone(visit):
    page = visit("?genre=Western", size=PHONE)
    expect(page.locator("summary.chip[aria-current]")).to_have_accessible_name("Genre: Western")
    expect(page.locator("summary.chip[aria-current]")).to_be_in_viewport(ratio=1)


def test_in_forced_colours__stars_and_chosen_chips_are_seen(visit):
    page = visit("?genre=Western", forced_colors="active")
    colour = "one => getComputedStyle(one).backgroundColor"
    page.mouse.move(1, 1)
    canvas = page.locator("body").evaluate(colour)
    star = page.locator(".card .give b").first
    empty = star.evaluate(colour)
    page.locator(".card .give input").nth(3).focus()
    page.keyboard.press("ArrowRight")
    assert len({canvas, empty, star.evaluate(colour)}) == 3
    chosen, other = (
        page.locator(f".chip{which}").first.evaluate(colour) for which in ("[aria-current]", ":not([aria-current])")
    )
    assert chosen != other


def test_chips__narrow_the_list_and_the_way_back_widens_it(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    choose(page, "Western")
    expect(page.locator(".note")).to_contain_text("match")
    assert "genre=Western" in page.url
    assert page.locator(".fresh").count() == 0
    expect(page.locator("#said")).to_contain_text("match")
    page.go_back()
    expect(page.locator(".note")).to_contain_text("rough guess")


def test_a_films_page__shows_a_mark_and_stars_at_once_with_the_focus_where_it_was(visit):
    page = visit("films/1")
    seen = page.locator("form.say").get_by_role("button", name="Seen")
    seen.focus()
    page.keyboard.press("Enter")
    chosen = page.locator("form.say button[aria-pressed='true']")
    expect(chosen).to_contain_text("Seen")
    expect(chosen).to_be_focused()
    page.locator(".give input[value='3']").click()
    expect(page.get_by_role("button", name="Take my stars back")).to_be_visible()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Take my stars back")).to_have_count(0)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_on_a_films_page__nothing_moves_when_it_is_rated_and_marked(visit, size):
    page = visit(size=size)
    give(page)
    expect(page.locator("[data-pick]")).to_be_attached()
    page.goto(re.match("http://[^/]+/", page.url)[0] + "films/2")
    expect(page.get_by_role("heading", name="Why this film")).to_be_visible()
    page.mouse.move(1, 1)
    boxes = """all => all.map(one => {
      const { x, y, width, height } = one.getBoundingClientRect();
      return [x, y + scrollY, width, height].map(Math.round);
    })"""
    placed = page.locator(".sheet :is(h1, h2, .give label, .acts button, .bars li, .rows li)")
    before = placed.evaluate_all(boxes)
    page.locator(".give input[value='3']").click()
    expect(page.get_by_role("button", name="Take my stars back")).to_be_visible()
    expect(page.locator("header.pick")).to_contain_text("You gave it 3")
    assert placed.evaluate_all(boxes) == before
    for name in ("Watch this", "Seen", "Never"):
        page.locator("form.say").get_by_role("button", name=name).click()
        expect(page.locator("form.say").get_by_role("button", name=name, pressed=True)).to_be_visible()
        assert placed.evaluate_all(boxes) == before
    page.get_by_role("button", name="Take my stars back").click()
    expect(page.get_by_role("button", name="Take my stars back")).to_have_count(0)
    assert placed.evaluate_all(boxes) == before


def test_a_films_page__shows_the_last_answer_where_an_older_one_comes_late(visit):
    page = visit("films/3")
    held = []
    page.route("**/films/3", lambda route: held.append(route) if not held else route.continue_())
    page.locator(".give input[value='3']").click()
    expect(page.locator(".toast")).to_contain_text("3 stars")
    while not held:
        page.wait_for_timeout(20)
    page.locator("form.say").get_by_role("button", name="Watch this").click()
    expect(page.get_by_role("button", name="Watch this", pressed=True)).to_be_visible()
    held[0].fulfill(body=urllib.request.urlopen(page.url).read().decode(), content_type="text/html")
    page.wait_for_timeout(500)
    expect(page.get_by_role("button", name="Watch this", pressed=True)).to_be_visible()


def test_mine__changes_stars_in_place_and_removes_a_film_with_a_way_back(visit):
    page = visit()
    titles = [give(page, stars, n) for n, stars in enumerate(("5", "4"))]
    expect(page.locator(".note")).to_contain_text("2 ratings")
    page.goto(page.url + "mine")
    names = page.locator(".said .name")
    assert names.all_inner_texts() == titles
    page.locator(".said li").nth(0).locator("input[value='1']").click()
    expect(page.locator(".toast")).to_contain_text("1 star.")
    assert names.all_inner_texts() == titles
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".said li").nth(0).locator("input[value='5']")).to_be_checked()
    boxes = "all => all.map(one => JSON.stringify(one.getBoundingClientRect()))"
    before = page.locator(".said li").evaluate_all(boxes)
    page.locator(".said li").nth(0).get_by_role("button", name="Remove").click()
    expect(names).to_have_text([titles[1]])
    assert page.locator(".said li").evaluate_all(boxes) == before
    page.locator(".said li").nth(0).get_by_role("button", name="Undo").click()
    expect(names).to_have_text(titles)
    expect(page.locator(".said li").nth(0).get_by_role("button", name="Remove")).to_be_focused()


def test_a_removed_film__makes_room_after_eight_seconds_and_the_focus_goes_to_the_next_one(visit):
    page = visit()
    titles = [give(page, stars, n) for n, stars in enumerate(("5", "4"))]
    expect(page.locator(".note")).to_contain_text("2 ratings")
    page.goto(page.url + "mine")
    page.clock.install()
    page.locator(".said li").nth(0).get_by_role("button", name="Remove").click()
    expect(page.locator(".said li").nth(0).get_by_role("button", name="Undo")).to_be_focused()
    page.clock.run_for(9_000)
    expect(page.locator(".said li")).to_have_count(2)
    page.mouse.move(1, 1)
    page.clock.run_for(1_000)
    expect(page.locator(".said .name")).to_have_text([titles[1]])
    expect(page.get_by_role("button", name=f"Remove: {titles[1]}")).to_be_focused()
    page.reload()
    expect(page.locator(".said .name")).to_have_text([titles[1]])


def test_remove__works_after_an_import_and_a_reload_brings_nothing_again(visit):
    page = visit("mine")
    file = {"name": "my.csv", "mimeType": "text/csv", "buffer": b"movieId,rating\n1,4\n2,3\n"}
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Bring in").click()
    expect(page.locator(".report")).to_contain_text("Brought in: 2 ratings.")
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.locator(".said li").nth(0).get_by_role("button", name="Remove").click()
    expect(page.locator(".said li").nth(0)).to_contain_text("Taken back")
    expect(page.locator(".report")).to_be_visible()
    page.reload()
    expect(page.locator(".said li")).to_have_count(1)
    expect(page.locator(".report")).to_have_count(0)


def test_search__finds_while_one_types_and_the_arrow_keys_reach_it(visit):
    page = visit()
    page.get_by_role("searchbox").press_sequentially("matr")
    found = page.locator("#found a")
    expect(found.first).to_contain_text("The Matrix")
    page.keyboard.press("ArrowDown")
    expect(found.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("The Matrix")


def test_the_keyboards_stop__is_never_behind_the_tabs_of_a_phone(visit):
    page = visit(size=PHONE)
    for _ in range(40):
        page.keyboard.press("Tab")
        page.wait_for_function(
            "() => { const tabs = document.querySelector('.tabs'), at = document.activeElement;"
            " return tabs.contains(at) || at === document.body"
            " || at.getBoundingClientRect().bottom <= tabs.getBoundingClientRect().top + 1 }"
        )


def test_keyboard_only__rates_looks_and_marks(visit):
    page = visit()
    page.locator(".card .give input").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".fold").count() == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".fold")).to_contain_text("2 stars")
    expect(page.locator(".fold button")).to_be_focused()
    watch = page.locator("[data-pick]").get_by_role("button", name="Watch this")
    watch.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-pick] .kept")).to_be_visible()
    expect(page.locator("[data-pick]").get_by_role("button", name="Take off")).to_be_focused()


def test_choosing_stars_by_keys__moves_nothing_and_shows_how_to_rate(visit):
    page = visit()
    boxes = "all => all.map(one => JSON.stringify(one.getBoundingClientRect()))"
    controls = page.locator(".card:nth-child(-n+4) :is(a, .give, .acts button)")
    before = controls.evaluate_all(boxes)
    page.locator(".card .give input").first.focus()
    page.keyboard.press("ArrowRight")
    assert controls.evaluate_all(boxes) == before
    page.keyboard.press("Tab")
    expect(page.locator(".card .rate").first).to_be_focused()
    assert page.locator(".card .rate").first.evaluate(ON_TOP)
    page.keyboard.press("Tab")
    expect(card(page).get_by_role("button", name="Seen").first).to_be_focused()
    assert card(page).locator(".acts button").first.evaluate(ON_TOP)


ON_TOP = """one => { const { x, y, width, height } = one.getBoundingClientRect();
  return one.contains(document.elementFromPoint(x + width / 2, y + height / 2)); }"""


def test_everything__is_reached_by_the_tab_key_and_shows_it(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "() => { const e = document.activeElement; const box = e.closest('.give') ?? e;"
            " return [e.tagName, e.dataset.key || e.name || e.className, getComputedStyle(box).outlineStyle] }"
        )
        if seen[0] != "BODY":
            assert seen[2] != "none", seen
            reached.add(seen[1])
    assert {"q", "stars", "unknown", "genre", "less-known", "another", "pick-never"} <= reached


def test_a_phone__shows_one_part_at_a_time_by_tabs_below(visit):
    page = visit(size=PHONE, has_touch=True, is_mobile=True)
    expect(page.locator("#rate")).to_be_visible()
    expect(page.locator("#tonight")).to_be_hidden()
    card(page).locator("input[value='4']").tap()
    badge = page.locator(".tabs .count")
    expect(badge).to_be_visible()
    page.locator(".tabs").get_by_role("link", name="Tonight").tap()
    expect(page.locator("[data-pick]")).to_be_visible()
    expect(page.locator("#rate")).to_be_hidden()
    expect(badge).to_be_hidden()


def test_on_a_phone__the_film_of_tonight_is_told_above_the_tabs_and_leads_there(visit):
    page = visit(size=PHONE, has_touch=True, is_mobile=True)
    expect(page.locator(".peek")).to_be_hidden()
    card(page).locator("input[value='4']").tap()
    expect(page.locator(".peek")).to_contain_text("Tonight: ")
    title = page.locator(".peek").inner_text()
    page.locator(".peek").tap()
    assert page.locator("[data-pick] h2").inner_text().replace("\n", " ") in title
    expect(page.locator("[data-pick]")).to_be_visible()
    expect(page.locator(".peek")).to_be_hidden()


def test_on_a_phone__the_tab_its_place_and_what_was_chosen_are_there_again(visit):
    page = visit(size=PHONE, has_touch=True, is_mobile=True)
    card(page, 5).locator("input[value='4']").tap()
    expect(page.locator(".peek")).to_be_visible()
    scrolled = page.evaluate("scrollY")
    assert scrolled > 300
    page.locator(".tabs").get_by_role("link", name="Tonight").tap()
    expect(page.locator("[data-pick]")).to_be_visible()
    assert page.evaluate("scrollY") == 0
    page.locator(".tabs").get_by_role("link", name="Rate").tap()
    assert page.evaluate("scrollY") == scrolled
    card(page).locator("h2 a").click()
    page.go_back()
    expect(page.locator("#rate")).to_be_visible()
    page.reload()
    expect(page.locator("#rate")).to_be_visible()
    page.locator(".tabs").get_by_role("link", name="Tonight").tap()
    choose(page, "Western")
    expect(page.locator(".note")).to_contain_text("match")
    page.locator(".tabs").get_by_role("link", name="Mine").tap()
    page.locator(".tabs").get_by_role("link", name="Tonight").tap()
    expect(page.locator("summary.chip[aria-current]")).to_have_accessible_name("Genre: Western")


def test_films_put_aside__stay_so_over_choices_and_a_reload(visit):
    page = visit()
    give(page)
    pick = page.locator("[data-pick]")
    first = pick.get_attribute("data-film")
    pick.get_by_role("link", name="Another").click()
    expect(pick).not_to_have_attribute("data-film", first)
    choose(page, "2000s", "decade")
    expect(page.locator("summary[data-key='decade']")).to_have_accessible_name("Decade: 2000s")
    assert f"without={first}" in page.url
    page.reload()
    page.locator("[data-key='everything']").click()
    expect(page.locator("summary[data-key='decade']")).to_have_accessible_name("Decade")
    assert first not in films(page)


def test_a_row__gives_stars_in_place_and_folds(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    row = page.locator(".rows li").nth(3)
    title = row.locator(".name").inner_text()
    row.locator("summary").click()
    row.locator("input[value='4']").click()
    expect(row).to_contain_text(f"You gave {title} 4 stars.")
    row.get_by_role("button", name="Undo").click()
    expect(page.locator(".rows .name", has_text=title).first).to_be_visible()
    page.goto(page.url.split("?")[0] + "mine")
    assert title not in page.locator(".said").inner_text()


def test_undo_of_the_pick__has_the_keyboards_focus_and_gives_it_back(visit):
    page = visit()
    give(page)
    pick = page.locator("[data-pick]")
    first = pick.get_attribute("data-film")
    pick.get_by_role("button", name="Seen").focus()
    page.keyboard.press("Enter")
    undo = page.locator(".toast").get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    expect(pick).not_to_have_attribute("data-film", first)
    expect(undo).to_be_focused()
    page.keyboard.press("Enter")
    expect(pick).to_have_attribute("data-film", first)
    expect(pick.get_by_role("button", name="Seen")).to_be_focused()
    page.keyboard.press("Enter")
    expect(undo).to_be_focused()
    page.keyboard.press("Tab")
    expect(pick.get_by_role("button", name="Seen")).to_be_focused()


def test_the_first_stars__given_in_a_row_bring_the_list_at_once(visit):
    page = visit()
    row = page.locator(".rows li").nth(1)
    row.locator("summary").click()
    row.locator("input[value='5']").click()
    expect(page.locator("[data-pick]")).to_be_visible()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator("[data-pick]")).to_have_count(0)


def test_a_double_click_on_never__puts_one_film_aside(visit):
    page = visit()
    give(page)
    pick = page.locator("[data-pick]")
    first = pick.get_attribute("data-film")
    pick.get_by_role("button", name="Never").click()
    expect(pick).not_to_have_attribute("data-film", first)
    second = pick.get_attribute("data-film")
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.wait_for_timeout(1000)
    assert pick.get_attribute("data-film") == second


def test_an_opened_row__keeps_its_height_when_it_folds(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    row = page.locator(".rows li").nth(2)
    row.locator("summary").click()
    height = row.bounding_box()["height"]
    row.get_by_role("button", name="Seen").click()
    expect(row).to_contain_text("Seen: ")
    assert row.bounding_box()["height"] == height


def test_undo_by_pointer__leaves_the_focus_in_the_pick(visit):
    page = visit()
    give(page)
    pick = page.locator("[data-pick]")
    first = pick.get_attribute("data-film")
    pick.get_by_role("button", name="Seen").click()
    expect(pick).not_to_have_attribute("data-film", first)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(pick).to_have_attribute("data-film", first)
    expect(pick.get_by_role("button", name="Seen")).to_be_focused()


def test_the_bar_above_the_tabs__leaves_the_focus_to_the_list_it_opens(visit):
    page = visit(size=PHONE)
    give(page)
    expect(page.locator(".peek")).to_be_visible()
    page.locator(".peek").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#tonight-title")).to_be_focused()


def test_a_chooser__closes_when_the_focus_leaves_it(visit):
    page = visit("?less_known=1")
    page.locator("summary[data-key='genre']").click()
    chooser = page.locator("[data-chooser='genre']")
    expect(chooser).to_have_attribute("open", "")
    page.keyboard.press("Tab")
    expect(chooser).to_have_attribute("open", "")
    page.locator("summary[data-key='decade']").focus()
    expect(chooser).not_to_have_attribute("open", "")


def test_the_choices__stay_in_view_where_the_list_is_scrolled(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    page.locator("#tonight").evaluate("list => list.scrollTop = 700")
    expect(page.locator("summary[data-key='genre']")).to_be_in_viewport(ratio=1)
    choose(page, "Western")
    expect(page).to_have_url(re.compile("genre=Western"))


def test_on_touch__the_word_of_the_stars_stays_on_the_folded_card(visit):
    page = visit(size=PHONE, has_touch=True, is_mobile=True)
    card(page).locator("input[value='4']").tap()
    expect(page.locator(".fold")).to_be_visible()
    word = "one => getComputedStyle(one, '::after').content"
    assert "Liked it" in page.locator(".folded label:has(:checked)").evaluate(word)


def test_a_room_of_one__offers_no_choice_between_people(visit):
    one, other = visit(), visit()
    give(one)
    one.get_by_role("button", name="Tonight together").click()
    expect(one.locator("#together [data-pick]")).to_be_visible()
    expect(one.locator("#together .choices")).to_have_count(0)
    other.goto(one.url)
    other.get_by_role("button", name="Join in").click()
    expect(one.locator("#together .choices")).to_be_visible()


def test_another__is_no_step_of_the_way_back(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    choose(page, "Drama")
    expect(page).to_have_url(re.compile("genre=Drama"))
    before = page.evaluate("history.length")
    first = page.locator("[data-pick]").get_attribute("data-film")
    page.get_by_role("link", name="Another").click()
    expect(page.locator("[data-pick]")).not_to_have_attribute("data-film", first)
    assert f"without={first}" in page.url
    assert page.evaluate("history.length") == before
    page.go_back()
    expect(page).not_to_have_url(re.compile("genre"))


def test_a_row_that_is_gone__leaves_the_focus_to_the_next_one(visit):
    page = visit()
    page.clock.install()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    row, following = page.locator(".rows li").nth(2), page.locator(".rows li").nth(3)
    movie, after = row.get_attribute("data-film"), following.get_attribute("data-film")
    row.locator("summary").click()
    row.get_by_role("button", name="Seen").click()
    expect(row.get_by_role("button", name="Undo")).to_be_focused()
    page.mouse.move(1, 1)
    page.clock.run_for(8_500)
    expect(page.locator(f"[data-film='{movie}']")).to_have_count(0)
    expect(page.locator(f"[data-film='{after}'] summary")).to_be_focused()


def test_what_is_told_at_once__is_said_one_after_the_other(visit):
    page = visit()
    page.evaluate(
        "() => { window.heard = []; new MutationObserver(() => heard.push(document.getElementById('said').textContent))"
        ".observe(document.getElementById('said'), { childList: true }) }"
    )
    title = give(page)
    expect(page.locator("#said")).to_contain_text("rough guess")
    heard = page.evaluate("heard")
    assert heard[0].startswith(f"You gave {title}")
    assert heard[1].startswith("1 rating")


def test_empty_stars__are_seen_against_their_card(visit):
    for scheme in ("light", "dark"):
        page = visit(color_scheme=scheme)
        page.mouse.move(1, 1)
        for where in (".card", "films/1"):
            if where != ".card":
                page.goto(page.url + where)
                where = "section"
            ratio = page.locator(f"{where} .give").first.evaluate(STAR_CONTRAST)
            assert ratio >= 3, (scheme, where, ratio)


STAR_CONTRAST = """give => {
  const pixel = colour => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    for (const one of [].concat(colour)) { context.fillStyle = one; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map(part => part / 255);
  };
  const light = ([r, g, b]) => [r, g, b].map(x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4)
    .reduce((sum, x, at) => sum + x * [.2126, .7152, .0722][at], 0);
  const ground = getComputedStyle(give.closest(".card, section")).backgroundColor;
  const star = getComputedStyle(give.querySelector("b")).backgroundColor;
  const [high, low] = [light(pixel([ground, star])), light(pixel(ground))].sort((a, b) => b - a);
  return (high + .05) / (low + .05);
}"""


def test_a_room_of_two__lists_for_both(visit):
    one, other = visit(), visit()
    give(one)
    give(other, place=3)
    expect(other.locator("[data-pick]")).to_be_visible()
    one.get_by_role("button", name="Tonight together").click()
    expect(one.locator("main")).to_contain_text("You are alone here")
    other.goto(one.url)
    other.get_by_role("button", name="Join in").click()
    expect(other.locator("main")).to_contain_text("2 of you are here")
    expect(one.locator("main")).to_contain_text("2 of you are here")
    lists = [page.locator("#together .name").all_inner_texts() for page in (one, other)]
    assert len(lists[0]) == 11  # below the first choice
    assert len({page.locator("#together .pick h2").inner_text() for page in (one, other)}) == 1
    assert lists[0] == lists[1]


def test_a_row_of_a_room__is_marked_folds_where_it_lies_and_can_be_taken_back(visit):
    page = visit()
    give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    page.get_by_role("button", name="Tonight together").click()
    row = page.locator("#together .rows li").nth(1)
    movie = row.get_attribute("data-film")
    row.locator("summary").click()
    watch = row.get_by_role("button", name="Watch this")
    watch.click()
    expect(row.get_by_role("button", name="Watch this", pressed=True)).to_be_focused()
    row.get_by_role("button", name="Seen").click()
    expect(row).to_contain_text("Seen: ")
    for _ in range(2):  # looks later it is still there
        page.wait_for_event("requestfinished", lambda request: "/parts/rooms/" in request.url)
    row.get_by_role("button", name="Undo").click()
    expect(page.locator(f"#together [data-film='{movie}'] summary")).to_be_visible()
    page.get_by_role("button", name="Leave this room").click()
    expect(page.get_by_role("button", name="Tonight together")).to_be_visible()


def test_without_scripts__the_list_the_search_and_the_stars_work(visit):
    page = visit(java_script_enabled=False)
    card(page).locator("input[value='5']").check()
    card(page).get_by_role("button", name="Rate").click()
    expect(page.locator("[data-pick]")).to_be_visible()
    page.get_by_role("searchbox").fill("matrix")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("The Matrix")


def test_off_line__what_is_said_waits_and_is_sent_when_the_line_is_back(visit):
    page = visit()
    before = page.locator(".card").last.bounding_box()
    page.context.set_offline(True)
    title = give(page)
    expect(page.locator("#connection")).to_contain_text("You are off-line")
    assert page.locator(".card").last.bounding_box() == before
    page.context.set_offline(False)
    expect(page.locator("[data-pick]")).to_be_visible()
    expect(page.locator("#connection")).to_be_hidden()
    page.goto(page.url + "mine")
    expect(page.locator(".said")).to_contain_text(title)


def test_server_restart_in_the_middle__loses_nothing(visit, server, store):
    page = visit()
    first = give(page)
    expect(page.locator("[data-pick]")).to_be_visible()
    server.stop()
    second = give(page)
    expect(page.locator("#connection")).to_contain_text("Not sent yet: 1")
    server.__init__(store, server.port)
    expect(page.locator("#connection")).to_be_hidden()
    page.goto(server.url + "mine")
    expect(page.locator(".said")).to_contain_text(first)
    expect(page.locator(".said")).to_contain_text(second)


def test_a_new_snapshot__is_told_once_its_list_comes(visit, store):
    page = visit()
    before = page.locator("body").get_attribute("data-snapshot")
    published = Recommender.open(store).publish(store).id
    assert before != published
    status = page.url + "api/v1/status"
    wait_until(lambda: all(ask(status)["snapshot"] == published for _ in range(12)), "a worker serves the old one on")
    give(page)
    expect(page.locator("body")).to_have_attribute("data-snapshot", published)


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(DESKTOP, "light", id="desktop-light"),
        pytest.param(PHONE, "dark", id="phone-dark"),
        pytest.param(DESKTOP, "dark", id="desktop-dark", marks=pytest.mark.slow),
        pytest.param(PHONE, "light", id="phone-light", marks=pytest.mark.slow),
    ],
)
def test_every_page__is_accessible_fits_and_has_no_small_text(visit, scheme, size):
    page = visit(size=size, color_scheme=scheme)
    give(page)
    expect(page.locator("[data-pick]")).to_be_attached()
    home = page.url.split("?")[0]
    page.goto(f"{home}?tab=tonight")
    page.get_by_role("button", name="Tonight together").click()
    room = page.url
    addresses = ["?tab=rate", "?tab=tonight", "films/1", "mine", "status", "search?q=the", "nowhere"]
    for address in [*(home + one for one in addresses), room]:
        page.goto(address)
        found = Axe().run(page, options={"runOnly": WCAG})
        assert found.violations_count == 0, f"{address}\n{found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], address
        assert page.evaluate(SMALL_TEXT) == [], address
        assert page.evaluate(SMALL_TARGETS) == [], address


SMALL_TEXT = """() => [...document.querySelectorAll("body *")].filter(one =>
  [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()) && one.checkVisibility()
  && !one.closest(".unseen, .give, script") && parseFloat(getComputedStyle(one).fontSize) < 14)
  .map(one => one.outerHTML.slice(0, 80))"""

SMALL_TARGETS = """() => [...document.querySelectorAll("button, input, summary, .chip, .tabs a")].filter(one => {
  const box = one.getBoundingClientRect();
  return one.checkVisibility() && box.width > 1 && (box.width < 24 || box.height < 24);
}).map(one => one.outerHTML.slice(0, 80))"""


def test_first_load__shifts_nothing_and_comes_from_here_alone(visit):
    page = visit("api/docs")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(
        "window.shift = 0; const add = list => { for (const one of list.getEntries()) window.shift += one.value };"
        "new PerformanceObserver(add).observe({type: 'layout-shift', buffered: true})"
    )
    home = re.match("http://[^/]+/", page.url)[0]
    page.goto(home, wait_until="networkidle")
    page.wait_for_timeout(300)
    assert page.evaluate("window.shift") == 0
    page.get_by_role("button", name="Tonight together").click()
    expect(page.get_by_role("button", name="Copy the link")).to_be_visible()
    page.wait_for_timeout(300)
    assert page.evaluate("window.shift") == 0
    assert all(url.startswith(home) for url in asked)
    assert len(asked) > 10


IN_PIECES = """async url => {
  const html = await (await fetch(url)).text();
  const painted = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  let shift = 0;
  const watch = new PerformanceObserver(list => { for (const one of list.getEntries()) shift += one.value; });
  watch.observe({type: "layout-shift"});
  document.open();
  for (const piece of html.match(/[^]{1,300}[^<]*/g)) { document.write(piece); await painted(); }
  document.close();
  await painted();
  await painted();
  return shift;
}"""


@pytest.mark.parametrize("size", [pytest.param(DESKTOP, marks=pytest.mark.slow), PHONE], ids=["desktop", "phone"])
def test_every_page__that_arrives_in_pieces_shifts_nothing(size, visit):
    page = visit(size=size)
    for _ in range(6):
        give(page)
    home = page.url
    page.goto(home + "?tab=tonight")
    page.get_by_role("button", name="Tonight together").click()
    expect(page.get_by_role("button", name="Copy the link")).to_be_visible()
    room = page.url
    for address in [*(home + one for one in ["", "?tab=tonight", "films/1", "mine", "status", "search?q=the"]), room]:
        page.goto(address, wait_until="networkidle")
        assert page.evaluate(IN_PIECES, address) == 0, address


def test_first_load__is_below_60_kilobytes_on_the_wire_and_a_second_one_asks_for_the_page_alone(visit):
    page = visit("api/docs")
    page.context.clear_cookies()
    wire = page.context.new_cdp_session(page)
    sizes, urls = {}, {}
    wire.on("Network.responseReceived", lambda told: urls.update({told["requestId"]: told["response"]["url"]}))
    wire.on("Network.loadingFinished", lambda told: sizes.update({told["requestId"]: told["encodedDataLength"]}))
    wire.send("Network.enable")
    wire.send("Network.clearBrowserCache")
    home = re.match("http://[^/]+/", page.url)[0]
    page.goto(home, wait_until="networkidle")
    asked = [urls[request] for request, size in sizes.items() if size]
    assert len(asked) == len({*asked}) > 10
    assert sum(sizes.values()) < 60_000
    sizes.clear()
    page.goto(home, wait_until="networkidle")
    assert [urls[request] for request, size in sizes.items() if size] == [home]


def test_the_footer__stands_at_the_foot_of_a_short_page_and_a_tall_one(visit):
    page = visit("nowhere")
    foot = page.locator(".foot").bounding_box()
    assert foot["y"] + foot["height"] == pytest.approx(DESKTOP["height"], abs=2)
    page = visit("nowhere", java_script_enabled=False, size={"width": 390, "height": 1500})
    foot = page.locator(".foot").bounding_box()
    assert foot["y"] + foot["height"] > 1400


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_hint_of_the_search__is_read_in_either_scheme(visit, scheme):
    page = visit(color_scheme=scheme)
    found = page.locator("#query").evaluate(
        "one => [getComputedStyle(one, '::placeholder').color, getComputedStyle(one).backgroundColor]"
    )
    shown = page.locator("body").evaluate(CONTRAST, found)
    assert shown >= 4.5


CONTRAST = """(_, colours) => {
  const light = colours.map(colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(one => one / 255)
      .map(one => one <= .03928 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  }).sort((a, b) => b - a);
  return (light[0] + .05) / (light[1] + .05);
}"""


def test_letters_of_twice_the_size_and_long_words__fit_a_phone(visit):
    page = visit(size={"width": 390, "height": 844})
    give(page)
    expect(page.locator("[data-pick]")).to_be_attached()
    home = re.match("http://[^/]+/", page.url)[0]
    for address in ("?tab=rate", "?tab=tonight", "films/1", "mine", "status", "search?q=the"):
        page.goto(home + address)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth") == 390, address
    page.goto(f"{home}films/1")
    page.locator(".film .pick .meta").first.evaluate("one => one.textContent = 'Wolkenkuckucksheim'.repeat(9)")
    page.locator(".film .pick h1").evaluate("one => one.textContent = 'Wolkenkuckucksheim'.repeat(9)")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_what_is_said_at_once__is_told_to_screen_readers_one_after_the_other(visit):
    page = visit()
    page.evaluate(
        "window.heard = []; new MutationObserver(() => window.heard.push(document.getElementById('said').textContent))"
        ".observe(document.getElementById('said'), { childList: true })"
    )
    version = page.locator("script[type=module]").get_attribute("src").split("/")[2]
    page.evaluate(
        "version => import(`/static/${version}/page/tell.mjs`).then(({ say }) => ['a', 'b', 'b', 'c'].map(say))",
        version,
    )
    assert page.evaluate("window.heard") == ["a"]
    expect(page.locator("#said")).to_have_text("c")
    assert page.evaluate("window.heard") == ["a", "b", "c"]


def test_reduced_motion__is_respected(visit):
    page = visit(reduced_motion="reduce")
    give(page)
    assert page.locator(".fold").evaluate("one => getComputedStyle(one).animationName") == "none"
