"""Reading: any file that Spark can read, as rows of ratings on the executors, and what is wrong with them.

Source  --opened-->  rows: user, movie, stars, time, order, torn, bad    nothing is read yet
              |
              +--surveyed-->  counts, the first bad row, the movies' ids    one pass over the file
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import pyarrow as pa

from matinee.datasets import MOST_SKIPPED, delimited, identifiers, is_much, plausibility
from matinee.datasets.files import PARQUET, PARQUET_MAGIC
from matinee.datasets.identifiers import MAX_ID, broken_rule
from matinee.datasets.rows import Layout, OnBadRows, stars_rule
from matinee.datasets.tabular import choose
from matinee.errors import DataError, UsageError
from matinee.ratings import Scale
from matinee.spark.engine.failures import reason

DELIMITERS = ",\t;|"
MOST_LOOKED_AT = 1_000
"""Files of a folder among whose names one of Parquet is looked for."""
HOLDS = {
    "rating": re.compile(r"(tiny|small|big)?int|float|double|decimal.*|string|boolean"),
    "timestamp": re.compile(r"(tiny|small|big)?int|float|double|decimal.*|string|timestamp.*|date"),
    "user": re.compile(r"(?!array|map|struct).*"),
    "movie": re.compile(r"(?!array|map|struct).*"),
}
"""Spark's types that a column can have."""
EXACT_TO = {"float": identifiers.EXACT_SINGLE, "double": identifiers.EXACT}
"""From where on floats are not every whole number."""
NAMES_ARE_TEXT = "spark.sql.sources.partitionColumnTypeInference.enabled"
TORN = "_matinee_torn"
"""Column of the lines of CSV that have more or fewer fields than there are columns."""
UNPRINTABLE = r"[\p{C}\p{Zl}\p{Zp}\uFFFD]|[\p{Zs}&&[^ ]]"
"""U+FFFD stands where bytes were no UTF-8, so that ids that differ would be one."""
NUMBER = r"(?i)^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$"
LATEST = 2**53
"""Seconds since 1970 beyond which a number is no time."""


@dataclass(frozen=True)
class Source:
    """DATA for a cluster, a file or folder of CSV or Parquet at a path or address, and which columns are which."""

    data: str
    user: str | None = None
    movie: str | None = None
    rating: str | None = None
    timestamp: str | None = None
    movies: str | None = None
    scale: Scale | None = None
    on_bad_rows: OnBadRows = "error"
    skip_at_most: float = MOST_SKIPPED

    @property
    def name(self) -> str:
        """How the data set is called."""
        return self.data.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, eq=False)
class Opened:
    """Rows on the executors, whether they have times, and where the table of movies is."""

    rows: Any
    has_times: bool
    movies: str | None


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass over the rows found: how many rows are bad, why the first is, and the rated movies' ids."""

    rows: int
    bad: int
    movies: pa.Array
    first_bad: str = ""


def opened(spark: Any, source: Source) -> Opened:
    """Return the rows of a source. Raises DataError where the path or a column is missing."""
    path, movies, is_parquet = _located(spark, source)
    names = {"user": source.user, "movie": source.movie, "rating": source.rating, "timestamp": source.timestamp}
    spark.conf.set(NAMES_ARE_TEXT, "false")  # or people in folders user=07 and user=7 would be one
    if is_parquet:
        raw = spark.read.parquet(path)
        layout = choose(path, tuple(raw.columns), names)
        _check_kinds(path, dict(raw.dtypes), layout)
    else:
        layout = _text_layout(spark, path, names)
        raw = _read_text(spark, path, layout)
    return Opened(_rows(raw, layout, source.scale), layout.timestamp is not None, source.movies or movies)


def surveyed(found: Opened, source: Source) -> Survey:
    """Read everything once.

    Raises DataError with the rule that some row breaks where `on_bad_rows` is "error", or where there are no ratings.
    """
    from pyspark.sql import functions as F

    good = ~F.col("bad")
    row = found.rows.agg(
        F.count("*").alias("rows"),
        F.count_if("bad").alias("bad"),
        F.collect_set(F.when(good, F.col("movie"))).alias("movies"),
        F.first(F.when(F.col("bad"), F.struct("user", "movie", "given", "time", "torn")), ignorenulls=True).alias(
            "example"
        ),
    ).first()
    first = _rule(row["example"], source.scale) if row["bad"] else ""
    if row["bad"] and source.on_bad_rows == "error":
        raise DataError(
            f"{source.data}: {first}; rows as bad as this: {row['bad']:,}; "
            "or leave bad rows out with `on_bad_rows='skip'`"
        )
    if is_much(row["bad"], row["rows"], source.skip_at_most) and row["bad"] < row["rows"]:
        [finding] = plausibility.of_rows(row["bad"], row["rows"], first)
        raise DataError(f"{source.data}: {finding.sentence}; if that is right, allow it with `skip_at_most=1`")
    if row["rows"] == row["bad"]:
        raise DataError(f"{source.data} holds no ratings, only {'bad rows' if row['bad'] else 'names of columns'}")
    return Survey(row["rows"], row["bad"], pa.array(row["movies"], pa.string()), first)


def located(spark: Any, path: str) -> list[Any]:
    """Return what Spark's storage says of a path or pattern. Raises DataError where there is nothing."""
    with _reaching(path):
        hadoop, system = _storage(spark, path)
        found = system.globStatus(hadoop)
    if not found:
        raise DataError(f"there is no file or folder {path} that Spark can read; name a CSV or Parquet file or folder")
    return list(found)


@contextmanager
def new_folder(spark: Any, named: str, address: str) -> Iterator[str]:
    """Give the block an address to write to, where nothing is yet; where it fails, what it wrote is removed.

    Raises UsageError, with what was `named`, where there is something already, DataError where Spark cannot reach it.
    """
    with _reaching(address):
        hadoop, system = _storage(spark, address)
        exists = system.exists(hadoop)
    if exists:
        raise UsageError(f"{named} exists already; name a new folder")
    try:
        yield address
    except BaseException:
        with suppress(Exception):  # the block's own failure is the one to report
            system.delete(hadoop, True)
        raise


def _storage(spark: Any, path: str) -> tuple[Any, Any]:
    hadoop = spark._jvm.org.apache.hadoop.fs.Path(path)
    return hadoop, hadoop.getFileSystem(spark._jsc.hadoopConfiguration())


@contextmanager
def _reaching(path: str) -> Iterator[None]:
    from py4j.protocol import Py4JJavaError

    try:
        yield
    except Py4JJavaError as problem:
        raise DataError(
            f"Spark cannot reach {path}: {reason(problem)}; check the address, and that Spark has what reads it"
        ) from None


def _located(spark: Any, source: Source) -> tuple[str, str | None, bool]:
    """Return the path of the ratings, that of movies beside them, and whether they are Parquet."""
    path = source.data.rstrip("/")
    first = located(spark, path)[0]
    if first.isFile():
        _check_readable(path, {path.rpartition("/")[2]})
        return path, None, _is_parquet(spark, first.getPath())
    hadoop, system = _storage(spark, first.getPath().toString())
    names = {one.getPath().getName() for one in system.listStatus(hadoop)}
    _check_readable(path, names)
    if "ratings.csv" in names:
        return f"{path}/ratings.csv", _beside(first) if "movies.csv" in names else None, False
    return path, None, _is_parquet(spark, _some_file(path, system.listFiles(hadoop, True)))


def _check_readable(path: str, names: Collection[str]) -> None:
    """Raise DataError where a file, or a folder with files of these names, is nothing that Spark can read."""
    if path.endswith(".zip"):
        raise DataError(f"Spark cannot read {path}; unpack it and name the folder")
    if {"snapshots", "current"} <= set(names):
        raise DataError(
            f"{path} is a store, whose ratings only `refit(store, live)` reads again; name the files that they "
            "came from"
        )
    old = next((name for name in sorted(names) if name.endswith(".dat") or name == "u.item"), None)
    if old is not None:
        raise DataError(f"Spark cannot read {old} of {path}; write the ratings as CSV, or use the engine local")


def _beside(folder: Any) -> str:
    """Return the path of the movies in a folder: a plain one on this machine, else the whole address."""
    at = folder.getPath()
    return f"{at.toUri().getPath() if at.toUri().getScheme() == 'file' else at.toString()}/movies.csv"


def _some_file(path: str, files: Any) -> Any:
    """Return the path of a file of data in a folder, one of Parquet first: there may be notes beside it.

    Raises DataError where none is found.
    """
    found = list(islice(_data_files(files), MOST_LOOKED_AT))
    if not found:
        raise DataError(f"the folder {path} is empty; name one with CSV or Parquet files")
    return next((file for file in found if file.getName().endswith(PARQUET)), found[0])


def _data_files(files: Any) -> Iterator[Any]:
    while files.hasNext():
        file = files.next().getPath()
        if not file.getName().startswith(("_", ".")):
            yield file


def _is_parquet(spark: Any, file: Any) -> bool:
    """Return whether a file is Parquet, by its name or its first bytes."""
    if file.getName().endswith(PARQUET):
        return True
    content = file.getFileSystem(spark._jsc.hadoopConfiguration()).open(file)
    try:
        return bytes(max(content.read(), 0) for _ in PARQUET_MAGIC) == PARQUET_MAGIC
    finally:
        content.close()


def _check_kinds(path: str, kinds: Mapping[str, str], layout: Layout) -> None:
    """Raise DataError where the type of a column does not fit its use."""
    for what, holds in HOLDS.items():
        column = getattr(layout, what)
        if column is not None and not holds.fullmatch(kinds[column]):
            raise DataError(
                f"{path}: its column {column} holds {kinds[column]}, which is no {what}; name another with "
                f"`{what}=COLUMN`"
            )


def _text_layout(spark: Any, path: str, names: Mapping[str, str | None]) -> Layout:
    row = spark.read.text(path).first()
    if row is None:
        raise DataError(f"{path} is empty; it should begin with a line of column names")
    line = row[0].removeprefix("\ufeff")
    if not line.replace("\t", " ").strip().isprintable():
        raise DataError(f"{path} is not text; name a CSV, TSV or Parquet file")
    delimiter = max(DELIMITERS, key=line.count)
    header = tuple(next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), []))
    if twice := next((name for name in header if [one.lower() for one in header].count(name.lower()) > 1), None):
        raise DataError(
            f"{path} has more than one column {twice}, and Spark does not tell capitals apart; rename or remove one, "
            "or use the engine local"
        )
    if not any(names.values()) and (columns := delimited.usual_columns(header)):
        timestamp = "timestamp" if "timestamp" in columns else None
        return Layout(columns, timestamp=timestamp, delimiter=delimiter, has_header=False)
    return replace(choose(path, header, dict(names)), delimiter=delimiter)


def _read_text(spark: Any, path: str, layout: Layout) -> Any:
    from pyspark.sql.types import StringType, StructField, StructType

    schema = StructType([StructField(name, StringType()) for name in (*layout.header, TORN)])
    quote = '"' if layout.delimiter == "," else ""
    return spark.read.csv(
        path,
        schema=schema,
        enforceSchema=False,  # each file's own header is checked, or columns in another order would be swapped
        header=layout.has_header,
        sep=layout.delimiter,
        quote=quote,
        escape=quote,
        nullValue="\0",
        columnNameOfCorruptRecord=TORN,
    )


def _rows(raw: Any, layout: Layout, scale: Scale | None) -> Any:
    from pyspark.sql import functions as F

    user, movie, given = (_id(raw, layout.user), _id(raw, layout.movie), F.col(f"`{layout.rating}`"))
    time = _seconds(raw, layout.timestamp)
    torn = F.col(TORN) if TORN in raw.columns else F.lit(None).cast("string")
    rows = raw.select(
        user.alias("user"),
        movie.alias("movie"),
        given.cast("string").alias("given"),
        _number(raw, layout.rating, "float").alias("stars"),
        time.alias("time"),
        # Where nobody says when, the last row of a file wins: files are read in blocks, and a block from its start.
        F.struct(
            time.alias("time"),
            F.col("_metadata.file_path"),
            F.col("_metadata.file_block_start"),
            F.monotonically_increasing_id().alias("line"),
        ).alias("order"),
        torn.alias("torn"),
    )
    return rows.withColumn("bad", _is_bad(scale))


def _id(raw: Any, column: str) -> Any:
    """Return a column of ids as `identifiers.read` reads them, and null for those that it refuses as numbers."""
    from pyspark.sql import functions as F

    found, kind = F.col(f"`{column}`"), dict(raw.dtypes)[column]
    if kind in EXACT_TO:
        whole = found.try_cast("bigint")
        return F.when((whole == found) & (F.abs(whole) < EXACT_TO[kind]), whole).cast("string")
    text = F.trim(found.cast("string"))
    whole = F.regexp_extract(text, f"^{identifiers.WHOLE.pattern}$", 1)
    is_whole = text.rlike(f"^(?:{identifiers.WHOLE.pattern})$")
    lost = text.rlike(f"^(?:{identifiers.FRACTION.pattern}|{identifiers.POWER.pattern})$")
    exact = F.when(F.abs(whole.try_cast("decimal(38,0)")) < identifiers.EXACT, whole)
    return F.when(is_whole, exact).when(~lost & ~text.isin(*identifiers.MISSING), text)


def _number(raw: Any, column: str, kind: str) -> Any:
    """Return a column as numbers, null where it has none: of text, Java would take 1f as well."""
    from pyspark.sql import functions as F

    found = F.col(f"`{column}`")
    return (F.when(found.rlike(NUMBER), found) if dict(raw.dtypes)[column] == "string" else found).try_cast(kind)


def _seconds(raw: Any, column: str | None) -> Any:
    """Return seconds since 1970; 0 where the data has no times."""
    from pyspark.sql import functions as F

    if column is None:
        return F.lit(0).cast("bigint")
    found, kind = F.col(f"`{column}`"), dict(raw.dtypes)[column]
    if kind.startswith(("timestamp", "date")):
        return found.cast("timestamp").cast("bigint")
    if kind != "string":
        return found.try_cast("bigint")
    dated = F.when(found.contains("-"), found.try_cast("timestamp").cast("bigint"))
    return F.coalesce(found.try_cast("bigint"), _number(raw, column, "double").try_cast("bigint"), dated)


def _is_bad(scale: Scale | None) -> Any:
    """Return the condition under which `_rule` finds something."""
    from pyspark.sql import functions as F

    stars, time = F.col("stars"), F.col("time")
    ids = [
        id.isNull() | (F.length(id) == 0) | (F.length(id) > MAX_ID) | id.startswith("~") | id.rlike(UNPRINTABLE)
        for id in (F.col("user"), F.col("movie"))
    ]
    unrated = stars.isNull() | F.isnan(stars) | (F.abs(stars) == float("inf"))
    if scale is not None:
        unrated |= (stars < scale.low) | (stars > scale.high)
    undated = time.isNull() | (time < 0) | (time >= LATEST)
    return F.coalesce(F.col("torn").isNotNull() | ids[0] | ids[1] | unrated | undated, F.lit(True))


def _rule(row: Any, scale: Scale | None) -> str:
    """Return what is wrong with a row, naming it."""
    if row["torn"] is not None:
        return f"a line has more or fewer fields than there are columns: {row['torn'][:MAX_ID]!r}"
    for what in ("user", "movie"):
        if row[what] is None:
            return f"a {what} id is missing, has a fraction, or is a float that lost digits"
        if rule := broken_rule(row[what], what):
            return rule
    user, movie, given, time = row["user"], row["movie"], row["given"], row["time"]
    place = f" of user {user[:MAX_ID]!r} and movie {movie[:MAX_ID]!r}"
    try:
        rule = stars_rule(float(given), scale)
    except (TypeError, ValueError):
        rule = f"rating {given or 'that is missing'} is not a number"
    if rule is None and (time is None or not 0 <= time < LATEST):
        rule = "a timestamp is missing, unreadable or before 1970"
    return f"{rule or 'an id is not printable text in UTF-8'}, in the row{place}"
