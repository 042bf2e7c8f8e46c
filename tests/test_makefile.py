from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("sh", "make", "find", "sed", "expand", "rm", "touch")
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        if path := shutil.which(tool):
            (folder / tool).symlink_to(path)
    return folder


def make(tools: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    project = tools.parent / "project"
    shutil.copytree(ROOT / "requirements", project / "requirements")
    (project / "src").mkdir()
    shutil.copy(ROOT / "Makefile", project)
    return subprocess.run(
        ["make", *arguments], cwd=project, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )


def script(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def assert_one_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2
    [line] = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    assert all(word in line for word in words)


def test_help__lists_every_target(tools: Path) -> None:
    listed = {line.split()[0] for line in make(tools).stdout.splitlines()}
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert listed == set(phony.split()[1:])


@pytest.mark.parametrize("target", ["demo", "test"])
def test_without_python__one_line_says_what_to_install(tools: Path, target: str) -> None:
    assert_one_line(make(tools, target), "Python 3.11 or newer", "apt-get install python3")


def test_python_too_old__one_line_says_what_to_install(tools: Path) -> None:
    script(tools / "python3", "exit 1")
    assert_one_line(make(tools, "demo"), "Python 3.11 or newer")


def test_old_python3__gives_way_to_a_newer_one(tools: Path) -> None:
    script(tools / "python3", "exit 1")
    (tools / "python3.11").symlink_to(PYTHON)
    assert_one_line(make(tools, "demo"), "C++ compiler")


def test_without_compiler__one_line_says_what_to_install(tools: Path) -> None:
    (tools / "python3").symlink_to(PYTHON)
    assert_one_line(make(tools, "demo"), "C++ compiler", "apt-get install g++")


def test_named_compiler_missing__one_line_says_so(tools: Path) -> None:
    (tools / "python3").symlink_to(PYTHON)
    assert_one_line(make(tools, "demo", "CXX=no-such-compiler"), "C++ compiler")


@pytest.mark.parametrize(
    ("lacking", "package"), [("ensurepip", "python3-venv"), ("Python.h", "python3-dev")], ids=["venv", "headers"]
)
def test_python_without_a_part__one_line_says_what_to_install(tools: Path, lacking: str, package: str) -> None:
    script(tools / "python3", f'case "$2" in *{lacking}*) exit 1;; esac', f'exec {PYTHON} "$@"')
    assert_one_line(make(tools, "test"), package)


@pytest.mark.slow
@pytest.mark.once
def test_wheelhouse__sets_up_everything_without_a_network(tmp_path: Path) -> None:
    project, wheels = tmp_path / "project", tmp_path / "wheels"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("the sources are not in a git work tree")
    for name in tracked.stdout.splitlines():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    environment = os.environ | {"PYTHON": sys.executable}
    subprocess.run(["make", "wheelhouse", f"WHEELHOUSE={wheels}"], cwd=project, env=environment, check=True)
    shutil.rmtree(project / ".venv")
    offline = ["unshare", "-n"] if _may_cut_the_network() else []
    command = [*offline, "make", f"WHEELHOUSE={wheels}", ".venv/user.stamp"]
    subprocess.run(command, cwd=project, env=environment | {"PIP_NO_INDEX": "1"}, check=True)
    version = subprocess.run([project / ".venv/bin/matinee", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("matinee ")


def _may_cut_the_network() -> bool:
    return subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0


def test_what_is_left_out__is_said_in_the_last_lines(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    for file in (ROOT / "tests").glob("*.py"):
        if not file.name.startswith("test_"):
            shutil.copy(file, tests)
    (tests / "test_some.py").write_text(
        "import pytest\n"
        "def test_real(movielens): movielens('ml-latest-small')\n"
        "@pytest.mark.parametrize('time', [1, 2])\n"
        "def test_more(time): pytest.skip('wrk is not installed (apt-get install wrk)')\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "not slow",
        "-o",
        "pythonpath=.",
        "--basetemp",
        str(tmp_path / "base"),
        "tests",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "MATINEE_DATA"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-4:-1] == [
        "left out, 1 test: MATINEE_DATA is not set; name a folder that `matinee fetch ml-latest-small` wrote to",
        "left out, 2 tests: wrk is not installed (apt-get install wrk)",
        "left out, the slow tests: `make test-all` runs them",
    ]
