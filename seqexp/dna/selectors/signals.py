"""Evidence from signals: a monotone, saturating map of each track, calibrated on the training windows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SignalEvidence(nn.Module):
    """Log-odds that a bin is an element, from its signals.

    Each track becomes u = clamp(sharpness * (log(1 + s) - log(1 + q_open)) / (log(1 + q_high) - log(1 + q_low)), -c, c)
    with q_open the quantile above which a share ``open_fraction`` of the training bins lies. The log-odds are a sum
    over tracks with learned positive weights, so more signal is never less evidence.

    Parameters
    ----------
    num_tracks : int
        Tracks T, at least 1.
    open_fraction : float
        Share of bins taken for open.
    sharpness : float
        How fast the map passes from closed to open.
    reach : float
        Saturation c.
    weight : float
        Initial weight of every track.
    """

    place: Tensor
    unit: Tensor

    def __init__(
        self,
        num_tracks: int,
        open_fraction: float = 0.08,
        sharpness: float = 8.0,
        reach: float = 6.0,
        weight: float = 0.2,
    ) -> None:
        super().__init__()
        self.open_fraction, self.sharpness, self.reach = open_fraction, sharpness, reach
        self.register_buffer("place", torch.zeros(num_tracks))
        self.register_buffer("unit", torch.ones(num_tracks))
        start = torch.full((num_tracks,), weight).expm1().log()  # inverse of softplus
        self.raw_weight = nn.Parameter(start)
        self.raw_weight._no_weight_decay = True  # type: ignore[attr-defined]

    @property
    def weight(self) -> Tensor:
        """Positive weight of each track (T,)."""
        return functional.softplus(self.raw_weight)

    @torch.no_grad()
    def calibrate(self, quantiles: Tensor, levels: Tensor) -> None:
        """Set the map of each track from training quantiles (T, Q) at ``levels`` (Q,)."""
        curve = torch.log1p(quantiles.clamp_min(0).float())

        def at(level: float) -> Tensor:
            return curve[:, int(torch.searchsorted(levels, torch.tensor(level)).clamp(max=len(levels) - 1))]

        low, opened, high = at(0.5), at(1 - self.open_fraction), at(1 - self.open_fraction / 4)
        self.place.copy_(opened)
        # A track that is mostly zero has its open quantile at zero too: halfway to the high quantile then.
        is_flat = opened <= low + 1e-6
        self.place.copy_(torch.where(is_flat, 0.5 * (low + high), opened))
        self.unit.copy_((high - low).clamp_min(1e-3))

    def compress(self, signals: Tensor) -> Tensor:
        """Signals (B, N, T) to bounded evidence u (B, N, T); missing values count as no evidence (0)."""
        known = torch.isfinite(signals)
        value = torch.log1p(torch.where(known, signals, torch.zeros_like(signals)).clamp_min(0))
        u = (self.sharpness * (value - self.place) / self.unit).clamp(-self.reach, self.reach)
        return torch.where(known, u, torch.zeros_like(u))

    def forward(self, compressed: Tensor) -> Tensor:
        """Compressed signals (B, N, T) to log-odds (B, N)."""
        return compressed @ self.weight
