from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests import environment, postgresql
from typer.testing import CliRunner, Result

from matinee import kernels
from matinee.cli import app
from matinee.datasets.synthetic import synthetic
from matinee.models.als import ALS
from matinee.recommender import Recommender

settings.register_profile("any machine", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("any machine")


def pytest_report_header() -> str:
    """Say on which instruction set the kernels run; from here on this process has no other."""
    return f"instruction set: {kernels.instruction_set()}"


@pytest.fixture(scope="session")
def movielens() -> Callable[[str], Path]:
    """Return the folder of a real MovieLens release by its name; skips where there is none."""

    def folder(name: str) -> Path:
        data = os.environ.get("MATINEE_DATA")
        if not data:
            pytest.skip("set MATINEE_DATA to a folder that holds MovieLens releases")
        path = Path(data) / name
        if not path.is_dir():
            pytest.skip(f"MATINEE_DATA holds no {name}")
        return path

    return folder


@pytest.fixture(scope="session")
def matinee() -> Callable[..., Result]:
    """Run a command as on the command line, with no MATINEE_* variables but those given."""

    def run(*arguments: object, **variables: str) -> Result:
        nothing = dict.fromkeys(environment.settings())
        return CliRunner().invoke(app, [str(one) for one in arguments], env={**nothing, **variables})

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgresql.Postgres]:
    """A running PostgreSQL server of our own; skips where it is not installed."""
    if postgresql.programs() is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with postgresql.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def live_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database for live ratings, of each kind in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "live.sqlite3")
    server: postgresql.Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one small model, to be copied and not written in."""
    store = tmp_path_factory.mktemp("published") / "store"
    dataset = synthetic(300, 900, 30_000, rng=0)
    Recommender.fit(dataset, rater=ALS(rank=4, iterations=3, intervals=False)).publish(store)
    return store


@pytest.fixture
def store(published: Path, tmp_path: Path) -> Path:
    """A store with one small model, of the test's own."""
    return Path(shutil.copytree(published, tmp_path / "store", symlinks=True))
