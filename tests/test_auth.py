from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from flask import Response

from matinee.datasets.synthetic import synthetic
from matinee.errors import UsageError
from matinee.live import LiveRatings
from matinee.live.identities import create_key, hashed, keys, revoke_key, rotate_secrets
from matinee.live.schema import KEYS, SECRETS
from matinee.models.baselines import Bias
from matinee.recommender import Recommender
from matinee.service import create_app
from matinee.service.auth import Policy, access_of, ensure_visitor, identity
from matinee.service.auth.key_cache import Recent
from matinee.service.auth.limits import BURST, MOST_CLIENTS, Rate
from matinee.service.problems import TooManyRequestsError

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture(scope="module")
def dataset():
    return synthetic(100, 200, 4_000, rng=0)


@pytest.fixture(scope="module")
def model(dataset):
    return Bias().fit(dataset.ratings, dataset.catalog)


@pytest.fixture
def live(tmp_path):
    with LiveRatings(tmp_path / "live.sqlite3") as opened:
        yield opened


@pytest.fixture
def make(dataset, model, live):
    """Make the service with an operator's choices, and with a page that makes visitors and says who asks."""

    def app(**policy):
        made = create_app(Recommender(dataset, model, snapshot_id="first", live=live), live, policy=Policy(**policy))
        made.add_url_rule("/hello", "hello", hello)
        return made

    return app


def hello():
    answer = ensure_visitor(Response(mimetype="application/json"))
    answer.set_data(json.dumps([identity().kind, identity().user]))
    return answer


hello.access = access_of(create_app.__globals__["pages"].home.home)


def bearer(live, *scopes):
    return {"Authorization": f"Bearer {create_key(live, scopes)[0]}"}


def visitor(app, **options):
    client = app.test_client()
    client.get("/hello", environ_base=ELSEWHERE, **options)
    return client, client.get("/hello", environ_base=ELSEWHERE).json[1]


def detail(answer, status):
    assert (answer.status_code, answer.json["status"]) == (status, status)
    return answer.json["detail"]


# Without any key


def test_without_a_key__a_program_of_this_machine_may_do_everything(make):
    client = make().test_client()
    assert client.get("/1/ratings/top/3").status_code == 200
    assert client.post("/1/ratings", data="1,4").status_code == 200


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
def test_without_a_key__every_local_name_is_one(make, host):
    assert make().test_client().get("/1/ratings/top/3", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        {"environ_base": ELSEWHERE},
        {"environ_base": {"REMOTE_ADDR": ""}},
        {"headers": {"Host": "evil.example"}},
        {"headers": {"Host": "localhost.evil.example:8000"}},
        {"headers": {"Host": "127.0.0.1.evil.example"}},
        {"headers": {"Host": ""}},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"headers": {"Forwarded": "for=127.0.0.1"}},
        {"headers": {"X-Real-IP": "127.0.0.1"}},
        {"headers": {"Via": "1.1 proxy"}},
    ],
    ids=str,
)
def test_without_a_key__everybody_else_is_shut_out_of_reading_and_writing(make, live, request_):
    client = make().test_client()
    for answer in (client.get("/1/ratings/top/3", **request_), client.post("/1/ratings", data="1,4", **request_)):
        assert "matinee key create" in detail(answer, 401)
    assert live.count() == 0


def test_without_a_key__a_page_under_a_rebound_name_gets_no_cookie_and_no_answer(make):
    client = make().test_client()
    rebound = {"headers": {"Host": "evil.example:8000"}}
    assert "Set-Cookie" not in client.get("/hello", **rebound).headers
    assert client.get("/me/ratings/top/3", **rebound).status_code == 401


def test_without_a_key__even_a_visitors_cookie_opens_nothing_from_elsewhere(make):
    client = make().test_client()
    client.get("/hello")
    assert client.get("/me/ratings/top/3").status_code == 200
    assert client.get("/me/ratings/top/3", environ_base=ELSEWHERE).status_code == 401


def test_what_is_public__answers_everybody(make):
    client = make().test_client()
    for path in (
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/status",
        "/api/openapi.json",
        "/static/any/matinee.css",
    ):
        with client.get(path, environ_base=ELSEWHERE) as answer:
            assert answer.status_code == 200, path


def test_without_a_key__me_is_a_person_of_that_id_until_a_browser_gets_a_cookie(make, live):
    client = make().test_client()
    assert client.post("/me/ratings", data="1,4").json == [["me", "1", 4.0]]
    name = client.get("/hello").json[1]
    assert name.startswith("~")
    assert client.post("/me/ratings", data="1,4").json == [[name, "1", 4.0]]


def test_no_auth__lets_everybody_do_everything(make):
    client = make(no_auth=True).test_client()
    assert client.post("/1/ratings", data="1,4", environ_base=ELSEWHERE).status_code == 200


def test_behind_a_proxy__nobody_is_local(make):
    assert make(behind_proxy=1).test_client().get("/1/ratings/top/3").status_code == 401


# Keys


def test_a_key__may_do_what_its_scopes_say(make, live):
    read, write = bearer(live, "read"), bearer(live, "write")
    client = make().test_client()
    assert client.get("/1/ratings/top/3", headers=read, environ_base=ELSEWHERE).status_code == 200
    assert client.post("/1/ratings", data="1,4", headers=write, environ_base=ELSEWHERE).status_code == 200
    assert "lacks the scope read" in detail(client.get("/1/ratings/top/3", headers=write), 403)
    assert "lacks the scope write" in detail(client.post("/1/ratings", data="1,4", headers=read), 403)


def test_with_a_key__a_program_of_this_machine_needs_one_too(make, live):
    create_key(live, ["read"])
    answer = make().test_client().get("/1/ratings/top/3")
    assert "Authorization: Bearer" in detail(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer mk_wrong", "bearer ", "Bearer mk_wrong mk_wrong"])
def test_a_key_nobody_made__is_refused_even_locally(make, header):
    answer = make().test_client().get("/1/ratings/top/3", headers={"Authorization": header})
    assert "unknown or revoked" in detail(answer, 401)


def test_a_proxys_own_password__is_none_of_our_business(make):
    headers = {"Authorization": "Basic YTpi"}
    assert make().test_client().get("/1/ratings/top/3", headers=headers).status_code == 200


def test_a_revoked_key__is_refused_within_seconds(make, live):
    create_key(live, ["admin"])
    mine = bearer(live, "read")
    app = make()
    app.extensions["matinee-auth"].recent._good_for = 0
    assert app.test_client().get("/1/ratings/top/3", headers=mine).status_code == 200
    revoke_key(live, next(key.name for key in keys(live) if "read" in key.scopes))
    assert app.test_client().get("/1/ratings/top/3", headers=mine).status_code == 401


def test_a_revoked_key__is_refused_to_all_who_come_at_once_after_a_quiet_time(live):
    create_key(live, ["admin"])
    recent, barrier = Recent(live, good_for=0.02), threading.Barrier(16)

    def is_known(digest):
        barrier.wait()
        return digest in recent.identities().keys

    with ThreadPoolExecutor(16) as threads:
        for _ in range(10):
            secret, key = create_key(live, ["read"])
            assert all(threads.map(is_known, [hashed(secret)] * 16))
            revoke_key(live, key.name)
            time.sleep(0.1)
            assert not any(threads.map(is_known, [hashed(secret)] * 16))
            time.sleep(0.1)


def test_what_was_known_of_keys__holds_while_the_database_is_away(live, tmp_path):
    secret, _ = create_key(live, ["read"])
    recent = Recent(live, good_for=0)
    assert hashed(secret) in recent.identities().keys
    (tmp_path / "live.sqlite3").rename(tmp_path / "away")
    assert hashed(secret) in recent.identities().keys


def test_a_key__has_no_me(make, live):
    answer = make().test_client().get("/me/ratings/top/3", headers=bearer(live, "read"))
    assert "name the user in the path" in detail(answer, 401)


def test_keys_and_cookie_secrets__are_kept_as_they_should_be(live):
    secret, key = create_key(live, ["write", "read"], "for the batch")
    with live.reading() as connection:
        [row] = connection.execute(KEYS.select())
    assert row.scopes == "read write"
    assert secret not in str(row)
    assert secret.startswith("mk_")
    assert keys(live) == [key]


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", ""]])
def test_a_key__cannot_be_made_without_a_scope_or_with_another(live, scopes):
    with pytest.raises(UsageError, match="read, write, admin"):
        create_key(live, scopes)
    assert keys(live) == []


# Visitors


def test_a_visitor__reads_and_writes_the_own_ratings_and_no_others(make, live):
    create_key(live, ["admin"])
    client, name = visitor(make())
    assert re.fullmatch("~[A-Za-z0-9_-]{22}", name)
    for own in ("me", name):
        assert client.post(f"/{own}/ratings", data="1,4", environ_base=ELSEWHERE).status_code == 200
        assert client.get(f"/{own}/ratings/top/3", environ_base=ELSEWHERE).status_code == 200
    assert live.ratings(name) == {"1": 4}
    for other in ("1", "~" + 22 * "x", "Me", name.lower(), f"{name} "):
        assert "another user's ratings" in detail(client.get(f"/{other}/ratings/top/3", environ_base=ELSEWHERE), 403)
        assert client.post(f"/{other}/ratings", data="2,4", environ_base=ELSEWHERE).status_code == 403
    assert live.count() == 1


def test_two_visitors__are_two_people(make, live):
    create_key(live, ["admin"])
    app = make()
    assert visitor(app)[1] != visitor(app)[1]


def test_the_visitors_cookie__is_for_this_site_and_no_script(make, live):
    create_key(live, ["admin"])
    client = make(behind_proxy=1).test_client()
    plain = client.get("/hello").headers["Set-Cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    assert "Path=/;" in plain
    assert "Secure" not in plain
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/films"}
    secure = client.get("/hello", headers=forwarded).headers["Set-Cookie"]
    assert secure.startswith("__Host-matinee+films=")
    assert "Secure" in secure
    assert "Path=/;" in secure
    assert "Domain" not in secure


def test_a_sibling_host__neither_signs_a_visitor_out_nor_into_its_account(make, live):
    create_key(live, ["admin"])
    app = make(behind_proxy=1)
    https = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}

    def cookie():
        return app.test_client().get("/hello", headers=https).headers["Set-Cookie"].partition(";")[0]

    def who(header):
        client = app.test_client(use_cookies=False)
        return client.get("/api/v1/users/me/ratings", headers={**https, "Cookie": header})

    own, theirs = cookie(), cookie()
    own_name, planted = who(own).json["user"], theirs.replace("__Host-matinee", "matinee")
    assert own_name != who(theirs).json["user"]
    for header in (f"{planted}; {own}", f"{own}; {planted}", f"matinee=x; {own}"):
        assert who(header).json["user"] == own_name
    assert who(planted).status_code == 401


def test_a_visitor_from_before_there_were_cookies_of_one_host__stays_who_they_are(make, live):
    create_key(live, ["admin"])
    client, name = visitor(make(behind_proxy=1))
    client.set_cookie("matinee", "damaged", path="/api")
    https = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    assert client.get("/api/v1/users/me/ratings", headers=https).json["user"] == name
    assert client.get("/hello", headers=https).headers["Set-Cookie"].startswith("__Host-matinee=")


def test_of_several_cookies_of_our_name__each_is_tried(make, live):
    create_key(live, ["admin"])
    client, name = visitor(make())
    own = f"matinee={client.get_cookie('matinee').value}"
    plain = client.application.test_client(use_cookies=False)
    for header in (f"matinee=x; {own}", f"{own}; matinee=x", f"{'matinee=; ' * 7}{own}"):
        asked = plain.get("/api/v1/users/me/ratings", headers={"Cookie": header}, environ_base=ELSEWHERE)
        assert asked.json["user"] == name


@pytest.mark.parametrize("host", ["a b", "a/b", "a?", "@a", "a:b", "a,b", "[a"])
def test_what_is_no_host__is_refused(make, host):
    answer = make().test_client().get("/api/docs", headers={"Host": host}, environ_base=ELSEWHERE)
    assert "it should be a name or an address" in detail(answer, 400)


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/\\evil.example", "https://evil.example", "/..", "/a//b", "/a;b"]
)
def test_a_prefix_that_is_none__is_not_taken(make, live, prefix):
    create_key(live, ["admin"])
    client = make(behind_proxy=1).test_client()
    answer = client.get("/hello", headers={"X-Forwarded-Prefix": prefix})
    assert "Path=/;" in answer.headers["Set-Cookie"]
    assert "evil" not in client.get("/", headers={"X-Forwarded-Prefix": prefix}).text
    assert "Path=/a/b-c;" in client.get("/hello", headers={"X-Forwarded-Prefix": "/a/b-c"}).headers["Set-Cookie"]


def altered(cookie, part):
    """The cookie with another first letter of its user, time or signature; a last one has bits that mean nothing."""
    parts = cookie.split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    return ".".join(parts)


@pytest.mark.parametrize(
    "forge", [*(partial(altered, part=part) for part in range(3)), lambda c: "x" + c, lambda c: ""]
)
def test_a_forged_cookie__is_nobodys(make, live, forge):
    create_key(live, ["admin"])
    client, _ = visitor(make())
    client.set_cookie("matinee", forge(client.get_cookie("matinee").value))
    assert client.get("/me/ratings/top/3", environ_base=ELSEWHERE).status_code == 401


def test_a_rotated_secret__keeps_visitors_who_come_by_and_a_second_rotation_ends_the_others(make, live):
    create_key(live, ["admin"])
    coming, name = visitor(make())
    staying, _ = visitor(make())
    assert rotate_secrets(live) == 2
    let_secrets_settle(live)
    app = make()
    coming.application = staying.application = app
    assert coming.get("/hello", environ_base=ELSEWHERE).json == ["visitor", name]
    rotate_secrets(live)
    coming.application = staying.application = make()
    assert coming.get("/hello", environ_base=ELSEWHERE).json == ["visitor", name]
    assert staying.get("/me/ratings/top/3", environ_base=ELSEWHERE).status_code == 401


def test_a_new_secret__signs_only_when_all_processes_know_it_unless_it_is_the_only_one(make, live):
    from matinee.live.identities import identities

    [first] = identities(live).secrets
    rotate_secrets(live)
    newer, signing = identities(live).secrets
    assert signing == first
    let_secrets_settle(live)
    assert identities(live).secrets == (first, newer)
    assert rotate_secrets(live, keep=1) == 1
    assert first not in identities(live).secrets
    assert newer not in identities(live).secrets


def let_secrets_settle(live):
    with live.writing() as connection:
        connection.execute(SECRETS.update().values(at=SECRETS.c.at - 60))


# Writes, hosts, limits


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8001"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
    ids=str,
)
def test_a_write_from_another_sites_page__is_refused(make, live, headers):
    answer = make().test_client().post("/1/ratings", data="1,4", headers=headers)
    assert "another site's page" in detail(answer, 403)
    assert live.count() == 0


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin", "Origin": "https://x"}],
    ids=str,
)
def test_a_write_from_our_page_or_a_program__is_taken(make, headers):
    assert make().test_client().post("/1/ratings", data="1,4", headers=headers).status_code == 200


@pytest.mark.parametrize(("scheme", "status"), [("https", 200), ("http", 403)])
def test_a_write_over_https_from_a_page_over_http__is_refused(make, live, scheme, status):
    client = make(no_auth=True, behind_proxy=1).test_client()
    headers = {"X-Forwarded-Proto": "https", "Host": "films.example", "Origin": f"{scheme}://films.example"}
    assert client.post("/1/ratings", data="1,4", headers=headers).status_code == status
    assert live.count() == (status == 200)


@pytest.mark.parametrize("host", ["localhost, evil.example", "127.0.0.1:8000, x", "127.0.0.1:99999999", "a b"])
def test_without_a_key__a_host_header_that_is_no_name_is_not_this_machine(make, host):
    client = make().test_client()
    assert client.get("/api/v1/movies", headers={"Host": "localhost:8000"}).status_code == 200
    assert client.get("/api/v1/movies", headers={"Host": host}).status_code in (400, 401)


@pytest.mark.parametrize("name", ["", "https://movies.example", "*.example", "['movies.example']"])
def test_allowed_hosts__that_nobody_could_ask_by_are_refused(name):
    with pytest.raises(UsageError, match=r"--allowed-hosts: .* is not a host name; write names"):
        Policy(allowed_hosts=("movies.example", name))


def test_allowed_hosts__are_the_only_names_besides_local_ones(make):
    client = make(no_auth=True, allowed_hosts=("Movies.example", "192.0.2.1")).test_client()
    for host in ("movies.example", "movies.example:443", "MOVIES.EXAMPLE.", "192.0.2.1:80", "localhost:8000"):
        assert client.get("/1/ratings/top/3", headers={"Host": host}).status_code == 200, host
    for host in ("other.example", "a.movies.example", ""):
        assert "is not one of this service" in detail(client.get("/1/ratings/top/3", headers={"Host": host}), 400)
    assert client.get("/healthz", headers={"Host": "10.0.0.3"}).status_code == 200


def test_requests_beyond_the_rate__are_429_with_the_seconds_to_wait_and_for_that_client_alone(make, live):
    mine = bearer(live, "read")
    client = make(rate_limit=0.1).test_client()
    assert client.get("/1/ratings/top/3", headers=mine, environ_base=ELSEWHERE).status_code == 200
    answer = client.get("/1/ratings/top/3", headers=mine, environ_base=ELSEWHERE)
    assert "Retry-After" in detail(answer, 429)
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert client.get("/1/ratings/top/3", headers=bearer(live, "read")).status_code == 401  # not known yet, but let in
    assert client.get("/healthz", environ_base=ELSEWHERE).status_code == 200


def test_guessing_keys__is_limited_by_address(make):
    client = make(rate_limit=0.1).test_client()
    guesses = [client.get("/1/ratings/top/3", headers={"Authorization": f"Bearer mk_{n}"}).status_code for n in (1, 2)]
    assert guesses == [401, 429]


def test_programs_of_this_machine__are_not_limited(make):
    client = make(rate_limit=0.1).test_client()
    assert {client.get("/1/ratings/1").status_code for _ in range(5)} == {200}


def test_a_bucket__holds_some_seconds_worth_and_fills_again():
    now = [0.0]
    rate = Rate(5, clock=lambda: now[0])
    for _ in range(int(5 * BURST)):
        rate.spend("a")
    with pytest.raises(TooManyRequestsError) as refused:
        rate.spend("a")
    assert refused.value.retry_after == 1
    now[0] += 0.2
    rate.spend("a")
    with pytest.raises(TooManyRequestsError):
        rate.spend("a")
    rate.spend("b")


def test_no_auth__limits_strangers_by_address_and_no_program_of_this_machine(make):
    client = make(rate_limit=0.1, no_auth=True).test_client()
    assert {client.get("/1/ratings/1").status_code for _ in range(5)} == {200}
    for stranger in ({"environ_base": ELSEWHERE}, {"headers": {"X-Forwarded-For": "192.0.2.8"}}):
        assert [client.get("/1/ratings/1", **stranger).status_code for _ in range(2)] == [200, 429]


def test_buckets__are_forgotten_when_there_are_too_many():
    rate = Rate(5)
    for client in range(MOST_CLIENTS + 2):
        rate.spend(str(client))
    assert len(rate._full_at) <= MOST_CLIENTS


def test_expired_cookies__are_nobodys(make, live, monkeypatch):
    create_key(live, ["admin"])
    client, _ = visitor(make())
    monkeypatch.setattr("matinee.service.auth.cookies.LIFETIME", -1)
    client.application = make()
    assert client.get("/me/ratings/top/3", environ_base=ELSEWHERE).status_code == 401
