"""What a user may set about finishing a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from seqexp.core.errors import ConfigError

_KEPT_FRACTION = 0.1


@dataclass(frozen=True)
class PeakSource:
    """Where the peaks come from: at most one of path, alignments and track, and the dataset where none is.

    Parameters
    ----------
    path : Path, optional
        Existing peaks, in any format.
    alignments : str, optional
        Alignments of the dataset, for ``macs3 callpeak``.
    track : str, optional
        Track of the dataset to take a threshold on.
    limit_minutes : float, optional
        MACS3 is stopped after so long.
    """

    path: Path | None = None
    alignments: str | None = None
    track: str | None = None
    limit_minutes: float | None = None

    def __post_init__(self) -> None:
        """Refuse several sources: all but one would be left out in silence."""
        given = [name for name in ("path", "alignments", "track") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"peaks from {' and '.join(given)}", expected="one source of peaks", fix="leave one out")


@dataclass(frozen=True)
class FinishSettings:
    """How a run folder is finished.

    Parameters
    ----------
    budget_fraction : float, optional
        Share of each window's base pairs kept as elements; a tenth by default.
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

    budget_fraction: float | None = None
    peaks: PeakSource = field(default_factory=PeakSource)
    promoter_bp: int = 1000
    genes: tuple[str, ...] = ()
    beside: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a budget that is no share, and control runs that could not be told apart."""
        if self.budget_fraction is not None and not 0 < self.budget_fraction <= 1:
            raise ConfigError(f"budget_fraction {self.budget_fraction}", expected="above 0 and at most 1")
        names = [path.resolve().name for path in self.beside]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(
                f"several control runs are named {twice[0]}",
                where=", ".join(map(str, self.beside)),
                expected="folders of different names, by which the report lists them",
            )

    @property
    def kept_fraction(self) -> float:
        """Share of base pairs kept as elements."""
        return _KEPT_FRACTION if self.budget_fraction is None else self.budget_fraction

    def require_none_of_elements(self, what: str) -> None:
        """Refuse settings about elements where a run has none.

        Raises
        ------
        ConfigError
            Names the settings; ``what`` says what the run is.
        """
        asked = {"--budget-fraction": self.budget_fraction is not None, "--peaks": self.peaks.path is not None}
        asked |= {"--alignments": self.peaks.alignments is not None, "--track": self.peaks.track is not None}
        asked |= {"--limit-minutes": self.peaks.limit_minutes is not None}
        asked |= {"--genes": bool(self.genes)}
        dropped = [name for name, is_asked in asked.items() if is_asked]
        if dropped:
            raise ConfigError(
                f"{', '.join(dropped)} would have no effect: {what}",
                expected="options that apply to the run, here --beside alone",
                fix=f"leave out {', '.join(dropped)}",
            )
