from __future__ import annotations

import configparser
import importlib.metadata
import importlib.util
import itertools
import re
import shlex
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from typer.main import get_command

from matinee.cli import app

DOCS = Path(__file__).parent.parent / "docs"
PACKAGE = DOCS.parent / "src" / "matinee"
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
MODULES = {path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
MODULES.remove("__init__.py")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("command_reference", DOCS / "command_reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_cli_page__is_what_the_commands_say_themselves(reference: ModuleType) -> None:
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == reference.page(), "run `make docs`"


def test_cli_page__has_every_command_with_an_example_that_parses(reference: ModuleType) -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    for path, command in reference.commands("matinee", get_command(app)):
        example = command.epilog.removeprefix("Example:").strip()
        assert example.startswith(path)
        assert f"## {path}\n" in page
        assert f"```\n{example}\n```" in page
        command.make_context(path, shlex.split(example)[len(path.split()) :])


def test_every_option__has_help(reference: ModuleType) -> None:
    for path, command in reference.commands("matinee", get_command(app)):
        assert all(parameter.help for parameter in command.params if parameter.name != "help"), path


def test_every_command__offers_json_or_answers_over_http(reference: ModuleType) -> None:
    commands = reference.commands("matinee", get_command(app))
    options = {path: {name for one in command.params for name in one.opts} for path, command in commands}
    assert {path for path, names in options.items() if "--json" not in names} <= {"matinee serve", "matinee demo"}


def test_change_log__has_sections_by_version_and_kind() -> None:
    text = (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    assert f"\n## [{importlib.metadata.version('matinee')}]" in text, "the installed version has no section"
    for section in text.split("\n## ")[1:]:
        before, *kinds = section.split("\n### ")
        assert len(before.splitlines()) <= 2, "a line stands above Added, Changed and Fixed"
        names = [kind.splitlines()[0] for kind in kinds]
        assert len(names) == len(set(names))
        assert set(names) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_change_log__has_each_line_once() -> None:
    lines = [one for one in (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if one[:2] == "- "]
    assert len(lines) == len(set(lines))


def test_table_of_floors__is_the_contract_of_the_imports() -> None:
    rows = re.findall(r"^\| (`.*?) \| [^`|]", ARCHITECTURE.replace(r" \| ", ", "), re.MULTILINE)
    contract = configparser.ConfigParser()
    contract.read(DOCS.parent / ".importlinter", encoding="utf-8")
    layers = contract["importlinter:contract:floors"]["layers"].split("\n")[1:]
    floors = [re.findall(r"\w+", layer) for layer in layers]
    assert [re.findall(r"`(\w+)`", row) for row in rows] == floors
    assert {name for floor in floors for name in floor} == {module.removesuffix(".py") for module in MODULES}


def test_tree_of_the_readme__has_every_module() -> None:
    (tree,) = re.findall(r"^    src/matinee/\n(.*?)^    tests/", README, re.MULTILINE | re.DOTALL)
    named = re.findall(r"(?:^ {6}|  )(\w+(?:/|\.py))(?=  )", tree, re.MULTILINE)
    assert sorted(name.removesuffix("/") for name in named) == sorted(MODULES)


def test_page_on_dependencies__names_each() -> None:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))
    needed = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *itertools.chain(*project["project"]["optional-dependencies"].values()),
        *project["dependency-groups"]["dev"],
        *itertools.chain(*(path.read_text("utf-8").split() for path in (DOCS.parent / "requirements").glob("*.in"))),
    ]
    names = {match[0] for one in needed if (match := re.match(r"\w[\w-]*", one))} - {"build", "r"}
    page = (DOCS / "adr" / "0002-dependencies.md").read_text("utf-8")
    table = " ".join(re.findall(r"^\| (.*?) \|", page, re.MULTILINE))
    assert {name for name in names if not re.search(rf"(^| ){name}([ ,]|$)", table)} == set()


QUAINT = re.compile(r"\b(told|heed|whoever|there is none|let in|the own|without a word|all the same|is no more)\b")


def test_pages__are_in_plain_english() -> None:
    examples = {"CONTRIBUTING.md"}  # has a table of what not to write
    pages = [*DOCS.glob("*.md"), *(DOCS / "adr").glob("*.md"), *DOCS.parent.glob("*.md")]
    for page in (one for one in pages if one.name not in examples | {"log.md", "CHANGELOG.md"}):
        found = [match[0] for match in QUAINT.finditer(page.read_text("utf-8"))]
        assert not found, f"{page.name}: {found}"
