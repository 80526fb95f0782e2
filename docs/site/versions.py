"""Put a built site beside those of earlier versions: `versions.py build/docs 1.2.3 pages`.

The folder then has one folder a version, `latest` with the newest of them, and a page that leads
there and lists all.
"""

import re
import shutil
import sys
from pathlib import Path

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>featx: versions of the documentation</title>
<meta http-equiv="refresh" content="0; url=latest/"></head>
<body><p><a href="latest/">The documentation of the latest version</a></p><ul>
{}
</ul></body></html>
"""


def _key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def publish(site: Path, version: str, folder: Path) -> list[str]:
    """Copy a site into the folder of its version; return all versions there, newest first.

    Parameters
    ----------
    site : Path
        What `make docs` built.
    version : str
        Numbers with dots between them, such as "1.2.3". A site of this version is replaced.
    folder : Path
        Where the sites of all versions are.
    """
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        sys.exit(f"{version}: expected numbers with dots between them, such as 1.2.3.")
    if not (site / "index.html").is_file():
        sys.exit(f"{site} has no index.html. Run make docs.")
    folder.mkdir(exist_ok=True)
    _replace(site, folder / version)
    there = [path.name for path in folder.iterdir() if re.fullmatch(r"\d+(\.\d+)*", path.name)]
    versions = sorted(there, key=_key, reverse=True)
    _replace(folder / versions[0], folder / "latest")
    items = "\n".join(f'<li><a href="{name}/">{name}</a></li>' for name in versions)
    (folder / "index.html").write_text(_PAGE.format(items))
    (folder / ".nojekyll").touch()  # folders that begin with _ are served too
    return versions


def _replace(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".doctrees", ".buildinfo"))


if __name__ == "__main__":
    print("\n".join(publish(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))))
