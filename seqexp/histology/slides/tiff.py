"""Tiled TIFF, with or without pyramid: only the tiles under a rectangle are read and decoded."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import SeqexpError
from seqexp.core.optional import require
from seqexp.histology.slides.colour import SampleFormat
from seqexp.histology.slides.flat import DEFAULT_MAX_MPX, FlatImage
from seqexp.histology.slides.image_file import BROKEN, ImageFile, Level, corrupt, require_upright
from seqexp.histology.slides.jpeg import decode_segment
from seqexp.histology.slides.scale import Stated
from seqexp.histology.slides.tiff_colour import sample_format
from seqexp.histology.slides.tiff_scale import significant_bits, stated_by_tiff
from seqexp.histology.slides.tiff_series import PageLevel, find_slide

_CACHE_BYTES = 32_000_000
_LARGEST_SEGMENT_PX = 1 << 22  # strips wider than this are decoded once, as a flat image is
_JPEG, _SEPARATE = 7, 2
# Bytes of the file: from an offset, so many.
Read = Callable[[int, int], bytes]

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # it logs what becomes one error here


def open_tiff(path: Path, max_mpx: float = DEFAULT_MAX_MPX) -> ImageFile:
    """Open a TIFF: tile by tile if it is tiled (or in small strips), decoded once otherwise.

    Raises
    ------
    DataError
        It is damaged, asks to be turned, is a stack of planes, or its pixels are no colours.
    """
    tifffile = require("tifffile", "histology")
    try:
        with tifffile.TiffFile(path) as tiff:
            series, pages = find_slide(tiff, path)
            require_upright(path, tiff.pages[0].tags.valueof("Orientation"))
            stated, bits = stated_by_tiff(tiff, series), significant_bits(tiff, series)
            levels = [TiffLevel.of_pages(page, path, bits) for page in pages]
    except SeqexpError:
        raise
    except BROKEN as error:
        raise corrupt(path, error) from error
    first = levels[0]
    if first.rows * first.columns <= _LARGEST_SEGMENT_PX:
        return TiledImage(path, levels, stated)
    return FlatImage(
        path,
        first.width_px,
        first.height_px,
        lambda out: _decode_all(path, first, out),
        stated=stated,
        max_mpx=max_mpx,
    )


@dataclass(frozen=True)
class TiffLevel:
    """One resolution of a TIFF, decoded a segment (tile or strip) at a time.

    Parameters
    ----------
    page : tifffile.TiffPage
        Only its tags are used.
    colours : SampleFormat
    width_px, height_px : int
    rows, columns : int
        Size of a segment.
    offsets, num_bytes : int arrays (P, N)
        Where the N segments of P planes lie in the file.
    """

    page: Any
    colours: SampleFormat
    width_px: int
    height_px: int
    rows: int
    columns: int
    offsets: NDArray[np.int64]
    num_bytes: NDArray[np.int64]

    @classmethod
    def of_pages(cls, pages: PageLevel, path: Path, significant_bits: int | None = None) -> TiffLevel:
        """Read the tags now, while the file is open."""
        page = pages.keyframe
        _ = page.jpegtables, page.jpegheader, page.decode
        width, height = page.imagewidth, page.imagelength
        rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
        num_planes = page.samplesperpixel if page.planarconfig == _SEPARATE else 1
        num = -(-height // rows) * -(-width // columns)
        places = [np.asarray([p.dataoffsets, p.databytecounts], dtype=np.int64) for p in pages.planes]
        if any(place.shape != (2, num_planes * num) for place in places):
            raise ValueError(f"{places[0].shape[1]} segments, {num_planes * num} expected")
        offsets, num_bytes = np.concatenate(places, axis=1).reshape(2, len(places) * num_planes, num)
        return cls(
            page=page,
            colours=sample_format(page, len(pages.planes), path, significant_bits),
            width_px=width,
            height_px=height,
            rows=rows,
            columns=columns,
            offsets=offsets,
            num_bytes=num_bytes,
        )

    @property
    def across(self) -> int:
        """Segments side by side."""
        return -(-self.width_px // self.columns)

    def decode(self, read: Read, index: int) -> NDArray[np.uint8]:
        """Colours (rows, columns, 3) of a segment; the last strip may have fewer rows."""
        if self.page.is_tiled and not self.num_bytes[:, index].any():  # a tile that was never written
            return np.full((self.rows, self.columns, 3), 255, dtype=np.uint8)
        planes = [self._plane(read, plane, index) for plane in range(len(self.offsets))]
        return self.colours.to_rgb(planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2))

    def _plane(self, read: Read, plane: int, index: int) -> NDArray[Any]:
        num_bytes, num = int(self.num_bytes[plane, index]), self.offsets.shape[1]
        data = read(int(self.offsets[plane, index]), num_bytes)
        if len(data) < num_bytes or not data:
            raise ValueError(f"the file ends inside segment {index}")
        if int(self.page.compression) == _JPEG and self.page.bitspersample == 8:
            decoded = decode_segment(data, self.page.jpegtables, int(self.page.photometric))
            if decoded is not None:
                return decoded
        place = index + plane * num if self.page.planarconfig == _SEPARATE else index
        pixels = self.page.decode(data, place, jpegtables=self.page.jpegtables, jpegheader=self.page.jpegheader)[0]
        if pixels is None or pixels.ndim != 4:
            raise ValueError(f"segment {index} holds no pixels")
        return pixels[0]  # type: ignore[no-any-return]


class TiledImage:
    """A TIFF read tile by tile, with a small cache of decoded tiles.

    Safe to use from several threads; after a fork every process opens the file for itself.

    Parameters
    ----------
    path : Path
        The file.
    levels : list of TiffLevel
        Finest first.
    stated : Stated, optional
        What the file says about the width of its pixels.
    """

    def __init__(self, path: Path, levels: list[TiffLevel], stated: Stated | None = None) -> None:
        self.path, self.stated = path, stated
        width = levels[0].width_px
        self.levels = tuple(Level(lv.width_px, lv.height_px, width / lv.width_px) for lv in levels)
        self._levels = levels
        self._lock = threading.Lock()
        self._tiles: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()
        self._capacity = max(8, _CACHE_BYTES // (3 * levels[0].rows * levels[0].columns))
        self._file: tuple[int, int] | None = None

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> NDArray[np.uint8]:
        """Colours (height, width, 3) of a rectangle inside a level.

        Raises
        ------
        DataError
            A tile cannot be decoded.
        """
        tiles = self._levels[level]
        out = np.empty((height, width, 3), dtype=np.uint8)
        for row in range(y // tiles.rows, (y + height - 1) // tiles.rows + 1):
            for column in range(x // tiles.columns, (x + width - 1) // tiles.columns + 1):
                tile = self._tile(level, row * tiles.across + column)
                top, left = row * tiles.rows, column * tiles.columns
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
        try:
            tile = self._levels[level].decode(self._read, index)
        except BROKEN as error:
            raise corrupt(self.path, error) from error
        with self._lock:
            self._tiles[key] = tile
            while len(self._tiles) > self._capacity:
                self._tiles.popitem(last=False)
        return tile

    def _read(self, offset: int, num_bytes: int) -> bytes:
        return os.pread(self._descriptor(), num_bytes, offset)

    def _descriptor(self) -> int:
        """File descriptor of this process; one that came with a fork is left alone."""
        if self._file is None or self._file[0] != os.getpid():
            self._file = (os.getpid(), os.open(self.path, os.O_RDONLY))
        return self._file[1]

    def __del__(self) -> None:
        if self._file is not None and self._file[0] == os.getpid():
            os.close(self._file[1])


def _decode_all(path: Path, level: TiffLevel, out: NDArray[np.uint8]) -> None:
    """Segment by segment, so that memory holds one of them."""
    with open(path, "rb") as file:

        def read(offset: int, num_bytes: int) -> bytes:
            return os.pread(file.fileno(), num_bytes, offset)

        for index in range(level.offsets.shape[1]):
            top, left = level.rows * (index // level.across), level.columns * (index % level.across)
            room = out[top : top + level.rows, left : left + level.columns]
            room[:] = level.decode(read, index)[: room.shape[0], : room.shape[1]]
