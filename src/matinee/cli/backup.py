"""backup, restore, live migrate: live ratings and the served snapshot in a folder, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matinee.cli import options
from matinee.cli.options import AsJson, LiveOption, StoreOption
from matinee.cli.program import Subgroup, command

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The backup.")]

databases = typer.Typer(cls=Subgroup)


def add_to(app: typer.Typer) -> None:
    command(app, "matinee backup /backup/2026-11-23")(backup)
    command(app, "matinee restore /backup/2026-11-23 --store elsewhere")(restore)
    app.add_typer(databases, name="live")
    command(databases, "matinee live migrate --store matinee-store", "migrate")(migrate)


@databases.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """Maintain the database of live ratings."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def backup(
    folder: Folder, store: StoreOption = options.DEFAULT_STORE, live: LiveOption = None, as_json: AsJson = False
) -> None:
    """Write the served snapshot and all live ratings into a new folder, while the service runs.

    It holds API keys (hashed) and the secrets of visitors' cookies too: keep it as safe as the store.
    """
    from matinee import backup as copies
    from matinee.cli import output
    from matinee.snapshot import Store

    with options.live_ratings(store, live) as opened:
        made = copies.backup(Store(store), opened, folder)
    if as_json:
        return output.document({"folder": str(folder), "snapshot": made.snapshot, "rows": made.rows})
    return output.line(f"snapshot {made.snapshot} and {sum(made.rows.values()):,} rows of live data are in {folder}")


def restore(
    folder: Folder, store: StoreOption = options.DEFAULT_STORE, live: LiveOption = None, as_json: AsJson = False
) -> None:
    """Restore a backup into a new store and an empty database; a service on them answers like the old one.

    People who were forgotten after the backup was made are in it again: forget them once more.
    """
    from matinee import backup as copies
    from matinee.cli import output
    from matinee.snapshot import Store

    copies.read(folder)
    store.mkdir(parents=True, exist_ok=True)
    with options.live_ratings(store, live) as opened:
        found = copies.restore(folder, Store(store), opened)
    if as_json:
        return output.document({"store": str(store), "snapshot": found.snapshot, "rows": found.rows})
    return output.line(f"snapshot {found.snapshot} and {sum(found.rows.values()):,} rows of live data are in {store}")


def migrate(store: StoreOption = options.DEFAULT_STORE, live: LiveOption = None, as_json: AsJson = False) -> None:
    """Update the database of an older Matinee, all or nothing; stop its servers and make a backup first."""
    from matinee.cli import output
    from matinee.live import FILE_NAME
    from matinee.live import migrate as migrated

    before, after = migrated(live if live is not None else store / FILE_NAME)
    if as_json:
        return output.document({"before": before, "after": after})
    return output.line(f"schema {after}, {'unchanged' if before == after else f'was {before}'}")
