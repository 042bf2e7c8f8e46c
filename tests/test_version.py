from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import matinee as mt
from matinee import version

ROOT = Path(__file__).parent.parent
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "safe.directory=*")


def test_version__is_the_same_in_the_metadata_and_in_the_citation() -> None:
    assert version.version() == mt.__version__
    assert f"\nversion: {mt.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_version__names_the_commit_of_the_checkout(matinee: Callable[..., Result]) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    done = subprocess.run([*GIT, "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert matinee("--version").stdout == f"matinee {mt.__version__} (commit {done.stdout[:12]})\n"


@pytest.mark.parametrize("where", ["a checkout", "a wheel", "an archive within another checkout"])
def test_commit__is_known_from_a_checkout_and_from_the_build(tmp_path: Path, where: str) -> None:
    inside = {"a wheel": "site-packages", "an archive within another checkout": "vendor/src"}.get(where, "src")
    package = tmp_path / inside / "matinee"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "src" / "matinee" / "version.py", package)
    subprocess.run([*GIT, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*GIT, "commit", "-q", "--allow-empty", "-m", "a"], cwd=tmp_path, check=True)
    if where == "a wheel":
        (package / "commit.txt").write_text("0123456789ab\n")
    program = [sys.executable, "-c", "import version; print(version.commit())"]
    said = subprocess.run(program, cwd=package, capture_output=True, text=True, check=True).stdout.strip()
    head = subprocess.run([*GIT, "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    expected = {"a checkout": head[:12], "a wheel": "0123456789ab"}
    assert said == expected.get(where, "None")
