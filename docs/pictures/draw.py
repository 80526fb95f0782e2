"""Draw the pictures of the README anew, from the sample of handwritten digits.

    python docs/pictures/draw.py

It needs the real weights, and Chromium for the picture of the report.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
PAGE = (1000, 5000)
#: What is shown of it: how good the model is, and what it gets wrong.
PARTS = ((0, 1250), (1820, 2420))
BROWSER = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


def featx(folder: Path, *words: str) -> None:
    """Run a command of featx in a folder."""
    command = [sys.executable, "-m", "featx", *words]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def small(picture: Image.Image, out: Path, colors: int = 64) -> None:
    """Save a picture as a PNG of few colours."""
    picture.convert("RGB").quantize(colors).save(out, optimize=True)
    print(f"{out.name}: {out.stat().st_size / 1000:.0f} kB, {picture.width} × {picture.height}")


def main() -> None:
    """Write report.png, sheet.png, mistakes.png and curve.png beside this file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        featx(folder, "sample", "digits", "--per-class", "40")
        featx(folder, "extract", "digits")
        featx(folder, "fit", "--sheet", "mistakes.png")
        featx(folder, "report", "model.featx")
        featx(folder, "curve", "--plot", "curve.png")
        featx(folder, "preview", "digits", "-o", "sheet.png", "--augment", "article", "--copies",
              "4", "--images", "3", "--size", "128")  # fmt: skip
        small(Image.open(folder / "curve.png"), HERE / "curve.png")
        small(Image.open(folder / "sheet.png"), HERE / "sheet.png")
        small(Image.open(folder / "mistakes.png"), HERE / "mistakes.png")
        program = shutil.which("chromium")
        if not program:
            raise SystemExit("report.png needs chromium: apt-get install chromium")
        shot = folder / "report.png"
        size = f"--window-size={PAGE[0]},{PAGE[1]}"
        command = [program, *BROWSER[1:], f"--user-data-dir={folder / 'browser'}", size,
                   f"--screenshot={shot}", (folder / "report.html").as_uri()]  # fmt: skip
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=120)
        page = Image.open(shot)
        parts = [page.crop((0, start, PAGE[0], stop)) for start, stop in PARTS]
        joined = Image.new("RGB", (PAGE[0], sum(part.height for part in parts)))
        top = 0
        for part in parts:
            joined.paste(part, (0, top))
            top += part.height
        half = (joined.width * 7 // 10, joined.height * 7 // 10)
        small(joined.resize(half, Image.Resampling.LANCZOS), HERE / "report.png", 128)


if __name__ == "__main__":
    main()
