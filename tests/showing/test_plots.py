"""Plots of commands, and their contact sheets: files that open, with what they are about."""

import re
from pathlib import Path

import numpy as np
import pytest
from generated import tiny_models
from typer.testing import CliRunner

import featx
from featx.cli import app
from featx.errors import InputError
from featx.metrics import compute_scores
from featx.showing.figures import as_svg, write_figure
from featx.showing.plots import plot_confusion, plot_leaderboard, plot_tuning


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models(tmp_path_factory.mktemp("plots"), 8, "lda")


def test_commands_draw_plots_and_sheets(made: Path, tmp_path: Path) -> None:
    cache, model = str(made / "f.h5"), str(made / "lda.featx")
    calls = {
        "compare": [cache, "--heads", "lda", "--plot", str(tmp_path / "compare.svg")],
        "fit": [cache, "-o", str(tmp_path / "m.featx"), "--heads", "lda,logreg", "--plot",
                str(tmp_path / "fit.png"), "--sheet", str(tmp_path / "fit.jpg")],
        "evaluate": [model, cache, "--split", "train", "--plot", str(tmp_path / "evaluate.pdf"),
                     "--sheet", str(tmp_path / "evaluate.png")],
    }  # fmt: skip
    for name, words in calls.items():
        ran = CliRunner().invoke(app.app, [name, *words, "-q"])
        assert ran.exit_code == 0, ran.output
    starts = {path.name: path.read_bytes()[:5] for path in tmp_path.iterdir()}
    assert starts["fit.png"] == b"\x89PNG\r" and starts["evaluate.pdf"] == b"%PDF-"
    assert starts["compare.svg"] == b"<?xml" and starts["fit.jpg"][:3] == b"\xff\xd8\xff"
    before = (tmp_path / "fit.png").read_bytes()
    ran = CliRunner().invoke(app.app, ["fit", *calls["fit"]])
    assert ran.exit_code == 2 and "exists" in ran.stderr
    ran = CliRunner().invoke(app.app, ["fit", *calls["fit"], "--overwrite", "-q"])
    assert ran.exit_code == 0 and len((tmp_path / "fit.png").read_bytes()) == len(before)


def test_one_file_cannot_be_both(made: Path, tmp_path: Path) -> None:
    words = ["evaluate", str(made / "lda.featx"), str(made / "f.h5")]
    both = ["--sheet", str(tmp_path / "e.png"), "--plot", str(tmp_path / "x" / ".." / "e.png")]
    ran = CliRunner().invoke(app.app, [*words, *both])
    assert ran.exit_code == 2 and "Give two files" in ran.stderr and not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "ends"), [("--plot", ".png, .svg"), ("--sheet", ".png or .jpg")]
)
def test_wrong_names_are_refused_before_the_work(
    made: Path, tmp_path: Path, option: str, ends: str
) -> None:
    words = ["fit", str(made / "f.h5"), "-o", str(tmp_path / "m.featx"), option, "x.txt"]
    ran = CliRunner().invoke(app.app, words)
    assert ran.exit_code == 2 and ends in " ".join(ran.stderr.split())
    assert not (tmp_path / "m.featx").exists()


def test_the_same_figure_has_the_same_bytes(made: Path, tmp_path: Path) -> None:
    board = featx.compare(made / "f.h5", heads=("lda",)).as_dict()
    for suffix in ("svg", "pdf", "png"):
        for number in range(2):
            write_figure(plot_leaderboard(board), tmp_path / f"{number}.{suffix}")
        one, two = ((tmp_path / f"{number}.{suffix}").read_bytes() for number in range(2))
        assert one == two
    with pytest.raises(InputError, match="exists"):
        write_figure(plot_leaderboard(board), tmp_path / "0.svg")


def test_svg_for_a_page_takes_its_colour_and_escapes_names(made: Path) -> None:
    board = featx.compare(made / "f.h5", heads=("lda",)).as_dict()
    board["entries"][0]["head"] = "<script>alert(1)</script> & $x_$"
    text = as_svg(plot_leaderboard(board), "board")
    assert "<script" not in text and "&lt;script&gt;" in text and "currentColor" in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert ids and all(name.startswith("board-") for name in ids)
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_intervals_of_shares_end_at_one(made: Path) -> None:
    board = featx.compare(made / "f.h5", heads=("lda",)).as_dict()
    board["entries"][0] |= {"score": 0.95, "ci95_half_width": 0.3}
    axes = plot_leaderboard(board).axes[0]
    ends = [line.get_segments() for line in axes.collections]
    assert max(np.concatenate([np.concatenate(some) for some in ends])[:, 0]) == 1.0


def test_many_classes_and_titles_fit_their_figures() -> None:
    y = np.repeat(np.arange(60), 2)
    scores = compute_scores(y, np.eye(60)[y])
    for count in (3, 25, 60):
        names = [f"class {n} with a long name" for n in range(count)]
        figure = plot_confusion(names, scores.confusion[:count, :count])
        figure.draw_without_rendering()
        assert max(figure.get_size_inches()) < 10
    stage = {"loss": [1.0, 0.5], "val_loss": [1.1, 0.9], "accuracy": [0.5, 0.9]}
    figure = plot_tuning(
        {
            "history": {"head": {}, "choose": stage, "final": {}},
            "epochs": 2,
            "kept": False,
            "head": "kernel-ridge on covariance",
            "layers": ["block5_conv1"],
        }
    )
    figure.draw_without_rendering()
    box = figure._suptitle.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
