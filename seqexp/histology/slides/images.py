"""Image files behind a slide: which reader opens which format."""

from __future__ import annotations

from pathlib import Path

from seqexp.core.errors import DataError
from seqexp.histology.slides.flat import DEFAULT_MAX_MPX
from seqexp.histology.slides.image_file import ImageFile, corrupt

# Formats of scanners; .svs and others are TIFF inside, with details that only openslide knows.
VENDOR_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".czi", ".dcm")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf")
FLAT_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".jp2", ".j2k")
# The first bytes say what a file is; names are changed and mistyped.
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)


def open_image(path: Path, max_mpx: float = DEFAULT_MAX_MPX) -> ImageFile:
    """Open an image: those of scanners by their suffix, all others by their first bytes.

    Parameters
    ----------
    path : Path
    max_mpx : float
        Megapixels that an image may have that can only be decoded as a whole.

    Raises
    ------
    DataError
        There is no such file, its format is not known, it is damaged or too large, or its pixels are no picture of
        tissue in colour or grey.
    """
    if not path.is_file():
        raise DataError("no such image", where=path, fix="check the path, or prepare the data")
    suffix = path.suffix.lower()
    if suffix in VENDOR_SUFFIXES:
        from seqexp.histology.slides.vendor import VendorSlide

        return VendorSlide(path)
    kind = _kind_of(path)
    if kind == "TIFF":
        from seqexp.histology.slides.tiff import open_tiff

        return open_tiff(path, max_mpx)
    if kind is not None:
        from seqexp.histology.slides.pictures import open_picture

        return open_picture(path, kind, max_mpx)
    if suffix in (*TIFF_SUFFIXES, *FLAT_SUFFIXES):
        raise corrupt(path, f"it does not begin as a {suffix} file does")
    known = ", ".join((*FLAT_SUFFIXES, *TIFF_SUFFIXES, *VENDOR_SUFFIXES))
    raise DataError(f"image format {path.suffix!r} is not known", where=path, expected=f"one of: {known}")


def _kind_of(path: Path) -> str | None:
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError as error:
        raise DataError(
            f"the image cannot be read: {error.strerror}", where=path, fix="check its permissions and its disk"
        ) from error
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
