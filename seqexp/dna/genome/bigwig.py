"""Reading a bigWig: the values of a stretch, block by block, each block checked before it is used."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import deflate
import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.dna.genome.bigwig_index import BigWigIndex

LARGEST_VALUE = 1e30
_HEADER_BYTES, _MAX_ITEMS = 24, 1 << 16
_MAX_BLOCK = _HEADER_BYTES + 12 * _MAX_ITEMS
_WORDS = {1: 3, 2: 2, 3: 1}  # of 4 bytes per item: start, end, value; start, value; value


class Intervals(NamedTuple):
    """Intervals with a value, in the order of the file: int64, int64 and float32 arrays (n,)."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    values: NDArray[np.float32]


class Summary(NamedTuple):
    """What a whole track holds: bases with a value, least and largest value."""

    num_bases: int
    least: float
    largest: float


class BigWig:
    """Random access to one bigWig.

    Parameters
    ----------
    path : path

    Raises
    ------
    DataError
        The file is missing, is not a bigWig, or is damaged; so does every read that meets damage, an infinite value,
        or one beyond 1e30.

    Notes
    -----
    Written in Python and numpy, because the C library that others use ends the process on some damaged files. The file
    position is not used, so processes may share an object after a fork.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._index = BigWigIndex(self.path)
        self._names = {number: chrom for chrom, (number, _) in self._index.chroms.items()}
        self._order = self._index.order
        self._head = struct.Struct(self._order + "IIIIIBBH")

    def chroms(self) -> dict[str, int]:
        """Length in bp by chromosome."""
        return {chrom: size for chrom, (_, size) in self._index.chroms.items()}

    def chroms_with_values(self) -> list[str]:
        """Chromosomes on which at least one base has a value."""
        return [self._name(number) for number in sorted(self._index.numbers_with_values())]

    def intervals(self, chrom: str, start: int, end: int) -> Intervals:
        """Intervals that share a base with ``start`` to ``end - 1``, uncut."""
        number = self._index.chroms[chrom][0]
        base = number << 32
        blocks = self._index.blocks(base | max(start, 0), base | max(end, 0))
        parts = [self._block(number, offset, size) for _, offset, size in blocks]
        starts, ends, values = parts[0] if len(parts) == 1 else _joined(parts)
        hit: slice | NDArray[np.bool_]
        if np.count_nonzero(starts[1:] < ends[:-1]):  # an unusual file: not sorted, or with overlaps
            hit = (ends > start) & (starts < end)
        else:
            hit = slice(ends.searchsorted(start, "right"), starts.searchsorted(end))
        return self._checked(chrom, Intervals(starts[hit], ends[hit], values[hit]))

    def values(self, chrom: str, start: int, end: int) -> NDArray[np.float32]:
        """Value of every base (L,), NaN where there is none; the stretch must lie inside the chromosome."""
        starts, ends, values = self.intervals(chrom, start, end)
        starts, ends = np.maximum(starts, start), np.minimum(ends, end)
        if np.count_nonzero(starts[1:] < ends[:-1]):
            return _painted(starts - start, ends - start, values, end - start)
        edges = np.empty(2 * len(starts) + 2, dtype=np.int64)
        edges[0], edges[-1], edges[1:-1:2], edges[2:-1:2] = start, end, starts, ends
        levels = np.full(2 * len(starts) + 1, np.nan, dtype=np.float32)
        levels[1::2] = values
        return levels.repeat(edges[1:] - edges[:-1])

    def blocks(self) -> Iterator[tuple[str, Intervals]]:
        """Chromosome and intervals of every block."""
        for number, offset, size in self._index.blocks(0, (1 << 64) - 1):
            name = self._name(number)
            yield name, self._checked(name, self._block(number, offset, size))

    def summary(self) -> Summary:
        """What the track holds.

        Taken from the header where its figures can be; otherwise, and where they tell of values that cannot be, every
        block is read.

        Raises
        ------
        DataError
            No base has a value, or one is infinite or beyond 1e30; the first is named.
        """
        if not any(np.isfinite(part.values).any() for _, part in self.blocks()):
            raise DataError(
                "the track holds no value",
                where=self.path,
                expected="a signal",
                fix="make the track again, or leave it out",
            )
        told = self._index.summary
        if told is not None and self._is_possible(*told[:4]):
            return Summary(int(told[0]), told[1], told[2])
        num_bases, least, largest = 0, np.inf, -np.inf
        for _, (starts, ends, values) in self.blocks():
            is_value = ~np.isnan(values)
            if is_value.any():
                num_bases += int((ends - starts)[is_value].sum())
                least, largest = min(least, values[is_value].min()), max(largest, values[is_value].max())
        return Summary(num_bases, float(least), float(largest))

    def close(self) -> None:
        """Close the file."""
        self._index.close()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _is_possible(self, num_bases: float, least: float, largest: float, total: float) -> bool:
        return (
            0 < num_bases <= sum(self.chroms().values())
            and -LARGEST_VALUE <= least <= largest <= LARGEST_VALUE
            and abs(total) <= LARGEST_VALUE * num_bases
        )

    def _name(self, number: int) -> str:
        name = self._names.get(number)
        if name is None:
            raise self._index.damaged(f"its index names chromosome number {number}, of {len(self._names)}")
        return name

    def _block(self, number: int, offset: int, size: int) -> Intervals:
        if size > _MAX_BLOCK + (1 << 12):
            raise self._index.damaged(f"a block of {size} bytes at {offset}")
        stored = self._index.read(offset, size)
        raw = self._decompressed(stored, offset) if self._index.block_bytes else stored
        if len(raw) < _HEADER_BYTES:
            raise self._index.damaged(f"a block of {len(raw)} bytes at {offset}")
        found, start, _, step, span, kind, _, count = self._head.unpack_from(raw)
        num_words = _WORDS.get(kind, 0)
        if found != number or not num_words or len(raw) < _HEADER_BYTES + 4 * num_words * count:
            raise self._index.damaged(f"the block at {offset} is not what its index says")
        words = np.frombuffer(raw, self._order + "u4", num_words * count, _HEADER_BYTES).reshape(count, num_words)
        values = words[:, -1].view(self._order + "f4").astype(np.float32)
        starts = start + step * np.arange(count, dtype=np.int64) if kind == 3 else words[:, 0].astype(np.int64)
        ends = words[:, 1].astype(np.int64) if kind == 1 else starts + span
        if np.count_nonzero(starts >= ends):  # quicker than any()
            raise self._index.damaged(f"the block at {offset} holds an interval that ends before it starts")
        return Intervals(starts, ends, values)

    def _decompressed(self, stored: bytes, offset: int) -> bytes | bytearray:
        try:
            return deflate.zlib_decompress(stored, min(self._index.block_bytes, _MAX_BLOCK))
        except deflate.DeflateError:  # damage, or a header that tells too small a size: zlib tells them apart
            pass
        inflater = zlib.decompressobj()
        try:
            found = inflater.decompress(stored, _MAX_BLOCK)
        except zlib.error as error:
            raise self._index.damaged(f"the block at {offset} cannot be decompressed: {error}") from error
        if not inflater.eof:
            raise self._index.damaged(f"the block at {offset} cannot be decompressed: it does not end")
        return found

    def _checked(self, chrom: str, found: Intervals) -> Intervals:
        is_bad = np.abs(found.values) > LARGEST_VALUE
        if is_bad.any():
            first = int(np.argmax(is_bad))
            raise DataError(
                f"the track holds {found.values[first]:.4g} at {chrom}:{found.starts[first]}",
                where=self.path,
                expected=f"finite values of at most {LARGEST_VALUE:g}",
                fix="make the track again without infinite values; leave out bases without a value",
            )
        return found


def open_bigwig(path: str | Path) -> BigWig:
    """Open a bigWig.

    Raises
    ------
    DataError
        The file is missing, is not a bigWig, or is cut short.
    """
    return BigWig(path)


def _joined(parts: list[Intervals]) -> Intervals:
    if not parts:
        return Intervals(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    return Intervals(*(np.concatenate(columns) for columns in zip(*parts)))  # type: ignore[arg-type]


def _painted(
    starts: NDArray[np.int64], ends: NDArray[np.int64], values: NDArray[np.float32], width: int
) -> NDArray[np.float32]:
    """Values of a file whose intervals overlap or are not sorted: the later one counts."""
    bases = np.full(width, np.nan, dtype=np.float32)
    for start, end, value in zip(starts.tolist(), ends.tolist(), values.tolist()):
        bases[start:end] = value
    return bases
