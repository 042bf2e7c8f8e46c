"""The fast reader and the careful one give the same rows, and no garbled file is read as something else in silence."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matinee.datasets import delimited, load, read, rows, tabular
from matinee.datasets.rows import Layout, Rows
from matinee.errors import DataError
from matinee.ratings import Scale

PLACE = r"garbled\.csv( line \d+:|.*its columns are| has two columns| is empty| has no line of column names)"
NO_NAMES = {"user": None, "movie": None, "rating": None, "timestamp": None}
IDS = st.sampled_from(["1", "007", " 31", "31.0", "tt01", "Up, again", 'Say "Hi"', "é", "e\u0301", "9007199254740993"])
ODD_IDS = st.sampled_from(["", "~x", "nan", "NULL", "4.5", "1e+17", "9007199254740993.0", "a\x00", "x" * 300])
STARS = st.sampled_from(["1", "4.5", "5", "+3", "1e0", ".5", " 4 ", "4."])
ODD_STARS = st.sampled_from(["", "4_5", "nan", "inf", "1e400", "good", "４", "0x4", "--4"])
TIMES = st.sampled_from(["964982703", "1e9", "964982703.5", "1700000000"])
DATES = st.sampled_from(["2015-04-01", "2015-04-01T20:15:00+02:00", "2015-04-01 10:00:00.9", "2015-04-01T10:00:00Z"])
ODD_TIMES = st.sampled_from(["", "10:00:00", "true", "-5", "yesterday", "12"])


def often(good: st.SearchStrategy[str], odd: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 19).flatmap(lambda dice: odd if dice == 0 else good)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw a text file of ratings, most rows of it good."""
    delimiter, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n"]))
    times = draw(st.sampled_from([TIMES, DATES]))
    row = st.tuples(often(IDS, ODD_IDS), often(IDS, ODD_IDS), often(STARS, ODD_STARS), often(times, ODD_TIMES))
    drawn = draw(st.lists(row, min_size=1, max_size=8))
    file = io.StringIO(newline="")
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("user", "movie", "rating", "timestamp"), *drawn])
    text = file.getvalue()
    if delimiter != "," and draw(st.booleans()):
        text = re.sub(r"(?<=[0-9])\.(?=[0-9])", ",", text)
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()


def listed(found: Rows) -> list[tuple[object, ...]]:
    times = np.zeros(len(found.stars)) if found.times is None else found.times
    columns = found.users.to_pylist(), found.movies.to_pylist(), found.stars.tolist(), times.tolist()
    return list(zip(*columns, strict=True))


@settings(deadline=None, max_examples=100)
@given(files(), st.sampled_from([None, Scale(0.5, 5, 0.5)]))
def test_the_fast_and_the_careful_reader__give_the_same_rows(data: bytes, scale: Scale | None) -> None:
    text = delimited.read(data, "f.csv")
    layout = tabular.choose("f.csv", text.header, NO_NAMES)
    careful = rows.read_lines(text, layout, scale, "skip")
    assert listed(rows.read_text(text, layout, scale, "skip")) == listed(careful)
    try:
        fast = rows._parsed(text, layout)
    except (ValueError, rows.pa.ArrowInvalid):
        return
    if fast is not None and not fast.bad(scale).any():
        assert listed(fast.rows()) == listed(careful)
        assert careful.skipped == 0


def test_the_fast_reader__reads_clean_files_of_each_kind() -> None:
    for data in (
        b'"user","movie","rating"\n"a, b","c","4"\n',
        b"user;movie;rating\na;c;4,5\n",
        b"user::movie::rating\na::c::4\n",
    ):
        text = delimited.read(data, "f.csv")
        layout = Layout(text.header, "user", "movie", "rating", None)
        fast = rows._parsed(text, layout)
        assert fast is not None
        assert listed(fast.rows()) == listed(rows.read_lines(text, layout, None, "error"))


@dataclass(frozen=True)
class Table:
    """A valid file as lines of cells."""

    delimiter: str
    header: tuple[str, ...]
    lines: list[list[str]]

    def text(self) -> str:
        return "".join(self.delimiter.join(line) + "\n" for line in [list(self.header), *self.lines])


WORDS = st.sampled_from(["good", "see it", "", "so-so"])
QUOTED = st.sampled_from(['"a classic; really, do"', '"the ""best"""', '"two\nlines"', '"tab\tor | bar"', '"a:: b"'])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw a table of ratings in which every cell is of its column's own kind."""
    delimiter = draw(st.sampled_from(delimited.DELIMITERS))
    reviewed = draw(st.booleans())
    pairs = draw(
        st.lists(st.tuples(st.integers(1000, 1999), st.integers(100, 999)), min_size=3, max_size=9, unique=True)
    )
    lines = []
    for user, movie in pairs:
        stars = draw(st.integers(1, 10)) / 2
        line = [str(user), str(movie), f"{stars:.1f}", str(draw(st.integers(8 * 10**8, 17 * 10**8)))]
        lines.append([*line, draw(WORDS if delimiter == "::" else st.one_of(WORDS, QUOTED))] if reviewed else line)
    header = ("userId", "movieId", "rating", "timestamp", "review")
    return Table(delimiter, header[: 5 if reviewed else 4], lines)


@st.composite
def garbled(draw: st.DrawFn) -> tuple[Table, str]:
    """Draw a table, and its text with a fault in one to three lines: two in one can make another good row."""
    table = draw(tables())
    lines = [table.delimiter.join(line) for line in [list(table.header), *table.lines]]
    for at in draw(st.lists(st.integers(0, len(lines) - 1), min_size=1, max_size=3, unique=True)):
        fault = draw(st.sampled_from(["quote", "delimiter", "no delimiter", "other delimiter", "id", "moved", "cut"]))
        lines[at] = _with(draw, fault, lines[at], table.delimiter, at)
    return table, "".join(line + "\n" for line in lines)


def _with(draw: st.DrawFn, fault: str, line: str, delimiter: str, at: int) -> str:
    place = draw(st.integers(0, len(line)))
    cells = line.split(delimiter)
    if fault == "quote":
        return line[:place] + '"' + line[place:]
    if fault == "delimiter":
        return line[:place] + delimiter + line[place:]
    if fault == "no delimiter":
        return line.replace(delimiter, "", 1)
    if fault == "other delimiter":
        return line.replace(delimiter, draw(st.sampled_from(",;\t|")), 1)
    if at == 0 or len(cells) < 4:
        return line
    if fault == "cut":
        return line[: max(place, 1)]
    if fault == "id":
        which, odd = (
            draw(st.integers(0, 1)),
            draw(st.sampled_from(["", "~", "nan", "{}.5", "\x07{}", "{}e+20", " {}", '"{}'])),
        )
        cells[which] = odd.format(cells[which])
    else:
        one, other = draw(st.sampled_from([(0, 2), (1, 2), (2, 3), (0, 3), (1, 3)]))
        cells[one], cells[other] = cells[other], cells[one]
    return delimiter.join(cells)


def ratings(data: Path) -> dict[tuple[str, str], float]:
    found = load(data, scale="0.5:5:0.5").ratings
    users, movies = list(found.users), list(found.movies)
    entries = zip(found.by_user.row_of_each(), found.by_user.indices, found.by_user.values.tolist(), strict=True)
    return {(users[user], movies[movie]): stars for user, movie, stars in entries}


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbled())
def test_a_garbled_file__gives_the_same_ratings_or_an_error_that_names_the_place(
    tmp_path: Path, drawn: tuple[Table, str]
) -> None:
    table, text = drawn
    expected = {(user, movie): float(stars) for user, movie, stars, *_ in table.lines}
    file = tmp_path / "garbled.csv"
    file.write_text(text, "utf-8", newline="")
    try:
        found = ratings(file)
    except DataError as problem:
        said = str(problem)
    else:
        assert found == expected
        return
    assert re.match(PLACE, said)


def test_a_valid_file__gives_its_ratings(tmp_path: Path) -> None:
    file = tmp_path / "valid.csv"
    file.write_text('userId,movieId,rating,timestamp,review\n1000,100,4.5,964982703,"two\nlines"\n', newline="")
    assert ratings(file) == {("1000", "100"): 4.5}


def test_a_quote_in_an_id__is_refused_also_where_the_row_has_several_lines(tmp_path: Path) -> None:
    file = tmp_path / "quote.csv"
    file.write_text('userId,movieId,rating,review\n1"0,100,4.5,"two\nlines"\n')
    with pytest.raises(DataError, match=r"quote.csv line 2: a quote stands in the midst of an id, '1\"0'"):
        load(file)


@pytest.mark.parametrize("line", range(2, 6))
def test_an_unclosed_quote__costs_its_own_row_only(tmp_path: Path, line: int) -> None:
    lines = ["userId,movieId,rating,review", *(f"{user},10,4,ok" for user in range(4))]
    lines[line - 1] = lines[line - 1].replace("ok", '"ok')
    file = tmp_path / "quote.csv"
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=f"quote.csv line {line}: a quote that opens on it is not closed"):
        load(file)
    dataset = load(file, on_bad_rows="skip")
    assert (dataset.ratings.n, dataset.facts.skipped) == (3, 1)


def test_movies_that_share_an_id__are_counted_and_said(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("userId,movieId,rating\na,1,4\nb,2,5\n")
    (tmp_path / "m.csv").write_text("movieId,title,genres\n1,Up,Drama / Comedy\n2,Alien,\n1,Heat,Drama / Comedy\n")
    dataset = read(tmp_path / "r.csv", movies=tmp_path / "m.csv")
    assert dataset.catalog.table["title"].to_pylist() == ["Heat", "Alien"]
    assert dataset.catalog.table["genres"].to_pylist()[0] == ["Comedy", "Drama"]
    assert "1 of 3 rows of the movie table" in str([str(one) for one in dataset.facts.findings])


def test_a_named_column_of_days_with_one_that_is_none__is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("userId,movieId,rating,day\na,1,4,20200101\nb,2,5,20200230\n")
    with pytest.raises(DataError, match="20200101 to 20200230 look like days"):
        read(tmp_path / "r.csv", timestamp="day")
