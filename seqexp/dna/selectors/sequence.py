"""The sequence's view of the mask: a head on hidden states, taught by what the signals show."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.context import FLOOR_RATE, SignalContext, lower_quartile, unmixed
from seqexp.dna.selectors.signal import SignalEvidence, inverse_softplus

MAX_SCALE = 4.0
SHARPNESS = 4.0
MEMORY = 0.98  # of the running estimate of what the sequence explains of each track


class SequenceEvidence(nn.Module):
    """Log-odds of an element from the hidden states of the sequence encoder, and the signals that teach them.

    Parameters
    ----------
    width : int
        Channels D of the hidden states.
    num_tracks : int
        Tracks T; 0 for sequence alone.
    signal_weight : float
        Initial weight of the signals' log-odds.
    sequence_weight : float
        Initial weight of the sequence's log-odds, below :data:`MAX_SCALE`. Of a head that expression alone teaches, a
        small weight slows down how fast it can move the mask away from the other evidence.
    learns_signals : bool
        Teach the sequence view what the signals show (:meth:`agreement`).
    context_channels : int
        Let :class:`SignalContext` of this width, taught by the sequence view in its turn, take the place of the map of
        single bins in the mask; 0 for none.
    """

    trust: Tensor
    gain: Tensor
    floor: Tensor

    def __init__(
        self,
        width: int,
        num_tracks: int,
        signal_weight: float,
        learns_signals: bool,
        *,
        context_channels: int = 0,
        sequence_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.num_tracks = num_tracks
        self.signals = SignalEvidence(num_tracks, signal_weight)
        self.learns_signals = learns_signals and num_tracks > 0
        self.evidence = nn.Linear(width, num_tracks if self.learns_signals else 1)
        self.register_buffer("trust", torch.full((num_tracks,), 1 / max(num_tracks, 1)))
        self.register_buffer("floor", torch.zeros(num_tracks))
        self.register_buffer("gain", torch.full((num_tracks,), 1e-3))
        if not 0 < sequence_weight < MAX_SCALE:
            raise ConfigError(
                f"sequence_weight {sequence_weight}", where="selector", expected=f"above 0 and below {MAX_SCALE:g}"
            )
        self.raw_scale = nn.Parameter(torch.tensor(math.log(3 * sequence_weight / (MAX_SCALE - sequence_weight))))
        self.offset = nn.Parameter(torch.zeros(()))
        if context_channels and not self.learns_signals:
            raise ConfigError("context_channels without learns_signals", expected="tracks, and learns_signals: true")
        self.context = SignalContext(num_tracks, context_channels) if context_channels else None
        if self.context is not None:
            self.raw_context_weight = nn.Parameter(torch.tensor(inverse_softplus(1.0)))
            self.signals.raw_weight.requires_grad_(False)  # of single bins, which then do not count

    def sequence_logit(self, hidden: Tensor) -> Tensor:
        """Log-odds (B, N) of an element from the hidden states (B, N, D) of the sequence.

        The tracks' sequence log-odds enter with the tracks' own weights: a track that says little about elements
        teaches the sequence as little.
        """
        scale = MAX_SCALE * torch.sigmoid(self.raw_scale - 1.0986)  # 1 where the parameter is 0
        return scale * self._element_logit(self.evidence(hidden)) + self.offset

    def _element_logit(self, head: Tensor) -> Tensor:
        """Log-odds (B, N) of an element from the head's outputs (B, N, T or 1): by trust over tracks, unmixed."""
        if not self.learns_signals:
            return head.float().sum(dim=-1)
        return (unmixed(head, self.floor.clone()) * self.trust.clone()).sum(dim=-1)

    def signal_logit(self, signals: Tensor, like: Tensor) -> Tensor:
        """Log-odds (B, N) of an element from the tracks, the first T channels of the signals; 0 without tracks."""
        if not self.num_tracks:
            return torch.zeros_like(like)
        tracks = signals[..., : self.num_tracks]
        if self.context is not None:
            return functional.softplus(self.raw_context_weight) * self.context(self.signals(tracks))
        return (self.signals(tracks) * self.signals.weight * self.trust.clone()).sum(dim=-1)

    def agreement(self, hidden: Tensor, signals: Tensor) -> Tensor:
        """Mean cross-entropy () in nats between each track's evidence and what the sequence predicts of it; with a
        context, also between what the sequence says and what the context predicts of it.

        The signals' side is taken as given: no gradient reaches it, or both views could agree on nothing. Channels
        after the tracks, such as contacts, are not taught: a sequence does not say how far its gene is.
        """
        with torch.no_grad():
            tracks = signals[..., : self.num_tracks]
            evidence = self.signals(tracks)
            wanted = torch.sigmoid(2 * evidence)
            known = (~torch.isnan(tracks)).float()
        predicted = self.evidence(hidden).float()
        per_track = self._per_track(predicted, wanted, known)
        if self.training:
            self._update_trust(per_track.detach(), wanted, known)
            self.floor.lerp_(lower_quartile(torch.sigmoid(predicted.detach())), FLOOR_RATE)
        # Every track's head learns in full, or the first to lead would be the only one to improve; the encoder, which
        # they share, learns by trust.
        apart = self._per_track(self.evidence(hidden.detach()).float(), wanted, known)
        trust = self.trust.clone()
        taught = (trust * per_track + (1 - trust) * apart).sum()
        if self.context is None:
            return taught
        by_sequence = torch.sigmoid(self._element_logit(predicted.detach()))
        return taught + self.context.loss(evidence, by_sequence, known.amin(dim=-1))

    @staticmethod
    def _per_track(predicted: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
        """Mean cross-entropy (T,) over known bins."""
        loss = functional.binary_cross_entropy_with_logits(predicted, wanted, reduction="none") * known
        return loss.sum(dim=(0, 1)) / known.sum(dim=(0, 1)).clamp_min(1)

    @torch.no_grad()
    def _update_trust(self, loss: Tensor, wanted: Tensor, known: Tensor) -> None:
        """Move each track's trust with the share of its entropy that the sequence explains."""
        rate = (wanted * known).sum(dim=(0, 1)) / known.sum(dim=(0, 1)).clamp_min(1)
        blind = functional.binary_cross_entropy(rate, rate, reduction="none")
        explained = (1 - loss / blind.clamp_min(1e-6)).clamp(0, 1)
        self.gain.lerp_(explained, 1 - MEMORY)
        self.trust.copy_(torch.softmax(SHARPNESS * torch.log(self.gain + 1e-6), dim=0))
