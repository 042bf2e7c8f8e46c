"""Catalog: what is known of each movie besides its ratings, and the search by title."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matinee.errors import AmbiguousTitleError, UnknownMovieError
from matinee.ids import Ids

SCHEMA = pa.schema(
    [
        pa.field("movie", pa.string(), nullable=False),  # external id, sorted: the row is the movie's position
        pa.field("title", pa.string(), nullable=False),  # as shown: "The Matrix"
        pa.field("year", pa.int16()),  # null where unknown
        pa.field("genres", pa.list_(pa.string()), nullable=False),  # sorted, empty where unknown
        pa.field("tags", pa.list_(pa.string()), nullable=False),  # most used first, at most MAX_TAGS
        pa.field("imdb", pa.string()),  # "tt0114709"
        pa.field("tmdb", pa.string()),  # "862"
    ]
)
MAX_TAGS = 10
MAX_CANDIDATES = 8
UNKNOWN = 10_000  # years apart from a movie of unknown year

ARTICLES = (
    "The|An?|La|Las|Le|Les|L'|Il|Lo|Gli|I|El|Los|Un|Une|Una|Uno|Der|Die|Das|Dem|Den|Ein|Eine|De|Het|Een|Det|En|Ett|Et"
    "|O|Os|As|Uma?|Az"
)
MOVED_ARTICLE = re.compile(rf"^(?P<rest>.+), (?P<article>{ARTICLES})$")
YEAR = re.compile(r"\s*\((?P<year>\d{4})(?:\s*[-\u2013]\s*(?:\d{4})?)?\)\s*$")
OTHER_TITLE = re.compile(r"\s*\(([^()]*)\)")


def split_title(text: str) -> tuple[str, int | None]:
    """Return the title as shown and the year, from the way MovieLens writes both.

    >>> split_title("Matrix, The (1999)")
    ('The Matrix', 1999)
    >>> split_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    ('The City of Lost Children (La Cité des enfants perdus)', 1995)
    >>> split_title("Babylon 5")
    ('Babylon 5', None)
    """
    text = text.strip()
    found = YEAR.search(text)
    year = int(found["year"]) if found else None
    title = text[: found.start()] if found and found.start() else text
    main, *others = OTHER_TITLE.split(title)
    alternatives = [_in_order(other.removeprefix("a.k.a. ")) for other in others[::2]]
    rest = "".join(others[1::2]).strip()
    shown = _in_order(main.strip()) + "".join(f" ({other})" for other in alternatives) + (f" {rest}" if rest else "")
    return shown.strip() or text, year


def with_year(title: str, year: int | None) -> str:
    """Return a title as shown to people.

    >>> with_year("The Matrix", 1999), with_year("Babylon 5", None)
    ('The Matrix (1999)', 'Babylon 5')
    """
    return f"{title} ({year})" if year else title


def _in_order(title: str) -> str:
    """Return "Matrix, The" as "The Matrix"."""
    moved = MOVED_ARTICLE.match(title.strip())
    if not moved:
        return title.strip()
    space = "" if moved["article"].endswith("'") else " "
    return f"{moved['article']}{space}{moved['rest']}"


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Return lower-case words without accents and punctuation, for comparing titles.

    >>> fold("Amélie: l'Étoile & WALL·E")
    'amelie l etoile and wall e'
    """
    plain = unicodedata.normalize("NFKD", text.casefold().replace("&", " and ").replace("ø", "o").replace("ł", "l"))
    return " ".join(re.findall(r"[^\W_]+", "".join(c for c in plain if not unicodedata.combining(c))))


FOLDED_ARTICLES = frozenset(fold(article.replace("?", "")) for article in ARTICLES.split("|")) | {"a", "um"}


def _without_article(folded: str) -> str:
    """Return folded words without an article at the start or, moved, at the end."""
    words = folded.split()
    if len(words) > 1 and words[0] in FOLDED_ARTICLES:
        return " ".join(words[1:])
    if len(words) > 1 and words[-1] in {"the", "la", "le", "les", "el", "der", "die", "das", "il"}:
        return " ".join(words[:-1])
    return folded


@dataclass(frozen=True, eq=False)
class Catalog:
    """One row per movie in the order of their ids; `table` has the columns of SCHEMA, in one chunk."""

    table: pa.Table

    @classmethod
    def of(cls, ids: Ids, movies: pa.Table) -> Catalog:
        """Return the catalogue of these ids, in their order, from rows with the columns of SCHEMA.

        An id without a row is shown as "Movie ID"; of rows with the same id the last wins.
        """
        rows = np.full(len(ids), movies.num_rows, np.int64)
        positions = ids.positions(movies["movie"])
        known = positions >= 0
        rows[positions[known]] = np.flatnonzero(known)
        bare = pa.table({"movie": pa.array([""]), "title": [""], "genres": [[]], "tags": [[]]})
        padded = pa.concat_tables([movies.cast(SCHEMA), bare], promote_options="permissive").combine_chunks()
        table = padded.take(pa.array(rows))
        titles = pc.if_else(
            pc.equal(table["title"], ""), pc.binary_join_element_wise("Movie", ids.array, " "), table["title"]
        )
        table = table.set_column(0, "movie", ids.array).set_column(1, "title", titles)
        return cls(table.select(SCHEMA.names).cast(SCHEMA).combine_chunks())

    @cached_property
    def ids(self) -> Ids:
        """The movies' external ids."""
        return Ids(self.table["movie"].chunk(0) if len(self) else pa.array([], pa.string()), is_sorted=True)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def title(self, movie: int) -> str:
        """Return the title with its year, as shown to people: "The Matrix (1999)"."""
        return self.titles(np.array([movie]))[0]

    def titles(self, movies: NDArray[np.integer]) -> list[str]:
        """Return the titles with their years of the movies at these positions."""
        rows = self._shown_columns.take(pa.array(movies))
        return [with_year(*row) for row in zip(rows["title"].to_pylist(), rows["year"].to_pylist(), strict=True)]

    @cached_property
    def _shown_columns(self) -> pa.Table:
        return self.table.select(["title", "year"])

    @cached_property
    def years(self) -> NDArray[np.int16]:
        """(n_movies,) year of release, 0 where unknown."""
        return np.asarray(pc.fill_null(self.table["year"], 0), dtype=np.int16)

    @cached_property
    def genre_names(self) -> tuple[str, ...]:
        """All genres, sorted."""
        return tuple(sorted(pc.unique(pc.list_flatten(self.table["genres"])).to_pylist()))

    @cached_property
    def genre_flags(self) -> NDArray[np.bool_]:
        """(n_movies, n_genres) in the order of `genre_names`."""
        flags = np.zeros((len(self), len(self.genre_names)), bool)
        genres = pc.list_flatten(self.table["genres"])
        columns = pc.index_in(genres, value_set=pa.array(self.genre_names, pa.string()))
        flags[np.asarray(pc.list_parent_indices(self.table["genres"])), np.asarray(columns)] = True
        return flags

    @cached_property
    def _names(self) -> list[tuple[str, ...]]:
        """Every movie's titles, folded and without article: as shown, without parentheses, and those in them."""
        return [_names_of(title) for title in self.table["title"].to_pylist()]

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        by_name: dict[str, list[int]] = {}
        for movie, names in enumerate(self._names):
            for name in names:
                by_name.setdefault(name, []).append(movie)
        return by_name

    def resolve(self, movie: str | int) -> int:
        """Return the position of a movie given by id or title, as people write it.

        An id wins over a title. A title matches without regard to case, accents, punctuation or a moved article;
        with "(1995)" behind it only that year matches.
        Raises UnknownMovieError (with the closest titles), or AmbiguousTitleError where several movies share it.
        """
        text = str(movie)
        position = self.ids.position(text)
        if position is not None:
            return position
        title, year = split_title(text)
        found = self._by_name.get(_without_article(fold(title)), [])
        found = self._exactly(title, found) or found
        if year is not None:
            found = [candidate for candidate in found if self.years[candidate] == year]
        if len(found) == 1:
            return found[0]
        if found:
            raise AmbiguousTitleError(text, self._listed(found))
        raise UnknownMovieError(text, hint=self._closest(title))

    def called(self, title: str, year: int | None = None) -> list[int]:
        """Return the positions of the movies that another source means by a title, none where it means no movie here.

        Titles match as in `resolve`. Sources differ by a year: of movies of that very year, of the years beside it and
        of unknown year, the first there are.
        """
        found = self._by_name.get(_without_article(fold(title)), [])
        if year is not None:
            apart = {movie: abs(int(self.years[movie]) - year) if self.years[movie] else UNKNOWN for movie in found}
            nearest = min(apart.values(), default=UNKNOWN)
            found = [movie for movie in found if apart[movie] == nearest and nearest in (0, 1, UNKNOWN)]
        return self._exactly(title, found) or found

    def _exactly(self, title: str, movies: list[int]) -> list[int]:
        """Return those of the movies whose title, or one of them, is this one with its article."""
        return [movie for movie in movies if fold(title) in map(fold, _titles_in(self._shown(movie)))]

    def _shown(self, movie: int) -> str:
        return str(self.table["title"][movie].as_py())

    def _listed(self, movies: Iterable[int]) -> list[tuple[str, str]]:
        return [(self.ids[movie], self.title(movie)) for movie in list(movies)[:MAX_CANDIDATES]]

    def _closest(self, title: str) -> str:
        near = [int(movie) for movie in self.search(title, limit=3)]
        names = difflib.get_close_matches(_without_article(fold(title)), list(self._by_name), n=3, cutoff=0.7)
        near += [self._by_name[name][0] for name in names]
        if not near:
            return "search with `matinee movies DATA QUERY`"
        listed = "; ".join(f"{movie_id}: {shown}" for movie_id, shown in self._listed(dict.fromkeys(near)))
        return f"did you mean {listed}?"

    def search(self, query: str, limit: int | None = 20, counts: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
        """Return positions of movies whose titles and years contain every word of the query as a prefix.

        Best first: the same title, then titles that begin with the query, then the others; most rated first among
        those by `counts` (n_movies,) where given, shortest title first where not.
        """
        folded = fold(query)
        words, name = folded.split(), _without_article(folded)
        if not words:
            return np.empty(0, np.int32)
        ranked = []
        for movie, names in enumerate(self._names):
            text = f" {names[0]} {self.years[movie]}"
            if all(f" {word}" in text or word in FOLDED_ARTICLES for word in words):
                how = 0 if name in names else 1 if any(other.startswith(name) for other in names) else 2
                ranked.append((how, -counts[movie] if counts is not None else len(names[0]), movie))
        return np.array([movie for _, _, movie in sorted(ranked)[:limit]], np.int32)


def _titles_in(title: str) -> list[str]:
    """Return a title as shown, without its parentheses, and those in them."""
    main, *others = OTHER_TITLE.split(title)
    return [title, main, *others[::2]] if others else [title]


def _names_of(title: str) -> tuple[str, ...]:
    names = (_without_article(fold(name)) for name in _titles_in(title))
    return tuple(dict.fromkeys(name for name in names if name)) or ("",)
