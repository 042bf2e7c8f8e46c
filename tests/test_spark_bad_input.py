"""What goes wrong with Spark, as people meet it: one line and no trace; where Java starts, in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.environment import without_settings
from typer.testing import Result

from matinee.spark.engine import Cluster
from matinee.spark.engine.failures import one_line

pytest.importorskip("pyspark")

LOCAL = ("--engine", "spark", "--master", "local[2]", "--spark-conf", "spark.driver.memory=1g")
RATINGS = "userId,movieId,rating\n" + "".join(f"{user},{user % 7},{user % 5 + 1}\n" for user in range(40))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ratings.csv").write_text(RATINGS)
    return tmp_path


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "matinee", *arguments],
        cwd=folder,
        env=without_settings(**variables),
        capture_output=True,
        text=True,
        check=False,
    )


Refused = Callable[..., str]


@pytest.fixture
def refused(matinee: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Return what gives the one line that a command fails with before Java starts; it leaves nothing in the folder."""
    monkeypatch.chdir(folder)

    def run_here(arguments: Sequence[str], code: int = 1, **variables: str) -> str:
        before = sorted(folder.rglob("*"))
        result = matinee(*arguments, **variables)
        assert (result.exit_code, result.stdout) == (code, ""), result
        assert result.stderr.count("\n") == 1, result.stderr
        assert sorted(folder.rglob("*")) == before
        return str(result.stderr).removeprefix("error: ").rstrip("\n")

    return run_here


def complaint(folder: Path, arguments: Sequence[str], code: int = 1, **variables: str) -> str:
    """Return the one line that a command fails with, behind lines of progress; it leaves nothing in the folder."""
    before = sorted(folder.rglob("*"))
    done = run(folder, *arguments, **variables)
    assert (done.returncode, done.stdout) == (code, ""), done
    *progress, line = done.stderr.splitlines()
    assert all(one.startswith("Spark: ") for one in progress), done.stderr
    assert sorted(folder.rglob("*")) == before
    return line.removeprefix("error: ")


def java(folder: Path, script: str) -> str:
    """Return a JAVA_HOME whose java is this script."""
    program = folder / "jdk" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(script)
    program.chmod(0o755)
    return str(folder / "jdk")


def saying(version: str) -> str:
    return f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-20' >&2\n"


TRAIN = ("train", "ratings.csv", "--engine", "spark")


def test_without_java__says_how_to_get_it(folder: Path, refused: Refused) -> None:
    why = "Spark needs Java, which is not installed in JAVA_HOME=/nowhere; install Java 17"
    assert refused(TRAIN, JAVA_HOME="/nowhere").startswith(why)
    (folder / "empty").mkdir()
    found = refused(TRAIN, JAVA_HOME="", PATH=str(folder / "empty"))
    assert found.startswith("Spark needs Java, which is not installed; install Java 17")


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (saying("11.0.2"), "is Java 11"),
        (saying("1.8.0_300"), "is Java 8"),
        ("#!/bin/sh\nexit 3\n", "does not say its version"),
        ("\x7fELF of another machine", "does not say its version"),
    ],
)
def test_with_the_wrong_java__names_it(folder: Path, refused: Refused, script: str, found: str) -> None:
    home = java(folder, script)
    why = f"Spark needs Java 17 or newer, and {home}/bin/java {found}; install Java 17"
    assert refused(("tune", "ratings.csv", "--engine", "spark"), JAVA_HOME=home).startswith(why)


def test_without_pyspark__says_how_to_get_it(folder: Path) -> None:
    (folder / "pyspark.py").write_text("raise ImportError('there is none')")
    found = complaint(folder, TRAIN, PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
    assert found == "the engine spark needs pyspark; install it with `pip install 'matinee[spark]'`"


def test_with_an_older_pyspark__names_it(folder: Path) -> None:
    (folder / "pyspark" / "sql").mkdir(parents=True)
    (folder / "pyspark" / "__init__.py").write_text("__version__ = '3.5.3'")
    (folder / "pyspark" / "sql" / "__init__.py").write_text("SparkSession = None")
    found = complaint(folder, TRAIN, PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
    assert found.startswith("the engine spark needs pyspark 4 or newer, and here is 3.5.3; install it with `pip")


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--set", "spark.user_blocks=0"), "spark.user_blocks is at least 1, not 0"),
        (("--set", "spark.block_size=-4"), "spark.block_size is at least 1, not -4"),
        (("--set", "spark.checkpoint_interval=0"), "spark.checkpoint_interval is at least 1, or -1 for none, not 0"),
        (("--set", "als.rank=600"), "als needs reg > 0, a rank from 1 to 512 and at least one iteration, not reg=0.1"),
        (("--reg", "-1"), "als needs reg > 0, a rank from 1 to 512 and at least one iteration, not reg=-1"),
        (("--ranker", "ials", "--set", "ials.alpha=1", "--set", "ials.rank=0"), "ials needs reg > 0, a rank from 1"),
    ],
)
def test_settings_that_cannot_be_meant__are_refused_before_spark_starts(
    refused: Refused, options: tuple[str, ...], rule: str
) -> None:
    assert refused((*TRAIN, *options), 2, JAVA_HOME="/nowhere").startswith(rule)


def test_candidates_that_cannot_be_meant__are_refused_before_spark_starts(refused: Refused) -> None:
    tune = ("tune", "ratings.csv", "--engine", "spark", "--ranks", "4,600")
    assert "not reg=0.1, rank=600" in refused(tune, 2, JAVA_HOME="/nowhere")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("kind", ["spark://", "k8s://", "k8s://https://"])
def test_a_master_that_nobody_answers_for__is_named(folder: Path, refused: Refused, kind: str) -> None:
    home, master = java(folder, saying("17.0.9")), f"{kind}127.0.0.1:{free_port()}"
    found = refused((*TRAIN, "--master", master), JAVA_HOME=home)
    assert found == f"no Spark master answers at {master}; start it, or check host and port"


@pytest.mark.parametrize(
    ("master", "rule"),
    [
        ("nowhere", "the master is local[N], spark://HOST:PORT, yarn or k8s://HOST:PORT, not 'nowhere'"),
        ("local[two]", "the master is local[N], spark://HOST:PORT, yarn or k8s://HOST:PORT, not 'local[two]'"),
        ("spark://127.0.0.1", "the master is spark://HOST:PORT, not 'spark://127.0.0.1'"),
        ("spark://127.0.0.1:seven", "the master is spark://HOST:PORT, not 'spark://127.0.0.1:seven'"),
    ],
)
def test_a_master_that_cannot_be_meant__is_refused(folder: Path, refused: Refused, master: str, rule: str) -> None:
    home = java(folder, saying("21"))
    assert refused((*TRAIN, "--master", master), 2, JAVA_HOME=home) == rule


def test_yarn_without_its_settings__says_where_to_name_them(folder: Path, refused: Refused) -> None:
    home = java(folder, saying("21"))
    found = refused((*TRAIN, "--master", "yarn"), JAVA_HOME=home, HADOOP_CONF_DIR="", YARN_CONF_DIR="")
    assert found.startswith(
        "the master yarn needs the cluster's settings, and neither HADOOP_CONF_DIR nor YARN_CONF_DIR"
    )


@pytest.mark.slow
@pytest.mark.once
def test_data_that_is_not_there__is_named(folder: Path) -> None:
    missing = complaint(folder, ("train", "none.csv", *LOCAL))
    assert missing == "there is no file or folder none.csv that Spark can read; name a CSV or Parquet file or folder"
    column = complaint(folder, ("train", "ratings.csv", "--rating", "stars", *LOCAL))
    assert column == "ratings.csv has no column 'stars' for rating: its columns are userId, movieId, rating"
    address = f"hdfs://127.0.0.1:{free_port()}/ratings.csv"
    elsewhere = complaint(folder, ("train", address, *LOCAL))
    assert elsewhere.startswith(f"Spark cannot reach {address}: Connection refused; check the address")
    (folder / "bad.csv").write_text(RATINGS + "1,2,none\n")
    movies = complaint(folder, ("train", "bad.csv", "--movies", address, *LOCAL))
    assert movies.startswith(f"Spark cannot reach {address}: Connection refused; check the address")


@pytest.mark.slow
@pytest.mark.once
def test_a_damaged_parquet_part__is_named(folder: Path) -> None:
    columns = {"userId": range(1_000), "movieId": range(1_000), "rating": [3.0] * 1_000}
    (folder / "parts").mkdir()
    for part in ("parts/0.parquet", "parts/1.parquet"):
        pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), folder / part)
    damaged = folder / "parts" / "1.parquet"
    damaged.write_bytes(damaged.read_bytes()[:1_000])
    found = complaint(folder, ("train", "parts", *LOCAL))
    assert found.startswith(f"Spark failed: file://{damaged} is unreadable (")
    assert found.endswith("; copy it again, or leave it out; `matinee --verbose` shows the whole message")
    verbose = run(folder, "--verbose", "train", "parts", *LOCAL)
    assert "at org.apache.spark" in verbose.stderr
    assert "Traceback" in verbose.stderr


@pytest.mark.slow
@pytest.mark.once
def test_a_part_with_other_columns__is_named_and_not_read_in_their_place(folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "parts" / "0.csv").write_text(RATINGS)
    other = folder / "parts" / "1.csv"
    other.write_text("movieId,userId,rating\n1,2,3\n")
    found = complaint(folder, ("train", "parts", *LOCAL))
    assert f"file://{other} begins with movieId, userId, rating, where a file beside it begins with userId" in found
    other.write_text("1,2,3\n")
    assert f"file://{other} begins with 1, 2, 3, where a file" in complaint(folder, ("train", "parts", *LOCAL))
    other.write_text("userId,movieId,rating,timestamp\n1,2,3,4\n")
    found = complaint(folder, ("train", "parts", *LOCAL))
    assert " has another number of columns than the files beside it; give all files the same columns" in found


@pytest.mark.slow
@pytest.mark.once
def test_folders_of_something_else__are_told_apart(folder: Path) -> None:
    for name in ("ml-1m/ratings.dat", "store/snapshots/x", "store/current", "empty/_SUCCESS"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1::2::3::4\n")
    cases = {
        "ml-1m": "Spark cannot read ratings.dat of ml-1m; write the ratings as CSV, or use the engine local",
        "store": "store is a store, whose ratings only `matinee refit` reads again; name the files that they came from",
        "empty": "the folder empty is empty; name one with CSV or Parquet files",
    }
    for data, rule in cases.items():
        assert complaint(folder, ("train", data, *LOCAL)) == rule


@pytest.mark.slow
@pytest.mark.once
def test_what_java_says_of_its_settings__is_told(folder: Path) -> None:
    memory = complaint(
        folder, ("train", "ratings.csv", "--engine", "spark", "--spark-conf", "spark.driver.memory=lots")
    )
    assert memory.startswith("Spark failed: Invalid maximum heap size: -Xmxlots; ")
    found = complaint(folder, ("train", "ratings.csv", *LOCAL, "--set", "spark.checkpoint_dir=/proc/none"), 2)
    assert found.startswith("spark.checkpoint_dir: Spark cannot write /proc/none (")
    assert found.endswith("; name a folder that executors reach")


@pytest.mark.slow
@pytest.mark.once
def test_ctrl_c__ends_training_without_a_trace(folder: Path) -> None:
    command = ("train", "ratings.csv", "--iterations", "200", "--no-measure", "--store", "store", *LOCAL)
    with subprocess.Popen(
        [sys.executable, "-m", "matinee", *command], cwd=folder, stdout=-1, stderr=-1, text=True, start_new_session=True
    ) as process:
        while not list(folder.rglob("part=0")) and process.poll() is None:
            time.sleep(0.1)
        time.sleep(4)  # so that it trains
        os.killpg(process.pid, signal.SIGINT)
        said, complained = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
    *progress, last = complained.splitlines()
    assert last == "stopped by Ctrl-C"
    assert all(line.startswith("Spark: ") for line in progress)
    assert not list(folder.rglob("part=0"))


def test_ctrl_c__is_told_also_where_cleaning_up_behind_it_fails() -> None:
    protocol = pytest.importorskip("py4j.protocol")

    @one_line(Cluster("local[1]"), None)
    def broken() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise protocol.Py4JNetworkError("Answer from Java side is empty")

    with pytest.raises(KeyboardInterrupt):
        broken()


LOST = """
import os, signal, time, weakref
from matinee.spark.engine import session

def finalizer(_):
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1_000_000):
        pass

class Java: pass

with session._no_interrupt_lost():
    java = Java()
    watched = weakref.ref(java, finalizer)
    try:
        del java
        print("lost")
        time.sleep(30)
    except KeyboardInterrupt:
        print("came")
"""


def test_ctrl_c__is_not_lost_in_a_finalizer() -> None:
    ended = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "lost\ncame\n", "")


HANGING = """
import os, signal
from pyspark import SparkContext
from matinee.spark.engine import Cluster, session

session.ENDS_WITHIN = 2
with session.spark_session(Cluster("local[1]")):
    java = SparkContext._gateway.proc
    os.kill(java.pid, signal.SIGSTOP)
print(java.poll())
"""


@pytest.mark.slow
@pytest.mark.once
def test_a_java_that_does_not_end__is_killed() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, f"{-signal.SIGKILL}\n"), ended.stderr


@pytest.mark.slow
@pytest.mark.once
def test_an_output_that_exists__is_kept(folder: Path) -> None:
    trained = run(folder, "train", "ratings.csv", "--no-measure", "--store", "store", *LOCAL)
    assert trained.returncode == 0, trained.stderr
    (folder / "lists").mkdir()
    ask = ("batch-recommend", "--store", "store", "--min-ratings", "1", *LOCAL)
    found = complaint(folder, (*ask, "--out", "lists"), 2)
    assert found == "the output lists exists already; name a new folder, or remove this one"
    address = f"file://{folder / 'lists'}"
    found = complaint(folder, (*ask, "--out", address), 2)
    assert found == f"the output {address} exists already; name a new folder"
    (folder / "bad.csv").write_text(RATINGS + "1,2,none\n")  # which takes long to find out in many
    found = complaint(folder, ("train", "bad.csv", "--histories", "lists", *LOCAL), 2)
    assert found == "histories lists exists already; name a new folder"
    made = run(folder, *ask, "--out", "new")
    assert made.returncode == 0, made.stderr
    assert set(pq.read_table(folder / "new")["user"].to_pylist()) == {str(user) for user in range(40)}
