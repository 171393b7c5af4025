"""JPEG, PNG and other pictures without tiles: what their headers say, and how their pixels are decoded."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, Jpeg2KImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.histology.slides.colour import SampleFormat
from seqexp.histology.slides.flat import FlatImage, fill_in_bands, scratch
from seqexp.histology.slides.image_file import BROKEN, corrupt, require_upright
from seqexp.histology.slides.jpeg import decode_strictly
from seqexp.histology.slides.scale import Stated, stated_by_resolution

# The plugins themselves: Image.open would refuse what is large, by a limit for the whole process.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
}
_ORIENTATION = 274
_BAND_PX = 1 << 22
_RGBA = SampleFormat("rgb", alpha=3)
_INKS = SampleFormat("cmyk", is_inverted=True)  # JPEG stores how much light is left, as Photoshop does
# Pillow's mode -> mode it is converted to, and what that means
_MODES = {
    **dict.fromkeys(("1", "L", "RGB", "RGBX", "CMYK", "YCbCr", "LAB"), ("RGB", SampleFormat())),
    **dict.fromkeys(("P", "PA", "LA", "RGBA"), ("RGBA", _RGBA)),
    "I;16": ("I;16", SampleFormat("grey", white=65535)),
}


def open_picture(path: Path, kind: str, max_mpx: float) -> FlatImage:
    """Open a picture; only its header is read.

    Raises
    ------
    DataError
        The header is damaged, the picture is too large, asks to be turned, or holds several frames.
    """
    try:
        with _PLUGINS[kind](path) as image:
            (width, height), mode, frames = image.size, image.mode, getattr(image, "n_frames", 1)
            stated = _stated(kind, image.info.get("dpi"))
            orientation = _orientation(image)
            has_key = "transparency" in image.info
    except Image.DecompressionBombError as error:  # of WebP alone, which ends at 268 megapixels
        raise DataError(str(error), where=path, expected="at most 179 megapixels", fix="save a tiled TIFF") from error
    except BROKEN as error:
        raise corrupt(path, error) from error
    require_upright(path, orientation)
    if frames > 1:
        raise DataError(f"the picture has {frames} frames", where=path, expected="one", fix="save one frame alone")
    decode = {"JPEG": _jpeg_decoder(mode), "PNG": _png_decoder(mode, has_key)}.get(kind) or _pillow_decoder(kind, mode)
    if decode is None:
        raise DataError(
            f"pixels of mode {mode} have no colour", where=path, expected="8 or 16 bits", fix="export as 8-bit RGB"
        )
    return FlatImage(path, width, height, lambda out: decode(path, out), stated=stated, max_mpx=max_mpx)


_Decoder = Callable[[Path, NDArray[np.uint8]], None]


def _jpeg_decoder(mode: str) -> _Decoder:
    def decode(path: Path, out: NDArray[np.uint8]) -> None:
        with _mapped(path) as data:
            if mode != "CMYK":
                decode_strictly(data, "RGB", out)
                return
            inks = scratch((*out.shape[:2], 4), np.uint8)
            decode_strictly(data, "CMYK", inks)
            fill_in_bands(out, inks, _INKS)

    return decode


def _png_decoder(mode: str, has_key: bool) -> _Decoder:
    """libpng spreads palettes and bits below 8, turns a key colour into alpha, and checks every checksum."""
    is_grey = mode in ("1", "L", "LA", "I", "I;16")
    has_alpha = mode in ("LA", "RGBA", "PA") or has_key
    num = (1 if is_grey else 3) + has_alpha

    def decode(path: Path, out: NDArray[np.uint8]) -> None:
        with _mapped(path) as data:
            is_wide = data[24] == 16
            colours = SampleFormat(
                "grey" if is_grey else "rgb", white=65535 if is_wide else 255, alpha=num - 1 if has_alpha else None
            )
            is_direct = colours.is_plain
            shape = out.shape[:2] if num == 1 else (*out.shape[:2], num)
            samples = out if is_direct else scratch(shape, np.uint16 if is_wide else np.uint8)
            require("imagecodecs", "histology").png_decode(data, out=samples)
            if not is_direct:
                fill_in_bands(out, samples.reshape(*out.shape[:2], num), colours)

    return decode


def _pillow_decoder(kind: str, mode: str) -> _Decoder | None:
    """Decoded in memory (6 bytes per pixel; JPEG 2000: 19) and converted a band of rows at a time."""
    if mode not in _MODES:
        return None
    converted, colours = _MODES[mode]

    def decode(path: Path, out: NDArray[np.uint8]) -> None:
        height, width = out.shape[:2]
        rows = max(1, _BAND_PX // width)
        with _PLUGINS[kind](path) as image:
            image.load()
            for top in range(0, height, rows):
                band = image.crop((0, top, width, min(top + rows, height)))
                samples = np.asarray(band if mode == converted else band.convert(converted))
                out[top : top + rows] = colours.to_rgb(samples if samples.ndim == 3 else samples[:, :, None])

    return decode


@contextmanager
def _mapped(path: Path) -> Any:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _orientation(image: ImageFile.ImageFile) -> object:
    try:
        return image.getexif().get(_ORIENTATION)
    except BROKEN:  # metadata of a camera that cannot be read say nothing about the pixels
        return None


def _stated(kind: str, dpi: Any) -> Stated | None:
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    return stated_by_resolution(
        f"the resolution of the {kind}, {float(dpi[0]):g} dpi", float(dpi[0]), float(dpi[1]), "inch"
    )
