"""Settings of the data module: which cannot be, and how many genes they leave."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError
from seqexp.core.seeds import sample_seed
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.loaders.augment import Augmentation


class WindowSettings(Protocol):
    """What :class:`~seqexp.dna.loaders.data.SequenceData` was asked for."""

    upstream_bp: int
    downstream_bp: int
    signal_bin_bp: int
    batch_size: int
    num_workers: int
    augmentation: Augmentation
    tracks: list[str] | None
    source: str
    contacts: bool

    @property
    def window_bp(self) -> int:
        """Length of a window."""


def check_settings(data: WindowSettings) -> None:
    """Refuse settings of :class:`SequenceData` that cannot be.

    Raises
    ------
    ConfigError
        A number out of range, a window that bins or shifts do not fit, a name twice or of no source.
    """
    require_window(data.upstream_bp, data.downstream_bp)
    for name, lowest in (("signal_bin_bp", 1), ("batch_size", 1)):
        _require_at_least(name, getattr(data, name), lowest)
    _require_at_least("num_workers", data.num_workers, 0)
    for name in ("max_genes", "max_train_genes"):
        if getattr(data, name) is not None:
            _require_at_least(name, getattr(data, name), 1)
    if data.window_bp % data.signal_bin_bp:
        raise ConfigError(
            f"signal_bin_bp {data.signal_bin_bp} does not divide the window of {data.window_bp} bp",
            where="data: upstream_bp + downstream_bp",
            expected="a window length that is a multiple of signal_bin_bp",
            fix=f"make the window {-(-data.window_bp // data.signal_bin_bp) * data.signal_bin_bp} bp long",
        )
    if data.augmentation.max_shift_bp > min(data.upstream_bp, data.downstream_bp - 1):
        raise ConfigError(
            f"max_shift_bp {data.augmentation.max_shift_bp} can move the TSS out of the window",
            expected=f"at most {min(data.upstream_bp, data.downstream_bp - 1)} for this window",
        )
    if data.tracks is not None and len(set(data.tracks)) < len(data.tracks):
        raise ConfigError(f"tracks: {data.tracks}", expected="every track once")
    if data.source not in ("files", "store"):
        raise ConfigError(f"source: {data.source!r}", expected="files or store")


def sizes(spec: DatasetSpec, data: WindowSettings) -> dict[str, int]:
    """What a network for such data is built for: numbers of signals, covariates and targets, length of a window."""
    return {
        "num_tracks": len(spec.tracks if data.tracks is None else data.tracks),
        "num_contacts": int(data.contacts),
        "num_covariates": len(spec.covariates),
        "num_targets": len(spec.targets),
        "window_bp": data.window_bp,
    }


def require_window(upstream_bp: int, downstream_bp: int) -> None:
    """Refuse windows that hold no TSS."""
    _require_at_least("upstream_bp", upstream_bp, 0)
    _require_at_least("downstream_bp", downstream_bp, 1)


def limited(
    labels: NDArray[np.str_], max_genes: int | None, max_train_genes: int | None, seed: int
) -> NDArray[np.str_]:
    """Labels (G,) of which at most so many of each split stay, chosen by seed; the others become ``none``."""
    of_train = min((limit for limit in (max_genes, max_train_genes) if limit is not None), default=None)
    limits = {"train": of_train, "val": max_genes, "test": max_genes}
    out = labels.copy()
    for number, (split, most) in enumerate(limits.items()):
        if most is not None:
            rows = np.flatnonzero(labels == split)
            order = np.random.default_rng(sample_seed(seed, 0, number)).permutation(rows)
            out[order[most:]] = "none"
    return out


def _require_at_least(name: str, value: int, lowest: int) -> None:
    if value < lowest:
        raise ConfigError(f"{name}: {value}", where="data", expected=f"at least {lowest}")
