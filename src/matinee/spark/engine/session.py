"""Session: Spark started, reached and ended, and what goes wrong there said in one line.

Cluster  --started-->  SparkSession      checks Java, pyspark and the master first; Spark's own log goes to a file
                                         but with --verbose, and an error of Spark's becomes an EngineError
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from matinee.errors import EngineError, MatineeError, UsageError
from matinee.progress import Progress

OLDEST_JAVA = 17
OLDEST_PYSPARK = 4
INSTALL_JAVA = "install Java 17 (Debian: apt-get install openjdk-17-jre-headless), or name its folder in JAVA_HOME"
MASTERS = re.compile(r"local(\[(\d+|\*)(, *\d+)?\])?$|spark://|yarn$|k8s://")
LOOK = 0.3
"""Seconds between two looks at what Spark does."""
LONGEST_MESSAGE = 400
DEEP = "-Xss16m"
"""Java's stack for what ALS has made in some twenty iterations, which is written one within the other."""
PHASE = "matinee.phase"
STOPPED = "stopped SparkContext"
UNREAD = re.compile(r"reading file (\S+?)\.?(?:\s|$)")
TELLING = re.compile(r"Exception|Error|error:|^Invalid|^Unrecognized|^Too small")
ENDS_WITHIN = 20.0  # seconds that Java has to end
AGAIN = 0.05  # seconds after which the finalizer that Ctrl-C met is over
WIRE_LOGGERS = ("py4j.clientserver", "py4j.java_gateway")
JSON_LOGGERS = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")
OTHER_TYPE = re.compile(r"column \[?(\S+?)\]?\. Expected Spark type (\w+), actual Parquet type (\w+)")
HEADERS = re.compile(r"Header: (.*)\n *Schema: (.*)")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cluster:
    """Where Spark runs and how its ALS is spread there.

    master      local[N], spark://HOST:PORT, yarn or k8s://...
    conf        Spark's own settings, such as {"spark.executor.memory": "8g"}
    patience    seconds to wait for the first worker
    """

    name: ClassVar[str] = "spark"

    master: str = "local[*]"
    conf: Mapping[str, str] = field(default_factory=dict)
    patience: float = 60.0

    user_blocks: int = 10
    """Blocks that users are cut into."""
    item_blocks: int = 10
    """Blocks that movies are cut into."""
    block_size: int = 4096
    """Rows that are stacked in one block when Spark predicts."""
    checkpoint_interval: int = 10
    """Iterations between two checkpoints; -1: none. They need a folder."""
    checkpoint_dir: str | None = None
    """Folder of checkpoints that all executors reach."""
    cold_start: str = "drop"
    """What Spark predicts of a pair it cannot know: drop or nan; such pairs are counted and left out either way."""

    def __post_init__(self) -> None:
        if not MASTERS.match(self.master):
            raise UsageError(f"--master is local[N], spark://HOST:PORT, yarn or k8s://HOST:PORT, not {self.master!r}")
        if self.cold_start not in ("drop", "nan"):
            raise UsageError(f"spark.cold_start is drop or nan, not {self.cold_start!r}")
        for name in ("user_blocks", "item_blocks", "block_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"spark.{name} is at least 1, not {getattr(self, name)}")
        if self.checkpoint_interval < 1 and self.checkpoint_interval != -1:
            raise UsageError(f"spark.checkpoint_interval is at least 1, or -1 for none, not {self.checkpoint_interval}")

    @classmethod
    def of(cls, said: Mapping[str, Any] | None, **others: Any) -> Cluster:
        """Return what `described` said, with other settings where they are given."""
        return cls(**{**{name: value for name, value in (said or {}).items() if name != "name"}, **others})

    def described(self) -> dict[str, Any]:
        """Return it as a manifest holds it: without `conf`, which may hold secrets, and `patience`."""
        fields = {name: value for name, value in asdict(self).items() if name not in ("conf", "patience")}
        return {"name": self.name, **fields}

    @property
    def is_local(self) -> bool:
        """Whether Spark runs in one process of this machine."""
        return self.master.startswith("local")


@contextmanager
def started(cluster: Cluster, progress: Progress | None = None) -> Iterator[Any]:
    """Give a Spark session; one that is active already is used as it is, and not ended.

    `progress` is called with tasks done and tasks in all while the block runs; `phase` names the step.
    Raises EngineError where Java, pyspark or the cluster is missing, or Spark fails, UsageError for settings that
    cannot be meant.
    """
    spark_session = _pyspark()
    active = spark_session.getActiveSession()
    if active is None:
        _check_java()
        _check_master(cluster.master)
    with tempfile.TemporaryFile() as spark_log, warnings.catch_warnings(), _without_traces(), _no_interrupt_lost():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")  # no frame of pandas is made
        with _one_line(cluster, spark_log):
            spark = active or _start(spark_session, cluster, spark_log)
        try:
            with _one_line(cluster, spark_log):  # while the Java that says why is there
                if not cluster.is_local:
                    _wait_for_workers(spark, cluster)
                with _checkpoints(cluster.checkpoint_dir, spark), _watched(spark, progress):
                    yield spark
        finally:
            if active is None:
                _stop(spark)


def phase(spark: Any, name: str) -> None:
    """Name what Spark does from now on, for whoever waits."""
    log.info("Spark: %s", name)
    spark.conf.set(PHASE, name)


def _pyspark() -> Any:
    install = "install it with `pip install 'matinee[spark]'`"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyspark import __version__ as version
            from pyspark.sql import SparkSession
    except ImportError:
        raise EngineError(f"the engine spark needs pyspark; {install}") from None
    if int(version.partition(".")[0]) < OLDEST_PYSPARK:
        raise EngineError(f"the engine spark needs pyspark {OLDEST_PYSPARK} or newer, and here is {version}; {install}")
    return SparkSession


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if java is None:
        raise EngineError(
            f"Spark needs Java, and there is none{f' in JAVA_HOME={home}' if home else ''}; {INSTALL_JAVA}"
        )
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:  # not a program
        said = ""
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        found = f"is Java {version[1]}" if version else "does not say its version"
        raise EngineError(f"Spark needs Java {OLDEST_JAVA} or newer, and {java} {found}; {INSTALL_JAVA}")


def _check_master(master: str) -> None:
    """Raise EngineError where no master is told or nobody listens at its address: Spark would try for a minute."""
    kind, _, addresses = master.partition("://")
    if kind == "yarn" and not (os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR")):
        raise EngineError(
            "--master yarn needs the cluster's settings, and neither HADOOP_CONF_DIR nor YARN_CONF_DIR is set; name "
            "the folder of its core-site.xml and yarn-site.xml in one of them"
        )
    if not addresses:
        return
    try:
        hosts = [_host_and_port(kind, address) for address in addresses.split(",")]
    except ValueError:
        raise UsageError(f"--master is {kind}://HOST:PORT, not {master!r}") from None
    for host, port in hosts:
        with suppress(OSError), socket.create_connection((host, port), timeout=5):
            return
    raise EngineError(f"no Spark master answers at {master}; start it, or check host and port")


def _host_and_port(kind: str, address: str) -> tuple[str, int]:
    """Return where a master is; Kubernetes is at https's port unless said. Raises ValueError where it is neither."""
    found = urlsplit(address if "://" in address else f"//{address}")
    port = found.port or (443 if kind == "k8s" else None)
    if not found.hostname or port is None:
        raise ValueError(address)
    return found.hostname, port


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
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2**21}m"


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
            f"spark.checkpoint_dir {folder} cannot be written ({reason(problem)}); name a folder that executors reach"
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
                "less of them, as with --spark-conf spark.executor.memory=1g"
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


@contextmanager
def _one_line(cluster: Cluster, spark_log: Any) -> Iterator[None]:
    """Turn what Spark, its Java or the wire between raises into an EngineError of one line; --verbose has the rest."""
    try:
        yield
    except Exception as problem:
        if _was_interrupted(problem):
            raise KeyboardInterrupt from None
        if isinstance(problem, MatineeError):
            raise
        said = reason(problem)
        if said is None:
            raise
        log.info("Spark: %s", problem)
        if STOPPED in said:
            raise EngineError(
                f"{cluster.master} did not take the job, or ended it; check that it is a Spark master of the same "
                "version, and what its log says"
            ) from problem
        raise EngineError(
            f"Spark failed: {(said or _last_word(spark_log)).rstrip('.')}; `matinee --verbose` shows all it said"
        ) from problem


def _was_interrupted(problem: BaseException | None) -> bool:
    """Return whether Ctrl-C came before a problem: who cleans up behind it fails where it broke a call to Java."""
    while problem is not None and not isinstance(problem, KeyboardInterrupt):
        problem = problem.__context__
    return problem is not None


def reason(problem: Exception) -> str | None:
    """Return the first line of the root of what Spark says, with the file it could not read where that is why.

    "" where it says nothing, None where the problem is not Spark's.
    """
    module = type(problem).__module__
    if not module.startswith(("py4j", "pyspark")):
        return problem.strerror or "the connection to it broke" if isinstance(problem, ConnectionError) else None
    said, java = [], getattr(problem, "java_exception", None)
    if java is None:
        said = ["" if "GATEWAY_EXITED" in str(problem) else str(problem)]
    while java is not None:
        said.append(java.getMessage() or "")
        java = java.getCause()
    unread = next((found[1] for found in map(UNREAD.search, said) if found), None)
    root = next((line.strip() for line in said[-1].splitlines() if line.strip()), "")[:LONGEST_MESSAGE]
    if "(TIMESTAMP(NANOS" in root:
        return "a column holds times in nanoseconds, which Spark does not read; write them in microseconds"
    if unread is None:
        return root
    if "CSV header" in root:
        return f"{unread} {_other_columns(said[-1])}; give all files the same columns, or leave it out"
    if other := next((found for found in map(OTHER_TYPE.search, said) if found), None):
        column, wanted, found = other.groups()
        return (
            f"{unread} has {found} in its column {column}, where a file beside it has {wanted}; write all parts alike"
        )
    return f"{unread} cannot be read ({root.rstrip('.')}); copy it again, or leave it out"


def _other_columns(said: str) -> str:
    """Return how a file of CSV differs from those beside it, from what Spark says of its header."""
    headers = HEADERS.search(said)
    if headers is None:
        return "has another number of columns than the files beside it"
    return f"begins with {headers[1]}, where a file beside it begins with {headers[2]}"


def _last_word(spark_log: Any) -> str:
    """Return the line of Spark's log that says why its Java ended."""
    spark_log.seek(0)
    lines = [line.strip() for line in spark_log.read().decode(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("at ")]
    telling = next((number for number, line in enumerate(said) if TELLING.search(line)), 0)
    words = "; ".join(said[telling : telling + 2]).removeprefix('Exception in thread "main" ')
    return words[:LONGEST_MESSAGE] or "it ended without a word"
