"""Look into the wheel and the sdist of a folder: `check_dist.py dist [--tag v1.2.3]`.

With ``--tag`` they are about to be published: the version has to be that of the tag, the project
needs an address, and the README must not lead to files that the package index does not have.
"""

import argparse
import re
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What the tests read beside featx/ and tests/; they run from an unpacked sdist.
WITH_TESTS = (
    ".dockerignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "benchmarks/check.py",
    "data/README.md",
    "docs/python.md",
    "docs/site/pages.py",
    "examples/cluster/slurm_share.sh",
    "examples/operating/nightly.sh",
    "pyproject.toml",
)


def sources(folder: str) -> set[str]:
    """Return the files of a folder that belong to the project, as paths below its root."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def check_wheel(names: set[str]) -> list[str]:
    """Return what is wrong with the names of a wheel's files."""
    own = {name for name in names if ".dist-info/" not in name}
    wrong = [f"the wheel lacks {name}" for name in sorted(sources("featx") - own)]
    wrong += [f"the wheel has {name} too" for name in sorted(own - sources("featx"))]
    return wrong + ([] if "featx/py.typed" in own else ["the wheel has no types: featx/py.typed"])


def check_sdist(names: set[str]) -> list[str]:
    """Return what is wrong with the names of an sdist's files, taken below its only folder."""
    needed = {*sources("featx"), *sources("tests"), *WITH_TESTS}
    return [f"the sdist lacks {name}" for name in sorted(needed - names)]


def check_release(metadata: Message, tag: str) -> list[str]:
    """Return what has to be done before a wheel with this metadata is published."""
    wrong = []
    if tag != f"v{metadata['Version']}":
        wrong.append(f"the tag is {tag}, and featx.__version__ is {metadata['Version']}")
    if not metadata.get_all("Project-URL"):
        wrong.append("the project has no address: docs/releasing.md says what to fill in")
    text = str(metadata.get_payload())
    for target in sorted(set(re.findall(r"\]\((?!https?://|#)([^)\s]+)", text))):
        wrong.append(f"the README leads to {target}, which the package index does not have")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tag", help="The tag that is published, such as v1.2.3.")
    given = parser.parse_args()
    wheels, sdists = (list(given.folder.glob(f"*{end}")) for end in (".whl", ".tar.gz"))
    if (len(wheels), len(sdists)) != (1, 1):
        sys.exit(f"{given.folder}: expected one wheel and one sdist. Run make dist.")
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = set(wheel.namelist())
        described = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(wheel.read(described).decode())
    with tarfile.open(sdists[0]) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    wrong = check_wheel(names) + check_sdist(inside)
    if given.tag:
        wrong += check_release(metadata, given.tag)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{wheels[0].name} and {sdists[0].name} have what they should.")


if __name__ == "__main__":
    main()
