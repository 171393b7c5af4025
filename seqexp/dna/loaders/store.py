"""Windows from a memory-mapped store: the genome unpacked once, so that a window is a copy of bytes.

The store holds whole chromosomes at base resolution, hence serves windows of any place, length, shift and bin width.
Its format is described in :mod:`seqexp.dna.loaders.store_format`, it is written by
:mod:`seqexp.dna.loaders.store_writer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.tracks import summarise
from seqexp.dna.loaders.batch import UNKNOWN
from seqexp.dna.loaders.store_format import INDEX, StoreIndex, read_index


class StoreSource:
    """Windows copied from a store.

    Parameters
    ----------
    folder : path
        Written by :func:`seqexp.dna.loaders.store_writer.prepare_store`.
    tracks : sequence of str, optional
        Which tracks, in which order; all by default.
    bin_bp : int
        Width of a signal bin; must divide the window.

    Attributes
    ----------
    signal_dtype : numpy dtype
        float16 where all tracks are stored so and are read at base resolution, else float32.

    Raises
    ------
    DataError
        There is no store, it is of another version, or a file of it is missing or has another size.
    ConfigError
        A track is not in the store.

    Notes
    -----
    Objects can be pickled; each process maps the files for itself.
    """

    def __init__(self, folder: str | Path, tracks: Sequence[str] | None = None, bin_bp: int = 1) -> None:
        self.folder, self.bin_bp = Path(folder), bin_bp
        self._index: StoreIndex = read_index(self.folder)
        self.track_names = tuple(self._index.tracks) if tracks is None else tuple(tracks)
        for name in self.track_names:
            if name not in self._index.tracks:
                known = ", ".join(self._index.tracks) or "no tracks"
                raise ConfigError(f"no track {name!r} in the store", where=self.folder, expected=f"one of: {known}")
        self._entries = [self._index.tracks[name] for name in self.track_names]
        is_compact = bin_bp == 1 and all(entry.dtype == "float16" for entry in self._entries)
        self.signal_dtype = np.dtype(np.float16 if is_compact else np.float32)
        self._map_files()

    def read_into(self, interval: Interval, codes: NDArray[np.uint8], signals: NDArray[np.floating]) -> None:
        """See :class:`seqexp.dna.loaders.sources.WindowSource`."""
        offset, size = self._place(interval.chrom)
        start = min(max(interval.start, 0), size)
        end = max(min(interval.end, size), start)
        inside = slice(start - interval.start, end - interval.start) if end > start else slice(0, 0)
        stored = slice(offset + start, offset + end)
        _fill_around(codes, inside, UNKNOWN)
        codes[inside] = self._codes[stored]
        if interval.is_reverse:
            # torch turns and clamps bytes ten times as fast as numpy; A-T and C-G differ by 3 in both bits.
            turned = torch.from_numpy(codes).flip(0).bitwise_xor_(3).clamp_max_(UNKNOWN)
            codes[:] = turned.numpy()
        # Filled in forward orientation through a reversed view, so that the strand costs no extra copy.
        view = signals[::-1] if interval.is_reverse else signals
        for track, (entry, values) in enumerate(zip(self._entries, self._signals)):
            if self.bin_bp == 1:
                _fill_around(view[:, track], inside, entry.fill)
                view[inside, track] = values[stored]
                bases = view[:, track]
            else:
                bases = np.empty(interval.width, dtype=np.float32)
                _fill_around(bases, inside, entry.fill)
                bases[inside] = values[stored]
                view[:, track] = summarise(bases.reshape(-1, self.bin_bp), "mean", entry.missing)
            if entry.missing == "error":
                self._require_values(bases, interval, track)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_codes", "_signals")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map_files()

    def __repr__(self) -> str:
        return f"StoreSource({str(self.folder)!r}, {', '.join(self.track_names) or 'no tracks'})"

    def _map_files(self) -> None:
        self._codes = self._index.open(self.folder, self._index.codes)
        self._signals = [self._index.open(self.folder, entry) for entry in self._entries]

    def _place(self, chrom: str) -> tuple[int, int]:
        place = self._index.places.get(chrom)
        if place is None:
            raise DataError(
                f"chromosome {chrom!r} is not in the store",
                where=self.folder / INDEX,
                expected=f"one of: {', '.join(self._index.places)}",
                fix="prepare the data again",
            )
        return place

    def _require_values(self, bases: NDArray[np.floating], interval: Interval, track: int) -> None:
        is_missing = np.isnan(bases)
        if is_missing.any():
            raise DataError(
                f"track {self.track_names[track]} has no value for {int(is_missing.sum())} of {bases.size} bases",
                where=f"{interval}, first at {interval.chrom}:{interval.start + int(np.argmax(is_missing))}",
                expected="a value for every base, because missing is 'error'",
                fix="set missing: zero or missing: nan",
            )


def _fill_around(array: NDArray[Any], inside: slice, value: float) -> None:
    """Set what lies before and behind a slice."""
    array[: inside.start] = value
    array[inside.stop :] = value
