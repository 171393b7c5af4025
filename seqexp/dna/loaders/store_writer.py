"""Writes a store, and only those files of it whose inputs changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, sha256_of
from seqexp.core.lock import clear_stale, own_folder
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.opening import open_files
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.tracks import TrackSet
from seqexp.dna.loaders.store_format import SUFFIXES, VERSION, StoreEntry, StoreIndex, read_index

CHUNK_BP = 1 << 20
MAX_FLOAT16 = 60_000.0
MIN_FLOAT16_MEAN = 6.1e-3

_Blocks = Callable[[], Iterator[NDArray[Any]]]


@dataclass(frozen=True)
class StoreReport:
    """What :func:`prepare_store` did.

    Attributes
    ----------
    folder : Path
        The store.
    written, kept : tuple of str
        ``sequence`` and track names that were written anew, and those that were up to date.
    num_bytes : int
        Size of the store.
    """

    folder: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]
    num_bytes: int

    def render(self) -> str:
        """One line."""
        parts = [f"wrote {', '.join(self.written)}"] if self.written else []
        parts += [f"kept {', '.join(self.kept)}"] if self.kept else []
        return f"{self.folder}: {'; '.join(parts)} ({self.num_bytes / 1e6:.1f} MB)"


def prepare_store(spec: DatasetSpec, folder: str | Path, tracks: Sequence[str] | None = None) -> StoreReport:
    """Bring the store of a dataset up to date.

    Parameters
    ----------
    spec : DatasetSpec
        The dataset; chromosomes without genes are left out of the store.
    folder : path
        Where the store is, or will be.
    tracks : sequence of str, optional
        Which tracks; all by default. Other tracks already in the store stay if their chromosomes are the same.

    Returns
    -------
    StoreReport

    Raises
    ------
    DataError
        The folder cannot be written, or an input cannot be read.
    """
    folder = Path(folder)
    clear_stale(folder)
    try:
        return _prepare(spec, folder, tracks, may_write=False)
    except _OutdatedError:  # many runs share a store: one brings it up to date, the others wait for it
        with own_folder(folder, is_patient=True):
            return _prepare(spec, folder, tracks, may_write=True)


def _prepare(spec: DatasetSpec, folder: Path, tracks: Sequence[str] | None, may_write: bool) -> StoreReport:
    reference, signals, genes = open_files(spec, tracks)
    used = set(genes.frame["chrom"])
    chroms = tuple((chrom, size) for chrom, size in reference.chrom_sizes.items() if chrom in used)
    old = _old_index(folder)
    writer = _Writer(folder, chroms, old, may_write=may_write)
    codes = writer.entry("sequence", spec.fasta, "zero", partial(_sequence, reference, chroms))
    entries = {}
    for name in signals.names:
        # Missing values are kept as NaN unless they count as zero; the reader refuses NaN under the policy `error`.
        one = TrackSet({name: signals.paths[name]}, "zero" if spec.missing == "zero" else "nan")
        entries[name] = writer.entry(name, signals.paths[name], spec.missing, partial(_signal, one, chroms))
    others = {}
    if old is not None and old.chroms == chroms:
        others = {n: e for n, e in old.tracks.items() if n in spec.tracks and n not in entries}
    index = StoreIndex(chroms, codes, {**others, **entries})
    if old != index:
        writer.require_leave()
        index.write(folder)
        _remove_unused(folder, index)
    size = sum((folder / entry.file).stat().st_size for entry in (codes, *index.tracks.values()))
    return StoreReport(folder, tuple(writer.written), tuple(writer.kept), size)


class _Writer:
    """Writes arrays of one layout, unless the present store has them."""

    def __init__(
        self, folder: Path, chroms: tuple[tuple[str, int], ...], old: StoreIndex | None, may_write: bool
    ) -> None:
        self.folder, self.chroms, self.old, self.may_write = folder, chroms, old, may_write
        self.written: list[str] = []
        self.kept: list[str] = []

    def entry(self, name: str, path: Path, missing: str, blocks: _Blocks) -> StoreEntry:
        """Entry of an array, written now if need be."""
        known = None if self.old is None else self.old.codes if name == "sequence" else self.old.tracks.get(name)
        source = _identity(path, None if known is None else known.source)
        kind = "codes" if name == "sequence" else "track"
        identity = repr((VERSION, kind, self.chroms, source["sha256"], missing))
        stem = f"{kind}.{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
        is_current = known is not None and known.file.startswith(stem + ".")
        if self.old is not None and known is not None and is_current and self.old.is_complete(self.folder, known):
            self.kept.append(name)
            return StoreEntry(known.file, known.dtype, source, missing)
        self.require_leave()
        self.written.append(name)
        for dtype in ("uint8",) if name == "sequence" else ("float16", "float32"):
            file = f"{stem}.{SUFFIXES[dtype]}"
            with suppress(_LossyError):
                _write(self.folder / file, blocks(), dtype)
                return StoreEntry(file, dtype, source, missing)
        raise DataError("the values cannot be stored", where=path, expected="values within the range of float32")

    def require_leave(self) -> None:
        """Write nothing before the folder is ours alone."""
        if not self.may_write:
            raise _OutdatedError


class _OutdatedError(Exception):
    """The store is missing or old."""


class _LossyError(Exception):
    """The values do not fit the type."""


def _write(path: Path, blocks: Iterator[NDArray[Any]], dtype: str) -> None:
    """Write blocks one behind the other, atomically, or raise _LossyError if float16 would lose meaning."""
    total, num_nonzero = 0.0, 0
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        for block in blocks:
            if dtype == "float16":
                present = block[(block != 0) & ~np.isnan(block)]
                if present.size and np.abs(present).max() > MAX_FLOAT16:
                    raise _LossyError
                total += float(np.abs(present).sum(dtype=np.float64))
                num_nonzero += present.size
            handle.write(np.ascontiguousarray(block, dtype=np.dtype(dtype).newbyteorder("<")).tobytes())
        if num_nonzero and total / num_nonzero < MIN_FLOAT16_MEAN:
            raise _LossyError


def _sequence(reference: Reference, chroms: Sequence[tuple[str, int]]) -> Iterator[NDArray[np.uint8]]:
    for interval in _chunks(chroms):
        yield reference.codes(interval)


def _signal(track: TrackSet, chroms: Sequence[tuple[str, int]]) -> Iterator[NDArray[np.float32]]:
    for interval in _chunks(chroms):
        yield track.values(interval)[:, 0]
    track.close()


def _chunks(chroms: Sequence[tuple[str, int]]) -> Iterator[Interval]:
    for chrom, size in chroms:
        for start in range(0, size, CHUNK_BP):
            yield Interval(chrom, start, min(start + CHUNK_BP, size))


def _identity(path: Path, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Size, times and checksum of a file; a file of unchanged size and times is not read again.

    Copies and archives may keep the time of the content; the time of the file's own change cannot be kept.
    """
    status = path.stat()
    times = {"mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
    found = {"path": path.name, "size": status.st_size, **times}
    if known is not None and all(known.get(key) == value for key, value in found.items()):
        return dict(known)
    return {**found, "sha256": sha256_of(path)}


def _old_index(folder: Path) -> StoreIndex | None:
    """The present store; None where there is none or it cannot be used, since it is then written anew."""
    try:
        return read_index(folder)
    except DataError:
        return None


def _remove_unused(folder: Path, index: StoreIndex) -> None:
    used = {index.codes.file, *(entry.file for entry in index.tracks.values())}
    for pattern in ("codes.*.u8", "track.*.f16", "track.*.f32"):
        for path in folder.glob(pattern):
            if path.name not in used:
                path.unlink(missing_ok=True)
