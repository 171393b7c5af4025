"""The Beta selector: evidence from sequence and from signals, combined into a mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.beta import BetaFactor, combine, kl_divergence
from seqexp.dna.selectors.selection import Selection, apply_forced, near_tss
from seqexp.dna.selectors.signal import SignalEvidence

MAX_SCALE = 4.0
SHARPNESS = 4.0
EDGE = 1e-3  # least probability of an element that the sequence alone may give
PRICE_STEP = 0.05  # of the way to the price that would meet the budget, per training step
MEMORY = 0.98  # of the running estimate of what the sequence explains of each track


class BetaSelector(nn.Module):
    """Posterior of a mask per bin from two independent views of it.

    The sequence view is a head on the hidden states of the sequence encoder, the signal view a monotone map of the
    tracks. Each gives a Beta factor (a mean and a precision), ``rule`` combines them with the prior divided out.

    With ``learns_signals``, the same head also predicts each track's evidence from the sequence alone
    (:meth:`agreement`, which then belongs in the loss). If sequence and
    signals are independent given the element, the best prediction of one from the other is a monotone function of the
    probability of an element; so this teaches the head, from every bin of every window, what elements look like, and
    leaves expression to say how much each view counts.

    Parameters
    ----------
    width : int
        Channels D of the hidden states.
    num_tracks : int
        Tracks T; 0 for sequence alone.
    prior_mean : float
        Share of bins expected to be elements.
    prior_precision : float
        Weight of the prior, in observations.
    sequence_precision, signal_precision : float
        Weight of each view, in observations; the noise of the sampled mask falls with their sum.
    signal_weight : float
        Initial weight of the signals' log-odds.
    rule : str
        ``odds``, ``product``, ``bayes`` or ``log_pool``, see :mod:`seqexp.dna.selectors.beta`.
    promoter_bp : int
        Width of a stretch around the TSS that is always kept; 0 for none.
    is_sampled : bool
        Draw the mask in training; otherwise use its mean there too.
    budget : float, optional
        Share of the free bases that masks keep, on average over windows. Held by the price of a base, the multiplier of
        this constraint: it is taken off the log-odds of every bin and follows, in training, what is kept too much.
    learns_signals : bool
        Teach the sequence view what the signals show; otherwise expression alone teaches it. Needs tracks.

    Raises
    ------
    ConfigError
        A setting out of its range.
    """

    trust: Tensor
    gain: Tensor
    floor: Tensor
    price: Tensor

    def __init__(
        self,
        width: int,
        num_tracks: int,
        prior_mean: float = 0.1,
        prior_precision: float = 10.0,
        sequence_precision: float = 10.0,
        signal_precision: float = 10.0,
        signal_weight: float = 0.8,
        rule: str = "odds",
        promoter_bp: int = 0,
        is_sampled: bool = True,
        learns_signals: bool = True,
        budget: float | None = None,
    ) -> None:
        super().__init__()
        if not 0 < prior_mean < 1:
            raise ConfigError(f"prior_mean {prior_mean}", expected="a share of bins between 0 and 1")
        if budget is not None and not 0 < budget < 1:
            raise ConfigError(f"budget {budget}", where="selector", expected="a share of the bases between 0 and 1")
        if min(prior_precision, sequence_precision, signal_precision) <= 0:
            raise ConfigError("a precision of 0 or less", where="selector", expected="positive precisions")
        self.num_tracks, self.rule, self.promoter_bp, self.is_sampled = num_tracks, rule, promoter_bp, is_sampled
        self.prior_mean, self.prior_precision = prior_mean, prior_precision
        self.sequence_precision, self.signal_precision = sequence_precision, signal_precision
        combine([self._prior(torch.zeros(1))] * 2, self._prior(torch.zeros(1)), rule)  # refuse a bad name now
        self.budget = budget
        self.register_buffer("price", torch.zeros(()))
        self.signals = SignalEvidence(num_tracks, signal_weight)
        self.learns_signals = learns_signals and num_tracks > 0
        self.evidence = nn.Linear(width, num_tracks if self.learns_signals else 1)
        self.register_buffer("trust", torch.full((num_tracks,), 1 / max(num_tracks, 1)))
        self.register_buffer("floor", torch.zeros(num_tracks))
        self.register_buffer("gain", torch.full((num_tracks,), 1e-3))
        self.raw_scale = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.zeros(()))

    def calibrate(self, quantiles: Tensor, levels: Tensor) -> None:
        """Calibrate the signal map, see :meth:`SignalEvidence.calibrate`."""
        if self.num_tracks:
            self.signals.calibrate(quantiles, levels)

    def _prior(self, like: Tensor) -> BetaFactor:
        mean = torch.full_like(like, self.prior_mean, dtype=torch.float32)
        return BetaFactor.from_mean(mean, torch.full_like(mean, self.prior_precision))

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
        """Log-odds (B, N) of an element from the signals (B, N, T); 0 without tracks."""
        if not self.num_tracks:
            return torch.zeros_like(like)
        return (self.signals(signals) * self.signals.weight * self.trust.clone()).sum(dim=-1)

    def forward(self, hidden: Tensor, signals: Tensor, distance_bp: Tensor, blacklist: Tensor) -> Selection:
        """Select bins.

        Parameters
        ----------
        hidden : Tensor (B, N, D)
            Of the sequence encoder.
        signals : Tensor (B, N, T)
        distance_bp : Tensor (B, N)
            Bin centre minus TSS.
        blacklist : bool Tensor (B, N)
            Bins to drop.

        Returns
        -------
        Selection
        """
        sequence = self.sequence_logit(hidden)
        signal = self.signal_logit(signals, like=sequence)
        posterior = self._posterior(sequence - self.price.clone(), signal)
        draw = posterior.rsample() if self.training and self.is_sampled else posterior.mean
        mask, forced = apply_forced(draw, near_tss(distance_bp, self.promoter_bp), blacklist)
        if self.training and self.budget is not None:
            self._update_price(posterior.mean.detach()[~forced], self.budget)
        kl = kl_divergence(posterior, self._prior(draw)).masked_fill(forced, 0.0)
        return Selection(mask, kl, posterior.alpha, posterior.beta, forced, sequence, signal)

    def _posterior(self, sequence: Tensor, signal: Tensor) -> BetaFactor:
        of_sequence = BetaFactor.from_logit(sequence, torch.full_like(sequence, self.sequence_precision))
        if not self.num_tracks:
            return of_sequence
        prior = self._prior(sequence)
        # The signals' log-odds are a likelihood ratio; with the prior they become a posterior like the sequence's.
        of_signal = BetaFactor.from_logit(signal + prior.logit, torch.full_like(signal, self.signal_precision))
        return combine([of_sequence, of_signal], prior, self.rule)

    @torch.no_grad()
    def _update_price(self, kept: Tensor, budget: float) -> None:
        """Raise the price where masks (free bins,) keep more than the budget, lower it where they keep less."""
        if kept.numel():
            share = kept.mean().clamp(EDGE**2, 1 - EDGE**2)
            self.price.add_(PRICE_STEP * (torch.logit(share) - torch.logit(torch.tensor(budget))))

    def agreement(self, hidden: Tensor, signals: Tensor) -> Tensor:
        """Mean cross-entropy () in nats between each track's evidence and what the sequence predicts of it.

        The signals' side is taken as given: no gradient reaches it, or both views could agree on nothing.
        """
        with torch.no_grad():
            wanted = torch.sigmoid(2 * self.signals(signals))
            known = (~torch.isnan(signals)).float()
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
