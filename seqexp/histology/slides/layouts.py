"""Which reader reads which layout of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from seqexp.core.errors import ConfigError
from seqexp.histology.slides.joining import RawSpots
from seqexp.histology.slides.scale import Stated
from seqexp.histology.slides.scverse import read_h5ad, read_spatialdata
from seqexp.histology.slides.spaceranger import holds_bins, read_spaceranger, read_spaceranger_scale
from seqexp.histology.slides.st_files import read_st

OptionKind = Literal["flag", "name", "whole number"]


def _st(image: Path, counts: Path, spots: Path) -> RawSpots:
    return read_st(counts, spots)


def _spaceranger(image: Path, folder: Path, **options: Any) -> RawSpots:
    return read_spaceranger(folder, image, **options)


def _h5ad(image: Path, file: Path, **options: Any) -> RawSpots:
    return read_h5ad(file, **options)


def _spatialdata(image: Path, folder: Path, **options: Any) -> RawSpots:
    return read_spatialdata(folder, **options)


# layout -> (reader, keys of a slide that are paths, keys that are options and their kinds)
LAYOUTS: Mapping[str, tuple[Callable[..., RawSpots], tuple[str, ...], Mapping[str, OptionKind]]] = {
    "st": (_st, ("counts", "spots"), {}),
    "spaceranger": (_spaceranger, ("folder",), {"only_tissue": "flag", "bin_um": "whole number"}),
    "h5ad": (
        _h5ad,
        ("file",),
        {"layer": "name", "library": "name", "library_key": "name", "only_tissue": "flag"},
    ),
    "spatialdata": (
        _spatialdata,
        ("folder",),
        {"table": "name", "layer": "name", "only_tissue": "flag", "coordinate_system": "name"},
    ),
}


def platform_by_layout(layout: str, paths: Mapping[str, Path], options: Mapping[str, Any]) -> str:
    """Platform of a slide that names none, as far as the layout of its files tells."""
    if layout == "st":
        return "ST"
    if layout != "spaceranger":
        return "other"
    return "VisiumHD" if "bin_um" in options or holds_bins(paths["folder"]) else "Visium"


def read_scale(layout: str, image: Path, paths: Mapping[str, Path], options: Mapping[str, Any]) -> Stated | None:
    """What the files of the spots say about the width of a pixel of the image; None where they say nothing."""
    if layout != "spaceranger":
        return None
    return read_spaceranger_scale(paths["folder"], image, options.get("bin_um"))


def read_spots(layout: str, image: Path, paths: Mapping[str, Path], options: Mapping[str, Any]) -> RawSpots:
    """Read the spots of one slide.

    Raises
    ------
    ConfigError
        No layout of that name.
    DataError
        The files cannot be read.
    """
    if layout not in LAYOUTS:
        raise ConfigError(f"unknown layout {layout!r}", expected="one of: " + ", ".join(LAYOUTS))
    return LAYOUTS[layout][0](image, **paths, **options)
