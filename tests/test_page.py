from __future__ import annotations

import json
import re
from html import unescape
from io import BytesIO
from pathlib import Path

import pyarrow
import pytest

import matinee as mt
from matinee.live import LiveRatings
from matinee.live.identities import create_key
from matinee.models.als import ALS
from matinee.models.ease import Ease
from matinee.ratings import Scale
from matinee.recommender import Recommender
from matinee.service import create_app, pages
from matinee.service.pages.formatting import choices

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MODULES = Path(pages.__file__).parents[1] / "static" / "page"
TEMPLATES = Path(pages.__file__).parents[1] / "templates"


@pytest.fixture(scope="module")
def dataset():
    return mt.load("sample")


@pytest.fixture(scope="module")
def models(dataset):
    return [config.fit(dataset.ratings, dataset.catalog) for config in (ALS(rank=4, iterations=3), Ease())]


@pytest.fixture
def live(tmp_path):
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        yield live


@pytest.fixture
def app(dataset, models, live):
    return create_app(Recommender(dataset, *models, snapshot_id="first", live=live), live)


@pytest.fixture
def visitor(app):
    return come(app)


def come(app):
    client = app.test_client()
    assert client.get("/", headers=BROWSER).status_code == 200
    return client


def open_page(client, address):
    answer = client.get(address, headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (200, "text/html"), answer.text
    return answer.text


def submit(client, address, **fields):
    return client.post(address, data=fields, headers=BROWSER, follow_redirects=True)


def listed(page):
    return re.findall(r'data-film="([^"]+)"', page)


def asked(page):
    return re.findall(r'data-card="([^"]+)"', page)


def rated(client, n=3):
    movies = asked(open_page(client, "/"))[:n]
    for movie in movies:
        assert submit(client, f"/say/{movie}", stars="4.5").status_code == 200
    return movies


def test_first_visit__asks_about_twelve_films_of_several_decades_and_shows_what_is_popular(visitor, dataset):
    page = open_page(visitor, "/")
    movies = asked(page)
    assert len(set(movies)) == 12
    assert len({dataset.catalog.years[dataset.catalog.ids.position(movie)] // 10 for movie in movies}) >= 3
    assert len(listed(page)) == 25
    assert "data-pick" not in page
    assert 'data-tab="rate"' in page


def test_without_scripts__a_form_rates_and_the_list_follows(visitor):
    movies = rated(visitor, 1)
    page = open_page(visitor, "/")
    assert "1 rating: a rough guess" in page
    assert "data-pick" in page
    assert 'data-tab="tonight"' in page
    assert "because you loved" in page
    assert not {*movies} & {*listed(page), *asked(page)}


def test_without_scripts__a_form_leads_back_to_its_page(visitor):
    [movie] = rated(visitor, 1)
    headers = BROWSER | {"Referer": "http://localhost/mine?from=0"}
    answer = visitor.post(f"/say/{movie}", data={"stars": "2"}, headers=headers)
    assert (answer.status_code, answer.location) == (303, "/mine?from=0")
    elsewhere = BROWSER | {"Referer": "http://elsewhere.example/mine"}
    assert visitor.post(f"/say/{movie}", data={"stars": "2"}, headers=elsewhere).location == "/"
    for path in ("//evil.example/x", "/\\evil.example/x"):
        ours = BROWSER | {"Referer": f"http://localhost{path}"}
        assert visitor.post(f"/say/{movie}", data={"stars": "2"}, headers=ours).location == "/"


def test_two_visitors__do_not_see_each_other(app):
    one, other = come(app), come(app)
    movies = rated(one)
    assert all(f"/films/{movie}" in open_page(one, "/mine") for movie in movies)
    assert "You have rated nothing yet" in open_page(other, "/mine")


def test_marks__take_films_out_of_the_list_or_keep_them(visitor):
    rated(visitor)
    kept, seen, never = listed(open_page(visitor, "/"))[:3]
    for movie, mark in ((kept, "watchlist"), (seen, "seen"), (never, "hidden")):
        submit(visitor, f"/say/{movie}", mark=mark)
    page = open_page(visitor, "/")
    assert kept in listed(page)
    assert not {seen, never} & {*listed(page)}
    assert "On your list" in page
    mine = open_page(visitor, "/mine")
    assert all(f'id="{mark}"' in mine for mark in ("watchlist", "seen", "hidden"))
    submit(visitor, f"/say/{never}", mark="")
    assert never in listed(open_page(visitor, "/"))


def test_a_list__begins_with_films_that_are_expected_to_be_liked(visitor, dataset):
    movie = dataset.catalog.ids.take([dataset.catalog.resolve("Star Wars: Episode IV - A New Hope")])[0]
    submit(visitor, f"/say/{movie}", stars="0.5")
    for address in ("/", "/?genre=Action", "/?less_known=1"):
        stars = [float(one) for one in re.findall('"true">★ ([0-9.]+)<', open_page(visitor, address))]
        liked = [one >= 2.75 for one in stars]
        assert liked == sorted(liked, reverse=True), address
        assert liked[0], address


def test_because__never_names_a_film_that_was_not_liked(visitor):
    for movie, stars in (("333", 0.5), ("951", 3)):
        submit(visitor, f"/say/{movie}", stars=stars)
    page = unescape(open_page(visitor, "/"))
    named = set(re.findall("because (?:of your stars for|you loved) ([^<]+)<", page))
    assert len(named) == 1
    submit(visitor, "/say/951", stars="1")
    page = unescape(open_page(visitor, "/"))
    assert not re.search("because (?:of your stars for|you loved)", page)


def test_because__names_only_films_that_add_a_good_part(visitor):
    for movie, stars in (("333", 5), ("951", 4)):
        submit(visitor, f"/say/{movie}", stars=stars)
    page = unescape(open_page(visitor, "/"))
    pick = page[page.index("data-pick") : page.index("And then")]
    widths = [float(width) for width in re.findall(r'<rect width="([0-9.]+)%"', pick)]
    named = re.search("because you loved ([^<]+)<", pick)[1].split(" and ")
    assert len(widths) == 2
    assert len(named) == sum(width >= 25 for width in widths)
    rows = page[page.index("And then") :]
    assert "because you loved" in rows
    assert not re.search("because you loved [^<]+ and (?:Interstellar|Raiders)", rows)


def test_reasons_on_a_films_page__leave_out_what_adds_next_to_nothing_with_its_heading(visitor, dataset):
    movies, told = list(dataset.catalog.ids), []
    for movie, mean in zip(movies[:3], dataset.ratings.movie_means, strict=False):
        submit(visitor, f"/say/{movie}", stars=round(float(mean) * 2) / 2)  # as expected, so that some add little
        page = open_page(visitor, f"/films/{movies[100]}")
        told.append(('id="why"' in page, re.findall(r'class="adds">([+−][^<]+)<', page)))
    assert told == [(False, []), (True, ["−0.02"]), (True, ["+0.05", "−0.02"])]


def test_a_film__is_coloured_by_one_of_the_two_of_its_genres_that_fewest_films_have(visitor, dataset):
    catalog, tints = dataset.catalog, set()
    for title in ("Alien", "Inception", "Heat", "Fargo", "The Matrix", "Toy Story"):
        genres = catalog.table["genres"][catalog.resolve(title)].as_py()
        telling = sorted(genres, key=catalog.genre_counts.get)[:2]
        page = open_page(visitor, f"/films/{catalog.ids[catalog.resolve(title)]}")
        [tint] = re.findall(r'class="pick g-([a-z-]+)', page)
        assert tint in [genre.lower() for genre in telling], (title, tint, telling)
        tints.add(tint)
    assert len(tints) > 3


def test_a_format__is_no_genre_to_choose(tmp_path, live):
    lines = [f"{user},{movie},{3 + user % 2},1" for user in range(30) for movie in (1, 2, 3)]
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines), "utf-8")
    titles = ["1,One (1999),Drama|IMAX", "2,Two (2001),Drama", "3,Three (2004),Comedy"]
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(titles), "utf-8")
    dataset = mt.load(tmp_path)
    assert "IMAX" in dataset.catalog.genre_names
    model = ALS(rank=2, iterations=2).fit(dataset.ratings, dataset.catalog)
    client = come(create_app(Recommender(dataset, model, live=live), live))
    submit(client, "/say/1", stars="4")
    page = open_page(client, "/")
    assert "genre=Drama" in page
    assert "IMAX" not in page


def test_genres__are_told_from_the_commonest_on(visitor, dataset):
    counts = dataset.catalog.genre_counts
    lines = re.findall(r'<p class="meta">[0-9]{4} · ([^<]+)</p>', open_page(visitor, "/"))
    assert len(lines) == 12
    for line in lines:
        genres = line.split(", ")
        assert [counts[genre] for genre in genres] == sorted((counts[genre] for genre in genres), reverse=True)
    assert max(len(line.split(", ")) for line in lines) == 3


def test_cards__do_not_ask_about_tonights_pick_and_neighbours_have_other_colours(visitor):
    page = open_page(visitor, "/")
    tints = re.findall(r'class="card (g-[a-z-]+)', page)
    assert all(tint not in tints[max(place - 2, 0) : place] for place, tint in enumerate(tints[:8]))
    for movie in asked(page)[:2]:
        submit(visitor, f"/say/{movie}", stars="5")
        page = open_page(visitor, "/")
        assert listed(page)[0] not in asked(page)


def test_why__says_what_each_rating_adds_in_words_and_what_was_given(visitor):
    for movie, stars in (("333", 5), ("951", 4)):
        submit(visitor, f"/say/{movie}", stars=stars)
    page = unescape(open_page(visitor, "/"))
    pick = page[page.index("data-pick") : page.index("And then")]
    assert re.search("Interstellar</a> <span[^>]*>you gave [54] ★", pick)
    assert sum(int(share) for share in re.findall(r'class="adds">([0-9]+) %', pick)) in (99, 100, 101)


def test_a_film_without_ids_elsewhere__links_to_what_those_sites_find(visitor):
    page = unescape(open_page(visitor, "/films/302"))
    assert 'href="https://www.imdb.com/find/?s=tt&q=Alien%201979"' in page
    assert 'href="https://www.themoviedb.org/search/movie?query=Alien%20y:1979"' in page


def test_chips__narrow_the_list_and_the_note_says_how_many_match(visitor, dataset):
    rated(visitor)
    page = open_page(visitor, "/?genre=Western&decade=1960")
    movies = listed(page)
    for movie in movies:
        position = dataset.catalog.ids.position(movie)
        assert "Western" in dataset.catalog.table["genres"][position].as_py()
        assert dataset.catalog.years[position] < 1970
    assert len(movies) < 25
    assert (f"{len(movies)} match" if movies else "No film matches all of this") in page


def test_less_known__lists_other_films_with_fewer_ratings(visitor, dataset):
    rated(visitor)
    usual, less = (listed(open_page(visitor, address)) for address in ("/", "/?less_known=1"))
    counts = dataset.ratings.movie_counts
    mean = [
        sum(counts[dataset.catalog.ids.position(movie)] for movie in movies) / len(movies) for movies in (usual, less)
    ]
    assert mean[1] < mean[0] / 2


def another(page):
    found = re.search(r'href="([^"]+)"[^>]*data-key="another"', page)
    return unescape(found[1]) if found else None


def test_another__puts_the_pick_aside_and_it_stays_so_after_a_rating(visitor):
    rated(visitor)
    page = open_page(visitor, "/")
    first, second, third = listed(page)[:3]
    page = open_page(visitor, another(page))
    assert listed(page)[:2] == [second, third]
    assert first not in listed(page)
    address = another(page)
    assert listed(open_page(visitor, address))[0] == third
    submit(visitor, f"/say/{third}", mark="seen")
    assert not {first, second, third} & {*listed(open_page(visitor, address))}


def test_another__begins_again_when_all_were_put_aside_and_is_not_offered_for_the_only_film(visitor, dataset):
    rated(visitor)
    catalog, counts = dataset.catalog, dataset.ratings.movie_counts
    common = counts >= 25
    matches = {
        (name, decade): int((flags & common & (catalog.years // 10 * 10 == decade)).sum())
        for name, flags in zip(catalog.genre_names, catalog.genre_flags.T, strict=True)
        for decade in range(1970, 2020, 10)
    }
    genre, decade = next(found for found, n in matches.items() if n == 3)
    page = open_page(visitor, f"/?genre={genre}&decade={decade}")
    movies = listed(page)
    picked = []
    for _ in [*movies, *movies]:
        picked.append(listed(page)[0])
        assert {*listed(page)} == {*movies}
        page = open_page(visitor, another(page))
    assert picked == [*movies, *movies]
    for movie in movies[1:]:
        submit(visitor, f"/say/{movie}", mark="seen")
    page = open_page(visitor, f"/?genre={genre}&decade={decade}")
    assert listed(page) == movies[:1]
    assert another(page) is None


def test_cards__do_not_repeat_what_is_on_the_table_or_unknown(visitor):
    movies = asked(open_page(visitor, "/"))
    query = "&".join([f"unknown={movies[0]}", *(f"without={movie}" for movie in movies)])
    more = asked(visitor.get(f"/parts/cards?n=5&{query}").text)
    assert len(more) == 5
    assert not {*more} & {*movies}


def test_search__works_as_a_page_and_as_a_part(visitor):
    for address in ("/search?q=matrix", "/parts/search?q=matr"):
        assert "The Matrix" in open_page(visitor, address)
    assert "No film’s title" in unescape(open_page(visitor, "/search?q=qqqqzzzz"))
    assert "Type a part of a title" in open_page(visitor, "/search")


def test_a_films_page__has_its_histogram_stars_reasons_and_what_is_like_it(visitor, dataset):
    rated(visitor)
    movie = listed(open_page(visitor, "/"))[0]
    page = unescape(open_page(visitor, f"/films/{movie}"))
    assert "We expect you to give it" in page
    assert "Why this film" in page
    assert page.count("stars: ") >= len(dataset.ratings.scale.levels)
    assert "Liked by the same people" in page
    submit(visitor, f"/say/{movie}", stars="3")
    page = open_page(visitor, f"/films/{movie}")
    assert re.search(r'value="3" checked', page)
    assert "You gave it 3" in page
    assert '<p class="absent">We expect you to give it' in page


def test_mine__pages_through_many_ratings(visitor, dataset):
    for movie in dataset.catalog.ids.take(range(60)):
        visitor.put(f"/api/v1/users/me/ratings/{movie}", json={"stars": 3})
    first, second = open_page(visitor, "/mine"), open_page(visitor, "/mine?from=50")
    assert [page.count('name="stars" value=""') for page in (first, second)] == [50, 10]


def test_export_and_import__bring_the_same_back(app, visitor):
    movies = rated(visitor)
    saved = visitor.get("/api/v1/users/me/export").data
    other = come(app)
    lines = "movieId,rating\n" + "".join(f"{one['movie']},{one['stars']}\n" for one in json.loads(saved)["ratings"])
    csv = f"{lines}99999999,4\n"
    shown = bring(other, csv.encode(), "my.csv")
    assert "Brought in: 3 ratings." in shown
    assert "Of 4 lines: 3 rated, 0 seen, 0 on your list." in shown
    assert "1 films that are not here" in shown
    assert "line 5: 99999999 (" in shown
    assert all(f"/films/{movie}" in open_page(other, "/mine") for movie in movies)
    assert "Brought in: 3 ratings." in bring(come(app), saved, "matinee.json")


def bring(client, content, name):
    answer = client.post("/mine/import", data={"file": (BytesIO(content), name)}, headers=BROWSER)
    assert (answer.status_code, answer.location) == (303, "/mine#brought")
    return open_page(client, "/mine")


def test_what_a_form_has_done__is_shown_once_so_that_a_reload_does_it_not_again(visitor, live):
    rated(visitor)
    for address, fields, words in (
        ("/mine/import", {"file": (BytesIO(b"movieId,rating\n1,4\n"), "my.csv")}, "Brought in: 1 rating."),
        ("/mine/link", {}, "This is your link."),
        ("/mine/forget", {"sure": "1"}, "All your ratings and marks are deleted."),
    ):
        answer = visitor.post(address, data=fields, headers=BROWSER)
        assert (answer.status_code, answer.location.split("#")[0]) == (303, "/mine")
        stored = live.count()
        assert words in open_page(visitor, "/mine")
        assert words not in open_page(visitor, "/mine")
        assert live.count() == stored


def test_an_import__tells_groups_loose_matches_and_marks_in_a_visitors_words(visitor, dataset):
    film = dataset.catalog.table.slice(0, 1).to_pylist()[0]
    lines = f'"{film["title"]}",{film["year"] + 1}\nNothing Such,1990\nNothing Later,2090\n'
    shown = bring(visitor, f"title,year\n{lines}".encode(), "watchlist.csv")
    assert "Of 3 lines: 0 rated, 0 seen, 1 on your list." in shown
    assert "1 films that are not here" in shown
    assert "1 newer than the films here" in shown
    assert f"is {film['title']} ({film['year']}) (the years differ by one)" in unescape(shown)


def test_a_file_on_another_scale__is_brought_in_by_saying_so(visitor):
    file = lambda: {"file": (BytesIO(b"movieId,rating\n1,9\n"), "my.csv")}  # noqa: E731
    refused = visitor.post("/mine/import", data=file(), headers=BROWSER)
    assert refused.status_code == 400
    assert "9 stars are not on the scale" in refused.text
    taken = visitor.post("/mine/import?from=0", data={**file(), "scale": "1:10"}, headers=BROWSER)
    assert (taken.status_code, taken.location) == (303, "/mine?from=0#brought")
    assert "Brought in: 1 rating." in open_page(visitor, "/mine")


@pytest.mark.parametrize("form", ["import", "forget", "link", "unlink"])
def test_the_address_of_a_form__leads_to_its_page(visitor, form):
    answer = visitor.get(f"/mine/{form}", headers=BROWSER)
    assert (answer.status_code, answer.location) == (303, "/mine")


def test_a_report_of_many_lines__is_shown_as_far_as_a_browser_keeps_it(visitor):
    lines = "".join(f"{n},4\n" for n in range(10_000_000, 10_002_000))
    shown = bring(visitor, f"movieId,rating\n{lines}".encode(), "my.csv")
    assert "2,000 films that are not here" in shown
    assert "line 11: 10000009 (" in shown
    assert shown.count("<li>line ") <= 50


@pytest.mark.parametrize(
    "said", ["link:{theirs}", "link", "link:nothing", "report:many:0", "report", "%%%:::", "forgot"]
)
def test_what_no_form_has_done__is_not_shown(app, visitor, said):
    other = come(app)
    theirs = re.search(r"http://localhost/link/([^\"]+)", submit(other, "/mine/link").text)[1]
    visitor.set_cookie("matinee-after", said.format(theirs=theirs))
    page = open_page(visitor, "/mine")
    assert not re.search("/link/|Brought in|is deleted", page)


def test_my_link__can_be_voided_only_where_there_is_one_and_says_where_it_does_not_work(visitor):
    assert "Void my link" not in open_page(visitor, "/mine")
    shown = submit(visitor, "/mine/link").text
    assert "Void my link" in shown
    assert "This address works on this machine only" in shown
    assert "Void my link" not in submit(visitor, "/mine/unlink").text


def test_without_scripts__a_film_not_seen_is_not_asked_about_again(visitor, live):
    first, second = asked(open_page(visitor, "/"))[:2]
    for movie in (first, second):
        assert submit(visitor, f"/say/{movie}", unknown="1", stars="4").status_code == 200
    page = open_page(visitor, "/")
    assert len(asked(page)) == 12
    assert not {first, second} & {*asked(page)}
    assert live.count() == 0


def test_a_private_link__opens_the_same_ratings_elsewhere_until_it_is_voided(app, visitor):
    movies = rated(visitor)
    link = re.search(r'class="address" href="http://localhost(/link/[^"]+)"', submit(visitor, "/mine/link").text)[1]
    other = come(app)
    assert "Open these ratings here?" in open_page(other, link)
    assert all(f"/films/{movie}" in submit(other, link).text for movie in movies)
    submit(visitor, "/mine/unlink")
    assert come(app).post(link, headers=BROWSER).status_code == 404


def test_a_link__warns_who_would_leave_ratings_behind(app, visitor):
    rated(visitor)
    link = re.search(r'href="http://localhost(/link/[^"]+)"', submit(visitor, "/mine/link").text)[1]
    other = come(app)
    rated(other, 2)
    assert "what you rated in this browser (2 ratings) is left behind" in open_page(other, link)
    assert "left behind" not in open_page(visitor, link)


def test_forget_me__ends_in_a_new_visitor_without_ratings(visitor, live):
    rated(visitor)
    before = visitor.get_cookie("matinee").value
    assert "All your ratings and marks are deleted." in submit(visitor, "/mine/forget", sure="1").text
    assert visitor.get_cookie("matinee").value != before
    assert "You have rated nothing yet" in open_page(visitor, "/mine")
    assert live.count() == 0


def test_a_room_of_two__lists_for_both_and_only_for_members(app):
    one, other, stranger = come(app), come(app), come(app)
    mine, theirs = rated(one), rated(other, 5)
    room = one.post("/rooms", headers=BROWSER).location
    alone = open_page(one, room)
    assert "You are alone here" in alone
    assert "<svg" in alone
    assert not listed(open_page(other, room))
    submit(other, f"{room}/join")
    pages_of_both = [open_page(client, room) for client in (one, other)]
    assert all("2 of you are here" in page for page in pages_of_both)
    assert listed(pages_of_both[0]) == listed(pages_of_both[1])
    assert not {*mine, *theirs} & {*listed(pages_of_both[0])}
    assert listed(open_page(one, f"{room}?how=least-misery"))
    assert not listed(open_page(stranger, room))


def test_a_room__is_found_again_from_home_and_mine_without_showing_what_opens_it_until_one_leaves(app, live):
    one, other = come(app), come(app)
    rated(one)
    assert "Back to your room" not in open_page(one, "/")
    room = one.post("/rooms", headers=BROWSER).location
    open_page(one, room)
    submit(other, f"{room}/join")
    for address in ("/", "/mine", "/parts/tonight"):
        page = open_page(one, address)
        assert "Back to your room of 2" in page
        assert room not in page
        assert one.get(re.search('href="(/rooms/mine/0)"', page)[1]).location == room
    second = one.post("/rooms", headers=BROWSER).location
    open_page(one, second)
    assert [one.get(f"/rooms/mine/{nth}").location for nth in (0, 1)] == [second, room]
    answer = one.post(f"{room}/leave", headers=BROWSER)
    assert (answer.status_code, answer.location) == (303, "/?tab=tonight")
    assert "Back to your room of 2" not in open_page(one, "/")
    assert one.get("/rooms/mine/1").status_code == 404
    assert "2 of you are here" not in open_page(other, room)
    assert "Back to your room" not in open_page(come(app), "/")


def test_a_room__says_what_it_knows_of_who_came_and_who_comes(app):
    one, other = come(app), come(app)
    rated(one)
    room = one.post("/rooms", headers=BROWSER).location
    assert "You have rated nothing yet" not in open_page(one, room)
    door = open_page(other, room)
    assert "One person is in already." in door
    assert "Leave this room" not in door
    submit(other, f"{room}/join")
    assert "You have rated nothing yet" in open_page(other, room)


def test_films_of_a_room__are_marked_as_ones_own(app):
    one, other = come(app), come(app)
    rated(one)
    room = one.post("/rooms", headers=BROWSER).location
    submit(other, f"{room}/join")
    kept, seen, never = listed(open_page(one, room))[:3]
    for movie, mark in ((kept, "watchlist"), (seen, "seen"), (never, "hidden")):
        submit(one, f"/say/{movie}", mark=mark)
    page = open_page(one, room)
    assert kept in listed(page)
    assert not {seen, never} & {*listed(page), *listed(open_page(other, room))}
    assert page.count('aria-pressed="true"') == 1
    assert 'aria-pressed="true"' not in open_page(other, room)


def test_films_that_a_room_is_expected_to_dislike__come_last(app, dataset):
    one = come(app)
    movie = dataset.catalog.ids.take([dataset.catalog.resolve("Star Wars: Episode IV - A New Hope")])[0]
    submit(one, f"/say/{movie}", stars="0.5")
    room = one.post("/rooms", headers=BROWSER).location
    for how in ("mean", "least-misery"):
        stars = [float(text) for text in re.findall(r"★ ([0-9.]+)<", open_page(one, f"{room}?how={how}"))]
        assert len(stars) == 12
        liked = [one >= 2.75 for one in stars]
        assert liked == sorted(liked, reverse=True)
        assert liked[0]


def test_the_status_page__shows_the_measured_quality_as_table_and_curves(dataset, models, live):
    curve = {f"curve_recall@{n}": n / 100 for n in (1, 5, 20)}
    metrics = {"protocol": "a tenth held out", "models": [{"model": "als", "rmse": 0.8123, **curve}]}
    recommender = Recommender(dataset, *models, snapshot_id="first", live=live, metrics=metrics)
    page = open_page(create_app(recommender, live).test_client(), "/status")
    assert '<td class="served">0.812</td>' in page
    landmarks = re.findall(r'<section aria-labelledby="([^"]+)"', page) + re.findall(
        r'role="region"[^>]*labelledby="([^"]+)"', page
    )
    assert len(landmarks) == len({*landmarks}) == 3
    assert page.count("<polyline") == 1
    assert "a tenth held out" in page


def test_the_status_page__tells_how_the_last_refit_went(visitor, live):
    assert "training" not in open_page(visitor, "/status")
    live.set_state("refit", {"state": "refused", "why": "worse by 0.02", "changes": 3})
    assert "The last training was not published: worse by 0.02." in open_page(visitor, "/status")


def test_the_status_page__says_so_where_nothing_was_measured(visitor):
    assert "published without a measurement" in open_page(visitor, "/status")


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/nowhere", 404, "nothing at /nowhere"),
        ("/films/nothing", 404, "there is no film nothing here. search for its title"),
        ("/rooms/nothing", 404, "no such room"),
        ("/link/nothing", 404, "unknown link"),
        ("/?decade=abc", 400, "decade is a whole number"),
        ("/?genre=Nonsense", 400, "no movie has the genre"),
    ],
)
def test_what_goes_wrong__is_a_page_for_people_and_a_problem_for_programs(visitor, address, status, words):
    shown, told = visitor.get(address, headers=BROWSER), visitor.get(address)
    assert (shown.status_code, shown.mimetype) == (status, "text/html")
    assert words in unescape(shown.text).casefold()
    assert (told.status_code, told.mimetype) == (status, "application/problem+json")
    assert words in told.json["detail"].casefold()


@pytest.mark.parametrize(
    ("address", "fields", "words"),
    [
        ("/say/1", {}, "choose stars first"),
        ("/say/1", {"stars": "many"}, "many"),
        ("/say/1", {"stars": "9"}, "9"),
        ("/say/1", {"mark": "loved"}, "loved"),
        ("/say/nothing", {"stars": "3"}, "there is no film nothing here"),
        ("/say/nothing", {"unknown": "1"}, "there is no film nothing here"),
        ("/mine/import", {}, "choose a file first"),
    ],
)
def test_a_form_that_cannot_be_meant__is_refused_in_words_and_changes_nothing(visitor, live, address, fields, words):
    answer = submit(visitor, address, **fields)
    assert answer.status_code in (400, 404)
    assert words in unescape(answer.text).casefold()
    assert (">Back to your ratings</a>" in answer.text) == address.startswith("/mine")
    assert live.count() == 0


def test_a_browser_without_our_cookie__is_told_so_by_a_form(app):
    answer = app.test_client().post("/say/1", data={"stars": "3"}, headers=BROWSER)
    assert answer.status_code == 401
    assert "cookie" in answer.text


def test_with_keys__visitors_are_taken_on_any_host(dataset, models, live):
    create_key(live, ["read"])
    client = create_app(Recommender(dataset, *models, live=live), live).test_client()
    client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    open_page(client, "/")
    rated(client, 1)
    assert client.get("/api/v1/users/me/ratings").json["items"]


def test_one_rating__is_no_plural_and_a_film_without_year_and_genres_begins_with_no_dot(live):
    rows = [{"user": "a", "movie": "1", "rating": 4.0}, {"user": "a", "movie": "2", "rating": 3.0}]
    bare = mt.load(pyarrow.Table.from_pylist([*rows, {"user": "b", "movie": "2", "rating": 5.0}]))
    rater = ALS(rank=2, iterations=2).fit(bare.ratings, bare.catalog)
    client = come(create_app(Recommender(bare, rater, snapshot_id="bare", live=live), live))
    page = open_page(client, "/search?q=movie")
    assert re.findall(r'class="meta">([^<]*)<', page) == ["2 ratings", "1 rating"]
    assert "stars from 1 rating<" in open_page(client, "/films/1")


def test_every_page__runs_and_asks_for_nothing_inline_or_elsewhere(visitor):
    rated(visitor)
    room = visitor.post("/rooms", headers=BROWSER).location
    for address in ("/", "/mine", "/films/1", "/status", "/search?q=a", room, "/nowhere"):
        page = visitor.get(address, headers=BROWSER).text
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*( src=|application/json))", page), address
        assert not re.search(r'<(?:link|script|img)[^>]*(?:src|href)="(?:https?:)?//', page), address
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), address


def test_every_text__is_used_and_every_text_asked_for_is_there():
    texts = json.loads((Path(pages.__file__).parent / "texts.json").read_text("utf-8"))
    scripts = "".join(path.read_text("utf-8") for path in MODULES.glob("*.mjs"))
    asked_for = set(re.findall(r'text\("(\w+)"', scripts)) | {"seen", "hidden", "watchlist"}
    assert asked_for == set(texts["js"])
    written = "".join(path.read_text("utf-8") for path in TEMPLATES.glob("*.html"))
    python = "".join(path.read_text("utf-8") for path in Path(pages.__file__).parent.glob("*.py"))
    for place, said in texts.items():
        for name in () if place == "js" else said:
            dotted, called = f"t.{place}.{name}", f't["{name}"]'
            assert re.search(rf"{re.escape(dotted)}\b", written) or called in python or f"t.{place}[" in written, dotted


@pytest.mark.parametrize(
    ("scale", "values", "halves"),
    [
        (Scale(0.5, 5, 0.5), 10, True),
        (Scale(1, 5, 1), 5, False),
        (Scale(1, 10, 1), 10, False),
        (Scale(0, 100, 1), 10, False),
        (Scale(-10, 10), 10, False),
    ],
)
def test_star_choices__are_on_the_scale_and_few_enough_for_a_thumb(scale, values, halves):
    found = choices(scale)
    assert (len(found.values), found.halves) == (values, halves)
    assert all(scale.has(float(value)) for value in found.values)


def test_data_without_genres_and_years__offers_no_choice_of_them(tmp_path, live):
    rows = (f"{user},{movie},{1 + user % 5}" for user in range(30) for movie in range(30))
    table = tmp_path / "bare.csv"
    table.write_text("userId,movieId,rating\n" + "\n".join(rows), "utf-8")
    dataset = mt.load(table)
    model = ALS(rank=2, iterations=2).fit(dataset.ratings, dataset.catalog)
    client = come(create_app(Recommender(dataset, model, live=live), live))
    submit(client, "/say/1", stars="4")
    page = open_page(client, "/")
    assert "data-pick" in page
    assert 'data-key="less-known"' in page
    assert "data-chooser" not in page
