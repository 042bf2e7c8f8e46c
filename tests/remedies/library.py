"""Remedies of the library, in Python's words."""

from __future__ import annotations

from pathlib import Path

from tests.remedies.table import BAD, MOVIES, UNTIMED, Remedy

from matinee import split
from matinee.backup import backup, restore
from matinee.batch import batch_recommend
from matinee.datasets import load
from matinee.datasets.fetch import fetch
from matinee.datasets.synthetic import synthetic
from matinee.live import LiveRatings
from matinee.models.als import ALS
from matinee.models.baselines import Bias, Popular
from matinee.models.ease import Ease
from matinee.models.ials import IALS
from matinee.recommender import Recommender
from matinee.snapshot import Store
from matinee.training import train
from matinee.tuning import tune
from matinee.tuning.result import load_config

PARTS = {"parts/a.csv": UNTIMED, "parts/b.csv": MOVIES}
OFF = "userId,movieId,rating\n" + "".join(f"{row % 7},{row % 5},{row % 10 + 1}\n" for row in range(70))
MINUTES = "userId,movieId,rating,timestamp\na,1,4,1700000000\nb,1,3,1700000000000\n"
NAMELESS = "AX1,0017,5.0,1365811200\nAX2,0017,4.0,1365811200\n"
OTHER_NAMES = "who,what,points\n1,10,4\n2,10,5\n"
RELEASE = {
    "ml/ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n",
    "ml/movies.csv": "movieId,title,genres\n1,Toy Story (1995),Comedy\n",
    "ml/links.csv": "movieId,imdbId,tmdbId\n1,x,862\n",
}


def fitted(rater: object = None, ranker: object = None) -> Recommender:
    return Recommender.fit(load("ratings.csv"), rater=rater or Bias(), ranker=ranker)  # type: ignore[arg-type]


def lists(out: str) -> None:
    batch_recommend(fitted(), out, n=1)


def saved(folder: str) -> None:
    """Back up a new store."""
    fitted().publish("store")
    with LiveRatings("store/live.sqlite3") as live:
        backup(Store("store"), live, Path(folder))


def again(folder: str) -> None:
    with LiveRatings("store/live.sqlite3") as live:
        backup(Store("store"), live, Path(folder))


def restored(folder: str) -> None:
    with LiveRatings("other.sqlite3") as live:
        restore(Path(folder), Store("other"), live)


def of_many(ease: Ease) -> None:
    many = synthetic(1_000, 21_000, 60_000, rng=0)
    ease.fit(many.ratings, many.catalog)


def as_list(movies: dict[str, float], **options: object) -> None:
    fitted().recommend(movies, **options)  # type: ignore[arg-type]


def kept_study(file: str, config: object) -> None:
    tune(load("ratings.csv"), config, trials=1, study=file)  # type: ignore[arg-type]


def watchlist(**asked: object) -> None:
    with LiveRatings("live.sqlite3") as live:
        live.bring("1", {}, {"3": "watchlist"})
        dataset = load("ratings.csv")
        Recommender(dataset, Bias().fit(dataset.ratings, dataset.catalog), live=live).recommend(
            within="watchlist",
            **asked,  # type: ignore[arg-type]
        )


def trained(rater: object) -> None:
    train(load("ratings.csv"), "store", rater=rater, ranker=None, measure=False)  # type: ignore[arg-type]


REMEDIES = [
    Remedy(
        "load it first with `mt.load(data)`",
        lambda: train("ratings.csv", "store"),  # type: ignore[arg-type]
        lambda: train(load("ratings.csv"), "store", rater=Bias(), ranker=None, measure=False),
    ),
    Remedy(
        "if that is right, allow it with `skip_at_most=1`",
        lambda: load("bad.csv", on_bad_rows="skip"),
        lambda: load("bad.csv", on_bad_rows="skip", skip_at_most=1),
        {"bad.csv": BAD.replace(",1\n", ",one\n")},
    ),
    Remedy(
        "or leave bad rows out with `on_bad_rows='skip'`",
        lambda: load("bad.csv"),
        lambda: load("bad.csv", on_bad_rows="skip"),
        {"bad.csv": BAD},
    ),
    Remedy(
        "links.csv line {}: {}; or leave bad rows out with `on_bad_rows='skip'`",
        lambda: load("ml"),
        lambda: load("ml", on_bad_rows="skip", skip_at_most=1),
        RELEASE,
    ),
    Remedy(
        "{}; or leave bad rows out with `on_bad_rows='skip'`",
        lambda: load("untimed.csv", movies="m.csv"),
        lambda: load("untimed.csv", movies="m.csv", on_bad_rows="skip", skip_at_most=1),
        {"m.csv": "movieId,title,year\n1,Up,2009\n2,Heat,99999\n"},
    ),
    Remedy(
        "or leave the times out with `timestamp='-'`",
        lambda: load("times.csv"),
        lambda: load("times.csv", timestamp="-"),
        {"times.csv": MINUTES},
    ),
    Remedy(
        "{} has {} columns in its first line, and {} are named",
        lambda: load("plain.csv", columns="user,movie,rating"),
        lambda: load("plain.csv", columns="user,movie,rating,-"),
        {"plain.csv": NAMELESS},
    ),
    Remedy(
        "{} has no line of column names",
        lambda: load("plain.csv"),
        lambda: load("plain.csv", columns="user,movie,rating,timestamp"),
        {"plain.csv": NAMELESS},
    ),
    Remedy(
        "{} is not text; name a CSV, TSV, JSON or Parquet file",
        lambda: load("photo.csv"),
        lambda: load("untimed.csv"),
        {"photo.csv": b"\xff\xd8\xff\xe0\0\0,\0rating\n"},
    ),
    Remedy(
        "the folder {} holds neither ratings.csv nor another table but",
        lambda: load("photos"),
        lambda: load("untimed.csv"),
        {"photos/a.jpg": b"\xff\xd8"},
    ),
    Remedy(
        "holds files of several kinds",
        lambda: load("mixed"),
        lambda: load("mixed/a.csv"),
        {"mixed/a.csv": UNTIMED, "mixed/b.tsv": UNTIMED.replace(",", "\t"), "mixed/c.jsonl": '{"userId": 1}\n'},
    ),
    Remedy("holds tables with different columns", lambda: load("parts"), lambda: load("parts/a.csv"), PARTS),
    Remedy(
        "column {} holds one {}; give a list or an array for each column",
        lambda: load({"userId": 1, "movieId": [1], "rating": [4]}),
        lambda: load({"userId": [1], "movieId": [1], "rating": [4]}),
    ),
    Remedy(
        "{} has no column for {}: its columns are {}; name it with `{}=COLUMN`",
        lambda: load("other.csv", movie="what", rating="points"),
        lambda: load("other.csv", user="who", movie="what", rating="points"),
        {"other.csv": OTHER_NAMES},
    ),
    Remedy(
        "is named for both {} and {}",
        lambda: load("other.csv", user="who", movie="who", rating="points"),
        lambda: load("other.csv", user="who", movie="what", rating="points"),
        {"other.csv": OTHER_NAMES},
    ),
    Remedy(
        "name it with `movie_columns='{}=COLUMN'`",
        lambda: load("untimed.csv", movies="m.csv"),
        lambda: load("untimed.csv", movies="m.csv", movie_columns="movie=no,title=label"),
        {"m.csv": "no,label\n1,Up\n2,Heat\n"},
    ),
    Remedy(
        "a movie table has no column for {}; name one of {}",
        lambda: load("untimed.csv", movies="m.csv", movie_columns="film=no,title=label"),
        lambda: load("untimed.csv", movies="m.csv", movie_columns="movie=no,title=label"),
        {"m.csv": "no,label\n1,Up\n2,Heat\n"},
    ),
    Remedy(
        "is in the way and is no MovieLens release",
        lambda: fetch("ml-100k", source="x.zip"),
        lambda: fetch("ml-latest-small", to="here"),
        {"ml-100k/a.txt": "", **{f"here/ml-latest-small{name[2:]}": text for name, text in RELEASE.items()}},
    ),
    Remedy(
        "exists already; name a folder that does not",
        lambda: (saved("one"), again("one")),
        lambda: (saved("one"), again("two")),
    ),
    Remedy("is not a backup; name the folder of a backup", lambda: restored("."), lambda: (saved("b"), restored("b"))),
    Remedy("the output {} exists already; name a new folder", lambda: lists("parts"), lambda: lists("new"), PARTS),
    Remedy(
        "use a smaller `Ease(min_ratings=N)`",
        lambda: fitted(ranker=Ease(min_ratings=1_000)),
        lambda: fitted(ranker=Ease(min_ratings=5)),
    ),
    Remedy(
        "use `ranker=IALS()`, or a larger `Ease(min_ratings=N)`",
        lambda: of_many(Ease(min_ratings=1)),
        lambda: (of_many(Ease(min_ratings=20)), fitted(ranker=IALS(rank=2, iterations=1))),
    ),
    Remedy(
        "lower `IALS(positive_from=X)`",
        lambda: fitted(ranker=IALS(rank=2, iterations=1, positive_from=9.0)),
        lambda: fitted(ranker=IALS(rank=2, iterations=1, positive_from=4.0)),
    ),
    Remedy(
        "{} does not predict stars; choose a rater such as als or bayes",
        lambda: fitted(Popular()),
        lambda: fitted(ALS(rank=2, iterations=1)),
    ),
    Remedy("{} does not predict stars; choose a rater: {}", lambda: trained(Popular()), lambda: trained(Bias())),
    Remedy(
        "use `of='stars'`",
        lambda: fitted().explain({"3": 4.0}, "1", of="match"),
        lambda: fitted().explain({"3": 4.0}, "1", of="stars"),
    ),
    Remedy(
        "use `scale='1:10'` if they are on another scale",
        lambda: as_list({"3": 9.0}),
        lambda: as_list({"3": 9.0}, scale="1:10"),
    ),
    Remedy("name a user with `user=ID`", lambda: watchlist(users=["1", "2"]), lambda: watchlist(user="1")),
    Remedy(
        "use a random split such as 7:3",
        lambda: split.parse("by-time", load("untimed.csv").ratings),
        lambda: split.parse("7:3", load("untimed.csv").ratings),
    ),
    Remedy(
        "cannot read the config {}: {}; `mt.tune(ds, ALS()).save(FILE)` writes one",
        lambda: load_config(Path("best.json")),
        lambda: (
            tune(load("ratings.csv"), ALS(rank=2, iterations=1), rank=[2]).save("best.json"),
            load_config(Path("best.json")),
        ),
    ),
    Remedy(
        "is not JSON: {}; `mt.tune(ds, ALS()).save(FILE)` writes one",
        lambda: load_config(Path("ratings.csv")),
        lambda: (
            tune(load("ratings.csv"), ALS(rank=2, iterations=1), rank=[2]).save("best.json"),
            load_config(Path("best.json")),
        ),
    ),
    Remedy(
        "holds the study of something else",
        lambda: (kept_study("s.db", ALS(rank=2, iterations=1)), kept_study("s.db", IALS(rank=2, iterations=1))),
        lambda: kept_study("new.db", IALS(rank=2, iterations=1)),
    ),
    Remedy(
        "cannot keep a study in {}: {}; name a new file",
        lambda: kept_study("ratings.csv", ALS(rank=2, iterations=1)),
        lambda: kept_study("new.db", ALS(rank=2, iterations=1)),
    ),
]
