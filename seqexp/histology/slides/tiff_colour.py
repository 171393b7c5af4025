"""What the samples of a TIFF page mean, from its tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.histology.slides.colour import NUM_COLOURS, Model, SampleFormat

_MINISWHITE, _RGB, _SEPARATE = 0, 2, 2
_MODELS: dict[int, Model] = {0: "grey", 1: "grey", 2: "rgb", 3: "palette", 5: "cmyk", 6: "ycbcr", 8: "lab"}
_JPEG = (6, 7, 33007, 34892)  # their decoder turns YCbCr into RGB
_APERIO_YCBCR = 33003
_ASSOCIATED, _UNASSOCIATED = 1, 2
_INK_SET_CMYK = 1
_MOST_EXTRA = 4


def sample_format(page: Any, num_planes: int, path: Path, significant_bits: int | None = None) -> SampleFormat:
    """Read the colours of a page.

    Parameters
    ----------
    page : tifffile.TiffPage
    num_planes : int
        3 where red, green and blue are three grey pages.
    path : Path
        For errors.
    significant_bits : int, optional
        Bits of a sample that are used, where the file says it.

    Raises
    ------
    DataError
        Samples are signed, floating or wider than 16 bits, or of a kind that is no picture of tissue.
    """
    bits, code, compression = page.bitspersample, int(page.photometric), int(page.compression)
    if not isinstance(bits, int) or not 1 <= bits <= 16 or page.sampleformat not in (1, 4) or page.dtype is None:
        raise _unreadable(f"samples are {page.dtype or 'of mixed kinds'}", path)
    model, num = _MODELS.get(code), page.samplesperpixel
    if num_planes == 3 and model == "grey":
        return SampleFormat("rgb", white=_white(bits, significant_bits))
    if model == "grey" and num in (3, 4):  # three samples side by side that nobody called red, green and blue
        model = "rgb"
    if compression == _APERIO_YCBCR:
        model = "ycbcr"
    elif model == "ycbcr" and compression in _JPEG and page.planarconfig != _SEPARATE:
        model = "rgb"
    if (
        model is None
        or not 0 <= num - NUM_COLOURS[model] <= _MOST_EXTRA
        or (bits != 8 and model in ("cmyk", "ycbcr", "lab"))
    ):
        raise _unreadable(f"photometric interpretation {code} with {num} samples of {bits} bits", path)
    if model == "ycbcr" and tuple(page.subsampling or (1, 1)) != (1, 1):
        raise _unreadable("chroma is subsampled without JPEG", path)
    if model == "cmyk" and _tag(page, "InkSet", _INK_SET_CMYK) != _INK_SET_CMYK:
        raise _unreadable("inks other than CMYK", path)
    alpha, is_premultiplied = _alpha(page, NUM_COLOURS[model], path)
    return SampleFormat(
        model=model,
        white=_white(bits, significant_bits),
        alpha=alpha,
        is_premultiplied=is_premultiplied,
        is_inverted=code == _MINISWHITE,
        palette=_palette(page, path) if model == "palette" else None,
    )


def _white(bits: int, significant_bits: int | None) -> int:
    return (1 << min(bits, significant_bits or bits)) - 1


def _alpha(page: Any, num_colours: int, path: Path) -> tuple[int | None, bool]:
    """The sample that says how opaque a pixel is; samples of no stated meaning are left out, as other readers do."""
    extra = [int(kind) for kind in page.extrasamples]
    num_extra = page.samplesperpixel - num_colours
    if not extra and num_extra == 1 and num_colours == 3 and int(page.photometric) == _RGB:
        return num_colours, False  # a fourth sample without a word is alpha for most readers
    for place, kind in enumerate(extra[-num_extra:] if num_extra else ()):
        if kind in (_ASSOCIATED, _UNASSOCIATED):
            return num_colours + place, kind == _ASSOCIATED
    if num_extra and num_colours == 1:
        raise _unreadable(f"{page.samplesperpixel} samples of which one is grey", path)
    return None, False


def _palette(page: Any, path: Path) -> NDArray[np.uint8]:
    colours = page.colormap
    if colours is None or colours.ndim != 2 or colours.shape[0] != 3:
        raise _unreadable("a palette without colours", path)
    return np.ascontiguousarray((colours >> 8).T.astype(np.uint8))


def _tag(page: Any, name: str, default: int) -> int:
    return int(page.tags.valueof(name, default=default))


def _unreadable(found: str, path: Path) -> DataError:
    return DataError(
        f"the pixels are no picture of tissue: {found}",
        where=path,
        expected="grey, RGB, palette, CMYK, YCbCr or CIELAB in unsigned samples of at most 16 bits",
        fix="export the image as 8-bit RGB",
    )
