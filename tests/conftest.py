from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
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
from matinee.service.server.metrics_folder import counting_together

settings.register_profile("any machine", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("any machine")


def pytest_report_header() -> str:
    """Say on which instruction set the kernels run."""
    return f"instruction set: {kernels.instruction_set()}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Generator[None]:
    """End with one sentence for each kind of test that was left out, why and how to get it; then the counts follow."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"left out, {count} {'test' if count == 1 else 'tests'}: {reason}")
    if "not slow" in config.option.markexpr:
        terminalreporter.write_line("left out, the slow tests: `make test-all` runs them")


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_programs() -> None:
    """Let programs that tests start receive SIGINT, which a shell makes those in its background ignore."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


UNNAMED = re.compile(r"tmp[a-z0-9_]{8}")


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the tests a home of their own, where programs keep caches, and a temporary folder that must end empty."""
    tmp_path_factory.getbasetemp()  # pytest's own folder stays where it is
    root = Path(tempfile.mkdtemp(prefix="matinee-tests-"))
    root.chmod(0o755)  # PostgreSQL runs as another user
    home, temporary = root / "home", root / "temporary"
    home.mkdir()
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr(tempfile, "tempdir", None)
        yield
        with counting_together():  # as the next service does, which removes what killed ones left
            pass
        left = [path.name for path in temporary.iterdir() if not path.name.startswith("pytest-of-")]
    shutil.rmtree(root)
    if "pyspark" in sys.modules:  # a driver that a test kills leaves an unnamed folder of Python's tempfile
        left = [name for name in left if not UNNAMED.fullmatch(name)]
    assert not left, f"the tests left {left} in the temporary folder"


@pytest.fixture(scope="session")
def movielens() -> Callable[[str], Path]:
    """Return the folder of a real MovieLens release by its name; skips where there is none."""

    def folder(name: str) -> Path:
        data = os.environ.get("MATINEE_DATA")
        if not data:
            pytest.skip("MATINEE_DATA is not set; name a folder that `matinee fetch ml-latest-small` wrote to")
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
