"""key create, list, revoke, rotate-secrets: API keys, and the secrets that sign visitors' cookies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli import options
from matinee.cli.options import AsJson, LiveOption, StoreOption
from matinee.cli.program import Subgroup, command

if TYPE_CHECKING:
    from matinee.live.identities import Key

Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="read|write|admin", help="What its program may do; repeat for more."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A key, as `matinee key list` names it.")]

keys = typer.Typer(cls=Subgroup)


def add_to(app: typer.Typer) -> None:
    app.add_typer(keys, name="key")
    command(keys, "matinee key create --scope read --scope write --note 'the kiosk'", "create")(create)
    command(keys, "matinee key list", "list")(list_all)
    command(keys, "matinee key revoke 3f2a19c4", "revoke")(revoke)
    command(keys, "matinee key rotate-secrets", "rotate-secrets")(rotate_secrets)


@keys.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """Make and revoke the API keys of programs, and rotate the secrets of visitors' cookies."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def create(
    scope: Scopes = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="The purpose of the key.")] = "",
    store: StoreOption = options.DEFAULT_STORE,
    live: LiveOption = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it, only this once: the store has only its hash.

    Programs send it as `Authorization: Bearer mk_...`. With the first key, a service stops answering
    clients without one, except visitors of its page; running services follow within seconds.
    """
    from matinee.cli import output
    from matinee.live.identities import create_key

    with options.live_ratings(store, live) as opened:
        secret, key = create_key(opened, scope or (), note)
    if as_json:
        return output.document({"key": secret, **_described(key)})
    output.line(secret)
    may = " and ".join(_described(key)["scopes"])
    return output.remark(f"This is key {key.name}, which may {may}; it is printed only this once")


def list_all(store: StoreOption = options.DEFAULT_STORE, live: LiveOption = None, as_json: AsJson = False) -> None:
    """List the API keys, the oldest first: their names and scopes, not the keys themselves."""
    from matinee.cli import output
    from matinee.live.identities import keys
    from matinee.table import Table

    with options.live_ratings(store, live) as opened:
        found = [_described(key) for key in keys(opened)]
    if as_json:
        return output.document({"rows": found})
    columns: dict[str, list[Any]] = {name: [row[name] for row in found] for name in _COLUMNS}
    columns["scopes"] = [" ".join(scopes) for scopes in columns["scopes"]]
    return output.result(
        Table.of(columns, "" if found else "no API keys; the service answers only programs of this machine"), False
    )


def revoke(
    name: Name, store: StoreOption = options.DEFAULT_STORE, live: LiveOption = None, as_json: AsJson = False
) -> None:
    """Revoke an API key; running services refuse it within seconds."""
    from matinee.cli import output
    from matinee.live.identities import revoke_key

    with options.live_ratings(store, live) as opened:
        revoke_key(opened, name)
    if as_json:
        return output.document({"name": name, "revoked": True})
    return output.line(f"Revoked key {name}")


def rotate_secrets(
    keep: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, envvar="MATINEE_KEEP_SECRETS", help="Secrets accepted then; 1 signs all visitors out."
        ),
    ] = 2,
    store: StoreOption = options.DEFAULT_STORE,
    live: LiveOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a new secret, which signs visitors' cookies from now on; cookies of the former secret stay valid."""
    from matinee.cli import output
    from matinee.live.identities import rotate_secrets

    with options.live_ratings(store, live) as opened:
        accepted = rotate_secrets(opened, keep)
    if as_json:
        return output.document({"accepted": accepted})
    still = "all visitors are signed out" if accepted == 1 else f"cookies of the {accepted - 1} before stay valid"
    return output.line(f"a new secret signs cookies within seconds; {still}")


_COLUMNS = ("name", "scopes", "note", "created")


def _described(key: Key) -> dict[str, Any]:
    """Return a key's row of the list, its scopes in ascending order."""
    from matinee.live.identities import SCOPES

    scopes = [scope for scope in SCOPES if scope in key.scopes]
    return {"name": key.name, "scopes": scopes, "note": key.note, "created": key.at.isoformat()}
