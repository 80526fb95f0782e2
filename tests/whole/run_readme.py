"""Run the README's commands and Python, block by block, in an empty folder."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    binaries = Path(sys.argv[1]).resolve()
    readme = Path(__file__).parents[2] / "README.md"
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```", readme.read_text(), re.M | re.S)
    if len(blocks) < 5:
        sys.exit("The README has fewer blocks to run than it should.")
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        for language, text in blocks:
            print(f"--- {language}\n{text}", flush=True)
            shell = ["bash", "-euo", "pipefail", "-c", text]
            command = shell if language == "sh" else [str(binaries / "python"), "-c", text]
            subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True)


if __name__ == "__main__":
    main()
