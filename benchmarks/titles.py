"""How well titles are matched: those of a data set's own movies, garbled, against all of its movies and against half.

    python benchmarks/titles.py --data DIR

For each way of garbling: how many titles change, the share that means its movie, how many mean another one, and how
many mean any movie where theirs is not in the catalogue. Twins are movies with one title and year, of which the more
rated one is taken: how many of the wrong ones are the less rated is counted apart.
"""

from __future__ import annotations

import argparse
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

import matinee as mt
from matinee.catalog import SCHEMA, Catalog
from matinee.datasets.title_matching import Loose, TitleMatcher
from matinee.ids import Ids

Row = Mapping[str, Any]
NUMERALS = {"II": "2", "III": "3", "IV": "4", "2": "II", "3": "III", "Two": "2", "Three": "3", "Twelve": "12"}


def main_title(title: str) -> str:
    return re.sub(r"\s*\([^()]*\)", "", title) or title


def without_accents(title: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", title) if not unicodedata.combining(c))


def without_a_letter(title: str) -> str:
    place = 2 + len(title) * 7 % max(1, len(title) - 4)
    return title[:place] + title[place + 1 :] if len(title) >= 12 and title[place].isalpha() else title


GARBLED: Mapping[str, tuple[Callable[[str], str], int]] = {
    "as it is": (str, 0),
    "capitals": (str.upper, 0),
    "without accents": (without_accents, 0),
    "article moved": (lambda title: re.sub("^(The|A|An) (.*)$", r"\2, \1", title), 0),
    "article dropped": (lambda title: re.sub("^(The|A|An) ", "", title), 0),
    "& for and": (lambda title: re.sub(r"\band\b", "&", title), 0),
    "numerals": (lambda title: " ".join(NUMERALS.get(word, word) for word in title.split()), 0),
    "British": (lambda title: title.replace("olor", "olour").replace("heater", "heatre"), 0),
    "without subtitle": (lambda title: re.split(r": | - ", title)[0], 0),
    "with a subtitle": (lambda title: f"{title}: The Whole Story", 0),
    "presented": (lambda title: f"Marvel's {title}", 0),
    "without punctuation": (lambda title: re.sub(r"[^\w\s]", "", title), 0),
    "without a letter": (without_a_letter, 0),
    "a year later": (str, 1),
    "a year sooner": (str, -1),
}


def taken(matcher: TitleMatcher, catalog: Catalog, title: str, year: int) -> str | None:
    found = matcher.match([title], year, lambda _: False)
    return catalog.ids[found.movie] if isinstance(found, Loose) else None


def run(dataset: mt.Dataset) -> None:
    rows = dataset.catalog.table.to_pylist()
    half = Catalog.of(Ids([row["movie"] for row in rows[::2]]), pa.Table.from_pylist(rows[::2], SCHEMA))
    counts = dataset.ratings.movie_counts
    catalogs = [(dataset.catalog, TitleMatcher(dataset.catalog, counts)), (half, TitleMatcher(half, counts[::2]))]
    twins = {key for key, n in Counter((row["title"], row["year"]) for row in rows).items() if n > 1}
    for name, (garble, later) in GARBLED.items():
        found = wrong = absent = absent_wrong = asked = wrong_twins = absent_twins = 0
        start = time.process_time()
        for row in rows:
            title = garble(main_title(row["title"]))
            if row["year"] is None:
                continue
            is_twin = (row["title"], row["year"]) in twins
            if later == 0 and garble is not str and title == main_title(row["title"]):
                continue
            whole, part = (taken(matcher, one, title, row["year"] + later) for one, matcher in catalogs)
            asked += 1
            found += whole == row["movie"]
            is_wrong = whole not in (row["movie"], None)
            wrong, wrong_twins = wrong + is_wrong, wrong_twins + (is_wrong and is_twin)
            if half.ids.position(row["movie"]) is None:
                absent += 1
                absent_wrong += part is not None
                absent_twins += part is not None and is_twin
        seconds = time.process_time() - start
        print(
            f"{name:20} {asked:6,} titles, {found / asked:7.2%} found, "
            f"{wrong:3} wrong ({wrong_twins} twins); of {absent:5,} "
            f"that are not there {absent_wrong:3} taken for another ({absent_twins} twins); {seconds:.1f} s"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a MovieLens release, such as ml-latest-small")
    run(mt.load(parser.parse_args().data))
