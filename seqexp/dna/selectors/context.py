"""What the signals around a bin say of it: a small network over evidence, taught by what the sequence says."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

REACH_BINS = 8  # to each side


class SignalContext(nn.Module):
    """Log-odds, up to a constant, that a bin is an element, from the evidence of all tracks in it and around it.

    One bin says little of where an element begins and ends, and marks such as H3K27ac lie beside what they mark. How
    signals around an element look is not assumed but learned: :meth:`loss` teaches the network what the sequence says
    of each bin. If sequence and signals are independent given the element, the best prediction of one from the other
    is a monotone function of the probability of an element, so that the two log-odds may then be added.

    Parameters
    ----------
    num_tracks : int
        Tracks T.
    channels : int
        Width of the network.
    """

    floor: Tensor

    def __init__(self, num_tracks: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(num_tracks, channels, 9, padding=4, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv1d(channels, channels, 5, padding=4, dilation=2, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv1d(channels, 1, 1),
        )
        self.register_buffer("floor", torch.zeros(()))

    def predicted(self, evidence: Tensor) -> Tensor:
        """Log-odds (B, N) of what the sequence says, from the evidence (B, N, T) of the tracks."""
        return self.layers(evidence.transpose(1, 2)).squeeze(1).float()

    def forward(self, evidence: Tensor) -> Tensor:
        """Log-odds (B, N) of an element, background taken out."""
        return unmixed(self.predicted(evidence), self.floor.clone())

    @torch.no_grad()
    def observe(self, evidence: Tensor) -> None:
        """Move the running level of the background with the evidence (B, N, T) of a training step."""
        self.floor.lerp_(lower_quartile(torch.sigmoid(self.predicted(evidence))), FLOOR_RATE)

    def loss(self, evidence: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
        """Mean cross-entropy () in nats of what the sequence says (B, N), over known bins (B, N).

        Parameters
        ----------
        evidence : Tensor (B, N, T)
            Taken as given.
        wanted : Tensor (B, N)
            Probability of an element by the sequence alone; taken as given.
        known : bool Tensor (B, N)
        """
        logit = self.predicted(evidence.detach())
        loss = functional.binary_cross_entropy_with_logits(logit, wanted.detach(), reduction="none")
        return (loss * known).sum() / known.sum().clamp_min(1)


EDGE = 1e-3  # least probability of an element that one view alone may give
FLOOR_RATE = 0.05  # of a training step in the running level of the background


def unmixed(logit: Tensor, floor: Tensor) -> Tensor:
    """Log-odds of an element from those of "active", given how often the background is active.

    ``P(active) = floor + (1 - floor) P(element)``, solved for the element: without it, what is nothing but background
    would count as an element at the rate of background activity.
    """
    share = (torch.sigmoid(logit.float()) - floor) / (1 - floor)
    return torch.logit(share.clamp(EDGE, 1 - EDGE))


def lower_quartile(values: Tensor) -> Tensor:
    """Lower quartile over rows and bins of (B, N) or (B, N, T): the level of the background."""
    return torch.quantile(values.flatten(0, 1), 0.25, dim=0)
