"""What a slide needs from an image file, whatever its format."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.histology.slides.scale import Stated

# What decoders raise when they meet bytes that nobody wrote on purpose; those of imagecodecs are RuntimeErrors.
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


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
    stated : Stated or None
        What the file says about the width of its pixels.
    """

    levels: tuple[Level, ...]
    stated: Stated | None

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> NDArray[np.uint8]:
        """Colours (height, width, 3) of a rectangle that lies wholly inside the level; transparency is white."""


def corrupt(path: Path, error: object) -> DataError:
    """The one message for an image that cannot be decoded."""
    return DataError(
        f"the image is corrupt: {error or type(error).__name__}",
        where=path,
        expected="a whole JPEG, PNG, TIFF or scanner file",
        fix="download or export it again, and compare its checksum",
    )


def require_upright(path: Path, orientation: object) -> None:
    """Refuse an image that asks viewers to turn it: nobody knows whether its spots were placed before or after.

    Parameters
    ----------
    path : Path
    orientation : int or None
        EXIF or TIFF tag 274: 1 is upright; what is not from 1 to 8 says nothing.

    Raises
    ------
    DataError
        It asks for a turn or a mirror.
    """
    if orientation in range(2, 9):
        raise DataError(
            f"the image asks to be turned or mirrored when shown (orientation {orientation})",
            where=path,
            expected="orientation 1: pixels stored as the positions of the spots count them",
            fix="turn the pixels the way the positions count them, and save without the orientation tag "
            "(Pillow: ImageOps.exif_transpose turns them; exiftool -Orientation= leaves them as they are stored)",
        )
