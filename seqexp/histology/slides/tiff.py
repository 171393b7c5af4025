"""Tiled TIFF, with or without pyramid: only the tiles under a rectangle are read and decoded."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.histology.slides.flat import FlatImage
from seqexp.histology.slides.image_file import ImageFile, Level, corrupt

_CACHE_BYTES = 32_000_000
_LARGEST_SEGMENT_PX = 1 << 22  # strips wider than this are decoded once, as a flat image is
_MICRONS = {"µm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3}


def open_tiff(path: Path) -> ImageFile:
    """Open a TIFF: tile by tile if it is tiled (or in small strips), decoded once otherwise.

    Raises
    ------
    DataError
        It is damaged, or its pixels are not 8-bit grey or RGB.
    """
    tifffile = require("tifffile", "histology")
    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            pages = [level.keyframe for level in series.levels]
            stated_mpp = _stated_mpp(tiff)
            for page in pages:
                _require_8_bit(page, path)
                _ = page.jpegtables, page.jpegheader, page.decode  # read now, while the file is open
            first = pages[0]
            if first.chunks[0] * first.chunks[1] > _LARGEST_SEGMENT_PX:
                return FlatImage(
                    path, first.imagewidth, first.imagelength, lambda out: _decode_all(path, out), stated_mpp=stated_mpp
                )
            if any(page.imagedepth != 1 or page.planarconfig != 1 for page in pages):
                raise DataError("planes are stored apart", where=path, expected="interleaved RGB", fix="tile it again")
            return TiledImage(path, pages, stated_mpp)
    except DataError:
        raise
    except (OSError, ValueError, IndexError, KeyError, RuntimeError, tifffile.TiffFileError) as error:
        raise corrupt(path, error) from error


class TiledImage:
    """A TIFF read tile by tile, with a small cache of decoded tiles.

    Safe to use from several threads; after a fork every process opens the file for itself.

    Parameters
    ----------
    path : Path
        The file.
    pages : list of tifffile.TiffPage
        One per level, finest first; only their tags are used.
    stated_mpp : float, optional
        Microns per pixel, where the file says it.
    """

    def __init__(self, path: Path, pages: list[Any], stated_mpp: float | None = None) -> None:
        self.path, self.stated_mpp = path, stated_mpp
        width = pages[0].imagewidth
        self.levels = tuple(Level(p.imagewidth, p.imagelength, width / p.imagewidth) for p in pages)
        self._pages = pages
        self._lock = threading.Lock()
        self._tiles: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()
        self._capacity = max(8, _CACHE_BYTES // (3 * pages[0].chunks[0] * pages[0].chunks[1]))
        self._file: tuple[int, int] | None = None

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> NDArray[np.uint8]:
        """Pixels (height, width, 3) of a rectangle inside a level.

        Raises
        ------
        DataError
            A tile cannot be decoded.
        """
        page = self._pages[level]
        tile_height, tile_width = page.chunks[:2]
        out = np.empty((height, width, 3), dtype=np.uint8)
        for row in range(y // tile_height, (y + height - 1) // tile_height + 1):
            for column in range(x // tile_width, (x + width - 1) // tile_width + 1):
                tile = self._tile(level, row * page.chunked[1] + column)
                top, left = row * tile_height, column * tile_width
                y0, y1 = max(y, top), min(y + height, top + tile.shape[0])
                x0, x1 = max(x, left), min(x + width, left + tile.shape[1])
                out[y0 - y : y1 - y, x0 - x : x1 - x] = tile[y0 - top : y1 - top, x0 - left : x1 - left]
        return out

    def _tile(self, level: int, index: int) -> NDArray[np.uint8]:
        key = (level, index)
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
                return tile
        tile = self._decode(self._pages[level], index)
        with self._lock:
            self._tiles[key] = tile
            while len(self._tiles) > self._capacity:
                self._tiles.popitem(last=False)
        return tile

    def _decode(self, page: Any, index: int) -> NDArray[np.uint8]:
        num_bytes = page.databytecounts[index]
        if num_bytes == 0:  # a tile that was never written
            return np.full((*page.chunks[:2], 3), 255, dtype=np.uint8)
        try:
            data = os.pread(self._descriptor(), num_bytes, page.dataoffsets[index])
            if len(data) < num_bytes:
                raise ValueError(f"the file ends inside tile {index}")
            pixels = page.decode(data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)[0][0]
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            raise corrupt(self.path, error) from error
        return np.broadcast_to(pixels, (*pixels.shape[:2], 3)) if pixels.shape[2] == 1 else pixels[:, :, :3]

    def _descriptor(self) -> int:
        """File descriptor of this process; one that came with a fork is left alone."""
        if self._file is None or self._file[0] != os.getpid():
            self._file = (os.getpid(), os.open(self.path, os.O_RDONLY))
        return self._file[1]

    def __del__(self) -> None:
        if self._file is not None and self._file[0] == os.getpid():
            os.close(self._file[1])


def _decode_all(path: Path, out: NDArray[np.uint8]) -> None:
    pixels = require("tifffile", "histology").imread(path, series=0, level=0)
    out[:] = pixels[:, :, None] if pixels.ndim == 2 else pixels[:, :, :3]


def _require_8_bit(page: Any, path: Path) -> None:
    if page.dtype != np.uint8 or page.samplesperpixel not in (1, 3, 4) or page.photometric == 3:
        raise DataError(
            f"pixels are {page.dtype} with {page.samplesperpixel} samples",
            where=path,
            expected="8-bit grey or RGB, as brightfield slides are",
            fix="export the image as 8-bit RGB",
        )


def _stated_mpp(tiff: Any) -> float | None:
    """Microns per pixel from OME metadata or an Aperio-like description; resolution tags are often left at 72 dpi."""
    if tiff.is_ome:
        found = re.search(r'PhysicalSizeX="([\d.eE+-]+)"', tiff.ome_metadata)
        unit = re.search(r'PhysicalSizeXUnit="([^"]+)"', tiff.ome_metadata)
        return float(found[1]) * _MICRONS.get(unit[1] if unit else "µm", float("nan")) if found else None
    found = re.search(r"\bMPP\s*=\s*([\d.]+)", tiff.pages[0].description)
    return float(found[1]) if found else None
