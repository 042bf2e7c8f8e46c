"""Which CPythons this machine has: those on PATH, and those of pyenv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ASK = """
import json, os, sys, sysconfig
headers = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
print(json.dumps([sys.implementation.name, sys.version_info[1], headers]))
"""


class Python(NamedTuple):
    """An interpreter of Python 3.`minor`."""

    path: Path
    minor: int
    has_headers: bool


def pythons(oldest: int = 11) -> list[Python]:
    """Return one CPython of each version from 3.`oldest` on, the oldest first, those with headers preferred."""
    found: dict[int, Python] = {}
    for path in _candidates():
        python = _ask(path)
        if python and python.minor >= oldest:
            known = found.get(python.minor)
            if known is None or (python.has_headers and not known.has_headers):
                found[python.minor] = python
    return [found[minor] for minor in sorted(found)]


def _candidates() -> Iterator[Path]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield from sorted(Path(folder).glob("python3.[0-9]*[0-9]"))
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()
        yield from sorted(Path(root).glob("versions/3.*/bin/python3"))


def _ask(path: Path) -> Python | None:
    """Return what it is, None where it does not run: pyenv's names on PATH do so for unselected versions."""
    try:
        answer = subprocess.run([path, "-c", ASK], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    name, minor, has_headers = json.loads(answer)
    return Python(path, minor, has_headers) if name == "cpython" else None
