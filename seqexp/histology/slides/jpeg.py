"""JPEG streams, read strictly: what libjpeg only warns about is an error here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.optional import require

# Markers without a length behind them: padding, restarts, start and end.
_BARE = {0x01, *range(0xD0, 0xDA), 0xFF}
_HUFFMAN_8_BIT = (0xC0, 0xC1, 0xC2)


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


def require_whole(data: bytes, tables: bytes | None) -> None:
    """Check a stream of a TIFF tile, whose tables may stand apart.

    Kinds that the strict decoder does not know (lossless, arithmetic, 12 bits) pass unchecked.

    Raises
    ------
    ValueError
        The stream is cut off or damaged.
    """
    if tables:
        data = b"\xff\xd8" + tables[2:-2] + data[2:]
    if frame_kind(data) in _HUFFMAN_8_BIT:
        num_inks = data[_frame_at(data) + 9]
        decode_strictly(data, "CMYK" if num_inks == 4 else "GRAY")


def frame_kind(data: bytes) -> int | None:
    """The marker that says how the pixels are coded (0xC0: baseline); None where there is none."""
    at = _frame_at(data)
    return data[at + 1] if at >= 0 and data[at + 4] == 8 else None


def _frame_at(data: bytes) -> int:
    at = 2
    while at + 10 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return at
        at += 1 if marker == 0xFF else 2 if marker in _BARE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return -1
