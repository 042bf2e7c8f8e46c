from __future__ import annotations

import pytest

from matinee.remedies import at_the_command_line, over_http


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        ("`scale='1:10'`", "--scale 1:10"),
        ("`on_bad_rows='skip'`", "--on-bad-rows skip"),
        ("`user=COLUMN`", "--user COLUMN"),
        ("`not_rated=-1`", "--not-rated -1"),
        ("`measure=False`", "--no-measure"),
        ("`force=True`", "--force"),
        ("`user=WHO, movie=WHAT`", "--user WHO --movie WHAT"),
        ("`ranker=IALS()`", "--ranker ials"),
        ("`Ease(min_ratings=5)`", "--set ease.min_ratings=5"),
        ("`mt.fetch('ml-1m')`", "`matinee fetch ml-1m`"),
        ("`mt.train(ds, store=DIR)`", "`matinee train DATA --store DIR`"),
        ("`ds.catalog.search(QUERY)`", "`matinee movies DATA QUERY`"),
        ("`mt.tune(ds).save(FILE)`", "`matinee tune DATA --save FILE`"),
        ("`mt.Store(DIR).ids`", "`matinee snapshot list`"),
        ("`refit(store, live, force=True)`", "`matinee refit --force`"),
        ("`logging.basicConfig(level='INFO')`", "`matinee --verbose`"),
        ("`conf={'spark.executor.memory': '1g'}`", "--spark-conf spark.executor.memory=1g"),
        ("`source=URL`", "--from URL"),
        ("`matinee serve`", "`matinee serve`"),
        ("`Mr. & Mrs. Smith`", "`Mr. & Mrs. Smith`"),
    ],
)
def test_a_remedy_of_python__has_the_words_of_the_command_line(python: str, shell: str) -> None:
    assert at_the_command_line(f"wrong; use {python}, or stop") == f"wrong; use {shell}, or stop"


def test_a_remedy_of_python__has_the_words_of_a_query() -> None:
    assert over_http("off the scale; use `scale='1:10'`") == "off the scale; use ?scale=1:10"
