"""Steps that histology recipes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seqexp.core.files import inside
from seqexp.histology.slides.flat import DEFAULT_MAX_MPX
from seqexp.histology.slides.slide import Slide
from seqexp.histology.slides.tiling import tile_image
from seqexp.recipes.runner import StepKind, StepResult


def tile_images(
    folder: Path,
    images: Mapping[str, str],
    mpp: Mapping[str, float],
    tile_px: int = 256,
    *,
    quality: int | None = None,
    max_image_mpx: float = DEFAULT_MAX_MPX,
) -> StepResult:
    """Write images as tiled TIFF with a pyramid, so that patches can be read without decoding a whole image.

    Parameters
    ----------
    folder : Path
        Dataset folder; all paths are relative to it.
    images : mapping
        Image to write -> image to read.
    mpp : mapping
        Image to write -> microns per pixel.
    tile_px, quality : int
        As for :func:`seqexp.histology.slides.tiling.tile_image`; without quality every pixel stays as it is.
    max_image_mpx : float
        Megapixels that an image may have if it can only be decoded as a whole.

    Raises
    ------
    DataError
        An image is corrupt or has no scale.
    """
    notes = []
    for output, source in images.items():
        slide = Slide(inside(folder, source), mpp.get(output), max_image_mpx=max_image_mpx)
        num_levels = tile_image(slide, inside(folder, output), tile_px, quality)
        kept = "every pixel kept" if quality is None else f"JPEG quality {quality}"
        notes.append(f"{output}: {slide.width_px} x {slide.height_px} px, {num_levels} levels, {kept}")
    return StepResult(tuple(images), tuple(notes))


STEPS = {"tile_images": StepKind(tile_images)}
