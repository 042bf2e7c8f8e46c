from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.serving import ask, send, started, wait_until
from tests.test_cli_serving import address, running

from matinee import refit, search
from matinee.datasets.synthetic import synthetic
from matinee.errors import BusyError, StoreError, UsageError
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.recommender import Recommender
from matinee.service import create_app, serve
from matinee.service.api.admin import shown
from matinee.service.server.refits import Plan
from matinee.service.server.worker import follow
from matinee.service.serving import serving_of
from matinee.snapshot import Store
from matinee.training import train

DATA = synthetic(200, 300, 8_000, rng=0)
RATER = ALS(rank=4, iterations=3, intervals=False)

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in Linux' /proc")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "store"
    train(DATA, folder, rater=RATER, ranker=None, measure=False)
    return folder


@pytest.fixture
def store(trained, tmp_path):
    return Store(shutil.copytree(trained, tmp_path / "store"))


@pytest.fixture
def live(store):
    with LiveRatings(store.path / "live.sqlite3") as opened:
        yield opened


@pytest.fixture
def server(store, request):
    with started(store.path, workers=getattr(request, "param", 1)) as running:
        yield running


def rate_ten(server, user):
    ratings = [{"movie": str(movie), "stars": 4.5} for movie in range(1, 11)]
    assert send(f"{server.url}api/v1/users/{user}/ratings", body={"ratings": ratings})[0] == 200


def ended(server, *states):
    """Wait for a refit to end, and return how."""

    def found():
        said = ask(f"{server.url}api/v1/status")["refit"] or {}
        return said if said.get("state") not in (None, "asked", "starting", "running") else None

    wait_until(found, "the refit did not end")
    assert found()["state"] in states, found()
    return found()


def refit_processes(server):
    children = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    pids = [int(pid) for file in children for pid in file.read_text().split()]
    return [pid for pid in pids if b"\0refit\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]


class Asking:
    """Threads that ask all the time; what was answered by which snapshot, and what failed."""

    def __init__(self, url, threads=3):
        self.snapshots, self.failures = [], []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(threads)]

    def _ask(self, url):
        while not self._done.is_set():
            try:
                self.snapshots.append(ask(url)["snapshot"])
            except Exception as error:
                self.failures.append(repr(error))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised):
        self._done.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("server", [2], indirect=True, ids=["two workers"])
def test_a_refit_that_an_admin_asks_for__is_served_soon_with_the_new_user_and_no_request_fails(server, store):
    first = store.current_id()
    with Asking(f"{server.url}api/v1/users/7/recommendations?n=5") as asking:
        rate_ten(server, "newcomer")
        status, answer = send(f"{server.url}api/v1/admin/refit")
        assert (status, answer["refit"]["state"]) == (202, "asked")
        said = ended(server, "published")
        wait_until(lambda: set(asking.snapshots[-20:]) == {said["snapshot"]}, "the new snapshot is not served")
    assert asking.failures == []
    assert set(asking.snapshots) == {first, said["snapshot"]}
    assert (said["parent"], said["why"].startswith("RMSE")) == (first, True)
    assert len(store.open().dataset.ratings.get("newcomer")) == 10
    assert server.end() == (0, "")


def test_a_refit_that_is_killed__has_failed_and_the_next_one_works(server, store):
    rate_ten(server, "newcomer")
    with (store.path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # it cannot publish
        assert send(f"{server.url}api/v1/admin/refit")[0] == 202
        wait_until(lambda: ask(f"{server.url}api/v1/status")["refit"]["state"] == "running", "it does not run")
        [process] = refit_processes(server)
        assert os.getpriority(os.PRIO_PROCESS, process) == 10
        status, answer = send(f"{server.url}api/v1/admin/refit")
        assert (status, "a refit is running" in answer["detail"]) == (409, True)
        os.kill(process, signal.SIGKILL)
        assert ended(server, "failed")["why"] == "its process was killed"
    assert send(f"{server.url}api/v1/admin/refit")[0] == 202
    assert ended(server, "published")["snapshot"] == store.current_id()
    code, stderr = server.end()
    assert (code, "refit failed: its process ended with -9" in stderr) == (0, True)


def test_a_worse_candidate__is_refused_and_the_status_says_why(server, store, live):
    means = DATA.ratings.movie_means
    turned = np.where(means < np.nanmedian(means), 5.0, 0.5).tolist()
    for robot in range(100):
        live.rate(f"robot{robot}", dict(zip(DATA.catalog.ids, turned, strict=True)))
    assert send(f"{server.url}api/v1/admin/refit")[0] == 202
    said = ended(server, "refused")
    assert "worse than the served snapshot: RMSE" in said["why"]
    assert said["verdict"]["low"] > 0
    assert said["snapshot"] == store.current_id() == said["parent"]


def test_a_service_that_stops__ends_its_refit(server, store):
    rate_ten(server, "newcomer")
    with (store.path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        send(f"{server.url}api/v1/admin/refit")
        wait_until(lambda: ask(f"{server.url}api/v1/status")["refit"]["state"] == "running", "it does not run")
        [process] = refit_processes(server)
        assert server.end() == (0, "")
        assert not Path(f"/proc/{process}").exists()


def test_a_refit_that_ended_with_its_service__is_repeated_by_the_next_one(store, live):
    live.rate("newcomer", {"1": 3.0})
    with (store.path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # it cannot publish
        with started(store.path, refit_every=0.5) as server:
            wait_until(lambda: (refit.state(live) or {}).get("state") == "running", "it does not run")
            server.end()
    assert refit.state(live)["state"] == "failed"
    with started(store.path, refit_every=0.5):
        wait_until(lambda: refit.state(live)["state"] == "published", "nobody repeats it")
    assert refit.state(live)["snapshot"] == store.current_id()


def test_plan__repeats_a_refit_that_failed_but_not_at_once(store, live):
    live.rate("newcomer", {"1": 3.0, "2": 4.0})
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    with (store.path / "current").open("r+") as current:
        served = current.read()
        current.truncate(0)
        with pytest.raises(StoreError):
            refit.refit(store, live)
        current.write(served)
    failed = refit.state(live)
    assert failed["state"] == "failed"
    earlier = {**failed, "began": hour_ago.isoformat()}
    for plan in (Plan(every=1800), Plan(after=2)):
        assert [plan.is_due(live, last, hour_ago) for last in (failed, earlier)] == [False, True]
    assert not Plan(after=3).is_due(live, earlier, hour_ago)


def test_a_state__says_nothing_of_the_refit_before_it(store, live):
    live.rate("newcomer", {"1": 3.0})
    assert refit.refit(store, live).result == "published"
    refit.ask(live)
    asked = shown(refit.state(live))
    refit.claim(live, refit.state(live))
    assert (set(asked), set(shown(refit.state(live)))) == ({"state", "why", "asked"}, {"state", "why", "began"})


@pytest.mark.slow
@pytest.mark.once
def test_refit_after__so_many_ratings_by_itself_and_one_at_a_time_though_two_services_watch(store, live):
    with started(store.path, refit_after=10) as one, started(store.path, refit_after=10):
        live.rate("early", {str(movie): 3.0 for movie in range(1, 6)})
        time.sleep(6)
        assert refit.state(live) is None
        rate_ten(one, "newcomer")
        assert ended(one, "published")["snapshot"] == store.current_id()
        time.sleep(3)
        assert len(store.ids()) == 2
        assert refit.state(live)["state"] == "published"


def test_refit_every__reads_its_options_from_the_settings_file(store, tmp_path, live):
    (tmp_path / "ours.toml").write_text('[serve]\nrefit-every = "0.5s"\n[refit]\nkeep = 1\n')
    live.rate("newcomer", {"1": 3.0})
    with running("--settings", "ours.toml", "serve", "--store", store.path, "--port", 0, folder=tmp_path) as (lines, _):
        assert address(lines)
        wait_until(lambda: (refit.state(live) or {}).get("state") == "published", "no refit by itself")
    assert list(store.ids()) == [refit.state(live)["snapshot"]]


@pytest.mark.slow
@pytest.mark.once
def test_refits_by_the_clock__wait_after_somebody_went_back_until_one_is_asked_for(store, live):
    good = store.current_id()
    live.rate("newcomer", {"1": 3.0})
    refit.refit(store, live)
    refit.activate(store, live, good)
    with started(store.path, refit_every=0.5) as server:
        live.rate("newcomer", {"2": 4.0})
        assert f"snapshot {good} is served though there is a newer one" in server.process.stderr.readline()
        assert (store.current_id(), refit.state(live)["state"]) == (good, "published")
        assert send(f"{server.url}api/v1/admin/refit")[0] == 202
        wait_until(lambda: store.current_id() != good, "no refit though one was asked for")
        asked = ended(server, "published")["snapshot"]
        live.rate("newcomer", {"3": 2.0})
        wait_until(lambda: store.current_id() != asked, "no refit by itself")
        code, stderr = server.end()
    assert (code, stderr) == (0, "")


@pytest.mark.parametrize(
    "options",
    [{"refit_every": 0}, {"refit_every": float("nan")}, {"refit_after": 0}, {"refit_after": 5, "refits": False}],
)
def test_serve__refuses_a_plan_that_cannot_be(store, options):
    with pytest.raises(UsageError, match=r"--refit-.* must be |--no-refits excludes"):
        serve(store.path, port=0, **options)


def test_ask__one_of_many_who_see_it_may_start_it(live_address):
    with LiveRatings(live_address) as live, LiveRatings(live_address) as elsewhere:
        assert refit.ask(live)["state"] == "asked"
        seen = refit.state(elsewhere)
        assert [refit.claim(one, seen) for one in (live, elsewhere, live)] == [True, False, False]
        with pytest.raises(BusyError, match="a refit is running"):
            refit.ask(elsewhere)
        live.rate("newcomer", {"1": 3.0})
        assert refit.rated(elsewhere, None) == 1


def test_state__of_a_refit_whose_service_died_before_it_began_is_failed_after_a_while(live):
    refit.claim(live, None)
    assert refit.state(live)["state"] == "starting"
    live.set_state("refit", {**refit.state(live), "began": "2026-01-01T00:00:00+00:00"})
    assert (refit.state(live)["state"], refit.ask(live)["state"]) == ("failed", "asked")


def test_plan__time_makes_a_refit_due_where_anything_was_said_and_ratings_do_at_once(store, live):
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    by_time, by_ratings = Plan(every=1800), Plan(after=3)
    assert not by_time.is_due(live, None, hour_ago)
    live.rate("newcomer", {"1": 3.0, "2": 4.0})
    assert by_time.is_due(live, None, hour_ago)
    assert not by_time.is_due(live, None, datetime.now(UTC))
    assert not by_ratings.is_due(live, None, hour_ago)
    live.rate("newcomer", {"3": 3.0})
    assert by_ratings.is_due(live, None, datetime.now(UTC))
    second = int(time.time())
    wait_until(lambda: int(time.time()) > second, "live ratings know the second")
    refit.refit(store, live)
    last = refit.state(live)
    assert not by_ratings.is_due(live, last, hour_ago)
    assert not by_time.is_due(live, {**last, "began": hour_ago.isoformat()}, hour_ago)
    live.forget("7")
    assert by_time.is_due(live, {**last, "began": hour_ago.isoformat()}, hour_ago)


@pytest.fixture
def client(store, live):
    return create_app(Recommender.of(store.open(), live=live), live, store=store).test_client()


def test_activate__rolls_back_and_refuses_what_is_unknown_damaged_or_holds_the_forgotten(client, store, live):
    first = store.current_id()
    live.rate("newcomer", {"1": 3.0})
    second = refit.refit(store, live).snapshot
    activate = "/api/v1/admin/snapshots/{}/activate".format
    assert client.post(activate(first)).json["activated"] == first == store.current_id()
    assert client.post(activate("20200101-000000-00000")).status_code == 404
    live.forget("7")
    refused = client.post(activate(second))
    assert (refused.status_code, "were forgotten" in refused.json["detail"]) == (409, True)
    (store.snapshots / second / "catalog.arrow").unlink()
    assert client.post(activate(second)).status_code == 409
    assert store.current_id() == first


def test_follow__switches_to_a_snapshot_whose_first_search_is_as_fast_as_any(client, store, live, monkeypatch):
    serving = serving_of(client.application)
    live.rate("newcomer", {"1": 3.0})
    published = refit.refit(store, live).snapshot
    monkeypatch.setattr(search, "VERSION", "another")  # so that the index of titles is to be made anew
    follow(serving, store)
    assert serving.recommender.snapshot_id == published
    assert "index" in vars(serving.recommender.dataset.catalog)
    assert client.get("/api/v1/users/newcomer/recommendations?n=3").json["snapshot"] == published


def test_a_service_on_postgresql__refits_what_is_said_there(store, postgres):
    with started(store.path, live=postgres.database()) as server:
        rate_ten(server, "newcomer")
        assert send(f"{server.url}api/v1/admin/refit")[0] == 202
        ended(server, "published")
        assert len(store.open().dataset.ratings.get("newcomer")) == 10


def test_a_service_with_no_refits__leaves_one_that_is_asked_for_there_to_another(store, live, tmp_path):
    pulled = Store(shutil.copytree(store.path / "snapshots", tmp_path / "pulled" / "snapshots").parent)
    pulled.activate(store.current_id())
    where = str(store.path / "live.sqlite3")
    with started(pulled.path, live=where, refits=False) as server:
        live.rate("newcomer", {"1": 3.0})
        assert send(f"{server.url}api/v1/admin/refit")[0] == 202
        time.sleep(3)
        assert refit.state(live)["state"] == "asked"
        with started(store.path):
            assert ended(server, "published")["snapshot"] == store.current_id()
        assert len(pulled.ids()) == 1


def test_activate__needs_a_store(store, live):
    client = create_app(Recommender.of(store.open(), live=live), live).test_client()
    assert client.post(f"/api/v1/admin/snapshots/{store.current_id()}/activate").status_code == 409


def test_status__knows_no_refit_before_the_first(client):
    assert client.get("/api/v1/status").json["refit"] is None
