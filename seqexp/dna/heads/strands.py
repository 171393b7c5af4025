"""Readouts of features that hold both strands: by strand, or alike on both.

Such features (B, N, 2 D) are those of a reverse-complement equivariant encoder: D channels of the forward strand,
then D of the reverse strand in reverse order.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from seqexp.core.errors import ConfigError


class StrandHead(nn.Module):
    """Let a head read one strand, or both without knowing which is which.

    Parameters
    ----------
    head : nn.Module
        Takes ``(hidden (B, N, D), mask, distance_bp, covariates)``.
    reading : {"oriented", "invariant"}
        ``oriented`` reads the forward strand: right for expression, which has a direction, with windows given in
        gene orientation. ``invariant`` reads the mean of both strands, so a window and its reverse complement get one
        answer, as long as the head itself does not know left from right (give it no ``distance_bp``).

    Raises
    ------
    ConfigError
        An unknown ``reading``.
    """

    def __init__(self, head: nn.Module, reading: Literal["oriented", "invariant"] = "oriented") -> None:
        super().__init__()
        if reading not in {"oriented", "invariant"}:
            raise ConfigError(f"reading {reading!r}", expected="oriented or invariant")
        self.head, self.reading = head, reading

    def forward(
        self,
        hidden: Tensor,
        mask: Tensor | None = None,
        distance_bp: Tensor | None = None,
        covariates: Tensor | None = None,
    ) -> Tensor:
        """Predict (B, G) from features (B, N, 2 D), mask (B, N), signed distances (B, N) and covariates (B, F)."""
        forward, reverse = hidden.chunk(2, dim=-1)
        read = forward if self.reading == "oriented" else (forward + reverse.flip(-1)) / 2
        return self.head(read, mask=mask, distance_bp=distance_bp, covariates=covariates)
