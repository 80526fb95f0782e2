"""Every image in, exactly one row out."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import write_corpus
from generated import TINY, class_folders, without_pools, write_image
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer

import featx
from featx.dataset import scan
from featx.errors import CorruptError, IncompatibleError, InputError, StorageError
from featx.model.model import Model
from featx.network.downloads import Provider
from featx.network.networks import NETWORKS
from featx.scoring import rows as sources

#: How often a run is killed; more when asked for.
KILLS = int(os.environ.get("FEATX_KILLS", "1"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images, their cache and a model."""
    root = tmp_path_factory.mktemp("score")
    class_folders(root / "photos", 10)
    featx.extract(root / "photos", root / "f.h5", copies=2, augment="mild", **TINY)
    featx.fit(root / "f.h5", root / "m.featx", head="logreg")
    return root


@pytest.fixture
def model(made: Path) -> Model:
    return featx.load(made / "m.featx")


def read(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return [
            {name: cell[1:] if cell.startswith("'") else cell for name, cell in row.items()}
            for row in csv.DictReader(file)
        ]


def values(rows: list[dict[str, Any]], *names: str) -> np.ndarray:
    return np.array([[float(row[name]) for name in names] for row in rows])


def test_images_and_their_cache_give_the_same(made: Path, model: Model, tmp_path: Path) -> None:
    done = featx.score(model, made / "photos", tmp_path / "a.csv", digest=True)
    assert (done.listed, done.ok, done.failed, done.undecided, done.resumed) == (30, 30, {}, 0, 0)
    assert done.labels == {"blue": 10, "green": 10, "red": 10}
    featx.score(model, made / "f.h5", tmp_path / "b.csv", digest=True)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    rows = read(tmp_path / "a.csv")
    assert list(rows[0]) == ["path", "status", "label", "confidence", "p_blue", "p_green", "p_red",
                             "novelty", "sha256"]  # fmt: skip
    with featx.Cache.open(made / "f.h5") as cache:
        assert [row["path"] for row in rows] == list(cache.catalog.paths)
        assert [row["sha256"] for row in rows] == list(cache.digests)
        activations = without_pools(cache.features[:, 0])
    expected = model.predict_proba_activations(activations)
    assert np.allclose(values(rows, "p_blue", "p_green", "p_red"), expected, atol=1e-6)
    assert [row["label"] for row in rows] == [row["path"].split("/")[0] for row in rows]
    assert not list(tmp_path.glob("*.shards"))


def test_it_is_a_classifier_over_images(made: Path, model: Model) -> None:
    listed = featx.scan(made / "photos")
    paths = [listed.file(index) for index in range(30)]
    truth = [listed.classes[label] for label in listed.labels]
    assert model.score(paths, truth) == 1
    assert is_classifier(model)
    assert get_scorer("neg_log_loss")(model, paths, truth) > -0.2


def test_every_kind_of_file_has_its_row(model: Model, tmp_path: Path) -> None:
    expected = write_corpus(tmp_path / "inbox")
    assert len(expected) > 45 and len(set(expected.values())) == 8
    for number in range(300 - len(expected)):
        expected[write_image(tmp_path / "inbox" / f"{number:03}.jpg", number).name] = "ok"
    done = featx.score(model, tmp_path / "inbox", tmp_path / "s.csv")
    rows = read(tmp_path / "s.csv")
    assert done.listed == len(rows) == 300
    assert {row["path"]: row["status"] for row in rows} == expected
    assert [os.fsencode(row["path"]) for row in rows] == sorted(map(os.fsencode, expected))
    for row in rows:
        scores = [row[name] for name in row if name not in ("path", "status")]
        assert all(scores) if row["status"] == "ok" else not any(scores)
    assert done.ok + sum(done.failed.values()) == 300
    assert done.failed["empty"] == 1 and done.failed["unreadable"] == 4
    lines = tmp_path / "s.jsonl"
    featx.score(model, tmp_path / "inbox", lines)
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert {row["path"]: row["status"] for row in found} == expected


def test_skipped_images_of_a_cache_have_their_rows(model: Model, tmp_path: Path) -> None:
    photos = class_folders(tmp_path / "photos", 6)
    for name in ("blue/0a.png", "blue/0.jpg", "green/zz.png", "a.png", "zz.png"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(b"" if "zz" in name else b"nothing")
    listed = scan.from_paths(sorted(str(p) for p in photos.rglob("*.*")))
    (tmp_path / "list.csv").write_text("path\n" + "\n".join(listed.paths) + "\n")
    featx.extract(tmp_path / "list.csv", tmp_path / "f.h5", **TINY)
    for block in (4096, 4, 1):
        sources.CacheSource.block, before = block, sources.CacheSource.block
        try:
            featx.score(model, tmp_path / "f.h5", tmp_path / "c.csv", overwrite=True)
        finally:
            sources.CacheSource.block = before
        featx.score(model, tmp_path / "list.csv", tmp_path / "p.csv", overwrite=True)
        assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "p.csv").read_bytes()
    assert [row["status"] for row in read(tmp_path / "c.csv")].count("ok") == 18
    assert len(read(tmp_path / "c.csv")) == 23


def test_top_abstain_and_novelty(made: Path, model: Model, tmp_path: Path) -> None:
    whole = read(scored(model, made / "f.h5", tmp_path / "w.csv"))
    # Between two of them: the table has six digits, and the threshold is compared with all.
    limit = float(np.mean(sorted(float(row["confidence"]) for row in whole)[:2]))
    done = featx.score(
        model, made / "f.h5", tmp_path / "t.csv", top=2, abstain=limit, max_novelty=0.5
    )
    rows = read(tmp_path / "t.csv")
    assert list(rows[0])[3:] == ["confidence", "class_1", "p_1", "class_2", "p_2", "novelty"]
    undecided = 0
    for row, full in zip(rows, whole, strict=True):
        ranked = sorted(("blue", "green", "red"), key=lambda c: -float(full[f"p_{c}"]))
        assert row["class_1"] == ranked[0] and row["class_2"] in ranked[1:]
        assert row["p_1"] == row["confidence"] == full[f"p_{ranked[0]}"]
        assert row["p_2"] == full[f"p_{ranked[1]}"]
        unsure = float(row["confidence"]) < limit or float(row["novelty"]) > 0.5
        assert (row["label"] == "") == unsure
        undecided += unsure
    assert done.undecided == undecided > 2
    assert sum(done.labels.values()) == 30 - undecided


def scored(model: Model, source: Any, out: Path, **settings: Any) -> Path:
    featx.score(model, source, out, **settings)
    return out


def test_unlike_images_are_novel(made: Path, model: Model, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "odd").mkdir()
    for number in range(5):
        Image.new("L", (40, 40), 50 * number).save(tmp_path / "odd" / f"{number}.png")
    odd = values(read(scored(model, tmp_path / "odd", tmp_path / "o.csv")), "novelty")
    class_folders(tmp_path / "like", 13)
    for folder in (tmp_path / "like").iterdir():
        for number in range(10):
            (folder / f"{number}.png").unlink()
    like = values(read(scored(model, tmp_path / "like", tmp_path / "l.csv")), "novelty")
    assert (odd == 1).all() and like.mean() < 0.9


def test_copies_are_averaged(made: Path, model: Model, tmp_path: Path) -> None:
    images = read(scored(model, made / "photos", tmp_path / "p.csv", tta=2))
    cached = read(scored(model, made / "f.h5", tmp_path / "c.csv", tta=2))
    assert images == cached
    with featx.Cache.open(made / "f.h5") as cache:
        X = cache.matrix(model.view).X
    expected = model.predict_proba_rows(X).reshape(30, 3, 3).mean(axis=1)
    assert np.allclose(values(cached, "p_blue", "p_green", "p_red"), expected, atol=1e-6)
    plain = read(scored(model, made / "f.h5", tmp_path / "n.csv"))
    assert [row["novelty"] for row in plain] == [row["novelty"] for row in cached]
    with pytest.raises(InputError, match=r"has 2 copies of each image, and 3 are asked for"):
        featx.score(model, made / "f.h5", tmp_path / "x.csv", tta=3)
    featx.extract(made / "photos", tmp_path / "f.h5", **TINY)
    alone = featx.fit(tmp_path / "f.h5", tmp_path / "m.featx", head="lda").model
    with pytest.raises(InputError, match="fitted without augmented copies"):
        featx.score(alone, made / "photos", tmp_path / "x.csv", tta=1)
    with pytest.raises(IncompatibleError, match=r"has copies by .*rotation.*fitted with none"):
        featx.score(alone, made / "f.h5", tmp_path / "x.csv", tta=1)


def test_wrong_settings_and_outputs(made: Path, model: Model, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"

    def refused(error: type[Exception], message: str, **settings: Any) -> None:
        place = settings.pop("out", out)
        with pytest.raises(error, match=message):
            featx.score(model, settings.pop("source", made / "f.h5"), place, **settings)

    refused(InputError, "--top is 0", top=0)
    refused(InputError, r"--abstain is 1\.5\. Expected a number from 0 to 1", abstain=1.5)
    refused(InputError, "--max-novelty is -1", max_novelty=-1)
    refused(InputError, "number of copies is -1", tta=-1)
    with pytest.raises(InputError, match="model has no novelty score"):
        unable = replace(model, novelty=None)
        featx.score(unable, made / "f.h5", out, max_novelty=0.9)
    refused(InputError, "is a folder. Give the name of a file", out=tmp_path)
    refused(InputError, "has no known table format", out=tmp_path / "s.txt")
    refused(InputError, "does not exist", source=tmp_path / "nothing")
    (tmp_path / "list.csv").write_text("path\na.png\n")
    refused(InputError, "is the source itself", source=tmp_path / "list.csv",
            out=tmp_path / "list.csv", overwrite=True)  # fmt: skip
    out.write_text("mine")
    refused(InputError, r"exists\. Give another output, or add --overwrite")
    assert out.read_text() == "mine"
    featx.score(model, made / "f.h5", out, overwrite=True)
    assert len(read(out)) == 30
    with pytest.raises(InputError, match="The model is not saved"):
        featx.score(replace(model, digest=""), made / "f.h5", tmp_path / "x.csv")


def test_a_cache_of_another_network_is_refused(made: Path, model: Model, tmp_path: Path) -> None:
    featx.extract(made / "photos", tmp_path / "f.h5", weights="random", size=64)
    with pytest.raises(IncompatibleError, match="size: 64 in the cache, 32 in the model"):
        featx.score(model, tmp_path / "f.h5", tmp_path / "s.csv")


def test_missing_weights_are_named(made: Path, tmp_path: Path) -> None:
    other = featx.load(made / "m.featx")
    trunk = {**vars(other.fingerprint.trunk), "weights": "ab" * 32}
    foreign = type(other.fingerprint.trunk)(**trunk)
    print_ = type(other.fingerprint)(foreign, **{
        name: getattr(other.fingerprint, name)
        for name in ("copies", "augment", "seed", "dtype", "precision")
    })  # fmt: skip
    lost = replace(other, fingerprint=print_)
    with pytest.raises(IncompatibleError, match=r"abab.* are needed.*Give their file with"):
        featx.score(lost, made / "photos", tmp_path / "s.csv")
    wrong = replace(lost, weights="random")
    with pytest.raises(IncompatibleError, match=r"abab.* 'random' has .*Leave --weights out"):
        featx.score(wrong, made / "photos", tmp_path / "s.csv")


def _provided_by_keras(provider: Provider) -> tuple[Path, str] | None:
    is_there = provider is NETWORKS["vgg16"].providers["keras"]
    return (Path("there"), "0" * 64) if is_there else None


def test_other_weights_on_this_machine_are_named(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise StorageError("no network; run: featx weights fetch torchvision")

    monkeypatch.setattr("featx.network.trunk.resolve_weights", unreachable)
    monkeypatch.setattr("featx.network.trunk.find_weights", _provided_by_keras)
    with pytest.raises(IncompatibleError, match=r"on this machine are those of keras\. no network"):
        featx.score(featx.load(made / "m.featx"), made / "photos", tmp_path / "s.csv")
    monkeypatch.setattr("featx.network.trunk.find_weights", lambda _: None)
    with pytest.raises(StorageError, match="no network"):
        featx.score(featx.load(made / "m.featx"), made / "photos", tmp_path / "s.csv")


def test_a_stopped_run_goes_on(
    made: Path, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources.FileSource, "block", 7)
    whole = scored(model, made / "photos", tmp_path / "w.csv").read_bytes()

    class Stopped(Exception):
        pass

    def stop(done: int, total: int, now: int) -> None:
        assert total == 30 and now <= done
        if now >= 10:
            raise Stopped

    out = tmp_path / "s.csv"
    with pytest.raises(Stopped):
        featx.score(model, made / "photos", out, progress=stop)
    assert not out.exists() and (tmp_path / "s.csv.shards").is_dir()
    with pytest.raises(IncompatibleError, match="with other top"):
        featx.score(model, made / "photos", out, top=1)
    calls: list[tuple[int, int, int]] = []
    done = featx.score(model, made / "photos", out, progress=lambda *call: calls.append(call))
    assert done.resumed == 7 and done.ok == 30
    assert calls[0] == (7, 30, 0) and calls[-1] == (30, 30, 23)
    assert out.read_bytes() == whole
    with pytest.raises(Stopped):
        featx.score(model, made / "photos", out, progress=stop, overwrite=True)
    assert out.read_bytes() == whole  # what was there stays until the new rows are whole
    assert featx.score(model, made / "photos", out, overwrite=True).resumed == 0


def test_damaged_shards_are_refused(
    made: Path, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources.CacheSource, "block", 7)

    def damage(done: int, total: int, now: int) -> None:
        if now == 14:
            shard = tmp_path / "s.csv.shards" / "00000000.shard"
            shard.write_bytes(shard.read_bytes()[:-5])

    with pytest.raises(CorruptError, match=r"00000000\.shard is damaged"):
        featx.score(model, made / "f.h5", tmp_path / "s.csv", progress=damage)
    assert not (tmp_path / "s.csv").exists()


def test_killed_runs_end_with_the_same_bytes(made: Path, model: Model, tmp_path: Path) -> None:
    inbox = class_folders(tmp_path / "inbox", 130)
    (inbox / "blue" / "7.png").write_bytes(b"")
    out, dice = tmp_path / "s.csv", random.Random(0)
    command = [sys.executable, "-m", "featx", "score", made / "m.featx", inbox, "-o", out]
    whole = featx.score(model, inbox, tmp_path / "whole.csv")
    assert whole.failed == {"empty": 1}
    for _ in range(KILLS):
        run = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
        while run.poll() is None and not list(tmp_path.glob("s.csv.shards/*.shard")):
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.5))
        run.send_signal(signal.SIGKILL)
        assert run.wait() in (3, -signal.SIGKILL)
        if out.exists():
            assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
            out.unlink()
    again = featx.score(model, inbox, out)
    assert again.resumed == 0 or again.resumed >= 128
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(read(out)) == 390
    assert sorted(path.name for path in tmp_path.glob("*s.csv*")) == ["s.csv"]
    assert not list(tmp_path.glob(".*.partial"))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_the_three_formats_agree(made: Path, model: Model, tmp_path: Path, suffix: str) -> None:
    shutil.copytree(made / "photos", tmp_path / "photos")
    (tmp_path / "photos" / "blue" / "3.png").write_bytes(b"")
    expected = read(scored(model, tmp_path / "photos", tmp_path / "a.csv"))
    path = scored(model, tmp_path / "photos", tmp_path / f"b.{suffix}")
    if suffix == "csv":
        found: list[dict[str, Any]] = read(path)
    elif suffix == "jsonl":
        found = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        from pyarrow import parquet

        table = parquet.read_table(path)
        about = json.loads(table.schema.metadata[b"featx"])
        assert about["model"] == json.loads(json.dumps(model.as_dict()))
        assert about["model_sha256"] == model.digest
        found = table.to_pylist()
    assert found[3]["status"] == "empty" and found[3]["p_red"] in (None, "")
    assert [
        {name: "" if cell is None else str(cell) for name, cell in row.items()} for row in found
    ] == expected


@pytest.mark.parametrize("key", ["confidence", "novelty"])
def test_unsure_or_novel_images_come_first(
    made: Path, model: Model, tmp_path: Path, key: str
) -> None:
    shutil.copytree(made / "photos", tmp_path / "photos")
    (tmp_path / "photos" / "blue" / "3.png").write_bytes(b"")
    plain = read(scored(model, tmp_path / "photos", tmp_path / "a.csv"))
    found = featx.score(model, tmp_path / "photos", tmp_path / "b.csv", sort=key)
    rows = read(found.out)
    assert sorted(map(str, rows)) == sorted(map(str, plain)) and rows[-1]["status"] == "empty"
    values = [float(row[key]) for row in rows[:-1]]
    assert values == sorted(values, reverse=key == "novelty")
    with pytest.raises(InputError, match=r"Unknown sort key 'size'\. Expected one of conf"):
        featx.score(model, tmp_path / "photos", tmp_path / "c.csv", sort="size")


def test_a_workbook_holds_only_so_many_rows(
    made: Path, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert featx.score(model, made / "f.h5", tmp_path / "s.xlsx").ok > 20
    monkeypatch.setattr("featx.scoring.tables.ExcelTable.most_rows", 20)
    with pytest.raises(InputError, match=r"can have 20 rows, and there are [0-9]+ images"):
        featx.score(model, made / "f.h5", tmp_path / "t.xlsx")
