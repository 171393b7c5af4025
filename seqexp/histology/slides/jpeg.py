"""JPEG streams, read strictly: what libjpeg only warns about is an error here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.optional import require

# Markers without a length behind them: padding, restarts, start and end.
_BARE = {0x01, *range(0xD0, 0xDA), 0xFF}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_HUFFMAN = (0xC0, 0xC1, 0xC2)
_JFIF, _ADOBE, _SCAN = 0xE0, 0xEE, 0xDA
_RGB, _YCBCR = 2, 6  # photometric interpretations of TIFF
# An Adobe segment that says: these are colours as they are, not YCbCr.
_AS_THEY_ARE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


def decode_strictly(data: Any, colours: str, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Decode a whole stream.

    libjpeg fills what is missing with grey and goes on after what it cannot understand, and most readers with it.

    Parameters
    ----------
    data : buffer
    colours : {"RGB", "GRAY", "CMYK"}
    out : uint8 array (H, W, S), optional

    Raises
    ------
    ValueError
        The stream is cut off or damaged.
    """
    return require("simplejpeg", "histology").decode_jpeg(data, colours, buffer=out)  # type: ignore[no-any-return]


def decode_segment(data: bytes, tables: bytes | None, photometric: int) -> NDArray[np.uint8] | None:
    """Pixels of a tile or strip of a TIFF.

    Parameters
    ----------
    data : bytes
        Its stream.
    tables : bytes, optional
        Tables that all streams of a page share.
    photometric : int
        What the page says of its colours.

    Returns
    -------
    uint8 array (H, W, S) or None
        None where the stream is sound, as far as that can be told, but its colours have to be made by a decoder that
        can be told what they are; and for lossless, arithmetic and 12-bit streams, which are not checked.

    Raises
    ------
    ValueError
        The stream is cut off or damaged.
    """
    stream = b"\xff\xd8" + tables[2:-2] + data[2:] if tables else data
    header = Header.of(stream)
    if header is None or header.frame not in _HUFFMAN or header.bits != 8:
        return None
    if header.num_samples == 1:
        return decode_strictly(stream, "GRAY")
    if header.num_samples == 3 and not header.says_colours:
        if photometric == _YCBCR:
            return decode_strictly(stream, "RGB")
        if photometric == _RGB and not header.has_jfif:
            return decode_strictly(stream[:2] + _AS_THEY_ARE + stream[2:], "RGB")
    decode_strictly(stream, "CMYK" if header.num_samples == 4 else "GRAY")
    return None


@dataclass(frozen=True)
class Header:
    """What stands before the pixels of a stream; ``says_colours``: more than that they are YCbCr."""

    frame: int
    bits: int
    num_samples: int
    has_jfif: bool
    says_colours: bool

    @classmethod
    def of(cls, stream: bytes) -> Header | None:
        """Read a stream up to its first scan; None if no frame is declared before."""
        names = set()
        frame = None
        for marker, content in _segments(stream):
            names.add(marker)
            if marker in _FRAMES:
                frame = marker, content
        if frame is None or len(frame[1]) < 6:
            return None
        content = frame[1]
        has_jfif, num = _JFIF in names, content[5]
        ids = tuple(content[6 + 3 * i] for i in range(num) if 6 + 3 * i < len(content))
        return cls(frame[0], content[0], num, has_jfif, _ADOBE in names or (ids != (1, 2, 3) and not has_jfif))


def _segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF and stream[at + 1] != _SCAN:
        marker = stream[at + 1]
        if marker in _BARE:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        yield marker, stream[at + 4 : at + 2 + length]
        at += 2 + length
