"""ALS beside its peers in one run: the same split, the same threads, seconds and test RMSE of each.

    python benchmarks/peers.py [--ratings 21000000] [--rank 8] [--threads 2] [--only matinee,spark]
    PEERS=/path/to/environment/bin/python    an environment with pyspark, cmfrec and lenskit; without it only ours runs

Synthetic data in the tutorial's proportions (229,772 users and 27,300 movies at 21 M ratings), 70 % for training. Every
engine runs in a process of its own and reports the seconds of fitting alone: loading, and for Spark starting the JVM
and caching the training rows, come before the clock. RMSE is over test pairs whose user and movie were trained, as with
Spark's `coldStartStrategy="drop"`; predictions are not clipped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import keep

ENGINES = ("matinee", "spark", "cmfrec", "lenskit")
REG, ITERATIONS = 0.1, 10
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "LK_NUM_THREADS",
    "LK_NUM_BACKEND_THREADS",
)


def write_split(folder: Path, n_ratings: int) -> None:
    """Write train.parquet and test.parquet with columns user, movie (int32) and stars (float32)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from matinee.datasets.synthetic import synthetic

    share = n_ratings / 21_000_000
    ratings = synthetic(math.ceil(229_772 * share), math.ceil(27_300 * min(1, share * 4)), n_ratings, rng=0).ratings
    users, matrix = ratings.by_user.row_of_each(), ratings.by_user
    train = np.random.default_rng(0).random(matrix.n) < 0.7
    for name, part in (("train", train), ("test", ~train)):
        columns = {"user": users[part], "movie": matrix.indices[part], "stars": matrix.values[part]}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", row_group_size=1 << 20)


def read(folder: Path, name: str):  # type: ignore[no-untyped-def]
    """Return user, movie, stars as NumPy arrays."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / f"{name}.parquet")
    return tuple(table[column].to_numpy() for column in ("user", "movie", "stars"))


def rmse(folder: Path, user_factors, movie_factors, mean=0.0, user_bias=None, movie_bias=None) -> float:  # type: ignore[no-untyped-def]
    """Return the RMSE over test pairs that training saw on both sides."""
    import numpy as np

    user, movie, stars = read(folder, "test")
    trained_user, trained_movie, _ = read(folder, "train")
    warm = np.isin(user, trained_user) & np.isin(movie, trained_movie)
    user, movie, stars = user[warm], movie[warm], stars[warm]
    predicted = np.einsum("ij,ij->i", user_factors[user], movie_factors[movie]) + mean
    if user_bias is not None:
        predicted += user_bias[user] + movie_bias[movie]
    return float(np.sqrt(np.mean((predicted - stars) ** 2)))


def fit_matinee(folder: Path, rank: int, threads: int) -> dict[str, float]:
    import numpy as np

    from matinee import kernels
    from matinee.ids import Ids
    from matinee.models.als import ALS
    from matinee.ratings import Ratings, Scale

    user, movie, stars = read(folder, "train")
    n_users, n_movies = int(user.max()) + 1, int(movie.max()) + 1
    users, movies = (Ids([f"{i:08}" for i in range(n)], is_sorted=True) for n in (n_users, n_movies))
    shuffled = np.random.default_rng(1).permutation(len(user))
    user, movie, stars = user[shuffled], movie[shuffled], stars[shuffled]
    start = time.perf_counter()
    by_user, _ = kernels.build_csr(user, movie, stars, n_users, n_movies, threads=threads)
    ratings = Ratings(users, movies, by_user, Scale(0.5, 5.0, 0.5))
    assert ratings.by_movie.n == ratings.n
    built = time.perf_counter()
    model = ALS(rank=rank, iterations=ITERATIONS, reg=REG, intervals=False).fit(ratings, None, threads=threads)  # type: ignore[arg-type]
    fitted = time.perf_counter()
    factors = kernels.solve_side(by_user, model.movie_factors, REG * by_user.counts)
    return {
        "seconds": fitted - built,
        "with_csr": fitted - start,
        "rmse": rmse(folder, factors, model.movie_factors),
    }


def fit_spark(folder: Path, rank: int, threads: int) -> dict[str, float]:
    from pyspark.ml.evaluation import RegressionEvaluator
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{threads}]").config("spark.driver.memory", "12g")
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    train = spark.read.parquet(str(folder / "train.parquet")).cache()
    train.count()
    als = ALS(userCol="user", itemCol="movie", ratingCol="stars", rank=rank, maxIter=ITERATIONS, regParam=REG, seed=5)
    start = time.perf_counter()
    model = als.setColdStartStrategy("drop").fit(train)
    model.userFactors.count()
    seconds = time.perf_counter() - start
    predicted = model.transform(spark.read.parquet(str(folder / "test.parquet")))
    error = RegressionEvaluator(labelCol="stars", predictionCol="prediction").evaluate(predicted)
    spark.stop()
    return {"seconds": seconds, "rmse": float(error)}


def fit_cmfrec(folder: Path, rank: int, threads: int) -> dict[str, float]:
    from cmfrec import CMF
    from scipy.sparse import coo_matrix

    user, movie, stars = read(folder, "train")
    X = coo_matrix((stars, (user, movie)))
    model = CMF(
        k=rank, lambda_=REG, scale_lam=True, niter=ITERATIONS, nthreads=threads, use_cg=False, user_bias=False,
        item_bias=False, center=False, precompute_for_predictions=False,
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(X)
    return {"seconds": time.perf_counter() - start, "rmse": rmse(folder, model.A_, model.B_)}


def fit_lenskit(folder: Path, rank: int, threads: int) -> dict[str, float]:
    import numpy as np
    import pandas as pd
    from lenskit.als import BiasedMFScorer
    from lenskit.data import from_interactions_df

    user, movie, stars = read(folder, "train")
    frame = pd.DataFrame({"user_id": user, "item_id": movie, "rating": stars})
    data = from_interactions_df(frame)
    scorer = BiasedMFScorer(features=rank, epochs=ITERATIONS, regularization=REG)
    start = time.perf_counter()
    scorer.train(data)
    seconds = time.perf_counter() - start
    users, movies = np.asarray(scorer.users.ids()), np.asarray(scorer.items.ids())

    def spread(ids, values):  # type: ignore[no-untyped-def]
        full = np.zeros((max(user.max(), movie.max()) + 1, *values.shape[1:]), np.float32)
        full[ids] = values
        return full

    bias = scorer.bias
    biases = spread(users, np.asarray(bias.user_biases)), spread(movies, np.asarray(bias.item_biases))
    factors = spread(users, np.asarray(scorer.user_embeddings)), spread(movies, np.asarray(scorer.item_embeddings))
    return {"seconds": seconds, "rmse": rmse(folder, *factors, float(bias.global_bias), *biases)}


def run_engine(engine: str, folder: Path, rank: int, threads: int) -> dict[str, float]:
    """Fit in a process of its own, in the peers' environment where it is a peer."""
    python = sys.executable if engine == "matinee" else os.environ["PEERS"]
    limits = dict.fromkeys(THREAD_LIMITS, str(threads))
    command = [
        python,
        __file__,
        "--fit",
        engine,
        "--folder",
        str(folder),
        "--rank",
        str(rank),
        "--threads",
        str(threads),
    ]
    done = subprocess.run(command, env=os.environ | limits, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{engine} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def show(results: dict[str, dict[str, float]]) -> None:
    """Print the table, with each engine's seconds as a multiple of ours."""
    ours = results["matinee"]
    print(f"{'engine':10} {'fit s':>9} {'x ours':>8} {'x ours with CSR':>16} {'test RMSE':>10}")
    for engine, result in results.items():
        ratios = (result["seconds"] / ours[key] for key in ("seconds", "with_csr"))
        print(f"{engine:10} {result['seconds']:9.2f} {next(ratios):8.1f} {next(ratios):16.1f} {result['rmse']:10.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=21_000_000)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default=",".join(ENGINES))
    parser.add_argument("--fit", choices=ENGINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fit:
        fit = globals()[f"fit_{args.fit}"]
        print(json.dumps(fit(args.folder, args.rank, args.threads)))
        return
    engines = [engine for engine in args.only.split(",") if engine == "matinee" or os.environ.get("PEERS")]
    with tempfile.TemporaryDirectory() as name:
        write_split(Path(name), args.ratings)
        results = {engine: run_engine(engine, Path(name), args.rank, args.threads) for engine in engines}
    show(results)
    keep("peers", ratings=args.ratings, rank=args.rank, threads=args.threads, results=results)


if __name__ == "__main__":
    main()
