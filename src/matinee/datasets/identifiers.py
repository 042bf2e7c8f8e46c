"""Identifiers: the one reader of ids, of users and movies, of IMDb and TMDB.

An id is text. Spaces around it are no part of it, and a whole number is one however a program wrote it: 31, "31.0" and
" 31" are "31", while "007" is not "7". No Unicode normal form is applied: ids are the same where their code points are.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MAX_ID = 256
EXACT, EXACT_SINGLE = 2**53, 2**24  # from here on floats of 64 and 32 bits are not every whole number
ENCODED = pa.dictionary(pa.int32(), pa.string())
MISSING = frozenset({"nan", "NaN", "None", "none", "NULL", "null", "<NA>", "NaT", "N/A", "#N/A", "\\N"})
_MISSING = pa.array(sorted(MISSING))
PLAIN = r"^[0-9A-Za-z_]{1,64}$"
"""Ids that are read as they are, unless they are in MISSING."""
WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0*")
FRACTION = re.compile(r"-?[0-9]+\.[0-9]+")
POWER = re.compile(r"-?[0-9]+(\.[0-9]+)?[eE]\+[0-9]+|-?[0-9]+\.[0-9]+[eE][0-9]+")
IMDB = re.compile(r"(?:tt)?0*([0-9]{1,9})", re.IGNORECASE)
IMDB_ADDRESS = re.compile(r"(?:https?://)?(?:www\.|m\.)?imdb\.com/(?:[a-z]{2}/)?title/(tt[0-9]+)\b.*", re.IGNORECASE)


@lru_cache(maxsize=1 << 16)
def read(text: str, what: str) -> str:
    """Return the id of a user or movie (`what`) that a text is. Raises ValueError with the rule that it breaks.

    >>> read("31.0", "movie"), read(" 31", "movie"), read("007", "user")
    ('31', '31', '007')
    """
    value = text.strip()
    if found := WHOLE.fullmatch(value):
        value = found[1]
        if abs(int(value)) >= EXACT:
            raise ValueError(f"{what} id {text!r} {LOST}")
    elif POWER.fullmatch(value):
        raise ValueError(f"{what} id {text!r} {LOST}")
    elif FRACTION.fullmatch(value):
        raise ValueError(f"{what} id {text!r} is a number with a fraction, and no id is")
    if rule := broken_rule(value, what):
        raise ValueError(rule)
    return value


LOST = (
    "is a large number that some program took for a float, so that digits are lost; write ids as whole numbers or text"
)


def broken_rule(value: str, what: str) -> str | None:
    """Return why this cannot be an id, or None."""
    if not value or not value.isprintable():
        return f"{what} id {value[:MAX_ID]!r} must be printable text and not empty"
    if len(value) > MAX_ID:
        return f"{what} id {value[:20]!r}... is longer than {MAX_ID} characters"
    if value.startswith("~"):
        return f"{what} id {value!r} begins with ~, which is kept for visitors of the page"
    if value in MISSING:
        return f"{what} id {value!r} stands for a missing value"
    return None


def column(values: pa.ChunkedArray, what: str) -> pa.ChunkedArray:
    """Return a column of ids as dictionary-encoded text (one dictionary, in which an id may stand twice).

    Ids that break a rule, and missing ones, are null: `rules` has the reasons.
    """
    encoded = _encoded(values, what)
    if not encoded.num_chunks:
        return pa.chunked_array([], ENCODED)
    texts = encoded.chunk(0).dictionary
    read_as = _all_read(texts, what)
    return pa.chunked_array([_over(chunk, read_as) for chunk in encoded.chunks], ENCODED)


def _over(chunk: pa.DictionaryArray, texts: pa.Array) -> pa.DictionaryArray:
    """Return codes over other texts; codes of null texts become null."""
    indices = chunk.indices
    if texts.null_count:
        known = pc.is_valid(texts).take(indices)
        indices = pc.if_else(known, indices, pa.scalar(None, indices.type))
        texts = pc.fill_null(texts, "")
    return pa.DictionaryArray.from_arrays(indices.cast(pa.int32()), texts)


def rules(values: pa.ChunkedArray, what: str) -> list[str]:
    """Return the rules that a column's ids break, each once."""
    encoded = _encoded(values, what)
    texts = pc.unique(encoded.chunk(0).dictionary).to_pylist() if encoded.num_chunks else []
    found = [rule for text in texts if text is not None and (rule := _rule(text, what))]
    missing = encoded.null_count
    return [*([f"{missing:,} rows have no {what} id"] if missing else []), *found]


def _rule(text: str, what: str) -> str | None:
    try:
        read(text, what)
    except ValueError as problem:
        return str(problem)
    return None


def _all_read(texts: pa.Array, what: str) -> pa.Array:
    """Return each text as `read` reads it, null where it breaks a rule."""
    is_plain = pc.and_(pc.match_substring_regex(texts, PLAIN), pc.invert(pc.is_in(texts, value_set=_MISSING)))
    odd = pc.invert(pc.fill_null(is_plain, False))
    read_as = [
        None if text is None or _rule(text, what) else read(text, what) for text in texts.filter(odd).to_pylist()
    ]
    return pc.replace_with_mask(texts, odd, pa.array(read_as, pa.string())) if read_as else texts


def _encoded(values: pa.ChunkedArray, what: str) -> pa.ChunkedArray:
    """Return ids as dictionary-encoded text, all chunks with one dictionary. Raises ValueError for other than ids."""
    _check_kind(values.type.value_type if pa.types.is_dictionary(values.type) else values.type, what)
    if pa.types.is_dictionary(values.type):
        encoded = values.unify_dictionaries()
    else:  # one dictionary for all chunks, where unify_dictionaries takes minutes
        encoded = (values.cast(pa.large_string()) if _is_view(values.type) else values).dictionary_encode()
    if not encoded.num_chunks:
        return pa.chunked_array([], ENCODED)
    texts = _texts(encoded.chunk(0).dictionary)
    return pa.chunked_array(
        [pa.DictionaryArray.from_arrays(chunk.indices.cast(pa.int32()), texts) for chunk in encoded.chunks], ENCODED
    )


def _check_kind(kind: pa.DataType, what: str) -> None:
    """Raise ValueError where a column of this type cannot hold ids."""
    is_number = pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind)
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind) or _is_view(kind)
    if not (is_number or is_text):
        raise ValueError(f"the column of {what}s holds {kind}, and ids are text or whole numbers")


def _texts(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_floating(kind):
        exact = EXACT if kind.bit_width == 64 else EXACT_SINGLE
        return pa.array(
            [None if value is None else of_float(value, exact) for value in values.to_pylist()], pa.string()
        )
    if pa.types.is_decimal(kind):
        return pa.array([None if value is None else f"{value:f}" for value in values.to_pylist()], pa.string())
    return values.cast(pa.string())


def of_float(value: float, exact: int = EXACT) -> str:
    """Return a float as `read` takes it: with a power of ten where it may have lost digits."""
    return repr(value) if abs(value) < exact else f"{value:e}" if math.isfinite(value) else "nan"


def _is_view(kind: Any) -> bool:
    return bool(pa.types.is_string_view(kind))


def imdb(text: str) -> str | None:
    """Return an IMDb id of a movie as IMDb writes it, None where the text is none.

    >>> imdb("114709"), imdb("tt114709"), imdb("114709.0"), imdb("https://www.imdb.com/title/tt0114709/")
    ('tt0114709', 'tt0114709', 'tt0114709', 'tt0114709')
    >>> imdb("nm0000001"), imdb("0")
    (None, None)
    """
    value = text.strip()
    if address := IMDB_ADDRESS.fullmatch(value):
        value = address[1]
    found = IMDB.fullmatch(_without_fraction(value))
    return f"tt{found[1].zfill(7)}" if found and int(found[1]) else None


def tmdb(text: str) -> str | None:
    """Return a TMDB id, None where the text is none.

    >>> tmdb("862"), tmdb("862.0"), tmdb("1997-08-20"), tmdb("")
    ('862', '862', None, None)
    """
    value = _without_fraction(text.strip())
    return str(int(value)) if value.isascii() and value.isdigit() and int(value) else None


def _without_fraction(text: str) -> str:
    found = re.fullmatch(r"((?:tt)?[0-9]+)\.0*", text)
    return found[1] if found else text
