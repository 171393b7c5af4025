"""Where windows come from: the one interface of readers, and the reader of the original files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.tracks import TrackSet


class Bases(Protocol):
    """Sequences by name: a FASTA, or text in memory."""

    def codes(self, interval: Interval) -> NDArray[np.uint8]:
        """Bases of a window (L,), in the orientation of its strand."""
        ...


class Signals(Protocol):
    """Tracks by name: bigWigs, some of which may be lacking."""

    names: tuple[str, ...]

    def values(self, interval: Interval, bin_bp: int = 1) -> NDArray[np.float32]:
        """Signals of a window (N, T), in the orientation of its strand."""
        ...


class LackingTracks:
    """Tracks of which some are not there: all their values are missing (NaN).

    Parameters
    ----------
    tracks : TrackSet
        Those that are there.
    names : sequence of str
        All, in the order of the last axis.
    """

    def __init__(self, tracks: TrackSet, names: Sequence[str]) -> None:
        self.names, self._tracks = tuple(names), tracks
        self._columns = [self.names.index(name) for name in tracks.names]

    def values(self, interval: Interval, bin_bp: int = 1) -> NDArray[np.float32]:
        """See :class:`Signals`."""
        values = np.full((interval.width // bin_bp, len(self.names)), np.nan, dtype=np.float32)
        if self._columns:
            values[:, self._columns] = self._tracks.values(interval, bin_bp)
        return values


class WindowSource(Protocol):
    """Reads the sequence and the signals of a window into arrays that the caller owns.

    Attributes
    ----------
    track_names : tuple of str
        Names along the axis T.
    bin_bp : int
        Width of a signal bin.
    signal_dtype : numpy dtype
        float16 or float32, what ``signals`` must be.
    """

    track_names: tuple[str, ...]
    bin_bp: int
    signal_dtype: np.dtype

    def read_into(self, interval: Interval, codes: NDArray[np.uint8], signals: NDArray[np.floating]) -> None:
        """Fill ``codes`` (L,) and ``signals`` (N, T) in the orientation of the interval's strand."""
        ...


class FileSource:
    """Windows read directly from FASTA and bigWig.

    Parameters
    ----------
    reference : Reference or other Bases
    tracks : TrackSet or other Signals
        May hold no track.
    bin_bp : int
        Width of a signal bin; must divide the window.
    """

    def __init__(self, reference: Bases, tracks: Signals, bin_bp: int = 1) -> None:
        self.reference, self.tracks = reference, tracks
        self.track_names, self.bin_bp = tracks.names, bin_bp
        self.signal_dtype = np.dtype(np.float32)

    def read_into(self, interval: Interval, codes: NDArray[np.uint8], signals: NDArray[np.floating]) -> None:
        """See :class:`WindowSource`."""
        codes[:] = self.reference.codes(interval)
        if self.track_names:
            signals[:] = self.tracks.values(interval, self.bin_bp)
