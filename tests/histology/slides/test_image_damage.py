"""Cut off, altered, endless and turned images: one clear error, never grey pixels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image
from tiny_slides import HEIGHT, MPP, WIDTH, image, write_tiny_slides

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.slides import Slide, SlideSet
from seqexp.histology.slides.flat import FlatImage

PIXELS = image(0)


def read_all(path: Path) -> np.ndarray:
    slide = Slide(path, MPP)
    return slide.read_region_px(0, 0, slide.width_px, slide.height_px)


def tiled(path: Path, **options: Any) -> None:
    tifffile.imwrite(path, PIXELS, photometric="rgb", tile=(128, 128), **options)


WRITERS: dict[str, Any] = {
    "png": lambda p: Image.fromarray(PIXELS).save(p),
    "jpg": lambda p: Image.fromarray(PIXELS).save(p, quality=95),
    "progressive.jpg": lambda p: Image.fromarray(PIXELS).save(p, progressive=True),
    "cmyk.jpg": lambda p: Image.fromarray(PIXELS).convert("CMYK").save(p),
    "webp": lambda p: Image.fromarray(PIXELS).save(p),
    "bmp": lambda p: Image.fromarray(PIXELS).save(p),
    "jp2": lambda p: Image.fromarray(PIXELS).save(p),
    "strips.tif": lambda p: tifffile.imwrite(p, PIXELS, photometric="rgb"),
    "jpeg.tif": lambda p: tiled(p, compression="jpeg"),
    "deflate.tif": lambda p: tiled(p, compression="zlib"),
    "lzw.tif": lambda p: tiled(p, compression="lzw"),
    "jpeg2000.tif": lambda p: tiled(p, compression="jpeg2000"),
}


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_is_cut_off(kind: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"whole.{kind}"
    WRITERS[kind](path)
    read_all(path)
    torn = tmp_path / f"torn.{kind}"
    torn.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"corrupt.*\n.*torn"):
        read_all(torn)


@pytest.mark.parametrize("kind", ["jpg", "progressive.jpg", "cmyk.jpg"])
def test_a_jpeg_whose_end_was_put_back(kind: str, tmp_path: Path) -> None:
    WRITERS[kind](tmp_path / f"a.{kind}")
    data = (tmp_path / f"a.{kind}").read_bytes()
    (tmp_path / f"b.{kind}").write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    with pytest.raises(DataError, match=r"corrupt: .*premature end"):
        read_all(tmp_path / f"b.{kind}")


def test_a_jpeg_tile_that_is_half_there(tmp_path: Path) -> None:
    tiled(tmp_path / "a.tif", compression="jpeg")
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        offset, num_bytes = tiff.pages[0].dataoffsets[1], tiff.pages[0].databytecounts[1]
    data = bytearray((tmp_path / "a.tif").read_bytes())
    half = num_bytes // 2
    data[offset + half : offset + num_bytes] = b"\xff\xd9" + bytes(num_bytes - half - 2)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(DataError, match=r"corrupt: .*premature end"):
        read_all(tmp_path / "a.tif")


def test_altered_bytes_of_a_png_or_deflate_never_pass(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("png", "deflate.tif"):
        WRITERS[kind](tmp_path / f"a.{kind}")
        data = (tmp_path / f"a.{kind}").read_bytes()
        for place in rng.integers(len(data) // 4, 3 * len(data) // 4, 8):
            altered = bytearray(data)
            altered[place] ^= 0x55
            (tmp_path / f"b.{kind}").write_bytes(altered)
            with pytest.raises(DataError, match="corrupt"):
                read_all(tmp_path / f"b.{kind}")


@pytest.mark.parametrize("kind", WRITERS)
def test_whatever_the_bytes_one_error_or_pixels(kind: str, tmp_path: Path) -> None:
    WRITERS[kind](tmp_path / f"a.{kind}")
    data = (tmp_path / f"a.{kind}").read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(12):
        altered = bytearray(data)
        for place in rng.integers(0, min(len(data), 600), 3):
            altered[place] = rng.choice([0, 1, 127, 255, rng.integers(256)])
        (tmp_path / f"b.{kind}").write_bytes(altered)
        try:
            slide = Slide(tmp_path / f"b.{kind}", MPP, max_image_mpx=4)
            slide.read_region_px(0, 0, min(slide.width_px, 500), min(slide.height_px, 500))
        except DataError:
            pass


def test_segments_that_the_tags_promise_and_the_file_lacks(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", tile=(128, 128))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as tiff:
        tiff.pages[0].tags["ImageLength"].overwrite(60000)
    with pytest.raises(DataError, match="corrupt"):
        read_all(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_images_that_ask_to_be_turned(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "tif":
        tiled(path, extratags=[(274, 3, 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(PIXELS).save(path, exif=exif)
    if orientation == 1:
        assert read_all(path).shape == (HEIGHT, WIDTH, 3)
    else:
        with pytest.raises(DataError, match=rf"turned or mirrored when shown \(orientation {orientation}\)"):
            Slide(path, MPP)


def bomb(path: Path, side: int) -> None:
    """A PNG of a few bytes that claims to be side x side."""
    chunks = b""
    for name, content in (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1000))),
        (b"IEND", b""),
    ):
        chunks += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def test_a_bomb_needs_a_declared_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_slides(tmp_path)
    bomb(tmp_path / "A1.png", 40_000)
    assert main(["data", "check", str(tmp_path)]) != 0
    told = capsys.readouterr()
    assert "1,600 megapixels (40000 x 40000)" in told.out + told.err
    assert "max_image_mpx: 1600" in told.out + told.err
    content = yaml.safe_load(path.read_text())
    content["max_image_mpx"] = 1
    content["slides"]["A1"]["max_image_mpx"] = 1600
    path.write_text(yaml.safe_dump(content))
    slides = SlideSet.open(path)
    assert slides.slide("A1").width_px == 40_000
    assert (slides.slide("A2").max_image_mpx, slides.slide("A1").max_image_mpx) == (1, 1600)
    for wrong in (0, -1, "many", True, None):
        content["slides"]["A1"]["max_image_mpx"] = wrong
        path.write_text(yaml.safe_dump(content))
        with pytest.raises(ConfigError, match="max_image_mpx"):
            SlideSet.open(path)


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "jp2"])
def test_the_limit_is_ours_and_not_that_of_pillow(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS[kind](tmp_path / f"a.{kind}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert read_all(tmp_path / f"a.{kind}").shape == (HEIGHT, WIDTH, 3)
    limit = WIDTH * HEIGHT / 1e6
    with pytest.raises(DataError, match="megapixels"):
        Slide(tmp_path / f"a.{kind}", MPP, max_image_mpx=0.99 * limit)
    assert Slide(tmp_path / f"a.{kind}", MPP, max_image_mpx=limit).max_image_mpx == limit


def test_a_webp_is_never_that_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS["webp"](tmp_path / "a.webp")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # its plugin has the limit built in
    with pytest.raises(DataError, match=r"(?s)exceeds limit.*tiled TIFF"):
        Slide(tmp_path / "a.webp", MPP)


def test_tiff_in_one_piece_has_the_limit_too(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2100, 2100), np.uint8), photometric="minisblack")
    assert isinstance(Slide(tmp_path / "a.tif", MPP)._image, FlatImage)
    with pytest.raises(DataError, match="max_image_mpx: 5"):
        Slide(tmp_path / "a.tif", MPP, max_image_mpx=4)


def test_masks_stay_small_whatever_the_scale(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    mask = Slide(tmp_path / "a.png", 90.0).tissue_mask(16.0)
    assert (mask.mpp, mask.mask.shape) == (90.0, (HEIGHT, WIDTH))


def test_an_image_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        Slide(tmp_path / "a.png", MPP)


def test_moving_pictures_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    for kind in ("png", "webp"):
        frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:])
        with pytest.raises(DataError, match="2 frames"):
            Slide(tmp_path / f"a.{kind}", MPP)
