from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.environment import without_settings
from tests.figures import missing

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000/"


def console_blocks() -> Iterator[tuple[str, list[str]]]:
    """Every command of the console blocks, with the lines that are shown below it."""
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


@contextmanager
def served(command: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Start a server on any free port and return what it says."""
    arguments = [*command.removesuffix("&").split(), "--port", "0"]
    with subprocess.Popen(arguments, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline()
        finally:
            server.terminate()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_console_blocks__say_what_is_shown(tmp_path: Path) -> None:
    environment = without_settings(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    address = ADDRESS
    with ExitStack() as servers:
        for command, shown in console_blocks():
            if command.endswith("&"):
                said = servers.enter_context(served(command, tmp_path, environment))
                address = next(word for word in said.split() if word.startswith("http://"))
                said = said.replace(address, ADDRESS)
            else:
                script = ["bash", "-c", command.replace(ADDRESS, address).replace("curl ", "curl -fsS ")]
                done = subprocess.run(
                    script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, f"{command}: {done.stderr}"
                said = done.stdout
            assert not missing(shown, said.splitlines()), f"{command} says\n{said}"


def test_figures__that_went_stale_are_noticed() -> None:
    shown = "336     Blade Runner   1982   3.560   0.0948"
    assert missing([shown], ["336  Blade Runner  1982  3.561  0.0949", "another"]) == []
    for said in ("3.594 0.0948", "3.560 0.0656", "3.560", "3.560 0.0948 4.8"):
        assert missing([shown], [f"336 Blade Runner 1982 {said}"]) == [shown]
    assert missing([shown], ["337 Blade Runner 1982 3.560 0.0948"]) == [shown]
    assert missing(["mean 2.817"], ["mean 2.92"]) == ["mean 2.817"]


def test_links__lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands_of_the_table__are_all_there() -> None:
    from typer.main import get_command

    from matinee.cli import app

    commands = set(getattr(get_command(app), "commands", {}))
    assert {name for name in commands if f"matinee {name}" in README or f"`{name}`" in README} == commands
