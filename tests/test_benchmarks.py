from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.environment import without_settings

from matinee.catalog import Catalog
from matinee.dataset import Dataset, Facts
from matinee.datasets.rows import no_movies
from matinee.ids import Ids
from matinee.models.baselines import Bias
from matinee.ratings import Ratings, Scale
from matinee.recommender import Recommender

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PERCENT = Scale(0, 100, 1)


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_the_benchmark_of_the_service__takes_a_store_of_any_ids_and_scale(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    user, movie = (axis.astype(np.int32) for axis in np.nonzero(rng.random((30, 40)) < 0.5))
    users, movies = Ids([f"Ann {n} é?" for n in range(30)]), Ids([f"tt{n:07}&" for n in range(40)])
    ratings = Ratings.from_pairs(
        users, movies, user, movie, rng.integers(0, 101, len(user)).astype(np.float32), PERCENT
    )
    dataset = Dataset(ratings, Catalog.of(movies, no_movies()), Facts("percent", "a test"))
    Recommender.fit(dataset, Bias(), None).publish(tmp_path / "store")
    shutil.copytree(BENCHMARKS, tmp_path / "benchmarks", ignore=shutil.ignore_patterns("results"))
    command = [sys.executable, "service.py", "--store", str(tmp_path / "store"), "--seconds", "1", "--workers", "1"]
    done = subprocess.run(
        command,
        cwd=tmp_path / "benchmarks",
        env=without_settings(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    records = (tmp_path / "benchmarks" / "results" / "service.jsonl").read_text().splitlines()
    found = {record["what"]: record for record in map(json.loads, records)}
    assert list(found) == ["ready", "ask", "rate", "rate, then ask from 2", "rate, then ask from 16"]
    assert all(record["answers"] > 0 for what, record in found.items() if what != "ready")
