"""Expression head: several attention readouts over the selected positions, aware of the distance to the TSS.

Each readout weighs position n by ``mask_n * exp(score_n)`` against an empty slot of weight 1, so a mask that is
scaled down everywhere shrinks the readout (a plain softmax would cancel the scale), and a mask of zeros gives the
empty answer instead of a division by zero.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.dna.heads.scanning import ScanningReadout

_SCALES_BP = (10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0)
NUM_DISTANCE_FEATURES = 2 * len(_SCALES_BP) + 2


def distance_features(distance_bp: Tensor) -> Tensor:
    """Smooth features of a signed distance, good from ten to a hundred thousand bases.

    Parameters
    ----------
    distance_bp : Tensor, (B, N)
        Position minus TSS in gene orientation; negative upstream.

    Returns
    -------
    Tensor, (B, N, 20)
        tanh(d / s) and exp(-|d| / s) at nine scales s, the signed log distance, and a constant.
    """
    distance = distance_bp.float().unsqueeze(-1)
    scaled = distance / torch.tensor(_SCALES_BP, device=distance.device)
    log_distance = distance.sign() * torch.log1p(distance.abs() / 100.0) / math.log1p(1_000.0)
    ones = torch.ones_like(distance)
    return torch.cat([torch.tanh(scaled), torch.exp(-scaled.abs()), log_distance, ones], dim=-1)


class ExpressionHead(nn.Module):
    """Pool encoded tokens by attention and predict expression.

    Parameters
    ----------
    width : int
        Channels D of the tokens.
    num_targets : int
        Targets G.
    num_readouts : int
        Independent attention readouts.
    num_covariates : int
        Gene-level covariates F beside the pooled tokens.
    hidden : int
        Width of the layer before the output.
    dropout : float
        On the pooled vector and the hidden layer.
    value_width : int, optional
        Channels that each readout averages, by default ``width // num_readouts`` times 2.
    num_scans : int
        Scanning readouts beside the attention readouts, see :class:`ScanningReadout`; they need ``distance_bp``.

    Raises
    ------
    ConfigError
        No readouts.
    """

    def __init__(
        self,
        width: int,
        num_targets: int = 1,
        num_readouts: int = 4,
        num_covariates: int = 0,
        *,
        hidden: int = 64,
        dropout: float = 0.1,
        value_width: int | None = None,
        num_scans: int = 0,
    ) -> None:
        super().__init__()
        if num_readouts < 1:
            raise ConfigError(f"num_readouts {num_readouts}", expected="at least 1")
        self.num_readouts, self.num_covariates = num_readouts, num_covariates
        self.value_width = value_width or max(2 * width // num_readouts, 1)
        self.score = nn.Linear(width, num_readouts)
        self.distance_score = nn.Linear(NUM_DISTANCE_FEATURES, num_readouts, bias=False)
        self.value = nn.Linear(width, num_readouts * self.value_width)
        self.scan = ScanningReadout(width, num_scans, self.value_width) if num_scans else None
        pooled = num_readouts * (self.value_width + 1) + (self.scan.num_features if self.scan is not None else 0)
        self.layers = nn.Sequential(
            nn.LayerNorm(pooled + num_covariates),
            nn.Dropout(dropout),
            nn.Linear(pooled + num_covariates, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_targets),
        )

    def forward(
        self,
        hidden: Tensor,
        mask: Tensor | None = None,
        distance_bp: Tensor | None = None,
        covariates: Tensor | None = None,
    ) -> Tensor:
        """Predict.

        Parameters
        ----------
        hidden : Tensor, (B, N, D)
        mask : Tensor, (B, N), optional
            Weight of each position in [0, 1]; all ones when absent.
        distance_bp : Tensor, (B, N), optional
            Signed distance of each position to the TSS; needed when ``num_scans`` is above 0.
        covariates : Tensor, (B, F), optional
            Needed when ``num_covariates`` is above 0.

        Returns
        -------
        Tensor, (B, G)

        Raises
        ------
        ConfigError
            Covariates of another number than ``num_covariates``, or no distances for the scans.
        """
        pooled = self.pool(hidden, mask, distance_bp)
        found = 0 if covariates is None else covariates.shape[-1]
        if found != self.num_covariates:
            raise ConfigError(
                f"{found} covariates in the data, the head reads {self.num_covariates}",
                where="model: head: num_covariates",
                expected=f"num_covariates: {found}",
            )
        if self.num_covariates and covariates is not None:
            pooled = torch.cat([pooled, covariates.to(pooled.dtype)], dim=-1)
        return self.layers(pooled)

    def weights(self, hidden: Tensor, mask: Tensor | None = None, distance_bp: Tensor | None = None) -> Tensor:
        """Attention of each readout to each position (B, N, R); sums to less than 1, the rest is the empty slot's."""
        score = self.score(hidden).float()
        if distance_bp is not None:
            score = score + self.distance_score(distance_features(distance_bp).to(hidden.dtype)).float()
        # The empty slot has score log(1) relative to the average of N positions, whatever the window length.
        score = score - math.log(hidden.shape[1])
        top = score.amax(1, keepdim=True).clamp_min(0.0)
        raw = torch.exp(score - top)
        if mask is not None:
            raw = raw * mask.unsqueeze(-1).float()
        return raw / (raw.sum(1, keepdim=True) + torch.exp(-top))

    def pool(self, hidden: Tensor, mask: Tensor | None = None, distance_bp: Tensor | None = None) -> Tensor:
        """Pooled vector (B, P): what each readout saw, how much weight it found in all, and what the scans read."""
        weights = self.weights(hidden, mask, distance_bp).to(hidden.dtype)
        values = rearrange(self.value(hidden), "b n (r v) -> b n r v", r=self.num_readouts)
        seen = torch.einsum("bnr,bnrv->brv", weights, values)
        parts = [seen.flatten(1), weights.sum(1)]
        if self.scan is not None:
            if distance_bp is None:
                raise ConfigError("no distances", expected="distance_bp, since num_scans is above 0")
            parts.append(self.scan(hidden, mask, distance_bp))
        return torch.cat(parts, dim=-1)
