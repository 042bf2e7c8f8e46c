"""A snapshot's contents: which file holds what, written from and read into a Dataset and its models.

`TABLES` is the layout of the data set's files; every array of a model has a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee import catalog, search
from matinee.catalog import Catalog
from matinee.dataset import Dataset
from matinee.errors import MatineeError, StoreError, UsageError
from matinee.ids import Ids
from matinee.kernels import Csr
from matinee.models import Model
from matinee.models.registry import from_json, to_json
from matinee.ratings import History, Ratings, Totals, batch
from matinee.search import TitleIndex
from matinee.snapshot import files
from matinee.snapshot.files import Entry
from matinee.snapshot.histories import HistoryFiles, StoredRatings
from matinee.snapshot.manifest import FILE_NAME, Manifest, data_of


def _columns(**types: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


TABLES = {
    "users.arrow": _columns(user=pa.string()),  # sorted as bytes: the row is the user's position
    "offsets.arrow": _columns(start=pa.int64()),  # one more than users: user u's ratings are start[u]:start[u + 1]
    "ratings.arrow": _columns(movie=pa.int32(), stars=pa.float32(), timestamp=pa.int64()),  # movie: a position
    "catalog.arrow": catalog.SCHEMA,
    "counts.arrow": _columns(ratings=pa.int64(), mean=pa.float32()),  # of each movie
}
SEARCH = "search.arrow"
"""The parts of the index of titles, one row of lists; snapshots of older versions have none."""
SEARCH_LISTS = _columns(
    **{one: pa.list_(pa.string()) for one in ("words", "names", "tight", "ends")},
    **{one: pa.list_(pa.int32()) for one in ("in_word", "in_movie", "named_movies", "tight_movies", "ending_movies")},
    letters=pa.list_(pa.uint32()),
    lengths=pa.list_(pa.int32()),
)
OPTIONAL = {"timestamp"}  # only where the data has times; columns that may hold nulls are optional, too
ABOUT_MOVIES = ("catalog.arrow", "counts.arrow")  # all there is where the rows are stored as histories


def write_dataset(folder: Path, dataset: Dataset) -> tuple[dict[str, Entry], dict[str, Any]]:
    """Write the files of TABLES, or those about movies and the histories' own; return entries and facts, a manifest's.

    Where the ratings' rows are stored in Parquet their files are linked into the folder.
    """
    ratings = dataset.ratings
    columns: dict[str, list[Any]] = {
        "catalog.arrow": dataset.catalog.table.columns,
        "counts.arrow": [ratings.movie_counts, ratings.movie_means],
    }
    data = data_of(dataset)
    entries: dict[str, Entry] = {}
    if isinstance(ratings, StoredRatings):
        histories, entries = ratings.histories.kept_in(folder)
        data["histories"] = histories.described()
    else:
        columns |= _rows_of(ratings)
    for name, arrays in columns.items():
        table = pa.table(arrays, schema=pa.schema(list(TABLES[name])[: len(arrays)]))
        entries[name] = files.write_table(folder / name, table)
    entries[SEARCH] = _write_search(folder, dataset.catalog.index)
    return entries, data


def _write_search(folder: Path, index: TitleIndex) -> Entry:
    parts = {field.name: getattr(index, field.name) for field in SEARCH_LISTS}
    lists = [part.array if isinstance(part, Ids) else pa.array(part.reshape(-1)) for part in parts.values()]
    rows = [pa.ListArray.from_arrays(pa.array([0, len(one)], pa.int32()), one) for one in lists]
    schema = SEARCH_LISTS.with_metadata({"version": str(search.VERSION)})
    return files.write_table(folder / SEARCH, pa.table(rows, schema=schema))


def _read_search(folder: Path, manifest: Manifest, n_movies: int) -> TitleIndex | None:
    """Return the index of titles as views on its file, None where it is to be made anew: another version wrote it."""
    if SEARCH not in manifest.files:
        return None
    table = files.map_table(folder / SEARCH, manifest.entry(folder, SEARCH))
    if (table.schema.metadata or {}).get(b"version") != str(search.VERSION).encode():
        return None
    _check(folder / SEARCH, table, SEARCH_LISTS)
    try:
        parts = {field.name: _part(table, field.name) for field in SEARCH_LISTS}
        index = TitleIndex(**parts | {"letters": parts["letters"].reshape(-1, search.LONGEST)})
        if not index.fits(n_movies):
            raise ValueError("other movies")
    except ValueError as problem:
        raise StoreError(f"{folder / SEARCH} does not fit catalog.arrow ({problem}); train again") from None
    return index


def _part(table: pa.Table, name: str) -> Any:
    values = files.only_chunk(table, name).flatten()
    if not pa.types.is_string(values.type):
        return files.numbers(values, name)
    if values.null_count:
        raise ValueError(f"{values.null_count} values of {name} are missing")
    return Ids(values, is_sorted=True)


def _rows_of(ratings: Ratings) -> dict[str, list[Any]]:
    matrix, times = ratings.by_user, ratings.timestamps
    return {
        "users.arrow": [ratings.users.array],
        "offsets.arrow": [matrix.indptr],
        "ratings.arrow": [matrix.indices, matrix.values, *([] if times is None else [times])],
    }


def read_dataset(folder: Path, manifest: Manifest) -> Dataset:
    """Return the data set as views on its files.

    Raises StoreError naming the one that is missing, damaged or not ours.
    """
    stored = manifest.data.get("histories")
    wanted = ABOUT_MOVIES if stored else TABLES
    tables = {name: _mapped(folder, manifest, name, TABLES[name]) for name in wanted}
    table = tables["catalog.arrow"]
    movies = Catalog(table, _read_search(folder, manifest, table.num_rows))
    counts, means = (files.column(tables["counts.arrow"], name) for name in ("ratings", "mean"))
    if len(counts) != len(movies):
        raise StoreError(f"{folder / 'counts.arrow'} does not fit catalog.arrow: other movies; train again")
    totals = Totals(manifest.data["mean"], counts, means)
    if stored:
        histories = HistoryFiles.of(stored, folder)
        return Dataset(StoredRatings.of(histories, movies.ids, manifest.scale, totals), movies, manifest.facts)
    return Dataset(_mapped_ratings(folder, manifest, tables, movies.ids, totals), movies, manifest.facts)


def _mapped_ratings(
    folder: Path, manifest: Manifest, tables: Mapping[str, pa.Table], movies: Ids, totals: Totals
) -> Ratings:
    rows = tables["ratings.arrow"]
    times = files.column(rows, "timestamp") if "timestamp" in rows.column_names else None
    users = Ids(files.only_chunk(tables["users.arrow"], "user"), is_sorted=True)
    return Ratings(users, movies, _matrix(folder, tables), manifest.scale, times, totals)


def _mapped(folder: Path, manifest: Manifest, name: str, schema: pa.Schema) -> pa.Table:
    table = files.map_table(folder / name, manifest.entry(folder, name))
    _check(folder / name, table, schema)
    return _as_this_version_writes(table, schema)


def _as_this_version_writes(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of the schema: what an older version did not know is null, what a newer one added is left out.

    So a column that a later version adds to a table must be nullable.
    """
    for field in schema:
        if field.nullable and field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select([name for name in schema.names if name in table.column_names])


def _check(path: Path, table: pa.Table, schema: pa.Schema) -> None:
    for field in schema:
        place = table.schema.get_field_index(field.name)
        if place < 0 and (field.nullable or field.name in OPTIONAL):
            continue
        same = place >= 0 and table.schema.field(place).type == field.type
        if not same or (not field.nullable and table[field.name].null_count):
            raise StoreError(f"{path} is not ours: it has no column {field.name} of {field.type}; train again")


def _matrix(folder: Path, tables: Mapping[str, pa.Table]) -> Csr:
    starts = files.column(tables["offsets.arrow"], "start")
    movies, stars = (files.column(tables["ratings.arrow"], name) for name in ("movie", "stars"))
    lengths = {name: table.num_rows for name, table in tables.items()}
    if _outside(movies, lengths["catalog.arrow"]):
        raise StoreError(f"{folder / 'ratings.arrow'} does not fit catalog.arrow: other movies; train again")
    fits = len(starts) == lengths["users.arrow"] + 1 and starts[0] == 0 and starts[-1] == len(movies)
    if not fits or np.any(starts[1:] < starts[:-1]):
        raise StoreError(f"{folder / 'offsets.arrow'} does not fit users.arrow and ratings.arrow; train again")
    return Csr(starts, movies, stars, lengths["catalog.arrow"])


def _outside(positions: NDArray[np.int32], n: int) -> bool:
    """Return whether one of these positions is not of n rows; a negative one is a large one without its sign."""
    return bool(len(positions)) and int(positions.view(np.uint32).max()) >= n


def write_models(folder: Path, models: Mapping[str, Model | None]) -> tuple[dict[str, Entry], dict[str, Any]]:
    """Write {role: model}; return the files' entries and the models' descriptions for the manifest."""
    entries: dict[str, Entry] = {}
    described: dict[str, Any] = {}
    for role, model in models.items():
        described[role] = None if model is None else {"config": to_json(model.config), "arrays": {}}
        for name, array in model.arrays().items() if model else ():
            file = f"{role}-{name.replace('_', '-')}.arrow"
            entries[file] = files.write_array(folder / file, np.asarray(array))
            described[role]["arrays"][name] = file
    return entries, described


def read_model(folder: Path, manifest: Manifest, role: str) -> Model | None:
    """Return the model in this role as views on its files, None without one.

    Raises StoreError as `read_dataset` does, or where this version does not know the model.
    """
    described = manifest.models.get(role)
    if described is None:
        return None
    named = described["arrays"].items()
    arrays = {name: files.map_array(folder / file, manifest.entry(folder, file)) for name, file in named}
    try:
        return from_json(described["config"]).load(arrays)
    except (KeyError, IndexError, TypeError, ValueError, UsageError) as problem:
        raise StoreError(
            f"{folder / FILE_NAME}: the {role} cannot be read ({problem}); train again with this version"
        ) from None


def check_model(folder: Path, role: str, model: Model | None, n_movies: int) -> None:
    """Raise StoreError where a model does not fit the catalogue: it is asked once, for somebody who rated one movie."""
    if model is None:
        return
    try:
        asked = History(np.zeros(1, np.int32), np.ones(1, np.float32))
        with np.errstate(all="ignore"):
            scores = model.scores(model.fold_in(batch([asked], n_movies)))
    except (ValueError, IndexError, TypeError, OverflowError, MatineeError) as problem:
        raise StoreError(f"the {role} of snapshot {folder.name} is damaged ({problem}); activate another one") from None
    if scores.shape != (1, n_movies):
        raise StoreError(f"{folder}: the {role} does not fit catalog.arrow: other movies; activate another snapshot")
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise StoreError(f"the {role} of snapshot {folder.name} is damaged: it has no numbers; activate another one")
