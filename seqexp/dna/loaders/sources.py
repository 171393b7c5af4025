"""Where windows come from: the one interface of readers, and the reader of the original files."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.tracks import TrackSet


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
    reference : Reference
    tracks : TrackSet
        May hold no track.
    bin_bp : int
        Width of a signal bin; must divide the window.
    """

    def __init__(self, reference: Reference, tracks: TrackSet, bin_bp: int = 1) -> None:
        self.reference, self.tracks = reference, tracks
        self.track_names, self.bin_bp = tracks.names, bin_bp
        self.signal_dtype = np.dtype(np.float32)

    def read_into(self, interval: Interval, codes: NDArray[np.uint8], signals: NDArray[np.floating]) -> None:
        """See :class:`WindowSource`."""
        codes[:] = self.reference.codes(interval)
        if self.track_names:
            signals[:] = self.tracks.values(interval, self.bin_bp)
