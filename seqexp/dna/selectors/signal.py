"""Evidence from signals: a monotone, saturating map of each track, calibrated on the training split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError

SATURATION = 3.0  # log-odds at which one track's evidence levels off, before its learned weight
OPEN_SHARE = (0.01, 0.12)  # least and largest share of training bins above the threshold
BACKGROUND_SPREADS = 2.5


@dataclass(frozen=True)
class SignalSettings:
    """The view of the tracks.

    Parameters
    ----------
    weight : float
        Initial weight of their log-odds.
    precision : float
        Weight of the view, in observations. Contacts and distance add their log-odds to the signals', and share it.
    context_channels : int
        Width of the network that judges a bin by the signals around it,
        :class:`~seqexp.dna.selectors.context.SignalContext`, taught by the sequence view in its turn; 0 judges every
        bin by its own signals.
    """

    weight: float = 0.8
    precision: float = 10.0
    context_channels: int = 0


class SignalEvidence(nn.Module):
    """Log-odds that a bin is active, as a sum over tracks of ``weight * SATURATION * tanh(slope * (u - threshold))``.

    ``u = log(1 + signal / unit)``. Units, thresholds and slopes come from training quantiles; weights are positive,
    so more signal is never evidence against an element. Weights and thresholds are learned.

    Parameters
    ----------
    num_tracks : int
        Tracks T.
    weight : float
        Initial weight of every track.
    learn_threshold : bool
        Whether thresholds may move with training, or stay where the calibration put them.
    """

    unit: Tensor
    threshold: Tensor
    slope: Tensor

    def __init__(self, num_tracks: int, weight: float = 0.5, learn_threshold: bool = True) -> None:
        super().__init__()
        self.register_buffer("unit", torch.ones(num_tracks))
        self.register_buffer("threshold", torch.ones(num_tracks))
        self.register_buffer("slope", torch.ones(num_tracks))
        self.raw_weight = nn.Parameter(torch.full((num_tracks,), inverse_softplus(weight)))
        self.threshold_shift = nn.Parameter(torch.zeros(num_tracks), requires_grad=learn_threshold)

    @property
    def weight(self) -> Tensor:
        """Positive weight of each track (T,)."""
        return functional.softplus(self.raw_weight)

    def calibrate(self, quantiles: Tensor, levels: Tensor) -> None:
        """Set unit, threshold and slope of each track.

        The threshold lies :data:`BACKGROUND_SPREADS` spreads of the lower half of the bins above their median, moved
        where needed so that :data:`OPEN_SHARE` of the bins exceed it. The slope makes the median of the bins above
        it saturate.

        Parameters
        ----------
        quantiles : float Tensor (T, Q)
            Quantiles of the binned signals of training windows.
        levels : float Tensor (Q,)
            Their levels, rising from 0 to 1.
        """
        for track, values in enumerate(quantiles.double().clamp_min(0)):
            unit = torch.maximum(_at(values, levels, 0.5), 0.02 * _at(values, levels, 0.99))
            unit = unit if unit > 0 else torch.ones_like(unit)
            u = torch.log1p(values / unit)
            median, low = _at(u, levels, 0.5), _at(u, levels, 0.16)
            least, most = _at(u, levels, 1 - OPEN_SHARE[1]), _at(u, levels, 1 - OPEN_SHARE[0])
            threshold = torch.minimum(torch.maximum(median + BACKGROUND_SPREADS * (median - low), least), most)
            share = 1 - levels[(u <= threshold).nonzero().max()].double()
            typical = _at(u, levels, float(1 - share / 2))
            self.unit[track], self.threshold[track] = unit, threshold
            self.slope[track] = 1.0 / (typical - threshold).clamp_min(0.1)

    def forward(self, signals: Tensor) -> Tensor:
        """Evidence per track (B, N, T), unweighted and in [-SATURATION, SATURATION]; missing signals count as 0."""
        if signals.shape[-1] != len(self.unit):  # one track would pass for several: it is repeated in silence
            raise ConfigError(
                f"the data have {signals.shape[-1]} tracks, the map of signals is built for {len(self.unit)}",
                where="model: num_tracks",
                expected=f"num_tracks: {signals.shape[-1]}",
            )
        u = torch.log1p(torch.nan_to_num(signals.float(), nan=0.0).clamp_min(0) / self.unit)
        evidence = SATURATION * torch.tanh((u - self.threshold - self.threshold_shift) * self.slope)
        return torch.where(torch.isnan(signals), torch.zeros_like(evidence), evidence)

    def logit(self, signals: Tensor) -> Tensor:
        """Log-odds (B, N): the weighted sum over tracks; 0 without tracks."""
        return (self.forward(signals) * self.weight).sum(dim=-1)


def _at(values: Tensor, levels: Tensor, level: float) -> Tensor:
    """Quantile at a level, by interpolation between the tabulated ones."""
    levels = levels.double()
    right = int(torch.searchsorted(levels, torch.tensor(level, dtype=levels.dtype)).clamp(1, len(levels) - 1))
    part = ((level - levels[right - 1]) / (levels[right] - levels[right - 1])).clamp(0, 1)
    return values[right - 1] + part * (values[right] - values[right - 1])


def inverse_softplus(value: float) -> float:
    """The number whose softplus is ``value``: where the raw form of a positive weight starts."""
    return float(torch.log(torch.expm1(torch.tensor(value))))
