"""A notebook in a kernel of Jupyter: tables, bars that are drawn in place, plots."""

from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="nbclient, which runs notebooks, is not here")
pytest.importorskip("ipykernel", reason="ipykernel, which runs notebooks, is not here")

CELLS = (
    "import featx, logging; logging.getLogger('featx').setLevel('ERROR')",
    "photos = featx.write_sample('digits', per_class=6).out\n"
    "extracted = featx.extract(photos, 'f.h5', weights='random', size=32)\nextracted",
    "from featx.progress import watched\n"
    "with watched(True, 'cook <b>') as told:\n"
    "    for done in range(4): told(done, 3)",
    "with watched(True, 'burn') as told:\n    told(1, 3)\n    raise KeyError('smoke')",
    "with watched(True, 'rest') as told: told(0, 0)",
    "fitted = featx.fit('f.h5', 'm.featx', head='lda')\nfitted.plot_confusion();",
    "featx.load('m.featx').plot_reliability();",
    "get_ipython().Completer.use_jedi = False\n"
    "[get_ipython().Completer.complete(line_buffer=text, cursor_pos=len(text))[1]\n"
    " for text in ('featx.choo', 'fitted.plot_', 'featx.fit(hea')]",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """Return the outputs of each cell."""
    from nbformat.v4 import new_code_cell, new_notebook

    folder = tmp_path_factory.mktemp("notebook")
    notebook = new_notebook(cells=[new_code_cell(code) for code in CELLS])
    client = nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    # Warnings of the libraries come on the error stream.
    return [[o for o in cell.outputs if o.output_type != "stream"] for cell in notebook.cells]


def html(output: Any) -> str:
    return str(output.data["text/html"])


def test_a_result_is_a_table(outputs: list[list[Any]]) -> None:
    (shown,) = outputs[1]
    assert "<table" in html(shown) and "60 images of 10 classes in f.h5" in html(shown)
    assert shown.data["text/plain"].startswith("<featx.ExtractResult: ")


def test_a_bar_is_drawn_in_place_and_ends(outputs: list[list[Any]]) -> None:
    (bar,) = outputs[2]
    assert "3 of 3, done after 0:00" in html(bar) and 'value="1.0000"' in html(bar)
    assert "cook &lt;b&gt;" in html(bar)
    stopped, error = outputs[3]
    assert "1 of 3, stopped" in html(stopped) and error.ename == "KeyError"
    assert outputs[4] == []


@pytest.mark.parametrize("cell", [5, 6])
def test_each_plot_is_shown_once(outputs: list[list[Any]], cell: int) -> None:
    assert [set(output.data) for output in outputs[cell]] == [{"image/png", "text/plain"}]


def test_the_tab_key_completes_names_methods_and_settings(outputs: list[list[Any]]) -> None:
    (found,) = outputs[7]
    names, methods, settings = eval(found.data["text/plain"])
    assert [name.rpartition(".")[2] for name in names] == ["choose_next"]
    assert [name.rpartition(".")[2] for name in methods] == ["plot_confusion", "plot_reliability"]
    assert "head=" in settings and "heads=" in settings
