"""`featx join`: the parts of all shares → a cache."""

from pathlib import Path
from typing import Annotated

import typer

from .exits import exit_on_error
from .extract import print_extracted
from .meter import Meter
from .options import Json, Quiet, Verbose
from .terminal import print_next, quoted, write_json

__all__ = ["join"]


def join(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="The cache, as it was given to each `featx extract --share`.",
            show_default=False,
        ),
    ],
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Make the cache whose shares have been computed.

    Each part is checked. When shares have not ended, the message says which to run again; what they
    have finished is kept. The result is that of a single `featx extract`, and so is the exit code.
    """
    with exit_on_error(json, quiet=quiet, verbose=verbose, resume="Finished parts are kept."):
        from ..cache.join import join as run

        with Meter("Joining", "parts", quiet=quiet) as progress:
            done = run(out, progress=progress)
        if json:
            write_json(done.as_dict(), "join")
        else:
            print_extracted(done, here=False)
            print_next(f"featx fit {quoted(done.out)}", quiet=quiet)
        if done.skipped or done.removed:
            raise typer.Exit(3)
