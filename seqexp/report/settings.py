"""What a user may set about finishing a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class PeakSource:
    """Where the peaks come from; the first that is set counts.

    Parameters
    ----------
    path : Path, optional
        Existing narrowPeak or BED.
    alignments : Path, optional
        Reads for ``macs3 callpeak``.
    alignment_format : str
        Their format.
    track : str, optional
        Track for ``macs3 bdgpeakcall``.
    """

    path: Path | None = None
    alignments: Path | None = None
    alignment_format: str = "AUTO"
    track: str | None = None


@dataclass(frozen=True)
class FinishSettings:
    """How a run folder is finished.

    Parameters
    ----------
    budget_fraction : float
        Share of each window's base pairs kept as elements.
    peaks : PeakSource, optional
        Where peaks come from; by default the first peak set of the dataset, else MACS3 on its first track.
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
