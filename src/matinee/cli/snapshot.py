"""snapshot list, show, verify, activate, remove, prune, pull: the snapshots of a store, and the one that is served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from matinee.cli import options
from matinee.cli.options import AsJson, Keep, LiveOption, StoreOption
from matinee.cli.program import Subgroup, command
from matinee.errors import StoreError

if TYPE_CHECKING:
    from matinee.snapshot import Snapshot
    from matinee.snapshot.manifest import Manifest

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A snapshot, as `matinee snapshot list` names it.")]
OptionalId = Annotated[str | None, typer.Argument(metavar="ID", help="A snapshot; by default the served one.")]

snapshots = typer.Typer(cls=Subgroup)


def add_to(app: typer.Typer) -> None:
    app.add_typer(snapshots, name="snapshot")
    command(snapshots, "matinee snapshot list --store matinee-store", "list")(list_all)
    command(snapshots, "matinee snapshot show", "show")(show)
    command(snapshots, "matinee snapshot verify", "verify")(verify)
    command(snapshots, "matinee snapshot activate 20261123-104437-3f2a1", "activate")(activate)
    command(snapshots, "matinee snapshot remove 20261123-104437-3f2a1", "remove")(remove)
    command(snapshots, "matinee snapshot prune --keep 3", "prune")(prune)
    command(snapshots, "matinee snapshot pull /mnt/training/matinee-store", "pull")(pull)


@snapshots.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """List the snapshots of a store, check them, choose the one to serve, and delete others."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def list_all(store: StoreOption = options.DEFAULT_STORE, as_json: AsJson = False) -> None:
    """List the snapshots of a store, the newest first, and name those that are damaged."""
    from matinee.cli import output
    from matinee.snapshot import Store
    from matinee.table import Table

    found = Store(store)
    rows, damaged = [], []
    for snapshot in found.ids():
        try:
            rows.append(_row(found.manifest(snapshot), found.current_id()))
        except StoreError as problem:
            damaged.append(str(problem))
    columns = {name: [row[name] for row in rows] for name in _COLUMNS}
    note = "\n".join(damaged) or ("" if rows else f"no snapshots in {store}")
    output.result(Table.of(columns, note), as_json)


MEASURED = ("model", "rmse", "rmse_low", "rmse_high", "mae", "cold", "covered", "ndcg@20", "liked_ndcg@20")
_COLUMNS = ("snapshot", "served", "created", "data", "ratings", "rater", "ranker", "MB")


def _row(manifest: Manifest, current: str | None) -> dict[str, Any]:
    return {
        "snapshot": manifest.id,
        "served": "yes" if manifest.id == current else "",
        "created": manifest.created[:19].replace("T", " "),
        "data": manifest.data["name"],
        "ratings": manifest.data["ratings"],
        **{role: model["config"]["model"] if model else "" for role, model in manifest.models.items()},
        "MB": sum(entry.size for entry in manifest.files.values()) / 1e6,
    }


def show(snapshot: OptionalId = None, store: StoreOption = options.DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Show a snapshot's data, models and measured quality."""
    from matinee.cli import output
    from matinee.snapshot import Store

    manifest = Store(store).manifest(snapshot)
    known = described(manifest)
    return output.document(known) if as_json else output.facts(output.flat(known))


def described(manifest: Manifest) -> dict[str, Any]:
    """Return the facts of a snapshot for people."""
    models = {role: model["config"] if model else None for role, model in manifest.models.items()}
    made = {"snapshot": manifest.id, "created": manifest.created, "version": manifest.version}
    return {**made, "data": manifest.data, **models, "metrics": manifest.metrics}


def published(snapshot: Snapshot, as_json: bool) -> None:
    """Print the measured quality of a new snapshot, and its id."""
    from matinee.cli import output

    manifest = snapshot.manifest
    if as_json:
        return output.document(described(manifest))
    measured = manifest.metrics.get("models", [])
    if measured:
        known = [name for name in MEASURED if any(row.get(name) is not None for row in measured)]
        output.grid(known, ([row.get(name) for name in known] for row in measured))
        output.line(manifest.metrics["protocol"])
    for row in measured:
        if row["model"] == manifest.models["rater"]["config"]["model"]:
            output.line(f"Test RMSE {row['rmse']:.4f} ({row['model']}, {row['cold']:,} cold pairs left out)")
    return output.line(f"Published snapshot {manifest.id} in {snapshot.path.parent.parent}, trained on all ratings")


def verify(snapshot: OptionalId = None, store: StoreOption = options.DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Check every byte of a snapshot against the checksums written with it."""
    from matinee.cli import output
    from matinee.snapshot import Store

    manifest = Store(store).verify(snapshot)
    if as_json:
        return output.document({"snapshot": manifest.id, "files": len(manifest.files), "intact": True})
    return output.line(f"snapshot {manifest.id} is intact: all {len(manifest.files)} files match their checksums")


def activate(
    snapshot: IdArgument,
    store: StoreOption = options.DEFAULT_STORE,
    live: LiveOption = None,
    as_json: AsJson = False,
) -> None:
    """Activate a snapshot; running servers follow within seconds.

    Refuses a snapshot with ratings of users who were forgotten later.
    """
    from matinee import refit
    from matinee.cli import output
    from matinee.snapshot import Store

    with options.live_ratings(store, live) as opened:
        manifest = refit.activate(Store(store), opened, snapshot)
    if as_json:
        return output.document({"snapshot": manifest.id, "served": True})
    return output.line(f"snapshot {manifest.id} is active")


def remove(snapshot: IdArgument, store: StoreOption = options.DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Delete a snapshot, unless it is the served one."""
    from matinee.snapshot import Store

    Store(store).remove(snapshot)
    _deleted([snapshot], as_json)


def prune(keep: Keep = 3, store: StoreOption = options.DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Delete all snapshots except the newest few and the served one."""
    from matinee.snapshot import Store

    _deleted(Store(store).prune(keep), as_json)


def pull(
    source: Annotated[
        Path, typer.Argument(metavar="STORE", help="The other store: mounted, or copied to this machine.")
    ],
    keep: Keep = 3,
    store: StoreOption = options.DEFAULT_STORE,
    live: LiveOption = None,
    as_json: AsJson = False,
) -> None:
    """Copy another store's served snapshot, check every byte, and activate it; running servers follow within seconds.

    For machines that answer but do not train. Does nothing if it is active already. Refuses a snapshot with ratings of
    users who were forgotten later.
    """
    from matinee import refit
    from matinee.cli import output
    from matinee.snapshot import Store

    here, there = Store(store), Store(source)
    manifest = there.manifest()
    before = here.current_id()
    if fresh := manifest.id != before:
        here.take(there.snapshots / manifest.id)
        with options.live_ratings(store, live) as opened:
            refit.activate(here, opened, manifest.id)
        here.prune(keep, before)
    if as_json:
        return output.document({"snapshot": manifest.id, "fresh": fresh, "before": before})
    older = f", older than {before}, the one before" if before is not None and manifest.id < before else ""
    return output.line(f"snapshot {manifest.id} is {'active' if fresh else 'active already'}{older}")


def _deleted(snapshots: Sequence[str], as_json: bool) -> None:
    from matinee.cli import output

    if as_json:
        return output.document({"deleted": snapshots})
    return output.line(f"Deleted {', '.join(snapshots)}" if snapshots else "Nothing to delete")
