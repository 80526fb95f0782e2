"""Several processes compute a cache together, and `join` makes it."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from generated import TINY
from typer.testing import CliRunner

import featx
from featx.cache import plan
from featx.cache.share import Share
from featx.cli import app
from featx.errors import CorruptError, IncompatibleError, InputError, LockedError
from featx.storage.locks import lock_output


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have parts of four images."""
    monkeypatch.setattr(plan, "PART_ROWS", 4)


def extract(photos: Path, out: Path, share: str | None = None, **changes: object):
    settings = {"batch": 4, **TINY, **changes}
    return featx.extract(photos, out, share=share, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["f.h5", "f.d"])
def test_shares_joined_are_the_cache_of_one_run(photos: Path, tmp_path: Path, name: str) -> None:
    (photos / "red" / "bad.png").write_bytes(b"no image")
    whole, out = tmp_path / f"whole-{name}", tmp_path / name
    done = extract(photos, whole)
    found = [extract(photos, out, f"{number}/3") for number in (2, 1, 3)]
    assert not out.is_file() and sum(one.listed for one in found) == done.listed
    assert [one.listed for one in found] == [
        one.cached + one.duplicates + len(one.skipped) for one in found
    ]
    joined = featx.join(out)
    for field in (
        "listed",
        "cached",
        "duplicates",
        "skipped",
        "classes",
        "fingerprint",
        "computed",
    ):
        assert getattr(joined, field) == getattr(done, field), field
    if name == "f.h5":
        assert out.read_bytes() == whole.read_bytes()
        assert {path.name for path in tmp_path.iterdir() if path.name.startswith("f.")} == {
            "f.h5", "f.h5.stamps"}  # fmt: skip
    with featx.Cache.open(out) as one, featx.Cache.open(whole) as other:
        assert one.features[:].tobytes() == other.features[:].tobytes()
    assert extract(photos, out).computed == 0
    assert featx.verify(out).problems == []
    again = extract(photos, out, "1/2")
    assert (again.listed, again.computed) == (1, 0)  # the bad image alone is read again


def test_join_names_the_shares_that_have_not_ended(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    with pytest.raises(InputError, match="no shares"):
        featx.join(out)
    extract(photos, out, "1/3")
    with pytest.raises(InputError, match=r"not ended: 2/3, 3/3\."):
        featx.join(out)
    part = min((tmp_path / "f.h5.parts").glob("*.safetensors"))
    size = part.stat().st_size
    part.write_bytes(part.read_bytes()[:-10])
    again = extract(photos, out, "1/3")
    assert again.computed == 4 and part.stat().st_size == size
    with lock_output(out, shared=True), pytest.raises(LockedError):
        featx.join(out)
    with lock_output(out), pytest.raises(LockedError):
        extract(photos, out, "2/3")


def test_shares_bring_a_cache_up_to_date_whose_images_have_other_names(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "f.h5"
    extract(photos, out)
    (photos / "red" / "0.png").rename(photos / "red" / "renamed.png")
    shares = [extract(photos, out, f"{number}/2") for number in (1, 2)]
    assert [share.computed for share in shares] == [0, 0]
    joined = featx.join(out)
    assert (joined.computed, joined.listed) == (0, 24)
    with featx.Cache.open(out) as cache:
        assert "red/renamed.png" in cache.catalog.paths and cache.sizes.min() > 0


def test_shares_of_different_runs_do_not_mix(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.h5"
    extract(photos, out, "1/3")
    with pytest.raises(IncompatibleError, match="of 3 shares, and this is 2/4"):
        extract(photos, out, "2/4")
    with pytest.raises(IncompatibleError, match="size: 32 in the other shares, 64 now"):
        extract(photos, out, "2/3", size=64)
    with pytest.raises(IncompatibleError, match=r"this one of .*photos/red\. Give all shares"):
        extract(photos / "red", out, "2/3")
    with pytest.raises(IncompatibleError, match=r"--max-bad is 0\.5 here and None"):
        extract(photos, out, "2/3", max_bad=0.5)
    run = tmp_path / "f.h5.parts" / "run.json"
    whole = run.read_bytes()
    for broken, said in ((b"[" * 200_000, "recursion"), (b'{"format": 1}', "lacks 'job'")):
        run.write_bytes(broken)
        with pytest.raises(CorruptError, match=f"{said}.*Delete this file"):
            extract(photos, out, "2/3")
    run.write_bytes(whole)
    for text in ("0/3", "4/3", "x", "1/0", ""):
        with pytest.raises(InputError, match="expected the number of this process"):
            Share.parse(text)
    done = extract(photos, out)  # one run takes what shares have done
    assert 0 < done.computed < done.listed and done.reused == done.cached - done.computed


def test_the_command_line_says_what_comes_next(photos: Path, tmp_path: Path) -> None:
    def featx_says(*words: str) -> Result:
        return CliRunner().invoke(app.app, list(words))

    out = str(tmp_path / "f.d")
    options = ("-o", out, "--size", "32", "--weights", "random", "--batch", "4")
    first = featx_says("extract", str(photos), *options, "--share", "1/2")
    assert first.exit_code == 0 and f"{out}, share 1/2: " in first.stdout
    early = featx_says("join", out)
    assert early.exit_code == 2 and "have not ended: 2/2." in early.stderr
    assert featx_says("extract", str(photos), *options, "--share", "2/2").exit_code == 0
    joined = featx_says("join", out, "--json")
    assert joined.exit_code == 0 and json.loads(joined.stdout)["listed"] == 24
    wrong = featx_says("extract", str(photos), *options, "--share", "3/2")
    assert wrong.exit_code == 2 and "such as 3/40" in wrong.stderr
