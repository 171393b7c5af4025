"""Images without random access: decoded once per process into an unnamed file on disk."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError, SeqexpError
from seqexp.histology.slides.colour import SampleFormat
from seqexp.histology.slides.image_file import BROKEN, Level, corrupt
from seqexp.histology.slides.scale import Stated

# Decoded, this is 3 GB of temporary disk.
DEFAULT_MAX_MPX = 1000.0
_BAND_PX = 1 << 22
# A decoder writes colours (H, W, 3) into the array it gets.
Decoder = Callable[[NDArray[np.uint8]], None]


class FlatImage:
    """An image that can only be decoded as a whole.

    The first read decodes it, once per process, into a memory-mapped file that has no name and vanishes with the
    process: it takes 3 bytes per pixel of the temporary folder (for a moment more, where the file stores other samples
    than RGB), reads touch the pages they need and memory stays small. Tile large images once
    (:func:`seqexp.histology.slides.tiling.tile_image`) and no process has to decode them as a whole again.

    Parameters
    ----------
    path : Path
        The file.
    width_px, height_px : int
        Its size.
    decode : callable
        Fills an array (height_px, width_px, 3).
    stated : Stated, optional
        What the file says about the width of its pixels.
    max_mpx : float
        Megapixels that the image may have at most: a small file can claim to be endless.

    Raises
    ------
    DataError
        The image is larger.
    """

    def __init__(
        self,
        path: Path,
        width_px: int,
        height_px: int,
        decode: Decoder,
        *,
        stated: Stated | None = None,
        max_mpx: float = DEFAULT_MAX_MPX,
    ) -> None:
        _require_size(path, width_px, height_px, max_mpx)
        self.path, self.stated = path, stated
        self.levels: tuple[Level, ...] = (Level(width_px, height_px, 1.0),)
        self._decode = decode
        self._pixels: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> NDArray[np.uint8]:
        """Pixels (height, width, 3) of a rectangle inside the image."""
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decoded()
        return np.array(self._pixels[y : y + height, x : x + width])

    def _decoded(self) -> NDArray[np.uint8]:
        pixels = scratch((self.levels[0].height_px, self.levels[0].width_px, 3), np.uint8)
        try:
            self._decode(pixels)
        except SeqexpError:
            raise
        except BROKEN as error:
            raise corrupt(self.path, error) from error
        pixels.flags.writeable = False
        return pixels


def scratch(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array in an unnamed file of the temporary folder.

    Raises
    ------
    DataError
        There is no room.
    """
    num_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    try:
        with tempfile.TemporaryFile(prefix="seqexp-") as file:
            # Reserved first: a full disk is an error here and would be a crash while the map is written.
            os.posix_fallocate(file.fileno(), 0, num_bytes)
            return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
    except OSError as error:
        raise DataError(
            f"no room to decode the image ({num_bytes / 1e6:.0f} MB): {error.strerror or error}",
            where=tempfile.tempdir or os.environ.get("TMPDIR"),
            expected="a folder for temporary files with room and write permission",
            fix="free some space, set TMPDIR to another folder, or tile the image once",
        ) from error


def fill_in_bands(out: NDArray[np.uint8], samples: NDArray[Any], colours: SampleFormat) -> None:
    """Convert samples (H, W, S) to colours a band of rows at a time, so that memory stays small."""
    rows = max(1, _BAND_PX // out.shape[1])
    for top in range(0, len(out), rows):
        out[top : top + rows] = colours.to_rgb(samples[top : top + rows])


def _require_size(path: Path, width_px: int, height_px: int, max_mpx: float) -> None:
    mpx = width_px * height_px / 1e6
    if mpx > max_mpx:
        raise DataError(
            f"the image has {mpx:,.0f} megapixels ({width_px} x {height_px}) and can only be decoded as a whole, into "
            f"{3 * mpx / 1e3:,.1f} GB of temporary files",
            where=path,
            expected=f"at most {max_mpx:g} megapixels unless more are declared: a hostile file can claim any number",
            fix=f"if the file is meant to be that large: max_image_mpx: {-int(-mpx // 1)}; a tiled TIFF has no limit",
        )
