"""A slide: an image with its scale, read patch by patch in microns."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from seqexp.core.errors import ConfigError
from seqexp.histology.slides.flat import DEFAULT_MAX_MPX
from seqexp.histology.slides.images import open_image
from seqexp.histology.slides.scale import Stated, checked_mpp
from seqexp.histology.slides.tissue import TissueMask, find_tissue

_WHITE = 255
_LARGEST_MASK_PX = 1 << 26


class Slide:
    """An H&E image whose scale is known.

    Origin is the top left corner of the image, x runs to the right and y down; ``_um`` is ``_px`` of level 0 times
    ``mpp``. Can be pickled, and used after a fork and from threads.

    Parameters
    ----------
    path : path
        JPEG, PNG, WebP, BMP, JPEG 2000, TIFF (tiled and pyramidal read in parts) or a scanner format that OpenSlide
        reads. Whatever samples are stored, colours are 8-bit RGB, what is transparent mixed with white.
    mpp : float or str, optional
        Microns per pixel of level 0, or a length such as ``250 nm``; may be left out only where the file states it.
    name : str, optional
        Defaults to the file name without suffix.
    max_image_mpx : float
        Megapixels that an image may have that can only be decoded as a whole (JPEG, PNG, TIFF in one piece); each
        takes 3 bytes of the temporary folder.
    stated_beside : Stated, optional
        What files beside the image say about its scale; used where the image itself does not say it on purpose.

    Raises
    ------
    DataError
        The scale is unknown, impossible or contradicts the file, or the image cannot be opened: it is damaged, too
        large, asks to be turned, or is no picture in colour or grey.
    """

    def __init__(
        self,
        path: str | Path,
        mpp: float | str | None = None,
        name: str = "",
        *,
        max_image_mpx: float = DEFAULT_MAX_MPX,
        stated_beside: Stated | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = name or self.path.stem
        self.max_image_mpx = max_image_mpx
        self._image = open_image(self.path, max_image_mpx)
        own = self._image.stated
        is_deliberate = own is not None and not own.is_weak and not own.problem
        self.stated = own if is_deliberate or stated_beside is None else stated_beside
        self.mpp = checked_mpp(mpp, self.stated, self.path)
        self.levels = self._image.levels

    @property
    def width_px(self) -> int:
        """Width of level 0."""
        return self.levels[0].width_px

    @property
    def height_px(self) -> int:
        """Height of level 0."""
        return self.levels[0].height_px

    @property
    def width_um(self) -> float:
        """Width in microns."""
        return self.width_px * self.mpp

    @property
    def height_um(self) -> float:
        """Height in microns."""
        return self.height_px * self.mpp

    def read_region_px(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> NDArray[np.uint8]:
        """Rectangle of a level in its own pixels, (height, width, 3); what lies outside the image is white."""
        size = self.levels[level]
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + width, size.width_px), min(y + height, size.height_px)
        if (x0, y0, x1, y1) == (x, y, x + width, y + height):
            return self._image.read(x, y, width, height, level=level)
        out = np.full((height, width, 3), _WHITE, dtype=np.uint8)
        if x1 > x0 and y1 > y0:
            out[y0 - y : y1 - y, x0 - x : x1 - x] = self._image.read(x0, y0, x1 - x0, y1 - y0, level=level)
        return out

    def read_patch_um(self, centre_um: ArrayLike, side_um: float, side_px: int) -> NDArray[np.uint8]:
        """Square patch around a point, (side_px, side_px, 3).

        Parameters
        ----------
        centre_um : (2,)
            x and y of its centre.
        side_um : float
            Width on the tissue.
        side_px : int
            Width of the result. Read from the coarsest level that is fine enough; where that level has, to half a
            pixel, just this many pixels, they are handed on as they are, and resampled with a box filter (antialiased)
            otherwise.

        Raises
        ------
        ConfigError
            A width is not positive.
        """
        if side_um <= 0 or side_px <= 0:
            raise ConfigError(f"a patch of {side_um} um and {side_px} px", expected="widths above 0")
        level = self._level_for(side_um / side_px)
        mpp = self.mpp * self.levels[level].downsample
        x, y = (float(value) / mpp for value in np.asarray(centre_um, dtype=np.float64))
        side = side_um / mpp
        if abs(side - side_px) < 0.5:
            left, top = (int(np.floor(value - side_px / 2 + 0.5)) for value in (x, y))
            return self.read_region_px(left, top, side_px, side_px, level=level)
        left, top = int(np.floor(x - side / 2)), int(np.floor(y - side / 2))
        right, bottom = int(np.ceil(x + side / 2)), int(np.ceil(y + side / 2))
        region = Image.fromarray(self.read_region_px(left, top, right - left, bottom - top, level=level))
        box = (x - side / 2 - left, y - side / 2 - top, x + side / 2 - left, y + side / 2 - top)
        # enlarging needs interpolation; a box filter would repeat pixels
        how = Image.Resampling.BOX if side > side_px else Image.Resampling.BILINEAR
        return np.asarray(region.resize((side_px, side_px), how, box=box))

    def read_patches_um(
        self, centres_um: ArrayLike, side_um: float, side_px: int, num_threads: int | None = None
    ) -> NDArray[np.uint8]:
        """Patches around S points (S, 2), as (S, side_px, side_px, 3).

        Several threads decode tiles, each in a part of the slide, row of patches by row: neighbours share tiles.
        """
        centres = np.asarray(centres_um, dtype=np.float64).reshape(-1, 2)
        order = np.lexsort((centres[:, 0], centres[:, 1] // side_um))
        out = np.empty((len(centres), side_px, side_px, 3), dtype=np.uint8)

        def read(rows: NDArray[np.int64]) -> None:
            for row in rows:
                out[row] = self.read_patch_um(centres[row], side_um, side_px)

        num_threads = min(num_threads or len(os.sched_getaffinity(0)), len(centres))
        if num_threads <= 1:
            read(order)
        else:
            with ThreadPoolExecutor(num_threads) as pool:
                list(pool.map(read, np.array_split(order, num_threads)))
        return out

    def tissue_mask(self, mpp: float = 8.0) -> TissueMask:
        """Where tissue lies, at about the resolution given; coarser where a pixel, or the mask, would be too large."""
        return find_tissue(self, max(mpp, self.mpp, (self.width_um * self.height_um / _LARGEST_MASK_PX) ** 0.5))

    def _level_for(self, mpp: float) -> int:
        """Coarsest level whose pixels are not wider than ``mpp`` (within 1 %); level 0 if there is none."""
        fine = [i for i, level in enumerate(self.levels) if self.mpp * level.downsample <= 1.01 * mpp]
        return max(fine, default=0)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Slide, max_image_mpx=self.max_image_mpx), (self.path, self.mpp, self.name)

    def __repr__(self) -> str:
        return f"Slide({self.name}, {self.width_px} x {self.height_px} px, {self.mpp:.4g} um/px)"
