"""Augmentation of a window by moving and turning the interval it is read from.

Since the interval itself changes, sequence, signals, blacklist and TSS follow by construction, and what a shift brings
in at the edge is the true neighbourhood, not padding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from seqexp.core.errors import ConfigError
from seqexp.core.seeds import sample_seed
from seqexp.dna.genome.interval import Interval


@dataclass(frozen=True)
class Augmentation:
    """Random reverse complement and shift, the same for one (seed, epoch, gene) whatever worker draws it.

    Parameters
    ----------
    reverse_complement : float
        Probability of reading the opposite strand.
    max_shift_bp : int
        Largest shift either way, in bp.
    shift_multiple_bp : int
        Shifts are multiples of this.
    seed : int
        Seed of the run.
    """

    reverse_complement: float = 0.0
    max_shift_bp: int = 0
    shift_multiple_bp: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.reverse_complement <= 1.0:
            raise ConfigError(f"reverse_complement: {self.reverse_complement}", expected="a probability, 0 to 1")
        if self.max_shift_bp < 0 or self.shift_multiple_bp < 1:
            raise ConfigError(
                f"max_shift_bp: {self.max_shift_bp}, shift_multiple_bp: {self.shift_multiple_bp}",
                expected="max_shift_bp of at least 0 and shift_multiple_bp of at least 1",
            )
        if 0 < self.max_shift_bp < self.shift_multiple_bp:
            raise ConfigError(
                f"max_shift_bp {self.max_shift_bp} allows no shift by a multiple of {self.shift_multiple_bp} bp",
                expected="max_shift_bp of 0, or at least shift_multiple_bp",
            )

    @property
    def is_active(self) -> bool:
        """Whether anything is drawn at all."""
        return self.reverse_complement > 0 or self.max_shift_bp > 0

    def draw(self, epoch: int, index: int) -> tuple[int, bool]:
        """Shift in bp (downstream of the gene is positive) and whether to turn the window.

        Parameters
        ----------
        epoch : int
            Epoch of the run.
        index : int
            Row of the gene table.
        """
        rng = np.random.default_rng(sample_seed(self.seed, epoch, index))
        steps = self.max_shift_bp // self.shift_multiple_bp
        shift_bp = int(rng.integers(-steps, steps + 1)) * self.shift_multiple_bp
        return shift_bp, bool(rng.random() < self.reverse_complement)


def move_window(window: Interval, tss_bp: int, shift_bp: int, is_reversed: bool) -> tuple[Interval, int]:
    """Shifted, then turned window and the offset of the TSS in it.

    Parameters
    ----------
    window : Interval
        Window in gene orientation.
    tss_bp : int
        Offset of the TSS in it.
    shift_bp : int
        Bases to move it downstream of the gene; upstream if negative.
    is_reversed : bool
        Read the opposite strand.
    """
    moved, offset = window.shift(shift_bp), tss_bp - shift_bp
    if is_reversed:
        moved = replace(moved, strand="+" if moved.is_reverse else "-")
        offset = moved.width - 1 - offset
    return moved, offset
