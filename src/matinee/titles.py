"""Titles: how people and data sets write them, shown one way and compared another."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

ARTICLES = (
    "The|An?|La|Las|Le|Les|L'|Il|Lo|Gli|I|El|Los|Un|Une|Una|Uno|Der|Die|Das|Dem|Den|Ein|Eine|De|Het|Een|Det|En|Ett|Et"
    "|O|Os|As|Uma?|Az"
)
MOVED_ARTICLE = re.compile(rf"^(?P<rest>.+), (?P<article>{ARTICLES})$")
YEAR = re.compile(r"\s*\((?P<year>\d{4})(?:\s*[-\u2013]\s*(?:\d{4})?)?\)\s*$")
BETWEEN_PARTS = re.compile(r":\s+|\s+[-\u2013]\s+")
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


def without_article(folded: str) -> str:
    """Return folded words without an article at the start or, moved, at the end."""
    words = folded.split()
    if len(words) > 1 and words[0] in FOLDED_ARTICLES:
        return " ".join(words[1:])
    if len(words) > 1 and words[-1] in {"the", "la", "le", "les", "el", "der", "die", "das", "il"}:
        return " ".join(words[:-1])
    return folded


def titles_in(title: str) -> list[str]:
    """Return a title as shown, without its parentheses, and those in them."""
    main, *others = OTHER_TITLE.split(title)
    return [title, main, *others[::2]] if others else [title]


def names_of(title: str) -> tuple[str, ...]:
    names = (without_article(fold(name)) for name in titles_in(title))
    return tuple(dict.fromkeys(name for name in names if name)) or ("",)
