"""Colours of every way to store a picture, against Pillow on white, numpy and the axes of tifffile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from seqexp.core.errors import DataError
from seqexp.histology.slides import Slide, tiff
from seqexp.histology.slides.flat import FlatImage

SIDE = 96
RGB = np.random.default_rng(0).integers(0, 256, (SIDE // 8, SIDE // 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
ALPHA = np.linspace(0, 255, SIDE, dtype=np.uint8)[:, None].repeat(SIDE, 1)
RGBA = np.dstack([RGB, ALPHA])
ON_WHITE = np.rint(RGB * (ALPHA[..., None] / 255) + 255 - ALPHA[..., None].astype(float)).astype(int)
GREY = np.dstack([RGB[..., 0]] * 3)
TILED = {"tile": (32, 32)}


def pixels(path: Path) -> np.ndarray:
    slide = Slide(path, 1.0)
    return slide.read_region_px(0, 0, slide.width_px, slide.height_px).astype(int)


def by_pillow(path: Path) -> np.ndarray:
    """What a viewer shows on white."""
    with Image.open(path) as image:
        shown = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown).convert("RGB")).astype(int)


def close(found: np.ndarray, wanted: np.ndarray, tolerance: int = 1) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - np.asarray(wanted, dtype=int)).max() <= tolerance


PICTURES: dict[str, Callable[[Path], Any]] = {
    "rgba.png": lambda p: Image.fromarray(RGBA).save(p),
    "la.png": lambda p: Image.fromarray(RGBA[..., [0, 3]].copy(), "LA").save(p),
    "palette.png": lambda p: Image.fromarray(RGB).quantize(7).save(p),
    "palette_key.png": lambda p: Image.fromarray(RGB).quantize(7).save(p, transparency=2),
    "palette_alphas.png": lambda p: Image.fromarray(RGB).quantize(7).save(p, transparency=bytes([0, 60, 255, 128])),
    "palette_2_bit.png": lambda p: Image.fromarray(RGB).quantize(3).save(p, bits=2),
    "key.png": lambda p: Image.fromarray(RGB).save(p, transparency=tuple(RGB[40, 40].tolist())),
    "grey_key.png": lambda p: Image.fromarray(RGB[..., 0]).save(p, transparency=int(RGB[40, 40, 0])),
    "one_bit.png": lambda p: Image.fromarray(RGB[..., 0] > 100).save(p),
    "grey.png": lambda p: Image.fromarray(RGB[..., 0]).save(p),
    "cmyk.jpg": lambda p: Image.fromarray(RGB).convert("CMYK").save(p, quality=98),
    "grey.jpg": lambda p: Image.fromarray(RGB[..., 0]).save(p),
    "progressive.jpg": lambda p: Image.fromarray(RGB).save(p, progressive=True),
    "rgba.webp": lambda p: Image.fromarray(RGBA).save(p, lossless=True),
    "rgb.bmp": lambda p: Image.fromarray(RGB).save(p),
    "rgb.jp2": lambda p: Image.fromarray(RGB).save(p),
    "rgba.jp2": lambda p: Image.fromarray(RGBA).save(p),
    "one_bit.tif": lambda p: Image.fromarray(RGB[..., 0] > 100).save(p, compression="group4"),
    "palette.tif": lambda p: Image.fromarray(RGB).quantize(7).save(p),
    "cmyk.tif": lambda p: Image.fromarray(RGB).convert("CMYK").save(p),
    "la.tif": lambda p: Image.fromarray(RGBA[..., [0, 3]].copy(), "LA").save(p),
    "rgba.tif": lambda p: Image.fromarray(RGBA).save(p),
    "rgbx.tif": lambda p: Image.fromarray(RGBA).convert("RGBX").save(p),
    "jpeg.tif": lambda p: Image.fromarray(RGB).save(p, compression="jpeg"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_look_as_a_viewer_shows_them_on_white(name: str, tmp_path: Path) -> None:
    PICTURES[name](tmp_path / name)
    close(pixels(tmp_path / name), by_pillow(tmp_path / name))


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path) -> None:
    wide = np.random.default_rng(1).integers(0, 65536, (SIDE, SIDE, 4)).astype(np.uint16)
    scaled = np.rint(wide / 257).astype(int)
    for name, samples, wanted in (
        ("grey", wide[..., 0], np.dstack([scaled[..., 0]] * 3)),
        ("rgb", wide[..., :3], scaled[..., :3]),
        ("rgba", wide, np.rint((wide[..., :3] / 257 - 255) * (wide[..., 3:] / 65535) + 255)),
    ):
        (tmp_path / f"{name}.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(samples)))
        close(pixels(tmp_path / f"{name}.png"), wanted)
        kind = "minisblack" if name == "grey" else "rgb"
        extra = {"extrasamples": ["unassalpha"]} if name == "rgba" else {}
        tifffile.imwrite(tmp_path / f"{name}.tif", samples, photometric=kind, **extra, **TILED)
        close(pixels(tmp_path / f"{name}.tif"), wanted)


@pytest.mark.parametrize("bits", [2, 4, 12])
def test_other_depths_span_black_to_white(bits: int, tmp_path: Path) -> None:
    samples = (RGB[..., 0].astype(int) * ((1 << bits) - 1) // 255).astype(np.uint16 if bits > 8 else np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack", bitspersample=bits)
    close(pixels(tmp_path / "a.tif")[..., 0], np.rint(samples * (255 / ((1 << bits) - 1))))


def test_twelve_bits_in_sixteen_where_the_file_says_so(tmp_path: Path) -> None:
    samples = (RGB.astype(np.uint16) * 16) + 8
    metadata = {"axes": "YXS", "SignificantBits": 12}
    tifffile.imwrite(tmp_path / "a.ome.tif", samples, photometric="rgb", metadata=metadata)
    close(pixels(tmp_path / "a.ome.tif"), samples * (255 / 4095))


@pytest.mark.parametrize("layout", [TILED, {}, {"rowsperstrip": 7}], ids=["tiles", "one strip", "strips"])
def test_alpha_and_grey_of_tiff(layout: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGBA, photometric="rgb", extrasamples=["unassalpha"], **layout)
    close(pixels(path), ON_WHITE)
    premultiplied = np.dstack([np.rint(RGB * (ALPHA[..., None] / 255)).astype(np.uint8), ALPHA])
    tifffile.imwrite(path, premultiplied, photometric="rgb", extrasamples=["assocalpha"], **layout)
    close(pixels(path), ON_WHITE)
    options = {"photometric": "rgb", "planarconfig": "separate", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(path, np.moveaxis(RGBA, 2, 0), **options, **layout)
    close(pixels(path), ON_WHITE)
    tifffile.imwrite(path, 255 - RGB[..., 0], photometric="miniswhite", **layout)
    close(pixels(path), GREY, 0)


@pytest.mark.parametrize("how", [TILED, {}, {"byteorder": ">", **TILED}, {"bigtiff": True, **TILED}])
def test_red_green_and_blue_as_three_pages(how: dict[str, Any], tmp_path: Path) -> None:
    planes = np.moveaxis(RGB, 2, 0)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX"}, **how)
    close(pixels(path), RGB, 0)
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", **how)
    close(pixels(path), RGB, 0)
    names = {"axes": "CYX", "Channel": {"Name": ["Blue", "Red", "Green"]}}
    tifffile.imwrite(path, planes[[2, 0, 1]], photometric="minisblack", metadata=names, **how)
    close(pixels(path), RGB, 0)
    colours = {"axes": "CYX", "Channel": {"Color": [65535, 16711935, -16776961]}}  # RGBA: blue, green, red
    tifffile.imwrite(path, planes[::-1], photometric="minisblack", metadata=colours, **how)
    close(pixels(path), RGB, 0)


@pytest.mark.parametrize(
    "names",
    [
        ["R", "G", "B"],
        ["Channel red", "Channel green", "Channel blue"],
        ["H&E_R", "H&E_G", "H&E_B"],
        ["Brightfield"] * 3,
        ["Channel:0:0", "Channel:0:1", "Channel:0:2"],
        ["c 1", "c 2", "c 3"],
    ],
)
def test_names_that_are_no_dyes(names: list[str], tmp_path: Path) -> None:
    metadata = {"axes": "CYX", "Channel": {"Name": names}}
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.moveaxis(RGB, 2, 0), photometric="minisblack", metadata=metadata)
    close(pixels(path), RGB, 0)


def test_planes_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips too large to be read one by one are decoded once."""
    monkeypatch.setattr(tiff, "_LARGEST_SEGMENT_PX", 1000)
    planes = np.moveaxis(RGB, 2, 0)
    for name, options in (
        ("a.ome.tif", {"photometric": "minisblack", "metadata": {"axes": "CYX"}}),
        ("b.tif", {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib", "rowsperstrip": SIDE}),
        ("c.tif", {"photometric": "rgb", "planarconfig": "separate", "rowsperstrip": 40}),
    ):
        tifffile.imwrite(tmp_path / name, planes, **options)
        assert isinstance(Slide(tmp_path / name, 1.0)._image, FlatImage)
        close(pixels(tmp_path / name), RGB, 0)


def test_imagej_stacks_of_three_colours(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(RGB, 2, 0), imagej=True, metadata={"axes": "CYX"})
    close(pixels(tmp_path / "a.tif"), RGB, 0)


def test_planes_of_a_pyramid(tmp_path: Path) -> None:
    base = np.moveaxis(RGB.repeat(2, 0).repeat(2, 1), 2, 0)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", bigtiff=True) as writer:
        writer.write(base, photometric="minisblack", subifds=1, metadata={"axes": "CYX"}, **TILED)
        writer.write(base[:, ::2, ::2], photometric="minisblack", subfiletype=1, **TILED)
    slide = Slide(tmp_path / "a.ome.tif", 1.0)
    assert [level.width_px for level in slide.levels] == [2 * SIDE, SIDE]
    assert np.array_equal(slide.read_region_px(0, 0, SIDE, SIDE, level=1), RGB)
    assert np.array_equal(slide.read_region_px(0, 0, 2 * SIDE, 2 * SIDE), np.moveaxis(base, 0, 2))


@pytest.mark.parametrize(
    ("axes", "shape", "told"),
    [
        ("ZYX", (3, SIDE, SIDE), r"3 focal planes"),
        ("TYX", (3, SIDE, SIDE), "3 time points"),
        ("CZYX", (2, 2, SIDE, SIDE), "2 channels, 2 focal planes"),
        ("CYX", (2, SIDE, SIDE), "2 channels"),
        ("CYX", (5, SIDE, SIDE), "5 channels"),
        ("ZYXS", (4, SIDE, SIDE, 3), "4 focal planes"),
    ],
)
@pytest.mark.parametrize("layout", [TILED, {}], ids=["tiles", "strips"])
def test_stacks_are_refused(axes: str, shape: tuple[int, ...], told: str, layout: Any, tmp_path: Path) -> None:
    kind = "rgb" if axes.endswith("S") else "minisblack"
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric=kind, metadata={"axes": axes}, **layout)
    with pytest.raises(DataError, match=f"the image is a stack: {told}"):
        Slide(path, 1.0)


@pytest.mark.parametrize(
    "channel",
    [
        {"Name": ["DAPI", "FITC", "TRITC"]},
        {"Name": ["Red", "Green", "DAPI"]},
        {"Name": ["Texas Red", "Alexa Green", "Hoechst Blue"]},
        {"Name": ["Red", "Red", "Blue"]},
        {"Fluor": ["a", "b", "c"]},
        {"EmissionWavelength": [461, 520, 570]},
        {"ContrastMethod": ["Fluorescence"] * 3},
        {"Color": [16777215, -65281, 16711935]},  # cyan, magenta, green
    ],
)
def test_three_dyes_are_no_colours(channel: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "CYX", "Channel": channel}
    tifffile.imwrite(path, np.zeros((3, SIDE, SIDE), np.uint8), photometric="minisblack", metadata=metadata)
    with pytest.raises(DataError, match="the image is a stack: 3 channels"):
        Slide(path, 1.0)


def test_pages_that_say_nothing_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, SIDE, SIDE), np.uint8), photometric="minisblack")
    with pytest.raises(DataError, match="3 pages whose meaning the file does not say"):
        Slide(tmp_path / "a.tif", 1.0)
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        for name in ("one", "two"):
            writer.write(RGB, photometric="rgb", description=name, metadata=None)
    with pytest.raises(DataError, match="2 pages whose"):
        Slide(tmp_path / "b.tif", 1.0)


def test_the_slide_is_the_largest_image_of_a_file(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for image in (RGB[:40, :40], RGB, RGB[:20, :30]):
            writer.write(image, photometric="rgb", metadata=None)
    close(pixels(tmp_path / "a.tif"), RGB, 0)
    with tifffile.TiffWriter(tmp_path / "b.ome.tif") as writer:
        for _ in range(2):
            writer.write(RGB, photometric="rgb", metadata={"axes": "YXS"})
    with pytest.raises(DataError, match="2 images of the same size"):
        Slide(tmp_path / "b.ome.tif", 1.0)


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint32", "int8"])
def test_samples_that_are_no_colours_are_refused(dtype: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB.astype(dtype), photometric="rgb", **TILED)
    with pytest.raises(DataError, match="the pixels are no picture of tissue: samples are"):
        Slide(tmp_path / "a.tif", 1.0)


def test_a_pixel_of_very_many_samples_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((32, 32, 40), np.uint8), photometric="rgb", **TILED)
    with pytest.raises(DataError, match=r"no picture of tissue: photometric interpretation 2 with \d+ samples"):
        Slide(tmp_path / "a.tif", 1.0)


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "webp", "lzw", "zstd", "packbits", "jpegxl", "lzma"])
def test_compressed_tiles(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", compression=compression, byteorder=">", tile=(48, 48))
    close(pixels(path), tifffile.imread(path), 0)


def test_ycbcr_and_lab_without_jpeg(tmp_path: Path) -> None:
    stored = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    tifffile.imwrite(tmp_path / "y.tif", stored, photometric="ycbcr", subsampling=(1, 1), **TILED)
    close(pixels(tmp_path / "y.tif"), np.asarray(Image.fromarray(stored, "YCbCr").convert("RGB")))
    grey = np.zeros((SIDE, SIDE, 3), np.uint8)
    grey[..., 0] = np.linspace(0, 255, SIDE).astype(np.uint8)  # L* alone: no colour, luminance by the definition
    tifffile.imwrite(tmp_path / "l.tif", grey, photometric="cielab", **TILED)
    lightness = grey[..., 0] / 255 * 100
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    shown = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear) * 255
    close(pixels(tmp_path / "l.tif"), np.dstack([shown] * 3), 2)


def test_names_do_not_decide_what_a_file_is(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    close(pixels(tmp_path / "a.tif"), RGB, 0)
    (tmp_path / "words.png").write_text("404: Not Found")
    with pytest.raises(DataError, match=r"does not begin as a \.png"):
        Slide(tmp_path / "words.png", 1.0)


def jpeg_tiles(path: Path, streams: list[bytes], photometric: int, **options: Any) -> None:
    """A TIFF whose tiles are given streams."""
    tifffile.imwrite(
        path, iter(streams), shape=(SIDE, SIDE, 3), dtype=np.uint8, tile=(48, 48), photometric="rgb", **options
    )
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["PhotometricInterpretation"].overwrite(photometric)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2)])
@pytest.mark.parametrize("kind", ["ycbcr", "rgb", "rgb with adobe", "ycbcr with jfif"])
def test_jpeg_tiles_mean_what_the_page_says(kind: str, subsampling: tuple[int, int], tmp_path: Path) -> None:
    options: dict[str, Any] = {"colorspace": "rgb", "level": 95}
    if kind.startswith("rgb"):
        options["outcolorspace"] = "rgb"
    elif subsampling != (1, 1):
        options["subsampling"] = subsampling
    tiles = [RGB[y : y + 48, x : x + 48] for y in (0, 48) for x in (0, 48)]
    streams = []
    for tile in tiles:
        stream = imagecodecs.jpeg8_encode(np.ascontiguousarray(tile), **options)
        at = stream.index(b"\xff\xdb")
        jfif = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
        adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
        middle = {"rgb with adobe": adobe, "ycbcr with jfif": jfif}.get(kind, b"")
        streams.append(stream[:2] + middle + stream[at:])
    jpeg_tiles(tmp_path / "a.tif", streams, 2 if kind.startswith("rgb") else 6, compression="jpeg")
    close(pixels(tmp_path / "a.tif"), tifffile.imread(tmp_path / "a.tif"), 0)
    if subsampling == (1, 1):
        assert np.abs(pixels(tmp_path / "a.tif") - RGB).mean() < 8


def test_planes_of_jpeg(tmp_path: Path) -> None:
    options = {"photometric": "rgb", "planarconfig": "separate", "compression": "jpeg", "tile": (48, 48)}
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(RGB, 2, 0), **options)
    close(pixels(tmp_path / "a.tif"), np.moveaxis(tifffile.imread(tmp_path / "a.tif"), 0, 2), 0)


def test_tables_of_jpeg_that_stand_apart(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.tif", compression="jpeg", quality=90)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].jpegtables is not None
    close(pixels(tmp_path / "a.tif"), tifffile.imread(tmp_path / "a.tif"), 0)
