"""Build dist/: the source archive, and of it a wheel for each machine and each kind of Python; check all of them.

    python release/wheels.py          (`make wheels` sets up what it needs)

The kinds are CPython 3.11, and the stable ABI from 3.12 on; each takes the headers of such a Python. zig compiles for
every machine here, against a glibc so old that the wheels run on any Linux of the last ten years.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from pythons import Python, pythons

ROOT = Path(__file__).parents[1]
DIST, BUILD = ROOT / "dist", ROOT / "build" / "release"
TOOLS = Path(sys.executable).parent
GLIBC = "2.17"
MACHINES = ("x86_64", "aarch64")


def main() -> None:
    """Build everything that the Pythons of this machine allow, and say what is left out."""
    shutil.rmtree(DIST, ignore_errors=True)
    with_headers = [python for python in pythons() if python.has_headers]
    kinds = [python for python in with_headers if python.minor == 11]
    kinds += [python for python in with_headers if python.minor >= 12][:1]
    if not kinds:
        stop("wheels: no Python 3.11 or newer with headers; install one (Debian: apt-get install python3-dev)")
    source = unpacked(source_archive())
    for python in kinds:
        prepare(python)
        for machine in MACHINES:
            build(python, machine, source)
    check()
    print(*sorted(str(path.relative_to(ROOT)) for path in DIST.iterdir()), sep="\n")
    minors = {python.minor for python in kinds}
    if 11 not in minors:
        print("left out, the wheels for Python 3.11: they need Python 3.11 with its headers")
    if not minors - {11}:
        print("left out, the wheels for Python 3.12 and newer: they need Python 3.12 or newer with its headers")


def source_archive() -> Path:
    """Write the source archive and return its path."""
    run(TOOLS / "python", "-m", "build", "--sdist", "--no-isolation", "--outdir", DIST, ROOT)
    return next(DIST.glob("*.tar.gz"))


def unpacked(archive: Path) -> Path:
    """Unpack the source archive, always in one place: zig knows again what it compiled there."""
    place = BUILD / "source"
    shutil.rmtree(place, ignore_errors=True)
    shutil.unpack_archive(archive, place, filter="data")
    return next(place.iterdir())


def prepare(python: Python) -> None:
    """Give this Python an environment with what a build needs."""
    home = environment_of(python)
    run(python.path, "-m", "venv", "--clear", home)
    pinned = ROOT / "requirements" / "build.txt"
    run(home / "bin" / "python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", pinned)


def environment_of(python: Python) -> Path:
    return BUILD / f"python3.{python.minor}"


def build(python: Python, machine: str, source: Path) -> None:
    """Build the wheel of one Python for one machine from the unpacked source, and put it into dist/."""
    raw = BUILD / "raw" / f"3.{python.minor}-{machine}"
    shutil.rmtree(raw, ignore_errors=True)
    commands = environment_of(python) / "bin"
    settings = [
        f"cmake.define.CMAKE_TOOLCHAIN_FILE={ROOT}/release/zig.cmake",
        f"cmake.define.MATINEE_COMMIT={commit()}",
    ]
    options = [f"--config-settings={one}" for one in settings]
    run(
        *(commands / "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *(*options, "--wheel-dir", raw, source),
        PATH=f"{commands}:{TOOLS}:{os.environ['PATH']}",
        MATINEE_TARGET=f"{machine}-linux-gnu.{GLIBC}",
        _PYTHON_HOST_PLATFORM=f"linux-{machine}",
        SETUPTOOLS_EXT_SUFFIX=f".cpython-3{python.minor}-{machine}-linux-gnu.so",
    )
    path = f"{TOOLS}:{os.environ['PATH']}"
    run(TOOLS / "auditwheel", "repair", "--plat", "auto", "--wheel-dir", DIST, *raw.iterdir(), PATH=path)
    platform = f"manylinux_{GLIBC.replace('.', '_')}_{machine}"
    if not any(platform in wheel.name for wheel in DIST.glob(f"*-cp3{python.minor}-*.whl")):
        stop(f"wheels: the wheel for Python 3.{python.minor} on {machine} needs a newer glibc than {GLIBC}")


def commit() -> str:
    """Return the commit of this checkout, nothing where it is none."""
    asked = ["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def check() -> None:
    """Check all of dist/ as the package index and its users do."""
    wheels = sorted(DIST.glob("*.whl"))
    run(TOOLS / "twine", "check", "--strict", *DIST.iterdir())
    run(TOOLS / "check-wheel-contents", *wheels)
    if stable := [wheel for wheel in wheels if "-abi3-" in wheel.name]:
        run(TOOLS / "abi3audit", "--strict", "--summary", *stable)


def run(*command: str | Path, **variables: str) -> None:
    """Run a command; end with its error where it fails."""
    if subprocess.run(command, env={**os.environ, **variables}, check=False).returncode:
        stop(f"wheels: {' '.join(map(str, command[:6]))} ... failed; see the lines above")


def stop(sentence: str) -> NoReturn:
    sys.exit(sentence)


if __name__ == "__main__":
    main()
