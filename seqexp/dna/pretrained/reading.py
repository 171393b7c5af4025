"""How a published encoder is to be used, beside what its file says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seqexp.dna.encoders.sequence import Strands


@dataclass(frozen=True)
class Reading:
    """Settings that no file of weights knows.

    Attributes
    ----------
    rc : str, optional
        Treatment of the strands; None is that of the published model.
    pool : int
        Bases averaged into one feature.
    dropout : float
        Dropout on what each block adds.
    checkpoint : bool
        Recompute each block in backward.
    """

    rc: Strands | None = None
    pool: int = 1
    dropout: float = 0.0
    checkpoint: bool = False

    @property
    def of_blocks(self) -> dict[str, Any]:
        """Settings of a stack of blocks."""
        return {"dropout": self.dropout, "checkpoint": self.checkpoint}


PLAIN = Reading()
