from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from matinee.datasets import load
from matinee.errors import EngineError
from matinee.models.als import ALS
from matinee.snapshot import Store
from matinee.spark.engine import Cluster, Source, train

pytestmark = [pytest.mark.slow, pytest.mark.once]
pytest.importorskip("pyspark")

EXAMPLE = Path(__file__).parents[1] / "examples" / "cluster.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    described = importlib.util.spec_from_file_location("cluster_example", EXAMPLE)
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def test_a_cluster_that_loses_a_worker_in_training__publishes_what_is_served(
    example: ModuleType, tmp_path: Path
) -> None:
    data = example.simulated(tmp_path, ratings=100_000)
    with example.standalone(tmp_path, 2) as (address, (victim, survivor)):
        snapshot = example.train_on(address, data, tmp_path / "store", victim)
        assert victim.returncode is not None
        assert survivor.poll() is None
    assert Store(tmp_path / "store").verify().id == snapshot.id
    ratings = load(data).ratings
    np.testing.assert_array_equal(snapshot.dataset.ratings.movie_counts, ratings.movie_counts)
    local = ALS(rank=8).fit(ratings, load(data).catalog)
    errors = [
        float(np.sqrt(np.mean((model.scores(model.fold_in(ratings.by_user))[users, movies] - stars) ** 2)))
        for model in (snapshot.rater, local)
        for users, movies, stars in [(ratings.by_user.row_of_each(), ratings.by_user.indices, ratings.by_user.values)]
    ]
    assert errors[0] == pytest.approx(errors[1], abs=0.01)
    rated, best = example.rate_and_recommend(tmp_path / "store")
    assert rated == [["somebody-new", "1", 5.0]]
    assert len(best) == 5


def test_a_master_that_does_not_answer__is_named(example: ModuleType, tmp_path: Path) -> None:
    address = f"spark://127.0.0.1:{example.free_port()}"
    with pytest.raises(EngineError, match=f"no Spark master answers at {address}; start it, or check host and port"):
        train(Source("x"), tmp_path / "store", cluster=Cluster(address))


def test_a_master_without_workers__is_not_waited_for_without_end(example: ModuleType, tmp_path: Path) -> None:
    with example.standalone(tmp_path, 0) as (address, _):
        cluster = Cluster(address, {"spark.driver.host": "127.0.0.1"}, patience=2)
        with pytest.raises(EngineError, match=f"no worker of {address} took the job within 2 s; start workers, or ask"):
            train(Source("x"), tmp_path / "store", cluster=cluster)
