"""Memory and time of listing images: a manifest in no order, and a folder of class folders.

The manifest names images that need not exist, about 40 bytes a path, with 1,000 labels, in the
order of a fixed permutation. The folder has empty files, all of them hard links to a few; it is
made in the folder for temporary files, and removed. Each is listed by a process of its own, which
then goes once through all images, block by block.

    python benchmarks/bench_listing.py [--manifest 10000000] [--folder 1000000]
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import measure

_CLASSES = 1000
_LINKS = 50_000  # names that one file may have: 65,000 on ext4


def child(source: str) -> None:
    """List a source, go through it, and print seconds and the peak of this process in KiB."""
    from featx.dataset.scan import scan

    begun = time.perf_counter()
    listed = scan(source)
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    total = sum(len(path) for block in listed.blocks(4096) for path in block.paths)
    through = time.perf_counter() - begun
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    found = {"images": len(listed), "classes": len(listed.classes), "bytes": total}
    print(json.dumps({**found, "seconds": seconds, "through": through, "peak": peak}))


def shuffled(count: int) -> Iterator[int]:
    """Yield 0 to `count` - 1 in a fixed order that is far from sorted."""
    step = 7_368_787  # a prime
    return (number * step % count for number in range(count))


def manifest(place: Path, count: int) -> Path:
    """Write a manifest."""
    with place.open("w") as file:
        file.write("path,label\n")
        for number in shuffled(count):
            name = f"{number % _CLASSES:04d}"
            file.write(f"photographs/{name}/some_image_{number:08d}.jpg,{name}\n")
    return place


def tree(place: Path, count: int) -> Path:
    """Make a folder with class folders of empty files."""
    first = place / "empty"
    place.mkdir()
    for name in range(_CLASSES):
        (place / "photos" / f"{name:04d}").mkdir(parents=True)
    for number in range(count):
        if number % _LINKS == 0:
            first.unlink(missing_ok=True)
            first.touch()
        name = f"{number % _CLASSES:04d}/some_image_of_this_class_{number:08d}.jpg"
        os.link(first, place / "photos" / name)
    return place / "photos"


def main() -> None:
    """Print and write the table."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
        return
    options = measure.arguments(__doc__, manifest=10_000_000, folder=1_000_000).parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        sources = {
            "manifest": (manifest, Path(name, "m.csv"), options.manifest),
            "folder": (tree, Path(name, "tree"), options.folder),
        }
        for kind, (make, place, count) in sources.items():
            if not count:
                continue
            command = [sys.executable, __file__, "--child", str(make(place, count))]
            run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            found = json.loads(run.stdout)
            if found["images"] != count:
                raise RuntimeError(f"{found['images']} of {count} images were listed.")
            rows.append(
                {
                    "source": kind,
                    "images": count,
                    "bytes a path": round(found["bytes"] / count),
                    "seconds": round(found["seconds"], 1),
                    "s a million": round(found["seconds"] / count * 1e6, 1),
                    "s through all": round(found["through"], 1),
                    "peak MiB": round(found["peak"] / 1024),
                }
            )
            measure.note(str(rows[-1]))
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    ratios = {
        f"{what} of the {row['source']}": row[what]
        for row in rows
        for what in ("peak MiB", "s a million")
    }
    measure.tell("listing", options, rows, ratios)


if __name__ == "__main__":
    main()
