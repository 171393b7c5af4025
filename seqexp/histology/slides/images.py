"""Image files behind a slide: which reader opens which format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError

# Formats of scanners; .svs and others are TIFF inside, with details that only openslide knows.
VENDOR_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".czi", ".dcm")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf")
FLAT_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Level:
    """One resolution of an image: its size, and how many level-0 pixels one of its pixels is wide."""

    width_px: int
    height_px: int
    downsample: float


class ImageFile(Protocol):
    """What a slide needs from a file.

    Attributes
    ----------
    levels : tuple of Level
        Finest first.
    stated_mpp : float or None
        Microns per pixel of level 0, where the file says it.
    """

    levels: tuple[Level, ...]
    stated_mpp: float | None

    def read(self, x: int, y: int, width: int, height: int, level: int) -> NDArray[np.uint8]:
        """Pixels (height, width, 3) of a rectangle that lies wholly inside the level."""


def open_image(path: Path) -> ImageFile:
    """Open an image by its suffix.

    Raises
    ------
    DataError
        There is no such file, its format is not known, or it is damaged.
    """
    if not path.is_file():
        raise DataError("no such image", where=path, fix="check the path, or prepare the data")
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        from seqexp.histology.slides.tiff import open_tiff

        return open_tiff(path)
    if suffix in FLAT_SUFFIXES:
        from seqexp.histology.slides.flat import FlatImage

        return FlatImage.of_file(path)
    if suffix in VENDOR_SUFFIXES:
        from seqexp.histology.slides.vendor import VendorSlide

        return VendorSlide(path)
    known = ", ".join((*FLAT_SUFFIXES, *TIFF_SUFFIXES, *VENDOR_SUFFIXES))
    raise DataError(f"image format {path.suffix!r} is not known", where=path, expected=f"one of: {known}")


def corrupt(path: Path, error: object) -> DataError:
    """The one message for an image that cannot be decoded."""
    return DataError(
        f"the image is corrupt: {error}",
        where=path,
        expected="a whole JPEG, PNG, TIFF or scanner file",
        fix="download or export it again, and compare its checksum",
    )
