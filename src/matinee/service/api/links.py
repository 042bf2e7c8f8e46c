"""A private link by which one's own ratings open on another device, until it is revoked."""

from __future__ import annotations

from flask import request
from pydantic import Field

from matinee.live.identities import close_link, open_link
from matinee.service.api.routing import Fields, route
from matinee.service.api.schemas import Answered
from matinee.service.serving import live

PAGE = "link/{token}"  # of the page, where the link leads


class Link(Answered):
    user: str
    link: str | None = Field(
        description="returned only once; every browser that opens it becomes this user; null after the link was revoked"
    )


@route("POST", "/users/{user}/link", scope="write", summary="Make a private link", answer=Link)
def make_link(user: str) -> Fields:
    """Everyone with the link can read and change this user's ratings; the former link becomes invalid."""
    return {"user": user, "link": request.root_url + PAGE.format(token=open_link(live(), user))}


@route("DELETE", "/users/{user}/link", scope="write", summary="Revoke the private link", answer=Link)
def revoke_link(user: str) -> Fields:
    """Devices that opened it stay signed in; where there is no link it stays so."""
    close_link(live(), user)
    return {"user": user, "link": None}
