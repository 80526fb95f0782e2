"""How a model was made: settings, versions, digests and commands, as a model card has them."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..cache.file import Cache
from ..errors import printable
from ..model.model import Model
from ..network.fingerprint import Fingerprint
from ..network.networks import DEFAULT

__all__ = ["made_part"]

_TERMS = {
    "seed": "Seed of the copies",
    "decoding": "Version of the decoding rules",
    "bits": "Bits of grey 16-bit images",
    "mirror": "Mirrored images too",
    "size": "Pixels a side",
    "layers": "Layers that are pooled",
    "weights": "SHA-256 of the weights",
    "dtype": "Type of the features",
}


def made_part(
    model: Model, cache: Cache, path: str, given: Sequence[str], out: Path
) -> dict[str, Any]:
    """Return the last section of the report.

    Parameters
    ----------
    model : Model
    cache : Cache
        That it was fitted on.
    path : str
        Where the model is; "" where that is not known.
    given : sequence of str
        The caches as they were given.
    out : Path
        The page.
    """
    each, providers = model.fingerprint.each, model.provider.split(" + ")
    chosen = {key: value for key, value in model.settings.items() if key not in ("view", "seed")}
    terms = [
        ("Head", f"{model.head_name} on {model.view.name}"),
        ("Settings", ", ".join(f"{key} {value}" for key, value in chosen.items()) or "none"),
        ("Seed", str(model.settings.get("seed", ""))),
        ("Trained on", f"{len(model.training['labels'])} images, {_rows(model)}"),
        ("Images", str(cache.catalog.root)),
        *(("Cache", str(one)) for one in cache.paths),
        *(
            term
            for made, provider in zip(each, providers, strict=True)
            for term in _network_terms(made, provider)
        ),
        ("Model", path or "not saved"),
        ("SHA-256 of the model", model.digest or "not saved"),
        *((name, version) for name, version in model.versions.items()),
    ]
    return {
        "id": "made",
        "title": "How was it made?",
        "terms": [(term, printable(words)) for term, words in terms],
        "commands": _commands(model, cache, path or "model.featx", given, out),
        "limits": [
            "The commands show the way, not all of it: a manifest, columns, weights of one's own, "
            "class weights, classes that were left out and single settings are not in them.",
            "The scores hold for images like these: of these classes, taken with the same cameras "
            "at such places. The column novelty of featx score is near 1 for an image that is "
            "unlike all training images, and then no confidence means anything.",
            "featx computes features with a network that was trained on ImageNet, whose "
            "photographs are mostly of things, animals and places in daylight. Whether the model "
            "may decide about people is a question that no score on this page answers.",
        ],
    }


def _network_terms(made: Fingerprint, provider: str) -> list[tuple[str, str]]:
    """Return what is known of the features of one network."""
    known = made.as_dict()
    for name in ("also", "network", *(() if made.trunk.features else ("features",))):
        known.pop(name)
    return [
        ("Network", f"{made.trunk.row.title}, weights by {provider}"),
        *((_term(key), _words(value)) for key, value in known.items()),
    ]


def _rows(model: Model) -> str:
    return f"{model.report['train']['rows']} rows with their copies"


def _commands(model: Model, cache: Cache, path: str, given: Sequence[str], out: Path) -> list[str]:
    """Return the commands as far as they can be told from the model and the cache."""
    lines = []
    for made, kept in zip(model.fingerprint.each, cache.paths, strict=True):
        trunk = made.trunk
        extract = ["featx", "extract", str(cache.catalog.root), "-o", str(kept)]
        if trunk.network != DEFAULT:
            extract += ["--network", trunk.network]
        extract += ["--cut", trunk.cut, "--size", str(trunk.size), "--resize", trunk.resize]
        extract += ["--precision", made.precision]
        if made.copies:
            extract += ["--copies", str(made.copies)]
        lines.append(extract)
    fitted = "head.featx" if model.tail else path
    fit = ["featx", "fit", *map(str, cache.paths), "-o", fitted, "--head", model.head_name]
    fit += ["--view", model.view.name, "--seed", str(model.settings.get("seed", 0))]
    lines.append(fit)
    if model.tail:
        lines.append(["featx", "finetune", fitted, "-o", path])
    caches = [word for one in given for word in ("--cache", one)]
    lines.append(["featx", "report", path, "-o", str(out), *caches])
    return [printable(shlex.join(line)) for line in lines]


def _term(key: str) -> str:
    """Return what a key of a fingerprint is called."""
    return _TERMS.get(key, key.replace("_", " ").capitalize())


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
