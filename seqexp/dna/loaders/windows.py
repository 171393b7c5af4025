"""The dataset of windows: one source, one row per gene, whole batches read at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, get_worker_info

from seqexp.dna.genome.contacts import ContactMap
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.regions import IntervalIndex
from seqexp.dna.loaders.augment import Augmentation, move_window
from seqexp.dna.loaders.batch import INLINE_BYTES, SequenceBatch, no_blacklist
from seqexp.dna.loaders.sources import WindowSource
from seqexp.loading.sampling import Draw

CONTACT = "contact"


class WindowDataset(Dataset):
    """Windows of some genes with their targets.

    Parameters
    ----------
    source : WindowSource
        Reads sequence and signals.
    windows : sequence of Interval
        One window per row, all of one width, in gene orientation.
    index : int array (n,)
        Row of the gene table of each window.
    tss_bp : int
        Offset of the TSS in every window.
    target : float array (n, 1)
    covariates : float array (n, F)
    augmentation : Augmentation, optional
        None reads every window as it is.
    blacklist : IntervalIndex, optional
        Stretches whose bins are marked.
    contacts : ContactMap, optional
        Adds the contacts of the TSS with every bin as the last signal, named :data:`CONTACT`.

    Attributes
    ----------
    track_names : tuple of str
        Names along the axis T of the signals.

    Notes
    -----
    Rows are asked for as integers (epoch 0) or :class:`Draw`. A batch is read straight into its final arrays, in shared
    memory when a worker does it, so that a base is copied once between file and network.
    """

    def __init__(
        self,
        source: WindowSource,
        windows: Sequence[Interval],
        index: NDArray[np.integer],
        tss_bp: int,
        *,
        target: NDArray[np.floating],
        covariates: NDArray[np.floating] | None = None,
        augmentation: Augmentation | None = None,
        blacklist: IntervalIndex | None = None,
        contacts: ContactMap | None = None,
    ) -> None:
        self.source, self.windows, self.tss_bp = source, list(windows), tss_bp
        self.index = np.asarray(index, dtype=np.int64)
        self.target = np.asarray(target, dtype=np.float32).reshape(len(self.windows), -1)
        empty = np.empty((len(self.windows), 0))
        self.covariates = np.asarray(empty if covariates is None else covariates, dtype=np.float32)
        self.augmentation = augmentation if augmentation is not None and augmentation.is_active else None
        self.blacklist, self.contacts = blacklist, contacts
        self.track_names = source.track_names if contacts is None else (*source.track_names, CONTACT)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, key: int | Draw) -> SequenceBatch:
        """Batch of one row."""
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[int | Draw]) -> SequenceBatch:
        """Batch of several rows; the DataLoader calls this with the keys of a whole batch."""
        draws = [key if isinstance(key, Draw) else Draw(key, 0) for key in keys]
        rows = [draw.row for draw in draws]
        placed = [self.place(draw) for draw in draws]
        width, bin_bp = self.windows[rows[0]].width, self.source.bin_bp
        num_bins, num_tracks, num_read = width // bin_bp, len(self.track_names), len(self.source.track_names)
        codes = _empty((len(rows), width), torch.uint8)
        # (B, N, T) as everywhere, but each track in one piece of memory: copied faster, and as convolutions want it.
        signals = _empty((len(rows), num_tracks, num_bins), _TORCH_TYPES[self.source.signal_dtype.name]).transpose(1, 2)
        blacklist = no_blacklist(len(rows), num_bins)
        if self.blacklist is not None:
            blacklist = torch.zeros(len(rows), num_bins, dtype=torch.bool)
        code_rows, signal_rows = codes.numpy(), signals.numpy()
        for number, (interval, tss_bp, _) in enumerate(placed):
            self.source.read_into(interval, code_rows[number], signal_rows[number, :, :num_read])
            if self.contacts is not None:
                signal_rows[number, :, num_read] = self.contacts.values(interval, tss_of(interval, tss_bp), bin_bp)
            if self.blacklist is not None:
                mark_bins(self.blacklist, interval, bin_bp, blacklist[number].numpy())
        return SequenceBatch(
            codes,
            signals,
            torch.from_numpy(self.target[rows]),
            torch.from_numpy(self.covariates[rows]),
            torch.tensor([tss_bp for _, tss_bp, _ in placed], dtype=torch.int64),
            torch.from_numpy(self.index[rows]),
            torch.tensor([is_reversed for _, _, is_reversed in placed], dtype=torch.bool),
            blacklist,
        )

    def place(self, draw: Draw) -> tuple[Interval, int, bool]:
        """Interval that is read for a draw, offset of the TSS in it, and whether it is turned."""
        window = self.windows[draw.row]
        if self.augmentation is None:
            return window, self.tss_bp, False
        shift_bp, is_reversed = self.augmentation.draw(draw.epoch, int(self.index[draw.row]))
        return (*move_window(window, self.tss_bp, shift_bp, is_reversed), is_reversed)


def tss_of(interval: Interval, tss_bp: int) -> int:
    """Forward-strand position of the base at an offset of a window, however the window was moved and turned."""
    return interval.end - 1 - tss_bp if interval.is_reverse else interval.start + tss_bp


def mark_bins(index: IntervalIndex, interval: Interval, bin_bp: int, marks: NDArray[np.bool_]) -> None:
    """Set True in ``marks`` (N,) where a bin of the window touches the union of ``index``.

    Costs time by the number of stretches in the window, not by its length.
    """
    starts, ends = index.merged.get(interval.chrom, _NOTHING)
    first = int(np.searchsorted(ends, interval.start, side="right"))
    last = int(np.searchsorted(starts, interval.end, side="left"))
    forward = marks[::-1] if interval.is_reverse else marks
    for start, end in zip(starts[first:last], ends[first:last]):
        begin = max(0, int(start) - interval.start) // bin_bp
        forward[begin : -((interval.start - int(end)) // bin_bp)] = True


_TORCH_TYPES = {"float16": torch.float16, "float32": torch.float32}
_NOTHING = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def _empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Uninitialised tensor; in a worker, a large one lies in shared memory from the start, which saves a copy."""
    tensor = torch.empty(0, dtype=dtype)
    num_bytes = int(np.prod(shape)) * tensor.element_size()
    if get_worker_info() is None or num_bytes == 0 or (len(shape) <= 2 and num_bytes <= INLINE_BYTES):
        return torch.empty(shape, dtype=dtype)
    return tensor.set_(torch.UntypedStorage._new_shared(num_bytes)).view(shape)
