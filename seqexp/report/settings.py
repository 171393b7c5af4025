"""What a user may set about finishing a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class PeakSource:
    """Where the peaks come from; the first that is set counts, and the dataset where none is.

    Parameters
    ----------
    path : Path, optional
        Existing peaks, in any format.
    alignments : str, optional
        Alignments of the dataset, for ``macs3 callpeak``.
    track : str, optional
        Track of the dataset to take a threshold on.
    limit_minutes : float
        MACS3 is stopped after so long.
    """

    path: Path | None = None
    alignments: str | None = None
    track: str | None = None
    limit_minutes: float = 120.0


@dataclass(frozen=True)
class FinishSettings:
    """How a run folder is finished.

    Parameters
    ----------
    budget_fraction : float
        Share of each window's base pairs kept as elements.
    peaks : PeakSource, optional
        Where peaks come from; by default MACS3 on the first alignments of the dataset, else its first peak set, else a
        threshold on its first track.
    promoter_bp : int
        Base pairs round the TSS that the fixed-mask protocol opens on every side.
    genes : tuple of str
        Ids or names of genes to draw; by default test genes over the range of expression.
    beside : tuple of Path
        Finished control runs on the same genes.
    """

    budget_fraction: float = 0.1
    peaks: PeakSource = field(default_factory=PeakSource)
    promoter_bp: int = 1000
    genes: tuple[str, ...] = ()
    beside: tuple[Path, ...] = ()
