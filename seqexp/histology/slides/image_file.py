"""What a slide needs from an image file, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError


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

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> NDArray[np.uint8]:
        """Pixels (height, width, 3) of a rectangle that lies wholly inside the level."""


def corrupt(path: Path, error: object) -> DataError:
    """The one message for an image that cannot be decoded."""
    return DataError(
        f"the image is corrupt: {error}",
        where=path,
        expected="a whole JPEG, PNG, TIFF or scanner file",
        fix="download or export it again, and compare its checksum",
    )
