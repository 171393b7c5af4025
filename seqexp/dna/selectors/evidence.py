"""Evidence of an element from three views (sequence, signals, place), and the posterior that they give together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.beta import BetaFactor, Prior, combine
from seqexp.dna.selectors.context import FLOOR_RATE, SignalContext, lower_quartile, unmixed
from seqexp.dna.selectors.place import PlaceEvidence, PlaceSettings
from seqexp.dna.selectors.sequence import MAX_SCALE, Lesson, SequenceSettings, Trust
from seqexp.dna.selectors.signal import SignalEvidence, SignalSettings, inverse_softplus


@dataclass(frozen=True)
class EvidenceSettings:
    """The views, and the rule that combines them.

    Parameters
    ----------
    sequence, signals, place
        Each view's own settings.
    rule : str
        ``odds``, ``product``, ``bayes`` or ``log_pool``, see :mod:`seqexp.dna.selectors.beta`.
    """

    sequence: SequenceSettings = field(default_factory=SequenceSettings)
    signals: SignalSettings = field(default_factory=SignalSettings)
    place: PlaceSettings = field(default_factory=PlaceSettings)
    rule: str = "odds"

    def __post_init__(self) -> None:
        if min(self.sequence.precision, self.signals.precision) <= 0:
            raise ConfigError("a precision of 0 or less", where="selector: evidence", expected="positive precisions")
        ones = BetaFactor(torch.ones(1), torch.ones(1))
        combine([ones, ones], ones, self.rule)  # refuses a name that is none


@dataclass(frozen=True)
class Views:
    """Log-odds (B, N) of an element by each view; 0 of a view that is not there."""

    sequence: Tensor
    signal: Tensor
    place: Tensor


class Evidence(nn.Module):
    """Log-odds of an element from the hidden states of the sequence encoder, the tracks, contacts and distance.

    With ``learns_signals``, the sequence's head also predicts each track's evidence from the sequence alone
    (:meth:`agreement`, which then belongs in the loss). If sequence and signals are independent given the element, the
    best prediction of one from the other is a monotone function of the probability of an element; so this teaches the
    head, from every bin of every window, what elements look like, and leaves expression to say how much each view
    counts.

    Parameters
    ----------
    width : int
        Channels D of the hidden states.
    num_tracks, num_contacts : int
        Tracks T and contact channels K of the signals.
    prior : Prior
    settings : EvidenceSettings

    Raises
    ------
    ConfigError
        A context without anything to learn from.
    """

    floor: Tensor

    def __init__(
        self, width: int, num_tracks: int, num_contacts: int, prior: Prior, *, settings: EvidenceSettings
    ) -> None:
        super().__init__()
        self.num_tracks, self.num_contacts, self.prior, self.settings = num_tracks, num_contacts, prior, settings
        self.learns_signals = settings.sequence.learns_signals and num_tracks > 0
        self.signals = SignalEvidence(num_tracks, settings.signals.weight)
        self.head = nn.Linear(width, num_tracks if self.learns_signals else 1)
        self.trust = Trust(num_tracks)
        self.register_buffer("floor", torch.zeros(num_tracks))
        weight = settings.sequence.weight
        self.raw_scale = nn.Parameter(torch.tensor(math.log(3 * weight / (MAX_SCALE - weight))))
        self.offset = nn.Parameter(torch.zeros(()))
        channels = settings.signals.context_channels
        if channels and not self.learns_signals:
            raise ConfigError("context_channels without learns_signals", expected="tracks, and learns_signals: true")
        self.context = SignalContext(num_tracks, channels) if channels else None
        if self.context is not None:
            self.raw_context_weight = nn.Parameter(torch.tensor(inverse_softplus(1.0)))
            self.signals.raw_weight.requires_grad_(False)  # of single bins, which then do not count
            with torch.no_grad():  # its log-odds hold the prior already, which the sequence's hold too
                self.offset.copy_(-prior.factor(torch.zeros(1)).logit[0])
        has_place = num_contacts or settings.place.distance_weight is not None
        self.place = PlaceEvidence(num_contacts, settings.place) if has_place else None

    def calibrate(self, quantiles: Tensor, levels: Tensor) -> None:
        """Calibrate the maps of tracks and contacts on quantiles (T + K, Q), see :meth:`SignalEvidence.calibrate`."""
        if self.num_tracks:
            self.signals.calibrate(quantiles[: self.num_tracks], levels)
        if self.place is not None:
            self.place.calibrate(quantiles[self.num_tracks :], levels)

    def forward(self, hidden: Tensor, signals: Tensor, distance_bp: Tensor) -> Views:
        """What each view says of hidden states (B, N, D), signals (B, N, T + K) and distances (B, N) from the TSS."""
        sequence = self.of_sequence(hidden)
        signal = self.of_signals(signals[..., : self.num_tracks]) if self.num_tracks else torch.zeros_like(sequence)
        if self.place is None:
            return Views(sequence, signal, torch.zeros_like(sequence))
        contacts = signals[..., self.num_tracks : self.num_tracks + self.num_contacts]
        return Views(sequence, signal, self.place(contacts, distance_bp))

    def of_sequence(self, hidden: Tensor) -> Tensor:
        """Log-odds (B, N) from the hidden states (B, N, D).

        The tracks' sequence log-odds enter with the tracks' own weights: a track that says little about elements
        teaches the sequence as little.
        """
        scale = MAX_SCALE * torch.sigmoid(self.raw_scale - 1.0986)  # 1 where the parameter is 0
        return scale * self._element_logit(self.head(hidden)) + self.offset

    def _element_logit(self, head: Tensor) -> Tensor:
        """Log-odds (B, N) of an element from the head's outputs (B, N, T or 1): by trust over tracks, unmixed."""
        if not self.learns_signals:
            return head.float().sum(dim=-1)
        return (unmixed(head, self.floor.clone()) * self.trust.share.clone()).sum(dim=-1)

    def of_signals(self, tracks: Tensor) -> Tensor:
        """Log-odds (B, N) from the tracks (B, N, T)."""
        if self.context is not None:
            return functional.softplus(self.raw_context_weight) * self.context(self.signals(tracks))
        return (self.signals(tracks) * self.signals.weight * self.trust.share.clone()).sum(dim=-1)

    def posterior(self, sequence: Tensor, beside: Tensor, price: Tensor) -> BetaFactor:
        """Posterior from the log-odds of the sequence and of all evidence beside it, less the price of a base."""
        has_others = self.num_tracks or self.place is not None
        precisions = self.settings.sequence.precision, self.settings.signals.precision
        if has_others and self.settings.rule == "odds":
            # What `combine` does, but for this: each view alone may say more than a mean close to 0 or 1 can hold.
            return BetaFactor.from_logit(sequence + beside - price, torch.full_like(sequence, sum(precisions)))
        of_sequence = BetaFactor.from_logit(sequence - price, torch.full_like(sequence, precisions[0]))
        if not has_others:
            return of_sequence
        prior = self.prior.factor(sequence)
        # The other log-odds are a likelihood ratio; with the prior they become a posterior like the sequence's.
        of_others = BetaFactor.from_logit(beside + prior.logit, torch.full_like(beside, precisions[1]))
        return combine([of_sequence, of_others], prior, self.settings.rule)

    def lesson(self, hidden: Tensor, signals: Tensor) -> Lesson:
        """What the tracks show, the first T channels of the signals, beside what the sequence says of it.

        Channels after the tracks, such as contacts, are not taught: a sequence does not say how far its gene is.
        """
        with torch.no_grad():
            tracks = signals[..., : self.num_tracks]
            evidence = self.signals(tracks)
            wanted, known = torch.sigmoid(2 * evidence), (~torch.isnan(tracks)).float()
        return Lesson(hidden, evidence, wanted, known, self.head(hidden).float())

    @torch.no_grad()
    def observe(self, lesson: Lesson) -> None:
        """Once per training step: move the running estimates of trust and of the background with a lesson."""
        self.trust.observe(lesson)
        self.floor.lerp_(lower_quartile(torch.sigmoid(lesson.predicted)), FLOOR_RATE)
        if self.context is not None:
            self.context.observe(lesson.evidence)

    def agreement(self, lesson: Lesson) -> Tensor:
        """Mean cross-entropy () in nats between each track's evidence and what the sequence predicts of it; with a
        context, also between what the sequence says and what the context predicts of it.
        """
        # Every track's head learns in full, or the first to lead would be the only one to improve; the encoder, which
        # they share, learns by trust.
        apart = lesson.per_track(self.head(lesson.hidden.detach()).float())
        trust = self.trust.share.clone()
        taught = (trust * lesson.per_track(lesson.predicted) + (1 - trust) * apart).sum()
        if self.context is None:
            return taught
        by_sequence = torch.sigmoid(self._element_logit(lesson.predicted.detach()))
        return taught + self.context.loss(lesson.evidence, by_sequence, lesson.known.amin(dim=-1))
