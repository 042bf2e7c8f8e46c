"""Search: titles found as one types them, by the beginnings of their words in any order, or nearly so.

words, sorted  -->  a prefix is a range of them  -->  the movies with any of these words, for every word asked

Where that finds few, titles are compared without their spaces, and then word by word with a letter or two wrong.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matinee.ids import Ids, Positions
from matinee.titles import FOLDED_ARTICLES, fold, names_of, titles_in, without_article

EXACT, BEGINS, CONTAINS, SIMILAR, NOT_FOUND = range(5)
"""Grades, best first."""

FEW = 5  # found: then words written as one or apart count too, and where these are few, similar ones
SHORTEST = 4  # letters that are compared without spaces
LONGEST = 24  # letters of a word that are compared
VERSION = 1  # of folding and of the index: one that was stored by another is made anew
LAST_LETTER = "\U0010ffff"
INITIALS = re.compile(r"\b\w(?: \w)+\b")

Bool = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TitleIndex:
    """The folded titles of M movies, alternative ones too, by word and by name; years count as words.

    words       (W,) distinct, sorted, as all texts are
    letters     (W, LONGEST) their code points, 0 behind the end
    in_word, in_movie   (P,) which word is in the titles of which movie
    names, named_movies (N,) whole titles without article, sorted, and whose they are
    tight, tight_movies (T,) whole titles, with and without article, without spaces
    ends, ending_movies (E,) all that titles end with, from each of their words on and without spaces
    lengths     (M,) letters of the first name
    """

    words: Ids
    letters: NDArray[np.uint32]
    in_word: Positions
    in_movie: Positions
    names: Ids
    named_movies: Positions
    tight: Ids
    tight_movies: Positions
    ends: Ids
    ending_movies: Positions
    lengths: Positions

    @classmethod
    def of(cls, titles: Sequence[str], years: NDArray[np.integer]) -> TitleIndex:
        """Index titles as shown with their years, 0 where unknown."""
        names = [names_of(title) for title in titles]
        texts = (
            {*fold(title).split(), *_with_initials(fold(title)).split(), *(str(year) for year in [year] if year)}
            for title, year in zip(titles, years.tolist(), strict=True)
        )
        pairs = sorted((word, movie) for movie, text in enumerate(texts) for word in text)
        words = sorted({word for word, _ in pairs})
        place = {word: number for number, word in enumerate(words)}
        named = [(_with_initials(name), movie) for movie, own in enumerate(names) for name in own]
        whole = {*named, *((fold(name), movie) for movie, title in enumerate(titles) for name in titles_in(title))}
        return cls(
            _texts(words),
            letters_of(words),
            np.array([place[word] for word, _ in pairs], np.int32),
            np.array([movie for _, movie in pairs], np.int32),
            *_sorted({*named, *((name, movie) for movie, own in enumerate(names) for name in own)}),
            *_sorted((_tight(name), movie) for name, movie in whole),
            *_sorted((end, movie) for name, movie in whole for end in _ends(name)),
            np.array([len(own[0]) for own in names], np.int32),
        )

    def fits(self, n_movies: int) -> bool:
        """Return whether its parts fit each other and so many movies."""
        owned: tuple[Sized, ...] = (self.in_word, self.names, self.tight, self.ends)
        owners = (self.in_movie, self.named_movies, self.tight_movies, self.ending_movies)
        return (
            (len(self.letters), len(self.lengths)) == (len(self.words), n_movies)
            and all(len(one) == len(other) for one, other in zip(owned, owners, strict=True))
            and all(_within(one, n_movies) for one in owners)
            and _within(self.in_word, len(self.words))
        )

    def named(self, title: str) -> Positions:
        """Return the movies with this title, however it is written."""
        name = without_article(fold(title))
        return self.named_movies[_range(self.names, name)]

    def grades(self, query: str) -> NDArray[np.int8]:
        """Return (M,) how well each title fits a query: EXACT, BEGINS with it, CONTAINS its words, SIMILAR, NOT_FOUND.

        Every word of the query begins a word of the title; articles count only where there is nothing else. "walle" is
        WALL-E as spaces do not tell titles apart, and where few are found, "spiderman" is in The Amazing Spider-Man.
        Where few are found still, words with a letter wrong, missing, added or swapped with its neighbour count as
        well, two in words of eight letters or more; in words of three or less only two letters that are swapped.
        """
        folded = fold(query)
        words = [word for word in folded.split() if word not in FOLDED_ARTICLES] or folded.split()
        grades = np.full(len(self.lengths), NOT_FOUND, np.int8)
        if not words:
            return grades
        name = without_article(folded)
        containing = self._with_all(words, self._beginning_with)
        if np.count_nonzero(containing) < FEW and len(_tight(name)) >= SHORTEST:
            containing[self.ending_movies[_prefix_range(self.ends, _tight(name))]] = True
        if np.count_nonzero(containing) < FEW:
            grades[self._with_all(words, self._similar_to)] = SIMILAR
        grades[containing] = CONTAINS
        grades[self.named_movies[_prefix_range(self.names, name)]] = BEGINS
        grades[self.tight_movies[_range(self.tight, _tight(name))]] = EXACT
        return grades

    def containing(self, text: str) -> Bool:
        """Return (M,) which titles have words that begin with each word of a text."""
        return self._with_all(fold(text).split(), self._beginning_with)

    def _with_all(self, words: Sequence[str], meant_by: Callable[[str], Bool]) -> Bool:
        """Return (M,) who has every word; the more words, the sooner nobody is left and no further one is looked up."""
        movies = np.ones(len(self.lengths), bool)
        for word in dict.fromkeys(words):
            movies &= self._with_any(meant_by(word))
            if not movies.any():
                break
        return movies

    def _with_any(self, meant: Bool) -> Bool:
        """Return (M,) whose titles have one of the words that are meant (W,)."""
        movies = np.zeros(len(self.lengths), bool)
        movies[self.in_movie[meant[self.in_word]]] = True
        return movies

    def _beginning_with(self, word: str) -> Bool:
        meant = np.zeros(len(self.words), bool)
        meant[_prefix_range(self.words, word)] = True
        return meant

    def _similar_to(self, word: str) -> Bool:
        if len(word) <= 3:
            return self._beginning_with(word) | self._swapped(word)
        return prefix_distances(word, self.letters) <= (1 if len(word) <= 7 else 2)

    def _swapped(self, word: str) -> Bool:
        """Return (W,) which words are this one but for two neighbours that are swapped."""
        meant = np.zeros(len(self.words), bool)
        for at in range(len(word) - 1):
            meant[_range(self.words, word[:at] + word[at + 1] + word[at] + word[at + 2 :])] = True
        return meant


def _with_initials(folded: str) -> str:
    """Return a folded text with its initials as one word.

    >>> _with_initials("e t the extra terrestrial")
    'et the extra terrestrial'
    """
    return INITIALS.sub(lambda found: _tight(found[0]), folded)


def _tight(folded: str) -> str:
    return folded.replace(" ", "")


def _ends(name: str) -> list[str]:
    """Return what a name ends with, from each of its words on and without spaces.

    >>> _ends("spider man 2")
    ['spiderman2', 'man2', '2']
    """
    words = name.split()
    return ["".join(words[first:]) for first in range(len(words))]


def _sorted(owned: Iterable[tuple[str, int]]) -> tuple[Ids, Positions]:
    """Return texts in order, and whose they are."""
    pairs = sorted(owned)
    return _texts([text for text, _ in pairs]), np.array([movie for _, movie in pairs], np.int32)


def _texts(ordered: Sequence[str]) -> Ids:
    """Return texts in their order as one array; unlike ids some may be there more than once."""
    return Ids(pa.array(ordered, pa.string()), is_sorted=True)


def _within(positions: Positions, n: int) -> bool:
    return not len(positions) or bool(positions.min() >= 0 and positions.max() < n)


def _range(sorted_texts: Sequence[str], text: str) -> slice:
    return slice(bisect_left(sorted_texts, text), bisect_left(sorted_texts, text + "\0"))


def _prefix_range(sorted_texts: Sequence[str], prefix: str) -> slice:
    return slice(bisect_left(sorted_texts, prefix), bisect_left(sorted_texts, prefix + LAST_LETTER))


def letters_of(words: Sequence[str]) -> NDArray[np.uint32]:
    """Return (W, LONGEST) the code points of W words, 0 behind the end."""
    return np.array(words, f"<U{LONGEST}").view(np.uint32).reshape(len(words), LONGEST)


def prefix_distances(word: str, letters: NDArray[np.uint32]) -> NDArray[np.int8]:
    """Return (W,) in how many letters, wrong, missing, added or swapped, a word differs from the beginnings of W words.

    letters (W, LONGEST) by `letters_of`. Exact up to 2: the optimal string alignment distance (Boytsov 2011), least
    over the beginnings of each.

    >>> words = letters_of(["matrix", "matter", "story"])
    >>> prefix_distances("matrx", words).tolist(), prefix_distances("stroy", words).tolist()
    ([1, 2, 4], [4, 5, 1])
    """
    codes = [ord(letter) for letter in word[:LONGEST]]
    columns = letters[:, : len(codes) + 2].T
    steps = np.arange(len(columns) + 1, dtype=np.int8)[:, None]
    older = row = np.broadcast_to(steps, (len(steps), len(letters)))
    for i, code in enumerate(codes):
        following = row + np.int8(1)
        following[1:] = np.minimum(following[1:], row[:-1] + (columns != code))
        if i:
            swapped = (columns[1:] == codes[i - 1]) & (columns[:-1] == code)
            following[2:] = np.where(swapped, np.minimum(following[2:], older[:-2] + np.int8(1)), following[2:])
        older, row = row, np.minimum.accumulate(following - steps) + steps
    distances: NDArray[np.int8] = row.min(axis=0)
    return distances
