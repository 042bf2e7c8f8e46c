"""Spellings: the keys by which the titles of two sources are compared, from the same title to one that is nearly it.

key        "The Naked Gun 2½: The Smell of Fear"             equals
same       thenakedgun212thesmelloffear                      accents, case, punctuation and spaces aside
plain      nakedgun212smelloffear                            articles, numerals and British spelling aside, too
shorter    without a possessor or "3D"                       "Marvel's The Avengers" is The Avengers
beginnings "The Naked Gun 2½"                                 without the last parts, where these only describe it
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from matinee.datasets.title_words import (
    AMERICAN,
    ARTICLES,
    COUNTED,
    DESCRIBING,
    DESCRIBING_FIRST,
    ISE,
    LETTERS,
    OMITTED,
    OUR,
    PRESENTERS,
    ROMAN,
    TENS,
    UNITS,
)
from matinee.titles import BETWEEN_PARTS, without_article

SHORTEST = 7  # letters of titles that are compared letter by letter
LONG = 10  # letters of titles in which two letters may differ
HALF = 3  # letters: where a letter or two differ, a title begins or ends with the same
NOT_LETTERS = str.maketrans({code: " " for code in map(chr, range(128)) if not code.isalnum()})
SYMBOLS = re.compile(r"[#$%=<>^~]")  # people do not leave them out
WORD = re.compile(r"[^\W_]+")
POSSESSOR = re.compile(r"^(?P<owner>[^:]{2,40}?)(?:'s|(?<=s)')\s+(?P<rest>.+)$")


def fold_symbols(title: str) -> str:
    """Return the folded words of a title; unlike `matinee.titles.fold` of symbols, too.

    >>> fold_symbols("Romeo + Juliet"), fold_symbols("WALL·E"), fold_symbols("2½")
    ('romeo and juliet', 'wall e', '21 2')
    """
    text = title.lower().translate(LETTERS)
    if text.isascii():
        return " ".join(text.translate(NOT_LETTERS).split())
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(WORD.findall("".join(c for c in plain if not unicodedata.combining(c))))


def same(title: str) -> str:
    """Return the key that titles share which differ in accents, case, punctuation and spaces.

    >>> same("Old Boy") == same("Oldboy"), same("The Void") == same("Void"), same("#Horror") == same("Horror")
    (True, False, False)
    """
    return "".join([*SYMBOLS.findall(title), *fold_symbols(title).split()])


@lru_cache(maxsize=1 << 14)
def plain(title: str) -> str:
    """Return the key that titles share which differ in articles, numerals, or American and British spelling as well.

    >>> plain("Rocky II") == plain("Rocky: Part Two"), plain("Three Colours: Red"), plain("Gone in Sixty Seconds")
    (True, '3colorsred', 'gonein60seconds')
    """
    return "".join(_plain_words(title))


def shorter(title: str) -> set[str]:
    """Return the plain keys of a title without what some sources put before or into it.

    >>> sorted(shorter("Marvel's The Avengers")), sorted(shorter("Jaws 3-D")), sorted(shorter("Schindler's List"))
    (['avengers'], ['jaws', 'jaws3'], [])
    """
    found = set()
    if "3" in title and "3d" in (words := _plain_words(title)):
        found = {
            "".join(word for word in words if word != "3d"),
            "".join(word[:1] if word == "3d" else word for word in words),
        }
    if rest := _without_possessor(title):
        found.add(plain(rest))
    return found - {plain(title), ""}


def parts(title: str) -> list[str]:
    """Return the plain keys of a title's parts, each with its article.

    >>> parts("Star Wars: Episode IV - A New Hope")
    ['starwars', '4', 'a newhope']
    """
    keys = [(article(part), plain(part)) for part in BETWEEN_PARTS.split(title)]
    return [f"{first} {key}".strip() for first, key in keys if key]


def article(title: str) -> str:
    """Return the article that a title begins with, "" where it has none.

    >>> article("The Matrix"), article("Alien")
    ('the', '')
    """
    first, _, rest = fold_symbols(title).partition(" ")
    return first if rest and first in ARTICLES else ""


def beginnings(title: str) -> Iterator[tuple[str, str]]:
    """Yield how a title begins and what follows, the longest beginning first.

    >>> list(beginnings("Star Wars: Episode IV - A New Hope"))
    [('Star Wars: Episode IV', 'A New Hope'), ('Star Wars', 'Episode IV - A New Hope')]
    """
    for found in reversed(list(BETWEEN_PARTS.finditer(title))):
        yield title[: found.start()], title[found.end() :]


def describes(subtitle: str) -> bool:
    """Return whether a subtitle only says what kind of film it is, or of what; others make another film of it.

    >>> describes("The Story of Christy Brown"), describes("A Knives Out Mystery"), describes("The Man in the Machine")
    (True, True, False)
    """
    parts_of = [fold_symbols(part).split() for part in BETWEEN_PARTS.split(subtitle)]
    return all(words and (words[0] in DESCRIBING_FIRST or not DESCRIBING.isdisjoint(words)) for words in parts_of)


def halves(key: str) -> tuple[str, str] | tuple[()]:
    """Return how a plain key begins and ends, of which one is the same where a letter or two differ."""
    return (f"{key[:HALF]}...", f"...{key[-HALF:]}") if len(key) >= SHORTEST else ()


def nearly(one: str, other: str) -> bool:
    """Return whether two plain keys differ in one letter, long ones in two at one place, and in no digit.

    >>> nearly("piratesofcaribbean", "piratesofcarribean"), nearly("kingdomofheaven2", "kingdomofheaven3")
    (True, False)
    """
    start, most = 0, min(len(one), len(other))
    while start < most and one[start] == other[start]:
        start += 1
    end = 0
    while end < most - start and one[-1 - end] == other[-1 - end]:
        end += 1
    differing = one[start : len(one) - end] + other[start : len(other) - end]
    return max(len(one), len(other)) - start - end <= (2 if most >= LONG else 1) and differing.isalpha()


def _plain_words(title: str) -> list[str]:
    words = without_article(fold_symbols(title)).split()
    counted = _counted([word for word in words if word not in OMITTED] or words)
    return _without_counters([_american(word) for word in counted])


def _american(word: str) -> str:
    if "our" in word or "is" in word:
        word = OUR.sub(r"\1or", ISE.sub(r"iz\1", word))
    return AMERICAN.get(word, word)


def _counted(words: Sequence[str]) -> Iterator[str]:
    """Yield words with numerals as digits; "3 d" becomes "3d"."""
    at = 0
    while at < len(words):
        word = words[at]
        if word in UNITS or word in TENS:
            value, at = _number(words, at)
            yield str(value)
            continue
        if word == "3" and words[at + 1 : at + 2] == ["d"]:
            word, at = "3d", at + 1
        yield ROMAN.get(word, word)
        at += 1


def _number(words: Sequence[str], at: int) -> tuple[int, int]:
    """Return the number that words name from a place on, and the place behind them."""
    total = value = 0
    while at < len(words):
        word = words[at]
        if word in TENS and not value % 100:
            value += TENS[word]
        elif word in UNITS and (not value % 100 or (UNITS[word] < 10 and not value % 10 and value % 100 > 10)):
            value += UNITS[word]
        elif word == "hundred" and 0 < value < 10:
            value *= 100
        elif word == "thousand" and 0 < value < 1000:
            total, value = value * 1000, 0
        else:
            break
        at += 1
    return total + value, at


def _without_counters(words: Sequence[str]) -> list[str]:
    """Return words without "Part" before a number."""
    behind = [*words, ""][1:]
    return [word for word, after in zip(words, behind, strict=True) if word not in COUNTED or not after.isdigit()]


def _without_possessor(title: str) -> str | None:
    """Return a title without who presents it, None where it belongs to nobody, or to somebody in the story."""
    title = title.replace("’", "'")
    found = POSSESSOR.match(title) if "'" in title else None
    if not found:
        return None
    owner, rest = fold_symbols(found["owner"]), fold_symbols(found["rest"]).split()
    presents = owner in PRESENTERS or (rest[:1] and rest[0] in ARTICLES)
    return found["rest"] if presents or (len(owner.split()) > 1 and len(rest) > 1) else None
