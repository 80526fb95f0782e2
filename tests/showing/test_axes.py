"""Plots on axes: those of a notebook, and the caller's."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from generated import tiny_models
from matplotlib import pyplot

import featx
from featx.errors import InputError
from featx.showing.drawing import draw_confusion
from featx.showing.figures import axes_for


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tiny_models(tmp_path_factory.mktemp("axes"), 8, "lda")
    return {
        "model": featx.load(root / "lda.featx"),
        "evaluate": featx.evaluate(root / "lda.featx", root / "f.h5"),
        "compare": featx.compare(root / "f.h5", heads=("ridge", "lda"), folds=3),
        "curve": featx.curve(root / "f.h5", head="ridge", view="avg", folds=2, draws=2),
        "finetune": featx.finetune(root / "lda.featx", root / "t.featx", unfreeze=1, epochs=2),
        "fit": featx.fit(root / "f.h5", root / "again.featx", head="lda"),
    }


@pytest.fixture(autouse=True)
def without_windows() -> Iterator[None]:
    before = mpl.get_backend()
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(before)


PLOTS = [
    ("model", "plot_confusion", {}), ("model", "plot_reliability", {}),
    ("fit", "plot_confusion", {}), ("fit", "plot_reliability", {}),
    ("evaluate", "plot_confusion", {"normalize": "all"}), ("evaluate", "plot_reliability", {}),
    ("compare", "plot", {}), ("curve", "plot", {}), ("curve", "plot", {"metric": "log-loss"}),
    ("finetune", "plot", {}), ("finetune", "plot", {"metric": "accuracy"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "method", "options"), PLOTS)
def test_a_plot_is_on_its_own_axes_or_on_those_given(
    made: dict[str, Any], name: str, method: str, options: dict[str, Any]
) -> None:
    settings = dict(mpl.rcParams)
    own = getattr(made[name], method)(**options)
    assert pyplot.get_fignums() == [own.figure.number] and own.has_data()
    figure, (left, right) = pyplot.subplots(1, 2)
    assert getattr(made[name], method)(right, **options) is right
    assert right.has_data() and not left.has_data() and len(figure.axes) == 2
    for one in (own.figure, figure):
        one.draw_without_rendering()
    assert len(pyplot.get_fignums()) == 2 and dict(mpl.rcParams) == settings


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_cells_are_counts_or_shares(made: dict[str, Any]) -> None:
    classes, confusion = ["a", "b"], np.array([[3, 1], [0, 4]])
    found = {}
    for normalize in (None, "true", "pred", "all"):
        axes = pyplot.figure().subplots()
        draw_confusion(axes, classes, confusion, normalize)
        found[normalize] = texts(axes)
    assert found[None] == ["3", "1", "4"] and found["true"] == ["0.75", "0.25", "1.00"]
    assert found["pred"] == ["1.00", "0.20", "0.80"] and found["all"] == ["0.38", "0.12", "0.50"]
    counts = made["evaluate"].scores.confusion
    assert texts(made["evaluate"].plot_confusion()) == [str(n) for n in counts[counts > 0]]


def test_unknown_words_are_refused_and_leave_no_figure(made: dict[str, Any]) -> None:
    for call, words in (
        (lambda: made["model"].plot_confusion(normalize="rows"), "true, pred, all"),
        (lambda: made["curve"].plot(metric="roc-auc"), "accuracy, log-loss"),
        (lambda: made["finetune"].plot(metric="log-loss"), "loss, accuracy"),
    ):
        with pytest.raises(InputError, match=words):
            call()
        assert pyplot.get_fignums() == []


def test_a_model_without_a_test_says_what_has_plots(made: dict[str, Any]) -> None:
    untested = replace(made["model"], report={})
    with pytest.raises(InputError, match=r"featx\.evaluate"):
        untested.plot_reliability()
    assert "accuracy" not in untested._repr_html_() and pyplot.get_fignums() == []


@pytest.mark.parametrize("ax", ["new", "given"])
def test_names_are_drawn_as_they_are(ax: str) -> None:
    given = pyplot.subplots()[1] if ax == "given" else None
    names = ["$x_$", "a_{b$", "line\nbreak"]
    with axes_for(given, 4, 4) as axes:
        draw_confusion(axes, names, np.eye(3, dtype=int))
    axes.figure.draw_without_rendering()  # as mathematics, the first two would be errors
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == ["$x_$", "a_{b$", "line\\nbreak"]


def test_a_plot_has_the_style_of_the_caller(made: dict[str, Any]) -> None:
    with pyplot.style.context("dark_background"):
        axes = made["curve"].plot()
        assert axes.xaxis.label.get_color() == "white"


def test_a_curve_shows_what_it_says(made: dict[str, Any]) -> None:
    curve = made["curve"]
    line = made["curve"].plot().lines[0]
    assert line.get_xdata().tolist() == [point.images for point in curve.points]
    assert line.get_ydata().tolist() == [point.accuracy for point in curve.points]
    again = json.loads(json.dumps(curve.as_dict()))
    assert again["points"][0]["images"] == line.get_xdata()[0]


def test_files_of_commands_need_no_pyplot(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy as np;"
        "from pathlib import Path;"
        "from featx.showing.plots import plot_confusion;"
        "from featx.showing.figures import write_figure;"
        f"write_figure(plot_confusion(['a'], np.array([[1]])), Path({str(tmp_path / 'c.png')!r}));"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False" and (tmp_path / "c.png").stat().st_size > 1000
