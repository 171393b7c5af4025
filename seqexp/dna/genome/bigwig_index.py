"""The indexes of a bigWig: header, chromosome tree and interval tree, read so that no damage can end the process.

Every offset is compared with the size of the file before it is followed, and no node is followed twice.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError

_BIGWIG, _BIGBED = 0x888FFC26, 0x8789F2EB
_CHROM_TREE, _INTERVAL_TREE = 0x78CA8C91, 0x2468ACE0
_HEADER = "IHHQQQHHQQIQ"
_LONGEST_NAME = 1 << 12
_CACHED_NODES = 64


@dataclass(frozen=True)
class Node:
    """A node of the interval tree, as arrays over its n items.

    Attributes
    ----------
    is_leaf : bool
        Items are blocks of values; otherwise they are nodes.
    starts, ends : uint64 array (n,)
        First base, and base after the last: number of the chromosome times 2^32, plus position.
    offsets, sizes : int64 array (n,)
        Where the items lie in the file, and how long blocks are (0 for nodes).
    """

    is_leaf: bool
    starts: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]


class BigWigIndex:
    """Header and trees of an open bigWig.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    chroms : dict
        Number and length in bp by chromosome name, in the order of the file.
    order : str
        ``<`` or ``>``, the order of bytes.
    block_bytes : int
        Blocks are compressed with zlib and hold at most so many bytes, says the header; 0: they are not compressed.
    summary : tuple of float or None
        Bases with a value, least and largest value, their sum and sum of squares, as the writer of the file saw them.

    Raises
    ------
    DataError
        The file is missing, is not a bigWig, is cut short, or its chromosomes cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115  closed by close()
            self._size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise DataError(f"cannot read the track: {error.strerror}", where=path, fix="check the path") from error
        self._nodes: dict[int, Node] = {}
        self._read_header()

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Bytes of the file; the position of the file is neither used nor moved, so processes may share it."""
        if offset < 0 or num_bytes < 0 or offset + num_bytes > self._size:
            raise self.damaged(f"{num_bytes} bytes at {offset} are asked for, the file has {self._size}")
        try:
            found = os.pread(self._file.fileno(), num_bytes, offset)
        except OSError as error:
            raise self.damaged(error.strerror or str(error)) from error
        if len(found) != num_bytes:
            raise self.damaged(f"the file ends at {offset + len(found)}, it was longer when it was opened")
        return found

    def blocks(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Chromosome number, offset and size of the blocks that may hold bases of a stretch, in the order of the file.

        Parameters
        ----------
        start, end : int
            Number of the chromosome times 2^32, plus position.
        """
        for node, hit in self._leaves(start, end):
            for item in hit:
                yield int(node.starts[item]) >> 32, int(node.offsets[item]), int(node.sizes[item])

    def numbers_with_values(self) -> set[int]:
        """Numbers of the chromosomes that have at least one block; nodes inside one chromosome are not opened."""
        found = set[int]()
        stack, seen = [self._root] if self._root else [], set[int]()
        while stack:
            node = self._node(self._once(stack.pop(), seen))
            first, last = node.starts >> np.uint64(32), node.ends >> np.uint64(32)
            is_one = (first == last) | node.is_leaf
            found.update(first[is_one].tolist())
            stack += node.offsets[~is_one].tolist()
        return found

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def __del__(self) -> None:
        """A file that is refused, or let go of, does not stay open."""
        self.close()

    def damaged(self, found: str) -> DataError:
        """The error of a file that contradicts itself."""
        return DataError(
            f"the bigWig is damaged: {found}",
            where=self.path,
            expected="a complete bigWig",
            fix="download or write the file again",
        )

    # -- inside --------------------------------------------------------------------------------------------------------

    def _read_header(self) -> None:
        head = os.pread(self._file.fileno(), 64, 0)
        known = {struct.pack(order + "I", magic): (order, magic) for order in "<>" for magic in (_BIGWIG, _BIGBED)}
        self.order, magic = known.get(head[:4], ("<", 0))
        if magic != _BIGWIG:
            kind = "is a bigBed, not a bigWig" if magic == _BIGBED else "is not a bigWig"
            raise DataError(f"the track {kind}", where=self.path, expected="a file in bigWig format")
        if len(head) < 64 or os.pread(self._file.fileno(), 4, self._size - 4) != head[:4]:
            raise self._truncated()
        fields = struct.unpack(self.order + _HEADER, head)
        chrom_offset, data_offset, index_offset, summary_offset, self.block_bytes = *fields[3:6], *fields[9:11]
        if max(chrom_offset, data_offset, index_offset) >= self._size:
            raise self._truncated()
        self.summary = self._summary(summary_offset)
        self.chroms = self._chroms(chrom_offset)
        self._root = 0
        if index_offset:  # a file without a single value has none
            if self._unpack("I", index_offset) != (_INTERVAL_TREE,):
                raise self.damaged("its index of intervals does not begin where the header says")
            self._root = index_offset + 48

    def _truncated(self) -> DataError:
        return DataError(
            "the bigWig is truncated: its end mark is missing",
            where=self.path,
            expected="a complete bigWig",
            fix="download or write the file again",
        )

    def _unpack(self, form: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack(self.order + form, self.read(offset, struct.calcsize("<" + form)))

    def _summary(self, offset: int) -> tuple[float, ...] | None:
        return self._unpack("Qdddd", offset) if 0 < offset <= self._size - 40 else None

    def _chroms(self, offset: int) -> dict[str, tuple[int, int]]:
        magic, _, key_bytes, value_bytes, num_items, _ = self._unpack("IIIIQQ", offset)
        if magic != _CHROM_TREE or not 0 < key_bytes <= _LONGEST_NAME or value_bytes != 8:
            raise self.damaged("its list of chromosomes does not begin where the header says")
        leaf = np.dtype([("name", f"S{key_bytes}"), ("number", self.order + "u4"), ("size", self.order + "u4")])
        inner = np.dtype([("name", f"S{key_bytes}"), ("offset", self.order + "u8")])
        chroms: dict[str, tuple[int, int]] = {}
        stack, seen = [offset + 32], set[int]()
        while stack:
            at = self._once(stack.pop(), seen)
            is_leaf, _, count = self._unpack("BBH", at)
            kind = leaf if is_leaf else inner
            items = np.frombuffer(self.read(at + 4, count * kind.itemsize), kind)
            if not is_leaf:
                stack += items["offset"][::-1].tolist()
                continue
            try:
                names = [name.decode() for name in items["name"].tolist()]
            except UnicodeDecodeError as error:
                raise self.damaged("a chromosome name is no text") from error
            chroms.update(zip(names, zip(items["number"].tolist(), items["size"].tolist())))
        numbers = {number for number, _ in chroms.values()}
        if not len(chroms) == len(numbers) == num_items or "" in chroms:
            raise self.damaged(f"it lists {len(chroms)} chromosomes and announces {num_items}")
        return chroms

    def _leaves(self, start: int, end: int) -> Iterator[tuple[Node, list[int]]]:
        stack, seen = [self._root] if self._root else [], set[int]()
        low, high = np.uint64(start), np.uint64(end)
        while stack:
            node = self._node(self._once(stack.pop(), seen))
            hit = ((node.ends > low) & (node.starts < high)).nonzero()[0]
            if node.is_leaf:
                yield node, hit.tolist()
            else:
                stack += node.offsets[hit[::-1]].tolist()

    def _once(self, offset: int, seen: set[int]) -> int:
        """The offset, or an error at the second visit: a damaged tree may lead back to itself."""
        if offset in seen:
            raise self.damaged(f"its index leads twice to {offset}")
        seen.add(offset)
        return offset

    def _node(self, offset: int) -> Node:
        found = self._nodes.get(offset)
        if found is None:
            if len(self._nodes) >= _CACHED_NODES:
                self._nodes.clear()
            found = self._nodes[offset] = self._read_node(offset)
        return found

    def _read_node(self, offset: int) -> Node:
        is_leaf, _, count = self._unpack("BBH", offset)
        names = ["first", "start", "last", "end"]
        fields = [(name, self.order + "u4") for name in names] + [("offset", self.order + "i8")]
        kind = np.dtype([*fields, ("size", self.order + "i8")] if is_leaf else fields)
        items = np.frombuffer(self.read(offset + 4, count * kind.itemsize), kind)
        first, start, last, end = (items[name].astype(np.uint64) for name in names)
        offsets = items["offset"].astype(np.int64)
        sizes = items["size"].astype(np.int64) if is_leaf else np.zeros_like(offsets)
        shift = np.uint64(32)
        return Node(bool(is_leaf), first << shift | start, last << shift | end, offsets, sizes)
