"""Windows with Kipoi's interface: its intervals in and out, a dataloader whose batches its models take.

Kipoi (kipoi.org) is a zoo of trained models of genomics. Its dataloaders give a mapping of ``inputs``, ``targets`` and
``metadata``, and say in ``ranges`` where the inputs lie. Needs the extra ``kipoi``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.dna.genome.interval import Interval
from seqexp.dna.loaders.batch import NUM_BASES, UNKNOWN
from seqexp.dna.loaders.sources import WindowSource
from seqexp.dna.loaders.windows import WindowDataset

_EXTRA = "kipoi"
_ONE_HOT = np.eye(UNKNOWN + 1, NUM_BASES, dtype=np.float32)


def to_kipoiseq(interval: Interval) -> Any:
    """The same interval as a ``kipoiseq.Interval``.

    Raises
    ------
    MissingExtraError
        kipoiseq is not installed.
    """
    kind = require("kipoiseq.dataclasses", _EXTRA).Interval
    return kind(interval.chrom, interval.start, interval.end, name=interval.name, strand=interval.strand)


def from_kipoiseq(interval: Any) -> Interval:
    """The same interval as a ``kipoiseq.Interval``, a ``pybedtools.Interval`` or Kipoi's ``GenomicRanges`` of one row.

    All three count from 0 and end before ``end``; Kipoi's ``*`` is a strand that is not known.
    """
    strand = str(interval.strand or ".")
    name = "" if interval.name in (None, ".") else str(interval.name)
    return Interval(str(interval.chrom), int(interval.start), int(interval.end), strand.replace("*", "."), name)


def kipoi_windows(dataset: WindowDataset, names: Sequence[str] | None = None) -> Any:
    """Windows of a data set, such as ``SequenceData(...).dataset("test")``, as a ``kipoi.data.Dataset``.

    Parameters
    ----------
    dataset : WindowDataset
        Rows, which are read as they are, without augmentation; contacts are left out.
    names : sequence of str, optional
        Name of each row in ``ranges``; None: that of its window.

    Returns
    -------
    kipoi.data.Dataset
        See :func:`kipoi_intervals`; ``targets`` are those of the rows (G,), on the scale of the loss.
    """
    return _dataset(dataset.source, dataset.windows, dataset.target, names)


def kipoi_intervals(source: WindowSource, intervals: Sequence[Any], names: Sequence[str] | None = None) -> Any:
    """Intervals of Kipoi as a ``kipoi.data.Dataset`` that reads sequence and tracks of seqexp.

    Parameters
    ----------
    source : WindowSource
        Reads the windows, for instance ``FileSource(Reference(fasta), TrackSet(tracks))``.
    intervals : sequence
        As for :func:`from_kipoiseq`, or of seqexp; all of one width for batches. On the minus strand, sequence and
        tracks are read in the direction of the strand.
    names : sequence of str, optional
        Name of each interval in ``ranges``; None: its own.

    Returns
    -------
    kipoi.data.Dataset
        An item is a mapping: ``inputs`` holds ``seq`` (L, 4), float32, channels A, C, G, T, zeros where the base is
        unknown, and ``signals`` (N, T) where there are tracks; ``metadata`` holds ``ranges``, Kipoi's GenomicRanges.
        ``batch_iter(batch_size)`` and ``load_all()`` are Kipoi's own.

    Raises
    ------
    DataError
        The names are not as many as the intervals.
    MissingExtraError
        Kipoi is not installed.
    """
    own = [interval if isinstance(interval, Interval) else from_kipoiseq(interval) for interval in intervals]
    return _dataset(source, own, None, names)


def _dataset(
    source: WindowSource, windows: Sequence[Interval], targets: NDArray[np.float32] | None, names: Sequence[str] | None
) -> Any:
    if names is not None and len(names) != len(windows):
        raise DataError(f"{len(names)} names for {len(windows)} windows", expected="a name for each")
    ranges_of = require("kipoi.metadata", _EXTRA).GenomicRanges

    class KipoiWindows(require("kipoi.data", _EXTRA).Dataset):  # type: ignore[misc]  # known where Kipoi is installed
        """One window per item."""

        def __len__(self) -> int:
            return len(windows)

        def __getitem__(self, row: int) -> dict[str, Any]:
            window = windows[row]
            item: dict[str, Any] = {
                "inputs": _inputs(source, window),
                "metadata": {
                    "ranges": ranges_of(
                        window.chrom,
                        window.start,
                        window.end,
                        id=window.name if names is None else names[row],
                        strand=window.strand.replace(".", "*"),
                    )
                },
            }
            if targets is not None:
                item["targets"] = targets[row]
            return item

    return KipoiWindows()


def _inputs(source: WindowSource, window: Interval) -> dict[str, NDArray[np.floating]]:
    codes = np.empty(window.width, np.uint8)
    signals = np.empty((window.width // source.bin_bp, len(source.track_names)), source.signal_dtype)
    source.read_into(window, codes, signals)
    inputs: dict[str, NDArray[np.floating]] = {"seq": _ONE_HOT[codes]}
    return {**inputs, "signals": signals.astype(np.float32)} if source.track_names else inputs
