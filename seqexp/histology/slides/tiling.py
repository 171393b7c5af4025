"""Writing a tiled pyramid: an image that had to be decoded as a whole becomes one with random access."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seqexp.core.errors import ConfigError
from seqexp.core.files import atomic_path
from seqexp.core.optional import require
from seqexp.histology.slides.slide import Slide

_SMALLEST_PX = 1024


def tile_image(slide: Slide, path: str | Path, tile_px: int = 256, quality: int | None = None) -> int:
    """Write a slide as tiled TIFF with a pyramid of halved levels, down to about 1,000 pixels.

    Parameters
    ----------
    slide : Slide
        What to write.
    path : path
        The .tif to write, atomically.
    tile_px : int
        Side of a tile, a multiple of 16.
    quality : int, optional
        JPEG quality of the tiles (1 to 100, full colour resolution); without it every pixel stays as it is (deflate).

    Returns
    -------
    int
        Number of levels.

    Raises
    ------
    ConfigError
        The tile side or the quality is impossible.
    DataError
        The image is corrupt, or there is no room to write.
    """
    if tile_px % 16 or tile_px < 16 or not (quality is None or 1 <= quality <= 100):
        raise ConfigError(f"tiles of {tile_px} px, quality {quality}", expected="a multiple of 16; 1 to 100")
    tifffile = require("tifffile", "histology")
    lossless = {"compression": "adobe_deflate", "predictor": True}
    options = lossless if quality is None else {"compression": "jpeg", "compressionargs": {"level": quality}}
    num_levels = 1
    while max(slide.width_px, slide.height_px) >> num_levels >= _SMALLEST_PX:
        num_levels += 1
    with atomic_path(path) as temporary, tifffile.TiffWriter(temporary, bigtiff=True) as writer:
        for level in range(num_levels):
            scale = 1 << level
            shape = (-(-slide.height_px // scale), -(-slide.width_px // scale), 3)
            writer.write(
                _tiles(slide, scale, tile_px, shape[1], height=shape[0]),
                shape=shape,
                dtype=np.uint8,
                tile=(tile_px, tile_px),
                photometric="rgb",  # as handed over; JPEG tiles store YCbCr
                subsampling=None if quality is None else (1, 1),
                subfiletype=int(level > 0),
                metadata=None,
                description=f"MPP = {slide.mpp:.6g}" if level == 0 else None,
                **options,
            )
    return num_levels


def _tiles(slide: Slide, scale: int, tile_px: int, width: int, *, height: int) -> Iterator[NDArray[np.uint8]]:
    side = tile_px * scale
    for top in range(0, height * scale, side):
        for left in range(0, width * scale, side):
            region = slide.read_region_px(left, top, side, side)
            yield region if scale == 1 else np.asarray(Image.fromarray(region).reduce(scale))
