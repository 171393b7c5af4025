"""Which pages of a TIFF are the slide: its levels, each one page or three grey ones; stacks are refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from seqexp.core.errors import DataError

_AXES = {
    "Z": "focal planes (z)",
    "T": "time points",
    "C": "channels",
    "Q": "pages whose meaning the file does not say",
    "I": "pages whose meaning the file does not say",
}
_PRIMARY = {"r": 0, "red": 0, "g": 1, "green": 1, "b": 2, "blue": 2}
_PURE = {(255, 0, 0): 0, (0, 255, 0): 1, (0, 0, 255): 2}
# Words beside a colour, or instead of one, that name no dye.
_NEUTRAL = {"c", "ch", "channel", "brightfield", "bright", "field", "bf", "tl", "rgb", "h", "e", "he", "and", "none"}
_RGB_FIX = "export one section as one RGB image (in Fiji: Image > Type > RGB Color), not as a stack"


@dataclass(frozen=True)
class PageLevel:
    """One resolution: the page whose tags describe it, and the pages that hold its colours (one, or R, G and B)."""

    keyframe: Any
    planes: tuple[Any, ...]


@dataclass(frozen=True)
class Channels:
    """What OME or ImageJ metadata say about the channels of an image."""

    names: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int] | None, ...] = ()
    fluorescence: str = ""


def find_slide(tiff: Any, path: Path) -> tuple[Any, list[PageLevel]]:
    """The series that is the slide, and its levels, finest first.

    Raises
    ------
    DataError
        Pages are a stack of focal planes, time points or channels, or there are several images of that size.
    """
    series = _largest(tiff, path)
    order = _plane_order(tiff, series, path)
    levels = [_level(level, order, tiff, path) for level in series.levels]
    width, height = levels[0].keyframe.imagewidth, levels[0].keyframe.imagelength
    return series, [lv for lv in levels if _is_reduced(lv.keyframe, width, height)]


def _largest(tiff: Any, path: Path) -> Any:
    """A file may also hold a label, an overview and a thumbnail, and not always behind the slide."""
    sizes = [series.keyframe.imagewidth * series.keyframe.imagelength for series in tiff.series]
    if not sizes or max(sizes) <= 0:
        raise ValueError("no image in it")
    found = [series for series, size in zip(tiff.series, sizes, strict=True) if size == max(sizes)]
    if len(found) > 1:
        raise DataError(
            f"{len(found)} images of the same size in one file",
            where=path,
            expected="one section per file; smaller images beside it do no harm",
            fix=_RGB_FIX,
        )
    return found[0]


def _plane_order(tiff: Any, series: Any, path: Path) -> tuple[int, ...]:
    """Planes of a level in the order red, green, blue; (0,) where a page holds all colours."""
    sizes = {a: n for a, n in zip(series.axes, series.shape, strict=True) if a not in "YXS" and n > 1}
    is_grey = series.keyframe.samplesperpixel == 1
    if not sizes:
        return (0,)
    channels = channels_of(tiff, series)
    if set(sizes) == {"C"} and sizes["C"] == 3 and is_grey and not channels.fluorescence:
        order = _rgb_order(channels)
        if order is not None:
            return order
    told = ", ".join(f"{n} {_AXES.get(a, f'places along axis {a}')}" for a, n in sizes.items())
    named = channels.fluorescence or ", ".join(name for name in channels.names if name)
    raise DataError(
        f"the image is a stack: {told}" + (f" ({named})" if "C" in sizes and named else ""),
        where=path,
        expected="a brightfield image: grey, RGB, or three channels that are red, green and blue",
        fix=_RGB_FIX,
    )


def _rgb_order(channels: Channels) -> tuple[int, ...] | None:
    """Planes of red, green and blue by their names, else by their colours, else as they lie; None if they are dyes."""
    words = [set(re.findall(r"[a-z]+", name.lower())) - _NEUTRAL for name in channels.names]
    by_name = [_PRIMARY.get(next(iter(found))) if len(found) == 1 else None for found in words]
    if sorted(n for n in by_name if n is not None) == [0, 1, 2]:
        return tuple(by_name.index(i) for i in range(3))
    if any(words):
        return None
    by_colour = [_PURE.get(colour) if colour else None for colour in channels.colours]
    if sorted(n for n in by_colour if n is not None) == [0, 1, 2]:
        return tuple(by_colour.index(i) for i in range(3))
    return (0, 1, 2) if all(colour in (None, (255, 255, 255)) for colour in channels.colours) else None


def _level(level: Any, order: tuple[int, ...], tiff: Any, path: Path) -> PageLevel:
    keyframe, pages = level.keyframe, list(level.pages)
    if keyframe.imagedepth != 1:
        raise DataError(
            "the image is a stack: tiles are several planes deep", where=path, expected="one plane", fix=_RGB_FIX
        )
    if any(page is not None and page.parent is not tiff for page in pages):
        raise DataError(
            "the image is spread over several files", where=path, expected="one file", fix="export it as one file"
        )
    if len(pages) <= max(order) or any(pages[i] is None for i in order):
        raise DataError(
            f"{len(pages)} pages for {len(order)} planes",
            where=path,
            expected="a page for every plane: ImageJ leaves them out of very large stacks",
            fix=_RGB_FIX,
        )
    return PageLevel(keyframe, tuple(pages[i] for i in order))


def _is_reduced(page: Any, width: int, height: int) -> bool:
    """A level of a pyramid has the shape of the slide, to a pixel; a thumbnail among them may not."""
    downsample = width / page.imagewidth
    return abs(page.imagelength * downsample - height) <= 2 * downsample


def channels_of(tiff: Any, series: Any) -> Channels:
    """Names and colours of the channels, as far as the file tells."""
    if tiff.is_ome:
        pixels = ome_pixels(tiff.ome_metadata, series.keyframe.imagewidth, series.keyframe.imagelength)
        return Channels() if pixels is None else _ome_channels(pixels)
    if tiff.is_imagej:
        metadata = tiff.imagej_metadata or {}
        labels = metadata.get("Labels") or ()
        luts = [tuple(int(v) for v in lut[:, -1]) for lut in metadata.get("LUTs") or ()]
        return Channels(tuple(map(str, labels)) if len(labels) == 3 else (), tuple(luts))  # type: ignore[arg-type]
    return Channels()


def ome_pixels(xml: str, width: int, height: int) -> ElementTree.Element | None:
    """The Pixels element of an image of that size; None if there is none or the XML is broken."""
    try:
        root = ElementTree.fromstring(xml.encode())
    except (ElementTree.ParseError, ValueError):
        return None
    found = [e for e in root.iter() if e.tag.rpartition("}")[2] == "Pixels"]
    return next((e for e in found if (e.get("SizeX"), e.get("SizeY")) == (str(width), str(height))), None)


def _ome_channels(pixels: ElementTree.Element) -> Channels:
    channels = [e for e in pixels if e.tag.rpartition("}")[2] == "Channel"]
    dyes = [e.get("Fluor") or e.get("EmissionWavelength") or "" for e in channels]
    is_glowing = any(dyes) or any(e.get("ContrastMethod") == "Fluorescence" for e in channels)
    colours = tuple(_ome_colour(e.get("Color")) for e in channels)
    names = tuple(e.get("Name") or "" for e in channels)
    told = ", ".join(name or dye for name, dye in zip(names, dyes, strict=True))
    return Channels(names, colours, f"fluorescence: {told}" if is_glowing else "")


def _ome_colour(text: str | None) -> tuple[int, int, int] | None:
    """A signed 32-bit number that is RGBA."""
    try:
        value = int(text) & 0xFFFFFFFF if text is not None else None
    except ValueError:
        return None
    return None if value is None else (value >> 24, value >> 16 & 255, value >> 8 & 255)
