"""The bytes of a FASTA, plain or bgzip, by their position in the plain text."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError

# The empty block that ends every bgzip file; without it the file was cut short.
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_GZIP, _BGZF_EXTRA = b"\x1f\x8b", b"BC\x02\x00"
_MAX_BLOCK = 1 << 16


def open_bytes(path: Path) -> FastaBytes:
    """Plain text or bgzip, whichever the content is.

    Raises
    ------
    DataError
        The file is missing, empty, compressed in another way, named against its content, or cut short.
    """
    return BgzipBytes(path) if _is_bgzip(path) else FastaBytes(path)


class FastaBytes:
    """A plain text file.

    Attributes
    ----------
    path : Path
    num_bytes : int
        Length of the text.

    Notes
    -----
    Objects can be pickled and used after a fork: the position of the open file is neither used nor moved.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None
        self.num_bytes = self.file_bytes = path.stat().st_size

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Text from ``offset`` on, shorter where the file ends.

        Raises
        ------
        DataError
            The file cannot be read, or a block of it is corrupt.
        """
        return self._raw(offset, num_bytes)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def __del__(self) -> None:
        """Whoever asks only for the chromosomes and lets go of the object leaves no file open."""
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def _raw(self, offset: int, num_bytes: int) -> bytes:
        try:
            if self._file is None:
                self._file = open(self.path, "rb", buffering=0)  # noqa: SIM115  closed by close()
            offset = min(offset, self.file_bytes)  # an index may name any place
            return os.pread(self._file.fileno(), max(min(num_bytes, self.file_bytes - offset), 0), offset)
        except OSError as error:
            raise DataError(f"the FASTA cannot be read: {error.strerror}", where=self.path) from error


class BgzipBytes(FastaBytes):
    """A bgzip file; where its blocks lie is read from the blocks, so no separate index of them can be out of date."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        starts, sizes = self._walk()
        self._starts: NDArray[np.int64] = np.array([*starts, self.file_bytes], dtype=np.int64)
        self._edges: NDArray[np.int64] = np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64))])
        self.num_bytes = int(self._edges[-1])
        self._last: tuple[int, bytes] = (-1, b"")

    def read(self, offset: int, num_bytes: int) -> bytes:
        """See :meth:`FastaBytes.read`."""
        end = min(offset + num_bytes, self.num_bytes)
        if offset >= end:
            return b""
        first = int(np.searchsorted(self._edges, offset, side="right")) - 1
        stop = int(np.searchsorted(self._edges, end, side="left"))
        text = b"".join(map(self._block, range(first, stop)))
        skipped = offset - int(self._edges[first])
        return text[skipped : skipped + end - offset]

    def block_offsets(self) -> list[tuple[int, int]]:
        """Where each block with text begins, in the file and in the text."""
        starts, edges = self._starts[:-1].tolist(), self._edges.tolist()
        return [(start, edges[i]) for i, start in enumerate(starts) if edges[i + 1] > edges[i]]

    def _walk(self) -> tuple[list[int], list[int]]:
        """Offset of every block in the file, and length of its text, from one block to the next."""
        starts, sizes, at = [], [], 0
        head = self._raw(0, 18)
        while at < self.file_bytes:
            if head[:4] != BGZF_END[:4] or head[12:16] != _BGZF_EXTRA or len(head) < 18:
                self._refuse(f"no block begins at byte {at}, where one ends")
            following = at + struct.unpack("<H", head[16:18])[0] + 1
            tail = self._raw(following - 4, 22)  # length of the text of this block, and the head of the next
            size = struct.unpack("<I", tail[:4])[0] if len(tail) >= 4 else _MAX_BLOCK + 1
            if size > _MAX_BLOCK:
                self._refuse(f"the block at byte {at} has no end")
            starts.append(at)
            sizes.append(size)
            at, head = following, tail[4:]
        return starts, sizes

    def _block(self, number: int) -> bytes:
        if self._last[0] == number:
            return self._last[1]
        start, end = int(self._starts[number]), int(self._starts[number + 1])
        inflater = zlib.decompressobj(31)  # a gzip member, its checksum compared at the end
        try:
            text = inflater.decompress(self._raw(start, end - start), _MAX_BLOCK + 1)
        except zlib.error as error:
            self._refuse(f"block at byte {start}: {error}")
        if not inflater.eof or len(text) != self._edges[number + 1] - self._edges[number]:
            self._refuse(f"block at byte {start} does not hold what it announces")
        self._last = (number, text)
        return text

    def _refuse(self, found: str) -> NoReturn:
        raise DataError(
            f"the bgzip FASTA is corrupt: {found}",
            where=self.path,
            expected="whole blocks",
            fix="download or compress it again",
        )


def _is_bgzip(path: Path) -> bool:
    try:
        with open(path, "rb") as handle:
            head = handle.read(18)
            handle.seek(max(0, path.stat().st_size - len(BGZF_END)))
            tail = handle.read()
    except OSError as error:
        raise DataError(f"cannot read the FASTA: {error.strerror}", where=path, fix="check the path") from error
    has_suffix = path.name.lower().endswith((".gz", ".bgz"))
    if not head:
        raise DataError("the FASTA is empty", where=path, expected="sequences, each after a '>' line")
    if not head.startswith(_GZIP):
        if has_suffix:
            raise DataError(
                "the name ends in .gz but the content is not compressed", where=path, fix="rename it to .fa"
            )
        return False
    if head[12:16] != _BGZF_EXTRA or not has_suffix:
        raise DataError(
            "the FASTA is compressed, but not with bgzip under a name ending in .gz",
            where=path,
            expected="plain text, or bgzip, which allows random access",
            fix=f"gunzip -c {path.name} | bgzip > genome.fa.gz",
        )
    if tail != BGZF_END:
        raise DataError(
            "the bgzip FASTA is corrupt: its end-of-file block is missing",
            where=path,
            expected="a complete file",
            fix="the file was cut short; download or compress it again",
        )
    return True
