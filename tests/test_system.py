from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from matinee import system

pytestmark = pytest.mark.skipif(not system.IS_POSIX, reason="these tests take the parts of POSIX away")

WINDOWS = """
import fcntl, multiprocessing, os, signal, subprocess, sys, types
windows = types.ModuleType("msvcrt")
windows.LK_NBLCK = 2
def locking(descriptor, mode, size):
    assert (mode, size, os.lseek(descriptor, 0, os.SEEK_CUR)) == (windows.LK_NBLCK, 1, 0)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(13, "Permission denied") from None
windows.locking = locking
sys.modules["msvcrt"], sys.modules["fcntl"] = windows, None
for module, name in ((os, "fork"), (os, "O_CLOEXEC"), (os, "sched_getaffinity"), (os, "setpriority"),
                     (signal, "SIGHUP"), (signal, "pthread_sigmask"), (signal, "pthread_kill")):
    delattr(module, name)
"""
"""Lets a program run as on Windows, as far as the library can tell."""


def as_on_windows(program: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS + program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout


def test_without_posix__the_library_trains_measures_publishes_and_recommends(tmp_path: Path) -> None:
    program = """
import matinee as mt
from matinee.live import LiveRatings
ds = mt.synthetic(n_users=60, n_movies=40, n_ratings=900, rng=1)
models = mt.ALS(min_history=1, iterations=2), mt.Ease(min_ratings=1)
print(len(mt.evaluate(ds, models[0])))
mt.Recommender.fit(ds, rater=models[0], ranker=models[1]).publish("store")
(mt.Store("store").snapshots / ".writing-dead").mkdir()
mt.Recommender.fit(ds, rater=models[0], ranker=None).publish("store")
with LiveRatings("store/live.sqlite3") as live:
    live.rate("ann", {"1": 5})
    print(len(mt.Recommender.open("store").recommend({"1": 5}, n=3)))
print(sorted(path.name for path in mt.Store("store").snapshots.iterdir() if path.name[0] == "."))
"""
    assert as_on_windows(program, tmp_path).splitlines() == ["3", "3", "[]"]


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_without_posix__serving_is_refused_in_one_line(tmp_path: Path, command: str) -> None:
    program = f"sys.argv = ['matinee', '{command}']; sys.stderr = sys.stdout\n"
    program += "from matinee.__main__ import main\ntry: main()\nexcept SystemExit as end: print(end.code)"
    says, code = as_on_windows(program, tmp_path).splitlines()
    assert says == "error: the service needs Linux or macOS; on Windows run it in WSL or in a container"
    assert code == "2"
    assert not list(tmp_path.iterdir())


HOLD = """
import os, sys
from pathlib import Path
from matinee import system
print(system.lock_folder(Path(sys.argv[1])) is not None, flush=True)
sys.stdin.read()
os._exit(1)
"""


def test_the_lock_of_a_folder__is_one_process_s_and_ends_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert system.lock_folder(tmp_path) is None
        other.communicate()
    held = system.lock_folder(tmp_path)
    assert held is not None
    system.unlock_folder(tmp_path, held)
