"""Kinds of files: decoded to the colours of their 8-bit twins, or named truly."""

import base64
import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from generated import TINY
from PIL import Image
from tiffs import tiff

import featx
from featx.errors import InputError
from featx.images import decode, formats
from featx.images.decode import Rejected

BLOCKS = np.kron(np.random.default_rng(0).integers(0, 256, (8, 8, 4)), np.ones((8, 8, 1)))
BLOCKS = BLOCKS.astype(np.int64)
GREY, RGB = BLOCKS[..., :1], BLOCKS[..., :3]

#: A HEIC of 64 by 64 pixels: red, green, blue and white quarters.
HEIC = base64.b85decode(
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<00042ZDn*}000000000XXk=`10000000000aA{+700000000000000000"
    "000B57=IV*mgE07O6l0RRC200001dH?|c00000002Dz001LtX>Mi!000000RR916=`l}WdZ;I000310BCk&F#rGn01j|z"
    "bZr0t000010002iX>f9I0002DX>en20001ZXm(>m0RwOV0058x000009`FGC{rLC*01pFT0096PKmiN^|NjGU00093kN^"
    "M!000939=ZZRVE_RDD?$MQ18@KU0|1Z!00RI30{|YNAb|yz>PacCZUPz%2mk;B0LTCU0{{p>VgLaE2SfqEa<C#m0000J"
    "V{dG7ZewhC0096E00w{n000zeb8uw<00000002M$002M$000nhX?SS>000032nYxO000+haBX1#00000000310R({p0|Wp"
    "707Y$NVRQfh068cDuM>dgsBqK&{w9=v{W|A|>E*o=x8p@m{`igm^93*?|LGY4AGEKp{fOkIzyB2nZ~V|Xhdr4"
)


def seen(data: bytes, **settings: int) -> np.ndarray:
    return decode.decode(data, 64, "crop", **settings).pixels.astype(int)


@pytest.mark.parametrize(
    ("samples", "bits", "order", "planar"),
    list(itertools.product((1, 3, 4), (8, 16), "<>", (1, 2))),
)
def test_every_tiff_has_the_colours_of_its_twin(
    samples: int, bits: int, order: str, planar: int
) -> None:
    values = BLOCKS[..., :samples]
    kind = 1 if samples == 1 else 2
    twin = seen(tiff(values, photometric=kind))
    scaled = values * (257 if bits == 16 else 1)
    found = seen(tiff(scaled, bits=bits, order=order, planar=planar, photometric=kind))
    assert np.abs(found - twin).max() <= 1


@pytest.mark.parametrize(("bits", "order"), [(8, "<"), (16, "<"), (16, ">")])
def test_white_may_be_zero(bits: int, order: str) -> None:
    most = (1 << bits) - 1
    values = most - GREY * (257 if bits == 16 else 1)
    try:
        found = seen(tiff(values, bits=bits, order=order, photometric=0))
    except Rejected as rejected:
        assert (order, rejected.reason) == (">", "unsupported")
    else:
        assert np.array_equal(found, np.repeat(GREY, 3, axis=2))


@pytest.mark.parametrize("planar", [1, 2])
def test_cmyk_of_16_bits(planar: int) -> None:
    twin = seen(tiff(BLOCKS, photometric=5))
    found = seen(tiff(BLOCKS * 257, bits=16, photometric=5, planar=planar))
    assert np.abs(found - twin).max() <= 1


def test_packed_twelve_bits_use_the_whole_range() -> None:
    found = seen(tiff(GREY * 4095 // 255, bits=12))
    assert np.abs(found - GREY).max() <= 1


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_twelve_bits_in_sixteen(name: str) -> None:
    saved = io.BytesIO()
    Image.fromarray((GREY[..., 0] * 4095 // 255).astype(np.uint16)).save(saved, name)
    plain = decode.decode(saved.getvalue(), 64)
    assert plain.is_dark and plain.pixels.max() < 16
    right = decode.decode(saved.getvalue(), 64, bits=12)
    assert not right.is_dark and np.abs(right.pixels.astype(int) - GREY).max() <= 1
    whole = io.BytesIO()
    Image.fromarray((GREY[..., 0] * 257).astype(np.uint16)).save(whole, name)
    assert not decode.decode(whole.getvalue(), 64).is_dark
    assert not decode.decode(tiff(GREY // 20), 64).is_dark  # 8 bits, just a dark image


def test_a_transparent_value_of_16_bits_is_white() -> None:
    saved = io.BytesIO()
    image = Image.fromarray(np.full((64, 64), 1000, np.uint16))
    image.save(saved, "PNG", transparency=1000)
    assert (seen(saved.getvalue()) == 255).all()


def test_extract_tells_of_dark_images_and_takes_their_bits(tmp_path: Path) -> None:
    for number in range(3):
        values = np.random.default_rng(number).integers(0, 4096, (40, 40)).astype(np.uint16)
        (tmp_path / "p").mkdir(exist_ok=True)
        Image.fromarray(values).save(tmp_path / "p" / f"{number}.png")
    found = featx.extract(tmp_path / "p", tmp_path / "f.h5", **TINY)
    assert found.dark == ["0.png", "1.png", "2.png"]
    right = featx.extract(tmp_path / "p", tmp_path / "b.h5", bits=12, **TINY)
    assert right.dark == [] and right.fingerprint.trunk.bits == 12
    assert '"bits"' in right.fingerprint.as_json() and '"bits"' not in found.fingerprint.as_json()
    with pytest.raises(featx.IncompatibleError, match="bits: 12 there, 16 now"):
        featx.extract(tmp_path / "p", tmp_path / "b.h5", **TINY)
    with pytest.raises(InputError, match=r"bits is 8\. Expected 9 to 16"):
        featx.extract(tmp_path / "p", tmp_path / "c.h5", bits=8, **TINY)


def test_avif_and_heic_are_decoded() -> None:
    saved = io.BytesIO()
    Image.fromarray(RGB.astype(np.uint8)).save(saved, "AVIF", quality=95)
    assert np.abs(seen(saved.getvalue()) - RGB).mean() < 20
    colours = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]]
    found = seen(HEIC)[8::48, 8::48]
    assert np.abs(found - np.array(colours)).max() < 30


def test_heic_without_the_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pi_heif", None)
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Rejected, match=r"unsupported: HEIC needs .*'featx\[heif\]'.*JPEG or PNG"):
        seen(HEIC)


JPEG = io.BytesIO()
Image.fromarray(RGB.astype(np.uint8)).save(JPEG, "JPEG")
FRAME = JPEG.getvalue().index(b"\xff\xc0")


def changed(at: int, value: int) -> bytes:
    data = bytearray(JPEG.getvalue())
    data[at] = value
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason", "said"),
    [
        (changed(FRAME + 4, 12), "unsupported", "a JPEG of 12 bits"),
        (changed(FRAME + 1, 0xC3), "unsupported", "a lossless or arithmetic JPEG"),
        (changed(FRAME + 1, 0xF7), "unsupported", "JPEG-LS"),
        (JPEG.getvalue()[:FRAME], "truncated", ""),
        (JPEG.getvalue()[:-400], "truncated", ""),
        (b"\xff\xd8\xff", "truncated", ""),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "unsupported", "JPEG 2000: save it as JPEG"),
        (b"\xff\x0a" + bytes(50), "unsupported", "JPEG XL"),
        (b"8BPS" + bytes(50), "unsupported", "Photoshop"),
        (b"%PDF-1.7", "unsupported", "PDF"),
        (bytes(128) + b"DICM" + bytes(50), "unsupported", "DICOM"),
        (b"\0\0\0\x18ftypisom" + bytes(50), "unsupported", "a video"),
        (tiff(RGB, photometric=9), "unsupported", "a TIFF of a kind"),
        (b"II*\0" + bytes(50), "truncated", ""),
        (b"\x89PNG\r\n\x1a\n", "truncated", ""),
        (b"GIF89a", "truncated", ""),
        (HEIC[:60], "truncated", "HEIC that is damaged"),
        (tiff(RGB, photometric=2)[:4000], "truncated", ""),
        (b"RIFF\0\0\0\0WAVEfmt ", "not_image", ""),
        (b"BM is a short text, and no image", "not_image", ""),
        (b"<html>not found</html>", "not_image", ""),
        (b"ID3", "not_image", ""),
    ],
)
def test_reasons_are_true(data: bytes, reason: str, said: str) -> None:
    with pytest.raises(Rejected) as caught:
        seen(data)
    assert caught.value.reason == reason and said in caught.value.detail


def test_a_float_tiff_is_no_broken_file() -> None:
    saved = io.BytesIO()
    Image.fromarray(GREY[..., 0].astype(np.float32)).save(saved, "TIFF")
    with pytest.raises(Rejected, match="unsupported: floating-point pixels"):
        seen(saved.getvalue())


def test_a_large_transparent_image_is_decoded(tmp_path: Path) -> None:
    """64 megapixels with transparency fit into the memory of a decoder."""
    folder = tmp_path / "p"
    folder.mkdir()
    Image.new("RGBA", (8000, 8000), (9, 9, 9, 90)).save(folder / "a.png", compress_level=1)
    Image.new("RGB", (60, 60)).save(folder / "b.png")
    found = featx.extract(folder, tmp_path / "f.h5", **TINY)
    assert (found.cached, found.skipped) == (2, [])


def test_the_reason_of_too_large_names_the_limit_that_was_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "MAX_PIXELS", 1000)
    with pytest.raises(Rejected, match="too_large: 64 × 64 pixels, and 1,000 are the most"):
        seen(JPEG.getvalue())
    monkeypatch.setattr(decode, "MAX_BYTES", 10)
    (tmp_path / "a.jpg").write_bytes(JPEG.getvalue())
    with pytest.raises(Rejected, match=r"too_large: [\d,]+ bytes, and 10 are the most"):
        decode.load(tmp_path / "a.jpg", 64)
