"""A usual visitor is answered within a second while others hold thousands of connections."""

from __future__ import annotations

import importlib
import resource
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
GOT = {
    "2,000 bodies that do not come": "2,000 x 408",
    "2,000 half headers": "2,000 x closed",
    "4,000 idle connections": "4,000 x closed",
    "4,000 idle connections of one address": "4,000 x closed",
    "a CSV cut at every byte": "26 x 400",
}

pytestmark = [pytest.mark.slow, pytest.mark.once]


@pytest.fixture
def attack(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5_000:
        pytest.skip(f"the attack opens 4,000 connections, and this user may open {hard:,} files")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield importlib.import_module("attack")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_of_held_connections__keep_nobody_waiting(attack: ModuleType, store: Path) -> None:
    with attack.running(store) as server:
        host, port = server.url.split("/")[2].split(":")
        attacks = [one for one in attack.attacks(1.0) if one.name in GOT]
        assert len(attacks) == len(GOT)
        for one in attacks:
            found = attack.measured(one, host, int(port))
            assert found["got"] == GOT[one.name], found
            assert found["failed"] == 0, found
            assert found["p99 ms"] < 1_000, found
