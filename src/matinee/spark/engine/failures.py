"""Failures: what Spark, its Java or the connection between them raises, as an EngineError of one line."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matinee.errors import EngineError, MatineeError
from matinee.spark.engine.cluster import Cluster

LONGEST_MESSAGE = 400
STOPPED = "stopped SparkContext"
UNREAD = re.compile(r"reading file (\S+?)\.?(?:\s|$)")
TELLING = re.compile(r"Exception|Error|error:|^Invalid|^Unrecognized|^Too small")
OTHER_TYPE = re.compile(r"column \[?(\S+?)\]?\. Expected Spark type (\w+), actual Parquet type (\w+)")
HEADERS = re.compile(r"Header: (.*)\n *Schema: (.*)")

log = logging.getLogger(__name__)


@contextmanager
def one_line(cluster: Cluster, spark_log: Any) -> Iterator[None]:
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
            f"Spark failed: {(said or _last_word(spark_log)).rstrip('.')}; "
            "`logging.basicConfig(level='INFO')` shows the whole message"
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
    return f"{unread} is unreadable ({root.rstrip('.')}); copy it again, or leave it out"


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
