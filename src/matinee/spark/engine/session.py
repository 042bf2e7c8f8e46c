"""Session: Spark started, reached and ended.

Cluster  --started-->  SparkSession      cluster checks Java, pyspark and the master first; Spark's own log goes to a
                                         file without --verbose; failures turns Spark's errors into an EngineError
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from matinee import system
from matinee.errors import EngineError, UsageError
from matinee.progress import Progress
from matinee.spark.engine.cluster import Cluster, check_java, check_master, pyspark_session
from matinee.spark.engine.failures import one_line, reason

LOOK = 0.3
"""Seconds between two looks at what Spark does."""
DEEP = "-Xss16m"
"""Java's stack for what ALS has made in some twenty iterations, which is written one within the other."""
PHASE = "matinee.phase"
ENDS_WITHIN = 20.0  # seconds that Java has to end
AGAIN = 0.05  # seconds after which the finalizer that Ctrl-C met is over
WIRE_LOGGERS = ("py4j.clientserver", "py4j.java_gateway")
JSON_LOGGERS = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")

log = logging.getLogger(__name__)


@contextmanager
def spark_session(cluster: Cluster, progress: Progress | None = None) -> Iterator[Any]:
    """Give a Spark session; one that is active already is used as it is, and not ended.

    `progress` is called with tasks done and tasks in all while the block runs; `phase` names the step.
    Raises EngineError where Java, pyspark or the cluster is missing, or Spark fails, UsageError for settings that
    are invalid.
    """
    spark_session = pyspark_session()
    active = spark_session.getActiveSession()
    if active is None:
        check_java()
        check_master(cluster.master)
    with tempfile.TemporaryFile() as spark_log, warnings.catch_warnings(), _without_traces(), _no_interrupt_lost():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")  # no frame of pandas is made
        with one_line(cluster, spark_log):
            spark = active or _start(spark_session, cluster, spark_log)
        try:
            with one_line(cluster, spark_log):  # while the Java that says why is there
                if not cluster.is_local:
                    _wait_for_workers(spark, cluster)
                with _checkpoints(cluster.checkpoint_dir, spark), _watched(spark, progress):
                    yield spark
        finally:
            if active is None:
                _stop(spark)


def phase(spark: Any, name: str) -> None:
    """Name the step that Spark does from now on, for progress and the log."""
    log.info("Spark: %s", name)
    spark.conf.set(PHASE, name)


def _start(session: Any, cluster: Cluster, spark_log: Any) -> Any:
    conf = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.driver.extraJavaOptions": DEEP,
        "spark.executor.extraJavaOptions": DEEP,
        **({"spark.driver.memory": _heap(), "spark.sql.shuffle.partitions": "32"} if cluster.is_local else {}),
        **cluster.conf,
    }
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = session.builder.appName("matinee").master(cluster.master)
    for name, value in conf.items():
        builder = builder.config(name, value)
    on_interrupt = signal.getsignal(signal.SIGINT)
    with warnings.catch_warnings(), _output_to(None if log.isEnabledFor(logging.INFO) else spark_log):
        warnings.simplefilter("ignore")
        session = builder.getOrCreate()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, on_interrupt)  # pyspark's own asks Java first, in the middle of a call
    return session


def _heap() -> str:
    """Return half of this machine's memory: more than Spark's 1 GB, which ends at a few million ratings."""
    return f"{system.memory() // 2**21}m"


@contextmanager
def _without_traces() -> Iterator[None]:
    """Keep off the console the traces that the wire to Java logs when Ctrl-C breaks a call, and pyspark's in JSON."""

    from pyspark.logger import PySparkLogger

    def is_told(record: logging.LogRecord) -> bool:
        is_trace = record.module in ("clientserver", "java_gateway") or record.name in JSON_LOGGERS
        return not is_trace or log.isEnabledFor(logging.INFO)

    loggers = [*map(logging.getLogger, (None, *WIRE_LOGGERS)), *map(PySparkLogger.getLogger, JSON_LOGGERS)]
    for one in loggers:
        one.addFilter(is_told)
    try:
        yield
    finally:
        for one in loggers:
            one.removeFilter(is_told)


@contextmanager
def _no_interrupt_lost() -> Iterator[None]:
    """Bring Ctrl-C again where it met a finalizer, of which the wire to Java runs many: nobody hears of it there."""

    def again(lost: Any) -> None:
        if lost.exc_type is KeyboardInterrupt:
            main = threading.main_thread().ident or 0
            threading.Timer(AGAIN, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
        else:
            former(lost)

    former, sys.unraisablehook = sys.unraisablehook, again
    try:
        yield
    finally:
        sys.unraisablehook = former


@contextmanager
def _output_to(file: Any) -> Iterator[None]:
    """Let the processes started meanwhile write what they say into a file."""
    if file is None:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    for descriptor in kept:
        os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        for descriptor, copy in kept.items():
            os.dup2(copy, descriptor)
            os.close(copy)


def _stop(spark: Any) -> None:
    """End Spark and its Java: the next session may want other settings, which only a new Java takes.

    A Java that does not end by itself, as one may that Ctrl-C met in the middle of a job, is killed.
    """
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    killing = threading.Timer(ENDS_WITHIN, lambda: gateway and gateway.proc.kill())
    killing.start()
    try:
        with suppress(Exception):  # where Java is gone already, what it failed of is what counts
            spark.stop()
        if gateway is not None:
            with suppress(Exception):
                gateway.shutdown()
            gateway.proc.stdin.close()
            gateway.proc.wait()
            SparkContext._gateway = SparkContext._jvm = None
    finally:
        killing.cancel()


@contextmanager
def _checkpoints(folder: str | None, spark: Any) -> Iterator[None]:
    """Let checkpoints go into a folder while the block runs; none of them is left."""
    if folder is None:
        yield
        return
    try:
        spark.sparkContext.setCheckpointDir(folder)
    except Exception as problem:
        raise UsageError(
            f"spark.checkpoint_dir: Spark cannot write {folder} ({reason(problem)}); name a folder that executors reach"
        ) from problem
    try:
        yield
    finally:
        with suppress(Exception):  # where Java is gone, what it failed of is what counts
            own = spark._jvm.org.apache.hadoop.fs.Path(spark.sparkContext._jsc.sc().getCheckpointDir().get())
            own.getFileSystem(spark._jsc.hadoopConfiguration()).delete(own, True)


def _wait_for_workers(spark: Any, cluster: Cluster) -> None:
    until = time.monotonic() + cluster.patience
    while len(spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()) < 2:  # the driver is one
        if time.monotonic() > until:
            raise EngineError(
                f"no worker of {cluster.master} took the job within {cluster.patience:g} s; start workers, or ask for "
                "less of them, as with `conf={'spark.executor.memory': '1g'}`"
            )
        time.sleep(LOOK)


@contextmanager
def _watched(spark: Any, progress: Progress | None) -> Iterator[None]:
    """Look now and then at what Spark does, in a thread of its own, and tell it."""
    if progress is None:
        yield
        return
    ended = threading.Event()

    def look() -> None:
        tracker = spark.sparkContext.statusTracker()
        while not ended.wait(LOOK):
            stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            known = [stage for stage in stages if stage is not None]
            if known:
                done = sum(stage.numCompletedTasks for stage in known)
                progress(f"Spark: {_described(spark)}", done, sum(stage.numTasks for stage in known), None)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _described(spark: Any) -> str:
    return str(spark.conf.get(PHASE, "starting"))
