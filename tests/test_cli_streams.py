from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from matinee.snapshot import Store

TRAIN = "train sample --rater bias --ranker none --no-measure"


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    line = f'"{sys.executable}" -m matinee {command}'
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-", "2>&-"])
def test_a_training_that_published__succeeds_where_nobody_listens(tmp_path: Path, closed: str) -> None:
    done = shell(f"{TRAIN} --store store {closed}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    Store(tmp_path / "store").verify()


@pytest.mark.parametrize("command", ["info sample", "info sample --json", "movies sample", "--version", TRAIN])
def test_a_full_disk_behind_standard_output__is_named(tmp_path: Path, command: str) -> None:
    done = shell(f"{command} >/dev/full", tmp_path)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line == ("error: standard output cannot be written: No space left on device; write to another file or disk")


@pytest.mark.parametrize("command", ["info sample", "info nothing", "movies sample"])
def test_full_disks_behind_both_streams__end_with_the_exit_code_alone(tmp_path: Path, command: str) -> None:
    assert shell(f"{command} >/dev/full 2>/dev/full", tmp_path).returncode == 1


def test_a_pipe_that_nobody_reads__ends_a_command_quietly(tmp_path: Path) -> None:
    done = shell("movies sample -n 1000 | true", tmp_path)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_pipe_that_nobody_reads__does_not_hide_an_error(tmp_path: Path) -> None:
    assert shell("info nothing >&-", tmp_path).returncode == 1
