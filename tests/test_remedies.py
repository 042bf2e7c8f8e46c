from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.remedies import library, shell
from tests.remedies.messages import ELSEWHERE, UNTRIED, messages
from tests.remedies.table import Action, Remedy
from typer.testing import Result

from matinee.errors import MatineeError
from matinee.remedies import at_the_command_line, over_http

Run = Callable[..., Result]
REMEDIES = [*library.REMEDIES, *shell.REMEDIES]


def error_of(action: Action, matinee: Run) -> str:
    """Return the message with which an action ends, "" where it succeeds."""
    if isinstance(action, str):
        for line in action.split(" && "):
            done = matinee(*shlex.split(line))
            if done.exit_code:
                return done.stderr
        return ""
    try:
        action()
    except MatineeError as error:
        return str(error)
    return ""


def pattern(says: str, is_shell: bool) -> str:
    words = says.replace("{}", "ANY")
    return re.escape(at_the_command_line(words) if is_shell else words).replace("ANY", ".*")


@pytest.mark.filterwarnings("ignore::matinee.errors.PlausibilityWarning")
@pytest.mark.parametrize("one", REMEDIES, ids=[one.says for one in REMEDIES])
def test_a_remedy__gets_further(one: Remedy, matinee: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, action in (("wrong", one.wrong), ("right", one.right)):
        folder = tmp_path / name
        one.write(folder)
        monkeypatch.chdir(folder)
        error = error_of(action, matinee)
        if name == "wrong":
            assert re.search(pattern(one.says, isinstance(action, str)), error), error
        else:
            assert error == ""


def test_every_message_that_names_a_step__is_tried_or_has_a_reason() -> None:
    untried = [part for parts in UNTRIED.values() for part in parts]
    known = [one.says for one in REMEDIES] + untried
    found = list(messages())
    missing = [
        f"{module}: {text}"
        for module, text in found
        if not module.startswith(tuple(ELSEWHERE)) and not any(part in text for part in known)
    ]
    assert missing == []
    assert [part for part in known if not any(part in text for _, text in found)] == []


def test_messages_of_the_library__have_no_words_of_the_command_line() -> None:
    options = re.compile(r"(?<![\w-])--[a-z]")
    assert [
        text for module, text in messages() if not module.startswith(("cli/", "service/")) and options.search(text)
    ] == []


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
        ("`mt.tune(ds, ALS()).save(FILE)`", "`matinee tune DATA --save FILE`"),
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
