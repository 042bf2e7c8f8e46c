"""serve and demo: answer over HTTP."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from matinee.cli import options
from matinee.cli.options import AsJson, LiveOption, StoreOption
from matinee.cli.program import command
from matinee.errors import MatineeError

if TYPE_CHECKING:
    from matinee.dataset import Dataset
    from matinee.service.logs import Format

PATIENCE = 5.0  # seconds the demo waits for a download
RELEASE = "ml-latest-small"

Port = Annotated[int, typer.Option(metavar="N", min=0, max=65_535, help="Port to listen on; 0 takes any free one.")]


def add_to(app: typer.Typer) -> None:
    command(app, "matinee demo")(demo)
    command(app, "matinee serve --store matinee-store --port 8000 --refit-every 10m --refit-after 500")(serve)


def serve(
    context: typer.Context,
    store: StoreOption = options.DEFAULT_STORE,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="0.0.0.0 listens on all.")] = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes that answer.")] = 1,
    live: LiveOption = None,
    tutorial_scale: Annotated[
        str | None, typer.Option(metavar="LOW:HIGH", help="Scale of the stars on the tutorial's URLs, such as 1:10.")
    ] = None,
    log: Annotated[
        str, typer.Option(metavar="text|json", help="Log warnings for people, or everything for machines.")
    ] = "text",
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Give every client full access.")] = False,
    behind_proxy: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Proxies in front whose forwarded client, host and scheme are trusted."),
    ] = 0,
    allowed_hosts: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Host names to answer for, besides localhost.")
    ] = None,
    rate_limit: Annotated[
        float, typer.Option(metavar="X", help="Requests per second of one client, in each worker.")
    ] = 100,
    refit_every: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Refit at this interval, if there are new ratings: 90s, 10m, 6h or 1d."),
    ] = None,
    refit_after: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Refit sooner, after this many ratings.")
    ] = None,
    refits: Annotated[
        bool, typer.Option("--refits/--no-refits", help="Refit here when asked to, or leave it to another machine.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Serve the current snapshot over HTTP, until Ctrl-C.

    Without an API key the service answers only programs of this machine; listening on another address than a local
    one, or behind a proxy, needs a key (`matinee key create`) or --no-auth.

    A refit is a program of its own, `matinee refit` at low priority, which takes its options from MATINEE_*
    variables and matinee.toml.
    """
    from matinee import service

    options.one_of("--log", log, ("text", "json"))
    announce = _announcing(as_json)
    if settings := context.find_root().params.get("settings_file"):
        os.environ["MATINEE_SETTINGS"] = str(settings.absolute())  # for the refits that are started
    names = tuple(allowed_hosts.split(",")) if allowed_hosts else ()
    policy = service.Policy(no_auth, behind_proxy, names, rate_limit)
    service.serve(
        store,
        host,
        port,
        workers,
        live,
        tutorial_scale,
        announce=announce,
        log=cast("Format", log),
        policy=policy,
        refit_every=options.seconds("--refit-every", refit_every),
        refit_after=refit_after,
        refits=refits,
    )


def demo(
    store: StoreOption = options.DEFAULT_STORE,
    port: Port = 8000,
    as_json: AsJson = False,
) -> None:
    """Get data, train models and serve the page: the shortest way to try Matinee.

    Uses ml-latest-small from this folder, from the folder that MATINEE_DATA names, or from GroupLens if the download
    takes only seconds, and otherwise the embedded sample with simulated ratings. Serves an existing snapshot of the
    store unchanged. If the port is busy, uses the next one.
    """
    from matinee import service, system
    from matinee.cli import output
    from matinee.snapshot import Store

    system.check_can_serve()
    tell = output.remark if as_json else output.line
    if Store(store).current_id():
        name = Store(store).manifest().data["name"]
        tell(f"Serving the snapshot of {name} in {store}; remove that folder to start again")
    else:
        _train(demo_data(tell), store)
    service.serve(store, port=port, next_free_port=True, announce=_announcing(as_json))


def _announcing(as_json: bool) -> Callable[[str], None] | None:
    """Return the callback that prints the address as JSON, None without --json."""
    from matinee.cli import output

    return (lambda url: output.document({"url": url})) if as_json else None


def demo_data(tell: Callable[[str], None]) -> Dataset:
    """Return the data set of the demo, and print which one it is."""
    from matinee import datasets

    folder = _release_here() or _release_fetched()
    if folder is None:
        tell("Using the embedded sample: real films, simulated ratings")
        return datasets.load("sample")
    tell(f"Using {folder}: real ratings from MovieLens, for research, not for commerce")
    return datasets.load(folder)


def _release_here() -> Path | None:
    from matinee.datasets.movielens import is_release

    places = [Path(RELEASE), Path(os.environ.get("MATINEE_DATA") or ".", RELEASE)]
    return next((place for place in places if place.is_dir() and is_release(place)), None)


def _release_fetched() -> Path | None:
    """Fetch the release, None where that fails or takes too long: name look-ups know no time-out of their own."""
    from matinee.datasets.fetch import fetch

    found: list[Path] = []

    def bring() -> None:
        try:
            found.append(fetch(RELEASE, timeout=PATIENCE).folder)
        except MatineeError:
            return

    bringing = threading.Thread(target=bring, daemon=True)
    bringing.start()
    bringing.join(PATIENCE)
    return found[0] if found else None


def _train(dataset: Dataset, store: Path) -> None:
    from matinee import training
    from matinee.cli import output

    with output.iterations("training") as progress:
        training.train(dataset, store, progress=progress)
