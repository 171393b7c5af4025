"""Evidence from where a bin lies: how often it touches the TSS (contacts), and how far away it is (distance)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.signal import SignalEvidence, inverse_softplus

DISTANCE_SCALE_BP = 1000.0


@dataclass(frozen=True)
class PlaceSettings:
    """The view of where a bin lies.

    Parameters
    ----------
    contact_weight : float
        Initial weight of every contact channel, positive.
    distance_weight : float, optional
        Initial weight of the distance on both sides of the TSS, positive; None leaves distance out.
    """

    contact_weight: float = 0.5
    distance_weight: float | None = None

    def __post_init__(self) -> None:
        if self.contact_weight <= 0 or (self.distance_weight is not None and self.distance_weight <= 0):
            raise ConfigError(
                f"contact_weight {self.contact_weight}, distance_weight {self.distance_weight}",
                where="selector: evidence: place",
                expected="positive weights; distance_weight: null leaves distance out",
            )


class PlaceEvidence(nn.Module):
    """Log-odds of an element from contacts and distance.

    Contacts go through the map of the signals, calibrated on training quantiles, with weights of their own. Distance
    d counts ``-weight * log(1 + |d| / 1 kb)``, less its mean over the window: so it moves the mask towards the TSS
    and leaves how much is kept to the rest of the evidence. Each side of the TSS has a weight of its own, for windows
    of all lengths: what lies before a gene and what is transcribed need not matter alike.

    Parameters
    ----------
    num_contacts : int
        Contact channels K, values log10(1 + contact with the TSS).
    settings : PlaceSettings
    """

    def __init__(self, num_contacts: int, settings: PlaceSettings) -> None:
        super().__init__()
        self.contacts = SignalEvidence(num_contacts, settings.contact_weight) if num_contacts else None
        distance = settings.distance_weight
        start = None if distance is None else torch.full((2,), inverse_softplus(distance))
        self.raw_distance_weight = None if start is None else nn.Parameter(start)  # upstream, downstream

    def calibrate(self, quantiles: Tensor, levels: Tensor) -> None:
        """Calibrate the map of contacts on quantiles (K, Q), see :meth:`SignalEvidence.calibrate`."""
        if self.contacts is not None:
            self.contacts.calibrate(quantiles, levels)

    def forward(self, contacts: Tensor, distance_bp: Tensor) -> Tensor:
        """Log-odds (B, N) from contacts (B, N, K) and distances (B, N) from the TSS; unknown contacts say nothing."""
        logit = torch.zeros_like(distance_bp, dtype=torch.float32)
        if self.contacts is not None:
            logit = logit + self.contacts.logit(contacts)
        if self.raw_distance_weight is not None:
            upstream, downstream = functional.softplus(self.raw_distance_weight)
            reach = torch.log1p(distance_bp.float().abs() / DISTANCE_SCALE_BP)
            cost = torch.where(distance_bp < 0, upstream, downstream) * reach
            logit = logit - (cost - cost.mean(dim=1, keepdim=True))
        return logit
