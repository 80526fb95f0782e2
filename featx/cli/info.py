"""The command info."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import printable
from .exits import exit_on_error
from .options import HelpPage, Json, examples
from .terminal import human_bytes, say, write_json

__all__ = ["app"]

app = typer.Typer()

_MOST_NAMES = 12


@app.command(cls=HelpPage, epilog=examples("info features.h5", "info model.featx --json"))
def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A cache or a model.")],
    json: Json = False,
) -> None:
    """Show what a cache or a model is, and what is in it."""
    with exit_on_error(json):
        from ..cache.file import Cache
        from ..model.file import is_model, load
        from ..storage.files import file_size

        if is_model(file):
            described = load(file).as_dict()
            groups = _model_groups(described)
        else:
            with Cache.open(file) as cache:
                described = cache.as_dict()
            groups = _cache_groups(described)
        if json:
            write_json({"file": str(file), **described})
            return
        kind = "model" if "head" in described else "cache of features"
        say(f"{printable(file)}: a featx {kind}, {human_bytes(file_size(file))}")
        for title, lines in groups.items():
            say()
            say(title)
            for name, value in lines.items():
                if value not in (None, ""):
                    say(f"  {name:<18}{value}")
        say()
        say("All details: add --json")


def _cache_groups(described: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "Images": {
            "cached": f"{described['images']:,}",
            "duplicates": described["duplicates"] or None,
            "skipped": len(described["skipped"]) or None,
            "without a label": described["unlabelled"] or None,
            "classes": _counts(described["classes"]),
            "splits": _counts(described["splits"]),
            "folder": printable(described["source"]),
        },
        "Features": _features(described["fingerprint"])
        | {"shape": "×".join(map(str, described["shape"])), "data type": described["dtype"]},
    }


def _features(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    copies = fingerprint["copies"]
    return {
        "layer (cut)": fingerprint["cut"],
        "image size": f"{fingerprint['size']} pixels, {fingerprint['resize']}",
        "copies": f"{copies} by {fingerprint['augment']}, seed {fingerprint['seed']}"
        if copies
        else None,
        "computed in": f"{fingerprint['precision']} by {fingerprint['runtime']}",
        "weights": f"SHA-256 {fingerprint['weights'][:16]}…, {fingerprint['preprocessing']}",
    }


def _model_groups(described: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    test, board, tail = described["test"], described["leaderboard"], described["tail"]
    known = ("pool", "seed", "tuned_from")
    parameters = [f"{k}={v}" for k, v in described["settings"].items() if k not in known]
    threshold = described["threshold"]
    return {
        "Classifier": {
            "head": f"{described['head']} on {described['pool']} features",
            "parameters": ", ".join(parameters),
            "fine-tuned": f"layers up to {tail['until']}" if tail else None,
            "classes": _names(described["classes"]),
        },
        "Test": {
            "accuracy": f"{test['accuracy']:.4f} on {test['images']} images",
            "log loss": f"{test['log_loss']:.4f}",
            "abstain below": f"{threshold['out_of_fold']['confidence']:.4f}" if threshold else None,
        },
        "Training": {
            "images": f"{described['train']['images']} ({described['train']['rows']} rows)",
            "cache": printable(described["train"]["features"]),
            "compared": f"{len(board['entries'])} heads" if board else None,
        },
        "Features": _features(described["fingerprint"]) | {"provider": described["weights"]},
        "Versions": {"featx": described["featx"], **described["versions"]},
    }


def _counts(counts: Mapping[str, int]) -> str:
    return _names([f"{name} {count}" for name, count in counts.items()])


def _names(names: list[str]) -> str:
    shown = ", ".join(map(printable, names[:_MOST_NAMES]))
    return f"{shown} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else shown
