"""The sequence's view of the mask, and how far each track is trusted to teach it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError

MAX_SCALE = 4.0
SHARPNESS = 4.0
MEMORY = 0.98  # of the running estimate of what the sequence explains of each track


@dataclass(frozen=True)
class SequenceSettings:
    """The view of the hidden states of the sequence encoder.

    Parameters
    ----------
    weight : float
        Initial weight of its log-odds, above 0 and below :data:`MAX_SCALE`. A small one lets a head that expression
        alone teaches move the mask only slowly away from the other evidence.
    precision : float
        Weight of the view, in observations; the noise of the sampled mask falls with the sum over views.
    learns_signals : bool
        Teach the view what the signals show; otherwise expression alone teaches it. Needs tracks.
    """

    weight: float = 1.0
    precision: float = 10.0
    learns_signals: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.weight < MAX_SCALE:
            raise ConfigError(
                f"weight {self.weight}",
                where="selector: evidence: sequence",
                expected=f"above 0 and below {MAX_SCALE:g}",
            )


@dataclass(frozen=True)
class Lesson:
    """What the signals show, and what the sequence says of it.

    Attributes
    ----------
    hidden : Tensor (B, N, D)
    evidence, wanted, known : Tensor (B, N, T)
        Of each track: its evidence, the probability it gives, and 1 where it was measured. Taken as given: no gradient
        reaches the signals' side, or both views could agree on nothing.
    predicted : float32 Tensor (B, N, T)
        Log-odds of the sequence's head.
    """

    hidden: Tensor
    evidence: Tensor
    wanted: Tensor
    known: Tensor
    predicted: Tensor

    def per_track(self, predicted: Tensor) -> Tensor:
        """Mean cross-entropy (T,) of predicted log-odds (B, N, T) over known bins."""
        loss = functional.binary_cross_entropy_with_logits(predicted, self.wanted, reduction="none") * self.known
        return loss.sum(dim=(0, 1)) / self.known.sum(dim=(0, 1)).clamp_min(1)


class Trust(nn.Module):
    """How much each track says of elements: a softmax of the share of its entropy that the sequence explains.

    Parameters
    ----------
    num_tracks : int
        Tracks T.
    """

    share: Tensor
    gain: Tensor

    def __init__(self, num_tracks: int) -> None:
        super().__init__()
        self.register_buffer("share", torch.full((num_tracks,), 1 / max(num_tracks, 1)))
        self.register_buffer("gain", torch.full((num_tracks,), 1e-3))

    @torch.no_grad()
    def observe(self, lesson: Lesson) -> None:
        """Move with a lesson."""
        wanted, known = lesson.wanted, lesson.known
        rate = (wanted * known).sum(dim=(0, 1)) / known.sum(dim=(0, 1)).clamp_min(1)
        blind = functional.binary_cross_entropy(rate, rate, reduction="none")
        explained = (1 - lesson.per_track(lesson.predicted) / blind.clamp_min(1e-6)).clamp(0, 1)
        self.gain.lerp_(explained, 1 - MEMORY)
        self.share.copy_(torch.softmax(SHARPNESS * torch.log(self.gain + 1e-6), dim=0))
