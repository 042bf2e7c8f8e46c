"""Study: candidates that Optuna proposes, kept in memory or in a file that a later call resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool
from sqlalchemy.exc import DatabaseError

from matinee.errors import UsageError
from matinee.models import Config
from matinee.models.registry import to_json, with_values
from matinee.progress import Progress
from matinee.tuning.course import Course
from matinee.tuning.search import Grid, Tried, check_grid, ranges


class Study:
    """An Optuna study of one model's settings on one course."""

    def __init__(self, config: Config, grid: Grid, course: Course, *, file: str | Path | None, rng: int) -> None:
        """Open or make the study.

        Raises UsageError where Optuna is not installed, the model has nothing to search, or the file holds something
        else or a study of something else.
        """
        check_grid(config, grid)
        self._optuna = _optuna()
        self._config, self._grid, self._course = config, grid, course
        self._ends = {} if grid else ranges(config)
        self._study = self._open(file)
        self._study.sampler = self._optuna.samplers.TPESampler(seed=rng + len(self._study.trials))

    def run(self, trials: int, report: Progress) -> list[Tried]:
        """Try candidates until there are so many, each kept as soon as it is scored, and return all of them."""
        while len(tried := self._tried()) < trials:
            trial = self._study.ask()
            candidate = with_values(self._config, self._suggested(trial))
            score = self._course.score(candidate, self._course.validation)
            self._study.tell(trial, score)
            report(candidate.name, len(tried) + 1, trials, score)
        return tried

    def _open(self, file: str | Path | None) -> Any:
        study = self._create(file)
        grid = {name: list(values) for name, values in self._grid.items()} or self._ends
        purpose = f"{self._course.purpose} {json.dumps(to_json(self._config))} {json.dumps(grid)}"
        if study.user_attrs.get("purpose", purpose) != purpose:
            raise UsageError(
                f"{file} holds the study of something else: {study.user_attrs['purpose']}; name a new file"
            )
        study.set_user_attr("purpose", purpose)
        return study

    def _create(self, file: str | Path | None) -> Any:
        storage = None if file is None else self._storage(file)
        return self._optuna.create_study(
            study_name="matinee",
            storage=storage,
            direction="minimize" if self._course.lower_is_better else "maximize",
            load_if_exists=True,
        )

    def _storage(self, file: str | Path) -> Any:
        """Open the file with connections that are closed after each use, as Optuna closes none."""
        try:
            return self._optuna.storages.RDBStorage(
                f"sqlite:///{Path(file).absolute()}", engine_kwargs={"poolclass": NullPool}
            )
        except DatabaseError as error:
            raise UsageError(f"cannot keep a study in {file}: {error.orig}; name a new file") from None

    def _tried(self) -> list[Tried]:
        finished = self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.COMPLETE,))
        return [
            Tried(with_values(self._config, trial.params), trial.value, trial.duration.total_seconds())
            for trial in finished
        ]

    def _suggested(self, trial: Any) -> dict[str, Any]:
        chosen = {name: trial.suggest_categorical(name, list(values)) for name, values in self._grid.items()}
        return chosen | {name: _suggest(trial, name, *ends) for name, ends in self._ends.items()}


def _suggest(trial: Any, name: str, low: float, high: float) -> Any:
    suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
    return suggest(name, low, high, log=True)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UsageError("trials need Optuna; install it with `pip install matinee[tune]`, or give a grid") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
