"""Writing bigWig: by pyBigWig in memory, from there to the disk, which may be full."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path

_BLOCK = 1_000_000


class BigWigWriter:
    """Takes the intervals of a bigWig, chromosome by chromosome; see :func:`open_writer`."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def add(self, chrom: str, starts: NDArray[np.int64], ends: NDArray[np.int64], values: NDArray[np.floating]) -> None:
        """Add intervals (n,), sorted and disjoint, behind those that are there."""
        for first in range(0, len(starts), _BLOCK):
            part = slice(first, first + _BLOCK)
            self._handle.addEntries(
                [chrom] * len(starts[part]),
                starts[part].tolist(),
                ends=ends[part].tolist(),
                values=values[part].astype(np.float64).tolist(),
            )

    def add_bases(self, chrom: str, values: NDArray[np.floating]) -> None:
        """Add the values (L,) of all bases of a chromosome as runs of equal value, zeros included."""
        starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])
        self.add(chrom, starts, np.append(starts[1:], len(values)), values[starts])


@contextmanager
def open_writer(path: str | Path, chrom_sizes: Mapping[str, int]) -> Iterator[BigWigWriter]:
    """Write a bigWig, whole or not at all.

    Parameters
    ----------
    path : path
    chrom_sizes : mapping
        Length of each chromosome in bp, in the order of the header.

    Raises
    ------
    DataError
        The file cannot be written, or pyBigWig refuses the intervals.

    Notes
    -----
    pyBigWig never ends where a disk is full, so it writes to memory, compressed, where the system offers that.
    """
    with atomic_path(path) as temporary, _memory_file(temporary) as place:
        handle = pyBigWig.open(str(place), "w")
        try:
            handle.addHeader([(name, int(size)) for name, size in chrom_sizes.items()])
            yield BigWigWriter(handle)
            handle.close()
        except RuntimeError as error:
            raise DataError(f"the bigWig cannot be written: {error}", where=path) from error


@contextmanager
def _memory_file(target: Path) -> Iterator[Path]:
    """A file in memory that is copied to ``target`` when the block ends well; ``target`` where there is none such."""
    if not hasattr(os, "memfd_create"):
        target.touch()  # a folder that cannot be written is told apart from what pyBigWig refuses
        yield target
        return
    with open(os.memfd_create("seqexp-bigwig"), "rb") as memory:
        yield Path(f"/proc/self/fd/{memory.fileno()}")
        with open(target, "wb") as file:
            shutil.copyfileobj(memory, file, 1 << 20)
