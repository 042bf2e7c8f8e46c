from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
import zipfile
from itertools import takewhile
from pathlib import Path
from typing import TextIO

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "release"))
from pythons import Python, pythons

ROOT = Path(__file__).parent.parent
WHEELS = sorted(ROOT.glob("dist/*.whl"))
PATIENCE = 300  # seconds, for busy machines

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(not WHEELS, reason="there is no wheel to test; run `make wheels`"),
]


def wheel_for(python: Python) -> Path:
    tag = "cp311-cp311" if python.minor == 11 else "cp312-abi3"
    return next(wheel for wheel in WHEELS if tag in wheel.name and "x86_64" in wheel.name)


@pytest.fixture(scope="module", params=pythons(), ids=lambda python: f"3.{python.minor}")
def commands(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that holds the wheel and what it needs, and nothing else."""
    python: Python = request.param
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([python.path, "-m", "venv", place], check=True)
    pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    environment = {**os.environ, "PATH": str(place / "bin")}
    needs = ["--require-hashes", "-r", ROOT / "requirements" / "run.txt"]
    subprocess.run([*pip, *needs], env=environment, check=True)
    subprocess.run([*pip, "--no-deps", wheel_for(python)], env=environment, check=True)
    return place / "bin"


def environment(commands: Path, home: Path) -> dict[str, str]:
    return {"PATH": str(commands), "HOME": str(home)}


def run(commands: Path, home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [commands / "matinee", *arguments],
        cwd=home,
        env=environment(commands, home),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _first_document(lines: TextIO) -> str:
    return "".join(takewhile(lambda line: line != "}\n", lines)) + "}"


def test_the_wheel__runs_the_demo_without_a_compiler(commands: Path, tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [commands / "matinee", "demo", "--port", "0", "--json"],
        cwd=tmp_path,
        env=environment(commands, tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert demo.stdout is not None
        with urllib.request.urlopen(json.loads(_first_document(demo.stdout))["url"], timeout=PATIENCE) as page:
            assert "<title>" in page.read().decode()
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(PATIENCE)
        demo.stdout.close()


def test_the_wheel__trains_and_recommends(commands: Path, tmp_path: Path) -> None:
    assert "Test RMSE" in run(commands, tmp_path, "train", "sample", "--split", "7:3")
    (tmp_path / "mine.csv").write_text("The Matrix,5\nAlien,4.5\nTitanic,1\n")
    assert len(json.loads(run(commands, tmp_path, "recommend", "--ratings", "mine.csv", "-n", "3", "--json"))) >= 1


def test_the_wheel__names_the_commit_it_was_built_from(commands: Path, tmp_path: Path) -> None:
    assert "(commit " in run(commands, tmp_path, "--version")


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda wheel: wheel.name)
def test_every_wheel__carries_the_licences_of_what_is_linked_into_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    licences = {name.rsplit("/licenses/")[1] for name in names if "/licenses/" in name and name[-1] != "/"}
    assert licences == {"LICENSE", "LICENSES/nanobind.txt", "LICENSES/robin-map.txt"}
    assert {name.split("/")[0] for name in names} == {"matinee", names[-1].split("/")[0]}
