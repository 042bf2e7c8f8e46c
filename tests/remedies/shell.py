"""Remedies at the command line."""

from __future__ import annotations

from tests.remedies.table import BAD, Remedy

QUICK = "train ratings.csv --rater bias --ranker none --no-measure --store store"
PLAIN = {"plain.csv": "AX1,0017,5.0,1365811200\nAX2,0017,4.0,1365811200\n"}
SETTINGS = {"wrong.toml": "stor = 'x'\n", "info.toml": "[info]\nstor = 'x'\n", "right.toml": "store = 'x'\n"}

REMEDIES = [
    Remedy(
        "or leave bad rows out with `on_bad_rows='skip'`",
        "info bad.csv",
        "info bad.csv --on-bad-rows skip",
        {"bad.csv": BAD},
    ),
    Remedy(
        "such as `columns='user,movie,rating,timestamp'`",
        "info plain.csv",
        "info plain.csv --columns user,movie,rating,timestamp",
        PLAIN,
    ),
    Remedy(
        "; name it with `{}=COLUMN`",
        "info other.csv --movie what --rating points",
        "info other.csv --movie what --rating points --user who",
        {"other.csv": "who,what,points\n1,10,4\n2,10,5\n"},
    ),
    Remedy(
        "--binary needs ease or blend among the models of --model",
        "evaluate ratings.csv --model bias --binary",
        "evaluate ratings.csv --model bias,ease --binary --set ease.min_ratings=2",
    ),
    Remedy(
        "names the rater already; leave the option out",
        "train ratings.csv --config best.json --rater als --ranker none --store store --no-measure",
        "train ratings.csv --config best.json --ranker none --store store --no-measure",
        {"best.json": '{"model": "bias"}'},
    ),
    Remedy(
        "--set changes {}, but the models here are", f"{QUICK} --set ease.reg=5", f"{QUICK} --set bias.movie_damping=5"
    ),
    Remedy("--set takes MODEL.SETTING=VALUE", f"{QUICK} --set reg=5", f"{QUICK} --set bias.movie_damping=5"),
    Remedy(
        "name DATA, or both --train FILE and --test FILE",
        "evaluate --model bias --train untimed.csv",
        "evaluate --model bias --train untimed.csv --test test.csv",
        {"test.csv": "userId,movieId,rating\n1,100,3\n2,101,4\n"},
    ),
    Remedy(
        "are different ways to split; choose one",
        "evaluate ratings.csv --model bias --by-time --split 7:3",
        "evaluate ratings.csv --model bias --by-time",
    ),
    Remedy(
        "--drift splits DATA itself; leave out the options of splits",
        "evaluate ratings.csv --model bias --drift --by-time",
        "evaluate sample --model bias --drift",
    ),
    Remedy(
        "no store {}; name one with --store, or make it with `matinee train`",
        "refit --store store",
        f"{QUICK} && refit --store store",
    ),
    Remedy("there is no snapshot in {}; make one with", "recommend --store store --user 1", f"{QUICK}"),
    Remedy(
        "{} is not the id of a snapshot; see `mt.Store(DIR).ids`",
        f"{QUICK} && recommend --user 1 --snapshot ../x --store store",
        QUICK,
    ),
    Remedy(
        "name one person: --user ID, or --ratings FILE.csv",
        "recommend --store store",
        f"{QUICK} && recommend --store store --user 1",
    ),
    Remedy(
        "no command has the option --{}; see `matinee COMMAND --help`",
        "--settings wrong.toml info ratings.csv",
        "--settings right.toml info ratings.csv",
        SETTINGS,
    ),
    Remedy(
        "no settings file {}; name another one with --settings",
        "--settings none.toml info ratings.csv",
        "--settings right.toml info ratings.csv",
        SETTINGS,
    ),
    Remedy(
        "has no option --{}; see `matinee {} --help`", "--settings info.toml info ratings.csv", "info --help", SETTINGS
    ),
    Remedy(
        "--study needs --trials N",
        "tune ratings.csv --study s.db --iterations 1",
        "tune ratings.csv --study s.db --trials 1 --iterations 1",
    ),
]
