from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from matinee.service.metrics import Metrics

DEPLOY = Path(__file__).parents[1] / "deploy"


def metrics() -> set[str]:
    """The names that the service counts under, and Prometheus' own."""
    counted = Metrics()
    counted.count("GET", "/", 200, 0.1)
    return set(re.findall(r"^(matinee_\w+)[{ ]", counted.text().decode(), re.M)) | {"up"}


def expressions(dashboard: Any) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$instance", ".*")


def promtool(*arguments: object) -> str:
    if not (program := shutil.which("promtool")):
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, cwd=DEPLOY)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_alert__is_raised_by_what_it_is_for_and_by_nothing_else() -> None:
    assert "SUCCESS" in promtool("test", "rules", DEPLOY / "alerts.test.yaml")
    alerts = re.findall("alert: (\\w+)", (DEPLOY / "alerts.yaml").read_text())
    assert {*re.findall("alertname: (\\w+)", (DEPLOY / "alerts.test.yaml").read_text())} == {*alerts}


def test_the_dashboard__asks_what_prometheus_understands(tmp_path: Path) -> None:
    asked = expressions(json.loads((DEPLOY / "dashboard.json").read_text()))
    rules = [{"record": f"matinee:panel{number}", "expr": one} for number, one in enumerate(asked)]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", tmp_path / "rules.yaml")


@pytest.mark.parametrize("name", ["alerts.yaml", "alerts.test.yaml", "dashboard.json"])
def test_alerts_and_dashboard__name_metrics_that_the_service_has(name: str) -> None:
    named = set(re.findall(r"\b(matinee_\w+|up)(?=\{)", (DEPLOY / name).read_text()))
    assert named
    assert named <= metrics()


def test_the_panels_of_the_dashboard__have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((DEPLOY / "dashboard.json").read_text())["panels"]:
        place = panel["gridPos"]
        mine = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not taken & mine, panel["title"]
        taken |= mine
