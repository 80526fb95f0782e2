"""(m) What an audit finds of what was planted: wrong labels, doubles, rubbish; and how fast it is.

Labels are flipped in a view of a cache. Doubles (half the size, JPEG of quality 40, mirrored) and
rubbish are written beside copies of the photographs and extracted; the rest comes from the cache.

    python benchmarks/bench_audit.py labels FLOWERS --cache flowers.h5 [--shares 2,5,10] [--seeds 5]
    python benchmarks/bench_audit.py doubles FLOWERS --cache flowers.h5 [--planted 100]
    python benchmarks/bench_audit.py rubbish FLOWERS --cache flowers.h5 [--planted 100]
    python benchmarks/bench_audit.py rows [--rows 100000]

With cleanlab installed, its own issues and ranking are measured on the same probabilities.
"""

import copy
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_score_cache
import measure
import numpy as np
from PIL import Image, ImageFilter, ImageOps

import featx
from featx.auditing import audit as auditing
from featx.auditing.neighbours import nearest
from featx.dataset.catalog import NO_LABEL

_FIRST = 0.08  # of the ranking: what a person looks through


def flipped(cache: featx.Cache, share: float, seed: int) -> tuple[featx.Cache, np.ndarray]:
    """Return a view of a cache with a share of wrong labels, and which images have them."""
    random = np.random.default_rng(seed)
    classes = len(cache.catalog.classes)
    chosen = random.choice(len(cache), round(share * len(cache)), replace=False)
    view = copy.copy(cache)
    vars(view).pop("_images", None)
    view.labels = cache.labels.copy()
    view.labels[chosen] += random.integers(1, classes, len(chosen)).astype(np.int32)
    view.labels[chosen] %= classes
    return view, chosen


def labels(options: Any) -> list[dict[str, Any]]:
    """Flip labels; return how many of the flips are found, by featx and by cleanlab."""
    rows = []
    with featx.Cache.open(options.cache) as cache:
        for share in map(float, options.shares.split(",")):
            found: dict[str, list[list[float]]] = {}
            for seed in range(options.seeds):
                view, chosen = flipped(cache, share / 100, seed)
                for tool, (quality, issues) in _judged(view, seed).items():
                    found.setdefault(tool, []).append(_measured(quality, issues, chosen))
                measure.note(f"{share} %, seed {seed}")
            for tool, values in found.items():
                names = (f"flips in the first {_FIRST:.0%}", "issues", "precision", "recall")
                mean = np.mean(values, axis=0).round(3).tolist()
                least = min(value[0] for value in values)
                row = {"flipped %": share, "by": tool, **dict(zip(names, mean, strict=True))}
                rows.append({**row, "fewest of the seeds": round(least, 3)})
    return rows


def _judged(view: featx.Cache, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the quality of each image, and which are issues, by each tool."""
    kept: list[Any] = []
    whole = auditing.out_of_fold

    def keeping(*arguments: Any) -> Any:
        kept.append(whole(*arguments))
        return kept[-1]

    auditing.out_of_fold = keeping
    try:
        found = featx.audit(view, pixels=False, seed=seed)
    finally:
        auditing.out_of_fold = whole
    suspects = {issue.path for issue in found.label_issues}
    judged = {"featx": (found.quality, np.array([path in suspects for path in found.paths]))}
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return judged
    y, p = view.labels.astype(int), kept[0].probabilities
    for name in ("self_confidence", "normalized_margin"):
        quality = get_label_quality_scores(y, p, method=name)
        judged[f"cleanlab, {name}"] = (quality, find_label_issues(y, p, n_jobs=1))
    return judged


def _measured(quality: np.ndarray, issues: np.ndarray, chosen: np.ndarray) -> list[float]:
    first = np.argsort(quality, kind="stable")[: round(_FIRST * len(quality))]
    right = issues[chosen].sum()
    share = np.isin(chosen, first).mean()
    return [share, issues.sum(), right / max(issues.sum(), 1), right / len(chosen)]


# Doubles and rubbish ------------------------------------------------------------------------

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def _halved(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def _same(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image


def _mirrored(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(image)


#: Name → the change, and the quality of the JPEG that is written.
DOUBLES: dict[str, tuple[Change, int]] = {
    "half the size": (_halved, 90),
    "JPEG of quality 40": (_same, 40),
    "mirrored": (_mirrored, 90),
    "half the size, quality 40, mirrored": (lambda i, r: _mirrored(_halved(i, r), r), 40),
}


def _plain(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return Image.new("RGB", image.size, tuple(random.integers(0, 256, 3).tolist()))


def _noise(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return Image.fromarray(random.integers(0, 256, (image.height, image.width, 3), np.uint8))


def _blurred(image: Image.Image, random: np.random.Generator) -> Image.Image:
    radius = random.uniform(8, 16) * max(image.size) / 500
    return image.filter(ImageFilter.GaussianBlur(radius))


def _dark(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.point(lambda value: value * 0.06)


def _tiny(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.contain(image, (40, 40))


RUBBISH: dict[str, tuple[Change, int]] = {
    "black": (lambda i, r: Image.new("RGB", i.size), 90),
    "white": (lambda i, r: Image.new("RGB", i.size, "white"), 90),
    "one colour": (_plain, 90),
    "noise": (_noise, 90),
    "dark": (_dark, 90),
    "blurred": (_blurred, 90),
    "40 pixels": (_tiny, 90),
}


def planted(
    options: Any, folder: Path, changes: dict[str, tuple[Change, int]]
) -> tuple[Path, dict[str, tuple[str, str]]]:
    """Write photographs and changed ones, and extract; return the cache, and path → what, source.

    Each change is made of `--planted` photographs, taken at random.
    """
    random = np.random.default_rng(options.seed)
    photos, cache = folder / "photos", folder / "features.h5"
    shutil.copytree(options.source, photos)
    if options.cache:
        shutil.copy(options.cache, cache)
    listed = featx.scan(photos)
    made = {}
    for what, (change, quality) in changes.items():
        for index in random.choice(len(listed), options.planted, replace=False).tolist():
            source = listed.file(index)
            name = f"planted-{len(made):05d}.jpg"
            with Image.open(source) as image:
                changed = change(ImageOps.exif_transpose(image).convert("RGB"), random)
            changed.save(source.with_name(name), quality=quality)
            path = str(source.with_name(name).relative_to(photos))
            made[path] = (what, str(listed.paths[index]))
    featx.extract(photos, cache)
    return cache, made


def doubles(options: Any) -> list[dict[str, Any]]:
    """Plant doubles; return how many pairs are found, and what else is reported."""
    with tempfile.TemporaryDirectory(dir=options.results) as name:
        cache, made = planted(options, Path(name), DOUBLES)
        found = featx.audit(cache, heads=("nearest-centroid",))
        before = featx.audit(options.cache, heads=("nearest-centroid",))
    pairs = [pair for group in found.duplicates for pair in group.pairs]
    known = {frozenset((pair.one, pair.two)) for g in before.duplicates for pair in g.pairs}
    sources = {path: source for path, (_, source) in made.items()}
    together = {path: at for at, group in enumerate(found.duplicates) for path in group.paths}
    rows = []
    for what in DOUBLES:
        some = [(path, source) for path, (kind, source) in made.items() if kind == what]
        hits = [a in together and together[a] == together.get(b) for a, b in some]
        rows.append({"planted": what, "number": len(some), "found": sum(hits)})

    def root(path: str) -> str:
        return sources.get(path, path)

    others = [p for p in pairs if root(p.one) != root(p.two)]
    fresh = [p for p in others if frozenset((root(p.one), root(p.two))) not in known]
    rows.append({"planted": "pairs in all", "number": len(pairs)})
    rows.append({"planted": "pairs of different photographs", "number": len(others)})
    rows.append({"planted": "of these, not between doubles before", "number": len(fresh)})
    for pair in fresh:
        print(pair, root(pair.one), root(pair.two), file=sys.stderr)
    return rows


def rubbish(options: Any) -> list[dict[str, Any]]:
    """Plant rubbish; return how much of it is found, and what else is called odd."""
    with tempfile.TemporaryDirectory(dir=options.results) as name:
        cache, made = planted(options, Path(name), RUBBISH)
        found = featx.audit(cache, heads=("nearest-centroid",))
    kinds: dict[str, set[str]] = {}
    for odd in found.odd:
        kinds.setdefault(odd.path, set()).add(odd.kind)
    rows = []
    for what in RUBBISH:
        paths = [path for path, (kind, _) in made.items() if kind == what]
        named = [kind for path in paths for kind in kinds.get(path, ())]
        as_what = ", ".join(f"{kind} {named.count(kind)}" for kind in sorted(set(named)))
        hits = sum(path in kinds for path in paths)
        rows.append({"planted": what, "number": len(paths), "found": hits, "as": as_what})
    alarms = {path: kind for path, kind in kinds.items() if path not in made}
    named = [kind for some in alarms.values() for kind in some]
    as_what = ", ".join(f"{kind} {named.count(kind)}" for kind in sorted(set(named)))
    originals = found.images - len(made)
    rows.append({"planted": "nothing", "number": originals, "found": len(alarms), "as": as_what})
    print(*sorted(alarms.items()), sep="\n", file=sys.stderr)
    return rows


# Many rows ----------------------------------------------------------------------------------


def rows(options: Any) -> list[dict[str, Any]]:
    """Time a synthetic cache: the neighbours alone, and the whole command without pixels."""
    table = []
    with tempfile.TemporaryDirectory(dir=options.results) as name:
        for count in map(int, options.rows.split(",")):
            cache = Path(name) / f"{count}.h5"
            bench_score_cache.make(cache, count, seed=2)
            with featx.Cache.open(cache) as opened:
                images = np.flatnonzero(opened.labels != NO_LABEL)
                X = opened.matrix("avg", images=images, copies=0).X
            with measure.PeakMemory() as memory:
                _, seconds = measure.timed(lambda X=X: nearest(X, 20))  # type: ignore[misc]
            row = {"rows": f"{count:,}", "neighbours s": round(seconds, 1)}
            row["neighbours MiB"] = round(memory.peak / 2**20)
            del X
            command = (sys.executable, "-m", "featx", "audit", cache, "--no-pixels", "-q")
            whole, peak = measure.peak_of(*command)
            table.append({**row, "audit s": round(whole, 1), "audit MiB": round(peak)})
    return table


WHAT = {"labels": labels, "doubles": doubles, "rubbish": rubbish, "rows": rows}


def main() -> None:
    """Print and write the table."""
    parser = measure.arguments(__doc__, seeds=5, planted=100, seed=0)
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("source", type=Path, nargs="?", help="a folder of photographs")
    parser.add_argument("--cache", type=Path, help="a cache of them, so that less is extracted")
    parser.add_argument("--shares", default="2,5,10", help="of wrong labels, in %%")
    parser.add_argument("--rows", default="100000")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    facts = {"set": options.source.name} if options.source else {}
    measure.tell(f"audit-{options.what}", options, WHAT[options.what](options), {}, **facts)


if __name__ == "__main__":
    main()
