"""Heads compared over the features of several caches."""

import csv
import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from generated import TINY, write_image
from typer.testing import CliRunner

import featx
from featx.cache.beside import place_beside
from featx.cli.app import app
from featx.errors import InputError
from featx.heads.leaderboard import CompareResult

SMALL, LARGE, BOTH = "vgg16 block5_pool", "vgg16 block4_pool", "vgg16 block5_pool+vgg16 block4_pool"
HOW = {"heads": ("ridge", "lda"), "folds": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two caches of images that are hard to tell apart."""
    root = tmp_path_factory.mktemp("boards")
    for hue, name in enumerate(("blue", "green")):
        for number in range(12):
            shown = 2 * hue if number % 4 == 0 else number % 3
            write_image(root / "p" / name / f"{number}.png", 100 * hue + number, shown)
    featx.extract(root / "p", root / "a.h5", **TINY)
    featx.extract(root / "p", root / "b.h5", weights="random", size=64, cut="block4_pool")
    return root


@pytest.fixture(scope="module")
def board(made: Path) -> CompareResult:
    return featx.compare([made / "a.h5", made / "b.h5"], **HOW)


def test_candidates_are_each_network_and_both_side_by_side(
    made: Path, board: CompareResult
) -> None:
    a, b = str(made / "a.h5"), str(made / "b.h5")
    assert board.networks == {SMALL: [a], LARGE: [b], BOTH: [a, b]}
    found = {(entry.head, entry.view, entry.network) for entry in board.entries}
    pairs = [("ridge", "layers"), ("ridge", "covariance"), ("lda", "avgmax")]
    assert found == {("dummy", "avg", SMALL), *((*p, n) for p in pairs for n in board.networks)}
    assert not any(entry.error for entry in board.entries)


def test_each_network_scores_as_it_does_alone_on_the_same_folds(
    made: Path, board: CompareResult
) -> None:
    for name, network in (("a.h5", SMALL), ("b.h5", LARGE)):
        alone = featx.compare(made / name, **HOW)
        assert list(alone.networks) == ["vgg16"]
        together = {(e.head, e.view): e for e in board.entries if e.network == network}
        for entry in alone.entries:
            if entry.head != "dummy":
                same = together[entry.head, entry.view]
                assert (same.score, same.settings) == (entry.score, entry.settings)
                assert np.array_equal(same.out_of_fold, entry.out_of_fold)


def test_what_an_image_costs_is_told(board: CompareResult) -> None:
    costs = {entry.network: entry.gmac for entry in board.entries}
    assert costs[LARGE] == pytest.approx(4 * costs[SMALL])  # twice the side
    assert costs[BOTH] == pytest.approx(5 * costs[SMALL])
    rows = list(csv.DictReader(io.StringIO(board.as_csv())))
    assert [row["network"] for row in rows] == [entry.network for entry in board.entries]
    assert [float(row["gmac"]) for row in rows] == [round(e.gmac, 3) for e in board.entries]
    told = json.loads(json.dumps(board.as_dict()))
    assert told["choice"]["network"] == board.choice.network
    assert told["networks"] == board.networks


def test_fast_is_the_cheapest_network_and_small_the_fewest_bytes(
    made: Path, board: CompareResult
) -> None:
    caches = [made / "b.h5", made / "a.h5"]
    tied = [e for e in board.entries if e.tied and e.head != "dummy"]
    assert len({entry.network for entry in tied}) == 3, "the test needs ties"
    fast = featx.compare(caches, prefer="fast", **HOW)
    assert fast.choice.network == SMALL
    assert fast.cheapest is fast.choice
    small = featx.compare(caches, prefer="small", **HOW)
    assert small.choice.size == min(entry.size for entry in small.entries if entry.tied
                                    and entry.head != "dummy")  # fmt: skip
    assert board.cheapest.network == SMALL


def test_copies_that_differ_are_compared_and_not_side_by_side(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    featx.extract(made / "p", tmp_path / "c.h5", weights="random", size=64, copies=1)
    with caplog.at_level(logging.WARNING, "featx"):
        found = featx.compare([made / "a.h5", tmp_path / "c.h5"], heads=("lda",), folds=2)
    assert list(found.networks) == ["vgg16 32", "vgg16 64"]
    assert "are not tried side by side" in caplog.text and "copies: 0 and 1" in caplog.text


def test_the_same_features_twice_are_refused(made: Path) -> None:
    with pytest.raises(InputError, match="features of the same network and settings"):
        featx.compare([made / "a.h5", made / "a.h5"], **HOW)
    with featx.Cache.open(made / "a.h5") as a, featx.Cache.open(made / "b.h5") as b:
        joint = place_beside([a, b])
        with pytest.raises(InputError, match="Give the single caches"):
            featx.compare([joint, a], **HOW)
        assert list(featx.compare(joint, **HOW).networks) == [BOTH]
    with pytest.raises(InputError, match="No cache is given"):
        featx.compare([], **HOW)


def test_the_command_shows_network_and_cost_where_there_are_several(made: Path) -> None:
    a, b = str(made / "a.h5"), str(made / "b.h5")
    options = ["--heads", "lda", "--folds", "3"]
    both = CliRunner().invoke(app, ["compare", a, b, *options, "--prefer", "best"])
    assert both.exit_code == 0, both.output
    heads = next(line for line in both.output.splitlines() if line.startswith("head ")).split()
    assert heads[:3] == ["head", "view", "network"] and "GMAC" in heads
    assert BOTH in both.output
    one = CliRunner().invoke(app, ["compare", a, *options])
    assert "network" not in one.output and "GMAC" not in one.output


def test_what_is_cheaper_is_said_where_it_is_not_the_choice(board: CompareResult) -> None:
    dear = next(e for e in board.entries if e.network == BOTH)
    text = str(featx.CompareResult(**{**vars(board), "choice": dear})._repr_html_())
    assert "0.313 GMAC an image in place of 1.57" in text
    cheap = next(e for e in board.entries if e.network == SMALL and e.head != "dummy")
    text = str(featx.CompareResult(**{**vars(board), "choice": cheap})._repr_html_())
    assert "cheapest" not in text
