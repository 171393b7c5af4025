"""What a network may know of the spots before training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SpotStatistics:
    """What a network may check itself against before training.

    Attributes
    ----------
    num_genes, num_features : int
    patch_px : int, optional
        Width of patches; 0 where there are none, None where not known.
    """

    num_genes: int
    num_features: int
    patch_px: int | None = None
