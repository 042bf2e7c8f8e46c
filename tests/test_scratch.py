from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from matinee import backup as copies
from matinee import batch, scratch
from matinee.live import LiveRatings
from matinee.recommender import Recommender
from matinee.snapshot import Store

MAKE = """
import sys
from pathlib import Path
from matinee.scratch import new_folder
with new_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("secret")
    print(folder, flush=True)
    sys.stdin.read()
"""
BACKUP = """
import sys
from pathlib import Path
from matinee import backup
from matinee.live import LiveRatings
from matinee.snapshot import Store
store, live, out = map(Path, sys.argv[1:])
write = backup._write_tables
def stay(*arguments):
    write(*arguments)
    print("written", flush=True)
    sys.stdin.read()
backup._write_tables = stay
backup.backup(Store(store), LiveRatings(live), out)
"""
BATCH = """
import sys
from matinee.batch import batch_recommend
from matinee.recommender import Recommender
def stay(*_):
    print("written", flush=True)
    sys.stdin.read()
batch_recommend(Recommender.open(sys.argv[1]), sys.argv[3], progress=stay)
"""


def killed(program: str, *arguments: Path) -> None:
    """Run a program until it writes a line, and end it by SIGKILL."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.kill()


def test_new_folder__removes_what_killed_processes_left_and_leaves_the_living_alone(tmp_path: Path) -> None:
    killed(MAKE, tmp_path / "other")
    assert [path.name.startswith(".other.writing-") for path in tmp_path.iterdir()] == [True]
    with scratch.new_folder(tmp_path / "one") as mine:
        assert [*tmp_path.iterdir()] == [mine]
        with scratch.new_folder(tmp_path / "two") as second:
            assert {*tmp_path.iterdir()} == {mine, second}
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_new_folder__by_many_at_once_loses_none(tmp_path: Path) -> None:
    def make(number: int) -> None:
        for turn in range(20):
            with scratch.new_folder(tmp_path / f"{number}-{turn}") as folder:
                (folder / "file").write_text("whole")

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([*tmp_path.glob("*/file")]) == 160
    assert [*tmp_path.glob(".*")] == []


@pytest.mark.parametrize("program", [BACKUP, BATCH], ids=["backup", "batch"])
@pytest.mark.parametrize("following", ["backup", "batch"])
def test_a_killed_command__leaves_nothing_after_the_next_one(
    store: Path, tmp_path: Path, program: str, following: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    killed(program, store, tmp_path / "live.sqlite3", out / "killed")
    [left] = out.iterdir()
    assert left.name.startswith(".killed.writing-")
    with LiveRatings(tmp_path / "live.sqlite3") as live:
        if following == "backup":
            copies.backup(Store(store), live, out / "next")
        else:
            batch.batch_recommend(Recommender.open(store), out / "next")
    assert [path.name for path in out.iterdir()] == ["next"]
