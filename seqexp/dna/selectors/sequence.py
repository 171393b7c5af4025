"""The sequence's view of the mask: a head on hidden states, taught by what the signals show."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.dna.selectors.signal import SignalEvidence

MAX_SCALE = 4.0
SHARPNESS = 4.0
EDGE = 1e-3  # least probability of an element that the sequence alone may give
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
    learns_signals : bool
        Teach the sequence view what the signals show (:meth:`agreement`).
    """

    trust: Tensor
    gain: Tensor
    floor: Tensor

    def __init__(self, width: int, num_tracks: int, signal_weight: float, learns_signals: bool) -> None:
        super().__init__()
        self.num_tracks = num_tracks
        self.signals = SignalEvidence(num_tracks, signal_weight)
        self.learns_signals = learns_signals and num_tracks > 0
        self.evidence = nn.Linear(width, num_tracks if self.learns_signals else 1)
        self.register_buffer("trust", torch.full((num_tracks,), 1 / max(num_tracks, 1)))
        self.register_buffer("floor", torch.zeros(num_tracks))
        self.register_buffer("gain", torch.full((num_tracks,), 1e-3))
        self.raw_scale = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.zeros(()))

    def sequence_logit(self, hidden: Tensor) -> Tensor:
        """Log-odds (B, N) of an element from the hidden states (B, N, D) of the sequence.

        The tracks' sequence log-odds enter with the tracks' own weights: a track that says little about elements
        teaches the sequence as little.
        """
        logit = self.evidence(hidden).float()
        if self.learns_signals:
            logit = self._unmixed(logit) * self.trust.clone()
        scale = MAX_SCALE * torch.sigmoid(self.raw_scale - 1.0986)  # 1 at the start
        return scale * logit.sum(dim=-1) + self.offset

    def _unmixed(self, track_logit: Tensor) -> Tensor:
        """Log-odds of an element from those of active tracks (B, N, T), given how often the background is active.

        ``P(active) = floor + (1 - floor) P(element)``, solved for the element: without it, sequences that are nothing
        but background would count as elements at the rate of background activity.
        """
        floor = self.floor.clone()
        share = (torch.sigmoid(track_logit.float()) - floor) / (1 - floor)
        return torch.logit(share.clamp(EDGE, 1 - EDGE))

    def signal_logit(self, signals: Tensor, like: Tensor) -> Tensor:
        """Log-odds (B, N) of an element from the tracks, the first T channels of the signals; 0 without tracks."""
        if not self.num_tracks:
            return torch.zeros_like(like)
        tracks = signals[..., : self.num_tracks]
        return (self.signals(tracks) * self.signals.weight * self.trust.clone()).sum(dim=-1)

    def agreement(self, hidden: Tensor, signals: Tensor) -> Tensor:
        """Mean cross-entropy () in nats between each track's evidence and what the sequence predicts of it.

        The signals' side is taken as given: no gradient reaches it, or both views could agree on nothing. Channels
        after the tracks, such as contacts, are not taught: a sequence does not say how far its gene is.
        """
        with torch.no_grad():
            tracks = signals[..., : self.num_tracks]
            wanted = torch.sigmoid(2 * self.signals(tracks))
            known = (~torch.isnan(tracks)).float()
        predicted = self.evidence(hidden).float()
        loss = functional.binary_cross_entropy_with_logits(predicted, wanted, reduction="none") * known
        per_track = loss.sum(dim=(0, 1)) / known.sum(dim=(0, 1)).clamp_min(1)
        if self.training:
            self._update_trust(per_track.detach(), wanted, known)
            self.floor.lerp_(torch.quantile(torch.sigmoid(predicted.detach()).flatten(0, 1), 0.25, dim=0), 0.05)
        return (per_track * self.trust.clone()).sum()

    @torch.no_grad()
    def _update_trust(self, loss: Tensor, wanted: Tensor, known: Tensor) -> None:
        """Move each track's trust towards its share of what the sequence explains, in nats."""
        rate = (wanted * known).sum(dim=(0, 1)) / known.sum(dim=(0, 1)).clamp_min(1)
        blind = functional.binary_cross_entropy(rate, rate, reduction="none")
        self.gain.lerp_((blind - loss).clamp_min(0), 1 - MEMORY)
        self.trust.copy_(torch.softmax(SHARPNESS * torch.log(self.gain + 1e-6), dim=0))
