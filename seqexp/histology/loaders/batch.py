"""The batch every histology model receives: compact on its way between processes, expanded on the device."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from einops import rearrange
from torch import Tensor


@dataclass(frozen=True)
class SpotBatch:
    """Spots with their patch, features and expression; what a data module does not load has width 0.

    Attributes
    ----------
    patches : uint8 Tensor (B, P, P, 3)
        RGB, P pixels wide; P may be 0.
    features : float32 Tensor (B, F)
        Features of the tissue around the spot; F may be 0.
    neighbours : float32 Tensor (B, K, F)
        Features of the block of K places around the spot on the array, row by row, the spot in the middle; 0 where
        there is no spot. K may be 0.
    is_neighbour : bool Tensor (B, K)
        Places that have a spot.
    target : float32 Tensor (B, G)
        Transformed expression.
    grid : int64 Tensor (B, 2)
        Row and column on the array; -1 on platforms without a grid.
    slide, patient : int64 Tensor (B,)
        Numbers of slide and patient in the data set.
    index : int64 Tensor (B,)
        Row of the spot table.
    """

    patches: Tensor
    features: Tensor
    neighbours: Tensor
    is_neighbour: Tensor
    target: Tensor
    grid: Tensor
    slide: Tensor
    patient: Tensor
    index: Tensor

    def __len__(self) -> int:
        return int(self.index.shape[0])

    @property
    def group(self) -> Tensor:
        """Slide of each row (B,): predictions are correlated inside slides."""
        return self.slide

    def pixels(self) -> Tensor:
        """Patches as float32 (B, 3, P, P) from 0 to 1, as image networks want them."""
        return rearrange(self.patches, "b h w c -> b c h w").float() / 255

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SpotBatch:
        """The same batch on another device."""
        return SpotBatch(*(getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self)))

    def pin_memory(self) -> SpotBatch:
        """The same batch in page-locked memory."""
        return SpotBatch(*(getattr(self, f.name).pin_memory() for f in fields(self)))
