"""`featx info`: a cache or a model, described in groups."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import printable
from ..heads.settings import as_names
from ..showing.words import shortened
from .exits import exit_on_error
from .options import Json, Quiet
from .terminal import print_next, quoted, say, say_wrapped, write_json

__all__ = ["info"]

_MOST_CLASSES = 12

Lines = dict[str, object]


def info(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A cache or a model.", show_default=False)
    ],
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Describe a cache or a model: its images, how it was made, and its test results."""
    with exit_on_error(json, quiet=quiet):
        from ..cache.file import Cache
        from ..model.file import load
        from ..storage.kinds import is_model

        if model := is_model(file):
            described = load(file).as_dict()
        else:
            with Cache.open(file) as cache:
                described = cache.as_dict()
        if json:
            write_json({"file": str(file), **described}, "info")
            return
        print_described(file, described)
        name = quoted(file)
        after = f"featx score {name} FOLDER -o scores.csv" if model else f"featx fit {name}"
        if described.get("images") == 0:
            after = f"featx extract FOLDER -o {name}"
        print_next(after, quiet=quiet)


def print_described(file: Path, described: Mapping[str, Any]) -> None:
    """Write what is known of a file, in groups; --json has every detail."""
    say(printable(file))
    groups = _model_groups(described) if "head" in described else _cache_groups(described)
    files = file.rglob("*") if file.is_dir() else [file]
    groups["What it is"]["size"] = _human(sum(one.stat().st_size for one in files))
    for title, lines in groups.items():
        shown = {name: text for name, text in lines.items() if text not in (None, "", "none")}
        if shown:
            say()
            say(title)
        for name, text in shown.items():
            say_wrapped(f"  {name:<20}{text}", " " * 22)
    say()
    say("Every detail: --json")


def _cache_groups(cache: Mapping[str, Any]) -> dict[str, Lines]:
    """Return the groups of a cache: title → name → text."""
    shape = "×".join(map(str, cache["shape"][1:]))
    bits = int("".join(filter(str.isdigit, cache["dtype"])))
    size = bits // 8
    for side in cache["shape"]:
        size *= side
    return {
        "What it is": {"kind": f"features of images ({cache['format']}, version "
                               f"{cache['version']})"},
        "Data": {
            "images": f"{cache['images']:,}",
            "duplicates": f"{cache['duplicates']:,}",
            "hidden": f"{cache['removed']:,} of images that are not listed",
            "classes": _counted(cache["classes"]),
            "without a label": f"{cache['unlabelled']:,}",
            "splits": shortened(cache["splits"]),
            "skipped": f"{len(cache['skipped']):,}",
            "source": printable(cache["source"]),
        },
        "Features": {
            "of each image": f"{shape} ({cache['dtype']}); first the image and its copies",
            "uncompressed": _human(size),
            **_network(cache["fingerprint"]),
        },
        "How it was made": _made(cache["fingerprint"]),
    }  # fmt: skip


def _model_groups(model: Mapping[str, Any]) -> dict[str, Lines]:
    """Return the groups of a model: title → name → text."""
    train, test, tuning = (model.get(name) or {} for name in ("train", "test", "tuning"))
    threshold, board = model.get("threshold") or {}, model.get("leaderboard") or {}
    found: Lines = {}
    if test:
        right = sum(row[at] for at, row in enumerate(test["confusion"]))
        found = {
            "test": f"{right} of {test['images']} images are right (accuracy "
                    f"{test['accuracy']:.4f})",
            "log loss": f"{test['log_loss']:.4f} (0 is best)",
            "calibration error": f"{test['calibration_error']:.4f} (0 is best)",
        }  # fmt: skip
    if threshold:
        at = threshold["out_of_fold"]["confidence"]
        found["threshold"] = f"--abstain {at:.6g} for {threshold['target_precision']:g} precision"
    if board:
        found["compared"] = f"{len(board['entries'])} heads by {board['metric']}, {board['rule']}"
    if tuning:
        found["fine-tuning"] = tuning["reason"]
    settings = {name: value for name, value in model["settings"].items() if name != "view"}
    return {
        "What it is": {
            "kind": f"an image classifier ({model['format']}, version {model['version']})",
            "head": f"{model['head']} on {model['view']} features{_joint(model['fingerprint'])}",
        },
        "Data": {
            "trained on": f"{train['images']:,} images ({train['rows']:,} rows)" if train else "",
            "cache": ", ".join(map(printable, as_names(train.get("features", "")))),
            "classes": _named(model["classes"]),
        },
        "Features": {
            **_network(model["fingerprint"]),
            "fine-tuned up to": (model["tail"] or {}).get("until"),
        },
        "How it was made": {
            "settings": ", ".join(f"{name}={value}" for name, value in settings.items()),
            "weights from": model["weights"],
            **_made(model["fingerprint"]),
        },
        "Results": found,
        "Versions": {
            "featx": model["featx"],
            **{name: version for name, version in model["versions"].items() if name != "featx"},
        },
    }


def _joint(fingerprint: Mapping[str, Any]) -> str:
    count = 1 + len(fingerprint["also"])
    return f" of {count} networks side by side" if count > 1 else ""


def _network(fingerprint: Mapping[str, Any]) -> Lines:
    """Return what is known of the network, and of those beside it with their numbers."""
    found: Lines = {
        "network": fingerprint["network"],
        "layer": fingerprint["cut"],
        "input": f"{fingerprint['size']}×{fingerprint['size']} pixels, {fingerprint['resize']}",
        "preprocessing": fingerprint["preprocessing"],
        "weights": f"SHA-256 {fingerprint['weights'][:16]}…",
    }
    for number, one in enumerate(fingerprint["also"], start=2):
        found |= {f"{name} {number}": words for name, words in _network(one).items()}
    return found


def _made(fingerprint: Mapping[str, Any]) -> Lines:
    copies, ranges = fingerprint["copies"], fingerprint["ranges"]
    augmented = f"{copies} of each image, seed {fingerprint['seed']}" if copies else "none"
    return {
        "precision": _each(fingerprint, "precision"),
        "runtime": _each(fingerprint, "runtime"),
        "ranges": f"SHA-256 {ranges[:16]}…" if ranges != "none" else "",
        "kept": {"pooled": "mean and maximum of the features"}.get(fingerprint["keep"]),
        "augmented copies": augmented,
    }


def _each(fingerprint: Mapping[str, Any], name: str) -> str:
    """Return a value, or those of several networks in their order."""
    return ", ".join([fingerprint[name], *(one[name] for one in fingerprint["also"])])


def _counted(counts: Mapping[str, int]) -> str:
    return f"{len(counts)}: {shortened(counts)}" if counts else "none"


def _named(names: list[str]) -> str:
    shown = ", ".join(map(printable, names[:_MOST_CLASSES]))
    more = f", and {len(names) - _MOST_CLASSES} more" if len(names) > _MOST_CLASSES else ""
    return f"{len(names)}: {shown}{more}"


def _human(size: float) -> str:
    """Return bytes in the unit that a person reads."""
    if size < 1000:
        return f"{size:.0f} bytes"
    units = ["kB", "MB", "GB", "TB"]
    while size >= 1000 and units:
        size, unit = size / 1000, units.pop(0)
    return f"{size:.1f} {unit}"
