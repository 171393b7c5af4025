"""What a TIFF says about the width of its pixels: OME-XML, text of scanners, ImageJ, resolution tags."""

from __future__ import annotations

import re
from typing import Any

from seqexp.histology.slides.scale import Stated, microns_of, stated_by_resolution
from seqexp.histology.slides.tiff_series import ome_pixels

_MPP = re.compile(r"\bMPP\s*[=:]\s*([^|;\r\n]*)")
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}


def stated_by_tiff(tiff: Any, series: Any) -> Stated | None:
    """The first that says something, the most deliberate first; None if nothing does."""
    page = series.keyframe
    found = _by_ome(tiff, page) if tiff.is_ome else _by_text(page.description or tiff.pages[0].description)
    if found is None and tiff.is_imagej:
        return _by_imagej(tiff, page)
    return found or _by_tags(page)


def significant_bits(tiff: Any, series: Any) -> int | None:
    """Bits of a sample that are used, by OME-XML: cameras put 12 bits into 16."""
    if not tiff.is_ome:
        return None
    pixels = ome_pixels(tiff.ome_metadata, series.keyframe.imagewidth, series.keyframe.imagelength)
    text = "" if pixels is None else pixels.get("SignificantBits", "")
    return int(text) if text.isdigit() and int(text) else None


def _by_ome(tiff: Any, page: Any) -> Stated | None:
    pixels = ome_pixels(tiff.ome_metadata, page.imagewidth, page.imagelength)
    x = None if pixels is None else pixels.get("PhysicalSizeX")
    if pixels is None or x is None:
        return None
    y, unit = pixels.get("PhysicalSizeY", x), pixels.get("PhysicalSizeXUnit")
    if unit is None and x.strip() in ("1", "1.0"):  # what programs write for "not calibrated"
        return None
    unit = "µm" if unit is None else unit
    unit_y = pixels.get("PhysicalSizeYUnit", unit)
    told = f"PhysicalSizeX {x} {unit}" + ("" if y == x else f", PhysicalSizeY {y} {unit_y}")
    return Stated.read(told, lambda: (microns_of(x, unit), microns_of(y, unit_y)))


def _by_text(description: str) -> Stated | None:
    found = _MPP.search(description)
    if found is None:
        return None
    return Stated.read(f"MPP = {found[1].strip()}", lambda: (microns_of(found[1]), None))


def _by_imagej(tiff: Any, page: Any) -> Stated | None:
    unit = str((tiff.imagej_metadata or {}).get("unit", ""))
    x, y = _resolution(page)
    told = f"ImageJ: {x:g} pixels per {unit}"

    def lengths() -> tuple[float | None, float | None]:
        stated = stated_by_resolution(told, x, y, unit, is_weak=False)
        return (None, None) if stated is None else (stated.x_um, stated.y_um)

    return Stated.read(told, lengths)


def _by_tags(page: Any) -> Stated | None:
    unit = _RESOLUTION_UNITS.get(int(page.tags.valueof("ResolutionUnit", default=2)))
    x, y = _resolution(page)
    return None if unit is None else stated_by_resolution(f"resolution tags: {x:g} pixels per {unit}", x, y, unit)


def _resolution(page: Any) -> tuple[float, float]:
    """Pixels per unit in x and y; 0 where there is none."""
    x = page.tags.valueof("XResolution")
    y = page.tags.valueof("YResolution", default=x)
    return _ratio(x), _ratio(y)


def _ratio(value: Any) -> float:
    if not isinstance(value, tuple) or len(value) != 2 or not value[1]:
        return 0.0
    return float(value[0]) / float(value[1])
