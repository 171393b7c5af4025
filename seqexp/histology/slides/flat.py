"""Images without random access (JPEG, PNG, untiled TIFF): decoded once per process into an unnamed file on disk."""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.histology.slides.image_file import Level, corrupt

_END_OF_JPEG = b"\xff\xd9"
# A decoder writes pixels (H, W, 3) into the array it gets.
Decoder = Callable[[NDArray[np.uint8]], None]


class FlatImage:
    """An image that can only be decoded as a whole.

    The first read decodes it, once per process, into a memory-mapped file that has no name and vanishes with the
    process: reads touch the pages they need and memory stays small. Tile large images once
    (:func:`seqexp.histology.slides.tiling.tile_image`) and no process has to decode them as a whole again.

    Parameters
    ----------
    path : Path
        The file.
    width_px, height_px : int
        Its size.
    decode : callable
        Fills an array (height_px, width_px, 3).
    stated_mpp : float, optional
        Microns per pixel, where the file says it.
    """

    def __init__(
        self, path: Path, width_px: int, height_px: int, decode: Decoder, *, stated_mpp: float | None = None
    ) -> None:
        self.path, self.stated_mpp = path, stated_mpp
        self.levels: tuple[Level, ...] = (Level(width_px, height_px, 1.0),)
        self._decode = decode
        self._pixels: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()

    @classmethod
    def of_file(cls, path: Path) -> FlatImage:
        """Open a JPEG or PNG; only its header is read.

        Raises
        ------
        DataError
            The header is damaged.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # slides are that large
                with Image.open(path) as image:
                    width_px, height_px = image.size
                    is_jpeg = image.format in ("JPEG", "MPO")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise corrupt(path, error) from error
        return cls(path, width_px, height_px, lambda out: (_decode_jpeg if is_jpeg else _decode_png)(path, out))

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> NDArray[np.uint8]:
        """Pixels (height, width, 3) of a rectangle inside the image."""
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decoded()
        return np.array(self._pixels[y : y + height, x : x + width])

    def _decoded(self) -> NDArray[np.uint8]:
        shape = (self.levels[0].height_px, self.levels[0].width_px, 3)
        with tempfile.TemporaryFile(prefix="seqexp-") as file:
            try:  # reserved first: a full disk is an error here and would be a crash while the map is written
                os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
            except OSError as error:
                raise DataError(
                    f"no room to decode the image ({np.prod(shape) / 1e6:.0f} MB): {os.strerror(error.errno or 0)}",
                    where=tempfile.gettempdir(),
                    fix="free some space, set TMPDIR to another folder, or tile the image once",
                ) from error
            pixels: NDArray[np.uint8] = np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
        try:
            self._decode(pixels)
        except (OSError, SyntaxError, ValueError, RuntimeError) as error:
            raise corrupt(self.path, error) from error
        pixels.flags.writeable = False
        return pixels


def _decode_jpeg(path: Path, out: NDArray[np.uint8]) -> None:
    data = path.read_bytes()
    if _END_OF_JPEG not in data[-65536:]:  # libjpeg fills what is missing with grey and does not complain
        raise ValueError("the end of the JPEG is missing")
    require("imagecodecs", "histology").jpeg8_decode(data, outcolorspace="RGB", out=out)


def _decode_png(path: Path, out: NDArray[np.uint8]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path) as image:
            out[:] = np.asarray(image.convert("RGB"))
