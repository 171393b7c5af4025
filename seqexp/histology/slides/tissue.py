"""Where on a slide tissue lies: what is more than glass, by Otsu's threshold on the saturation of a thumbnail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

_STRIP_PX = 256
# Staining weaker than this (max minus min of R, G, B, of 255) is glass even if Otsu's method splits noise in two.
_LEAST_CHROMA = 12


class Readable(Protocol):
    """An image with a scale, such as :class:`~seqexp.histology.slides.slide.Slide`."""

    @property
    def width_um(self) -> float:
        """Width of the image."""

    @property
    def height_um(self) -> float:
        """Height of the image."""

    def read_patch_um(self, centre_um: tuple[float, float], side_um: float, out_px: int) -> NDArray[np.uint8]:
        """A square (P, P, 3) round a place."""


@dataclass(frozen=True)
class TissueMask:
    """Tissue of a slide at low resolution.

    Parameters
    ----------
    mask : bool array (H, W)
        True on tissue.
    mpp : float
        Microns per pixel of the mask.
    brightest : float
        Brightness (0 to 255) that 5 % of the slide exceed: near 255 where there is glass.
    """

    mask: NDArray[np.bool_]
    mpp: float
    brightest: float = 255.0

    @property
    def share(self) -> float:
        """Share of the slide that is tissue."""
        return float(self.mask.mean())

    def contains(self, points_um: ArrayLike) -> NDArray[np.bool_]:
        """Which of S points (S, 2) lie on tissue; points outside the slide do not."""
        column, row = np.floor(np.asarray(points_um, dtype=np.float64).reshape(-1, 2) / self.mpp).astype(np.int64).T
        is_inside = (row >= 0) & (column >= 0) & (row < self.mask.shape[0]) & (column < self.mask.shape[1])
        found = np.zeros(len(row), dtype=bool)
        found[is_inside] = self.mask[row[is_inside], column[is_inside]]
        return found


def find_tissue(slide: Readable, mpp: float) -> TissueMask:
    """Tissue of a slide: chroma above Otsu's threshold, specks and holes below 3 px across smoothed away."""
    small = thumbnail(slide, mpp)
    chroma = ndimage.gaussian_filter(np.ptp(small.astype(np.int16), axis=2).astype(np.float32), 1.0)
    mask = chroma > max(otsu(chroma), _LEAST_CHROMA)
    cross = ndimage.generate_binary_structure(2, 1)
    brightest = float(np.percentile(small.max(axis=2), 95))
    return TissueMask(ndimage.binary_opening(ndimage.binary_closing(mask, cross, 2), cross, 1), mpp, brightest)


def thumbnail(slide: Readable, mpp: float) -> NDArray[np.uint8]:
    """The whole slide at ``mpp`` microns per pixel (H, W, 3), read in squares so that memory stays small."""
    width, height = int(np.ceil(slide.width_um / mpp)), int(np.ceil(slide.height_um / mpp))
    out = np.empty((height, width, 3), dtype=np.uint8)
    side_um = _STRIP_PX * mpp
    for top in range(0, height, _STRIP_PX):
        for left in range(0, width, _STRIP_PX):
            centre = ((left + _STRIP_PX / 2) * mpp, (top + _STRIP_PX / 2) * mpp)
            square = slide.read_patch_um(centre, side_um, _STRIP_PX)
            out[top : top + _STRIP_PX, left : left + _STRIP_PX] = square[: height - top, : width - left]
    return out


def otsu(values: NDArray[np.float32], num_bins: int = 256) -> float:
    """Threshold that makes the two sides most different (Otsu 1979): largest variance between them."""
    counts, edges = np.histogram(values, bins=num_bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = below[-1] + counts[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
    between = np.nan_to_num(below * above * difference**2)
    return float(edges[1:-1][int(np.argmax(between))])
