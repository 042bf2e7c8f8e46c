"""What operators ask of a running service: a refit, and to serve another snapshot."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from flask import current_app
from pydantic import BaseModel, Field

from matinee import refit
from matinee.errors import BusyError, MissingError, StoreError
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import Answered
from matinee.service.problems import ConflictError
from matinee.service.serving import live, serving_of
from matinee.snapshot import Store


class RefitVerdict(BaseModel):
    """How a refit's candidate did beside the snapshot that was served."""

    before: float = Field(description="RMSE of what was served")
    after: float = Field(description="RMSE of the candidate, on the same ratings")
    low: float = Field(description="of the 95 % interval of the difference")
    high: float
    ratings: int = Field(description="how many were asked about, none of which either side had seen")
    people: int


class Refit(BaseModel):
    """How the last refit went, or goes."""

    state: Literal["asked", "starting", "running", "published", "unchanged", "refused", "failed"]
    why: str = Field(description="one line, for a person")
    asked: str | None = Field(None, description="when; ISO 8601, UTC")
    began: str | None = None
    ended: str | None = None
    parent: str | None = Field(None, description="id of the snapshot that it began from")
    snapshot: str | None = Field(None, description="id of the snapshot that was served when it ended")
    verdict: RefitVerdict | None = Field(None, description="null where nothing could be compared")
    left_out: int | None = Field(None, description="live ratings of unknown movies or off the scale")
    removed: list[str] | None = Field(None, description="ids of the snapshots that it deleted")
    seconds: float | None = None


class RequestedRefit(Answered):
    """A refit that starts soon."""

    refit: Refit


class ActivatedSnapshot(Answered):
    """The snapshot that is served from now on, in every worker within seconds."""

    activated: str


@route(
    "POST",
    "/admin/refit",
    scope="admin",
    summary="Request a refit",
    answer=RequestedRefit,
    problems=(HTTPStatus.CONFLICT,),
    status=HTTPStatus.ACCEPTED,
)
def request_refit() -> Fields:
    """It starts within seconds where `matinee serve` runs; how it goes is in the status."""
    try:
        return {"refit": shown(refit.ask(live()))}
    except BusyError as error:
        raise ConflictError(str(error)) from None


@route(
    "POST",
    "/admin/snapshots/{snapshot}/activate",
    scope="admin",
    summary="Activate a snapshot",
    answer=ActivatedSnapshot,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def activate_snapshot(snapshot: str) -> Fields:
    """Refused where it is damaged, or holds ratings of people who were forgotten since."""
    store = _store()
    if snapshot not in store.ids():
        raise MissingError(f"there is no snapshot {snapshot!r}; there are {', '.join(store.ids())}")
    try:
        return {"activated": refit.activate(store, live(), snapshot).id}
    except StoreError as error:
        raise ConflictError(str(error)) from None


def shown(state: refit.State) -> dict[str, Any]:
    """Return a state as it is answered."""
    return {name: state[name] for name in Refit.model_fields if name in state}


def _store() -> Store:
    found = serving_of(current_app).store
    if found is None:
        raise ConflictError("this service knows no store to activate a snapshot in; start it with `matinee serve`")
    return found
