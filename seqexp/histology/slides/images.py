"""Image files behind a slide: which reader opens which format."""

from __future__ import annotations

from pathlib import Path

from seqexp.core.errors import DataError
from seqexp.histology.slides.image_file import ImageFile

# Formats of scanners; .svs and others are TIFF inside, with details that only openslide knows.
VENDOR_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".czi", ".dcm")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf")
FLAT_SUFFIXES = (".jpg", ".jpeg", ".png")


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
