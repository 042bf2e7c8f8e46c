from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def release(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "release" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its classes look themselves up there
    spec.loader.exec_module(module)
    return module


def test_readme_of_the_package__has_only_links_that_work_anywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = release("readme").absolute(README, project["urls"]["Homepage"])
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) == len(re.findall(r"\]\(([^)]+)\)", README)) > 10
    assert all(link.startswith("https://") for link in links)
    assert f"]({project['urls']['Homepage']}/raw/main/docs/pictures/tonight-desktop.png)" in text


def test_links_of_the_readme__lead_to_files_of_the_repository() -> None:
    paths = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_project__has_one_address() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    home = project["urls"]["Homepage"]
    assert all(address.startswith(home) for address in project["urls"].values())
    assert f"\nrepository-code: {home}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_pythons__finds_the_one_that_runs_the_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    minor = sys.version_info.minor
    (tmp_path / f"python3.{minor}").symlink_to(sys.executable)
    broken = tmp_path / "python3.19"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    [found] = release("pythons").pythons()
    assert (found.path, found.minor) == (tmp_path / f"python3.{minor}", minor)


def test_no_tracked_file__names_a_registry_or_a_machine() -> None:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is not a checkout")
    registry = re.compile("|".join([r"pypi" r"\.org", r"python" r"hosted", r"/root/" r"\.pyenv"]))
    texts = {path: (ROOT / path).read_bytes().decode("utf-8", "ignore") for path in done.stdout.splitlines()}
    assert [path for path, text in texts.items() if registry.search(text)] == []
