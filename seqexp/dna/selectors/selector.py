"""The Beta selector: evidence from sequence, signals and place, combined into a mask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.beta import BetaFactor, combine
from seqexp.dna.selectors.budget import falling_budget, price_of, price_step, window_price
from seqexp.dna.selectors.place import PlaceEvidence
from seqexp.dna.selectors.relaxation import CUT, TEMPERATURE, Relaxed, relax, straight_through
from seqexp.dna.selectors.selection import Selection, apply_forced, near_tss
from seqexp.dna.selectors.sequence import SequenceEvidence


class BetaSelector(SequenceEvidence):
    """Posterior of a mask per bin from independent views of it, and the mask drawn from it.

    The sequence view is a head on the hidden states of the sequence encoder, the other a monotone map of what was
    measured (tracks, contacts) and of the distance to the TSS. Each gives a Beta factor (a mean and a precision),
    ``rule`` combines them with the prior divided out.

    With ``learns_signals``, the sequence's head also predicts each track's evidence from the sequence alone
    (:meth:`agreement`, which then belongs in the loss). If sequence and signals are independent given the element, the
    best prediction of one from the other is a monotone function of the probability of an element; so this teaches the
    head, from every bin of every window, what elements look like, and leaves expression to say how much each view
    counts.

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
        Weight of each view, in observations; the noise of the sampled mask falls with their sum. Contacts and distance
        add their log-odds to the signals', and share their precision.
    signal_weight : float
        Initial weight of the signals' log-odds.
    sequence_weight : float
        Initial weight of the sequence's log-odds, above 0 and below 4. A small one lets a head that expression alone
        teaches move the mask only slowly away from the other evidence.
    rule : str
        ``odds``, ``product``, ``bayes`` or ``log_pool``, see :mod:`seqexp.dna.selectors.beta`.
    promoter_bp : int
        Width of a stretch around the TSS that is always kept; 0 for none.
    is_sampled : bool
        Draw the mask in training; otherwise use its mean there too.
    budget : float, optional
        Share of the free bases that masks keep, on average over windows. Held by the price of a base, the multiplier of
        this constraint: it is taken off the log-odds of every bin and follows, in training, what would be kept too much
        at evaluation.
    learns_signals : bool
        Teach the sequence view what the signals show; otherwise expression alone teaches it. Needs tracks.
    relaxation : str
        What is drawn: ``beta``, ``kumaraswamy`` or ``hard_concrete``, see :mod:`seqexp.dna.selectors.relaxation`.
    temperature : float
        Of ``hard_concrete``, between 0 and 1.
    is_hard : bool
        Round the mask to 0 or 1. Nothing is gathered and the gradient is that of the mask before rounding, so the error
        of the prediction reaches the evidence of dropped bins too.
    num_contacts : int
        Contact channels K after the tracks, values log10(1 + contact with the TSS). They are evidence of their own:
        not weighed by ``trust``, not taught to the sequence view.
    contact_weight : float
        Initial weight of their log-odds.
    distance_weight : float, optional
        Initial weight of the distance to the TSS, see :class:`PlaceEvidence`; None leaves distance out.
    context_channels : int
        Width of the network that judges a bin by the signals around it, see :class:`SignalContext`; 0 judges every bin
        by its own signals.
    budget_scope : {"data", "window"}
        Whether the budget holds on average over windows or in each of them. In each, it is the best bins of a window
        that have odds above one: with ``is_hard`` exactly so many are kept, and how many can tell the predictor
        nothing.
    budget_steps : int
        Training steps over which the budget falls from everything to what is asked, by a constant factor per step, so
        that the predictor has learned to read before it must do without; evaluation always keeps what is asked.

    Raises
    ------
    ConfigError
        A setting out of its range.
    """

    price: Tensor
    num_steps: Tensor

    def __init__(
        self,
        width: int,
        num_tracks: int,
        prior_mean: float = 0.1,
        prior_precision: float = 10.0,
        *,
        sequence_precision: float = 10.0,
        signal_precision: float = 10.0,
        signal_weight: float = 0.8,
        rule: str = "odds",
        promoter_bp: int = 0,
        is_sampled: bool = True,
        learns_signals: bool = True,
        budget: float | None = None,
        relaxation: str = "beta",
        temperature: float = TEMPERATURE,
        is_hard: bool = False,
        num_contacts: int = 0,
        contact_weight: float = 0.5,
        distance_weight: float | None = None,
        context_channels: int = 0,
        budget_scope: Literal["data", "window"] = "data",
        budget_steps: int = 0,
        sequence_weight: float = 1.0,
    ) -> None:
        super().__init__(
            width,
            num_tracks,
            signal_weight,
            learns_signals,
            context_channels=context_channels,
            sequence_weight=sequence_weight,
        )
        if not 0 < prior_mean < 1:
            raise ConfigError(f"prior_mean {prior_mean}", expected="a share of bins between 0 and 1")
        if budget is not None and not 0 < budget < 1:
            raise ConfigError(f"budget {budget}", where="selector", expected="a share of the bases between 0 and 1")
        if min(prior_precision, sequence_precision, signal_precision) <= 0:
            raise ConfigError("a precision of 0 or less", where="selector", expected="positive precisions")
        if not 0 < temperature < 1:
            raise ConfigError(f"temperature {temperature}", where="selector", expected="between 0 and 1, such as 0.67")
        self.rule, self.promoter_bp, self.is_sampled, self.is_hard = rule, promoter_bp, is_sampled, is_hard
        self.prior_mean, self.prior_precision = prior_mean, prior_precision
        self.sequence_precision, self.signal_precision = sequence_precision, signal_precision
        self.relaxation, self.temperature = relaxation, temperature
        prior = self._prior(torch.zeros(1))
        self._relaxed(combine([prior] * 2, prior, rule))  # refuse bad names now
        if self.context is not None:  # its log-odds hold the prior already, which the sequence's hold too
            with torch.no_grad():
                self.offset.copy_(-prior.logit[0])
        if budget_scope not in ("data", "window") or (budget_scope == "window" and (budget is None or rule != "odds")):
            raise ConfigError(
                f"budget_scope {budget_scope!r}, budget {budget}, rule {rule!r}",
                where="selector",
                expected="data, or window with a budget and the rule odds",
            )
        self.budget, self.budget_scope, self.budget_steps = budget, budget_scope, budget_steps
        if budget_steps:
            self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("price", torch.zeros(()))
        place = PlaceEvidence(num_contacts, contact_weight, distance_weight)
        self.num_contacts = num_contacts
        self.place = place if num_contacts or distance_weight is not None else None

    @property
    def num_channels(self) -> int:
        """Channels T + K of the signals: tracks, then contacts."""
        return self.num_tracks + self.num_contacts

    def calibrate(self, quantiles: Tensor, levels: Tensor) -> None:
        """Calibrate the maps of tracks and contacts on quantiles (T + K, Q), see :meth:`SignalEvidence.calibrate`."""
        if self.num_tracks:
            self.signals.calibrate(quantiles[: self.num_tracks], levels)
        if self.place is not None:
            self.place.calibrate(quantiles[self.num_tracks :], levels)

    def _prior(self, like: Tensor) -> BetaFactor:
        mean = torch.full_like(like, self.prior_mean, dtype=torch.float32)
        return BetaFactor.from_mean(mean, torch.full_like(mean, self.prior_precision))

    def place_logit(self, signals: Tensor, distance_bp: Tensor, like: Tensor) -> Tensor:
        """Log-odds (B, N) of an element from contacts, the last K channels of the signals, and from distance."""
        if self.place is None:
            return torch.zeros_like(like)
        return self.place(signals[..., self.num_tracks : self.num_channels], distance_bp)

    def forward(self, hidden: Tensor, signals: Tensor, distance_bp: Tensor, blacklist: Tensor) -> Selection:
        """Select bins.

        Parameters
        ----------
        hidden : Tensor (B, N, D)
            Of the sequence encoder.
        signals : Tensor (B, N, T + K)
            Tracks, then contacts.
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
        place = self.place_logit(signals, distance_bp, like=sequence)
        kept = near_tss(distance_bp, self.promoter_bp)
        if self.budget_scope == "window":
            price = window_price(sequence + signal + place, kept | blacklist, self._present_budget())
        else:
            price = self.price.clone()
        posterior = self._posterior(sequence, signal + place, price)
        relaxed = self._relaxed(posterior)
        soft = relaxed.rsample() if self.training and self.is_sampled else relaxed.point()
        mask, forced = apply_forced(straight_through(soft) if self.is_hard else soft, kept, blacklist)
        if self.training and self.budget is not None and self.budget_scope == "data":
            self._follow_budget(relaxed.point().detach()[~forced])
        if self.training and self.budget_steps:
            self.num_steps += 1
        kl = relaxed.divergence(self._prior(soft)).masked_fill(forced, 0.0)
        return Selection(mask, kl, posterior.alpha, posterior.beta, forced, sequence, signal, place)

    def _relaxed(self, posterior: BetaFactor) -> Relaxed:
        return relax(posterior, self.relaxation, self.temperature)

    def _posterior(self, sequence: Tensor, beside: Tensor, price: Tensor) -> BetaFactor:
        """Posterior from the log-odds of the sequence and of all evidence beside it, less the price of a base."""
        has_others = self.num_tracks or self.place is not None
        if has_others and self.rule == "odds":
            # What `combine` does, but for this: each view alone may say more than a mean close to 0 or 1 can hold.
            precision = torch.full_like(sequence, self.sequence_precision + self.signal_precision)
            return BetaFactor.from_logit(sequence + beside - price, precision)
        of_sequence = BetaFactor.from_logit(sequence - price, torch.full_like(sequence, self.sequence_precision))
        if not has_others:
            return of_sequence
        prior = self._prior(sequence)
        # The other log-odds are a likelihood ratio; with the prior they become a posterior like the sequence's.
        of_others = BetaFactor.from_logit(beside + prior.logit, torch.full_like(beside, self.signal_precision))
        return combine([of_sequence, of_others], prior, self.rule)

    def _present_budget(self) -> float:
        """Share to keep now: it falls to what is asked in training, and is what is asked in evaluation."""
        budget = float(self.budget or 0.0)
        is_falling = self.training and self.budget_steps
        return falling_budget(budget, int(self.num_steps), self.budget_steps) if is_falling else budget

    def _share(self, point: Tensor) -> Tensor:
        """Share () that masks at evaluation, ``point``, keep of their bins."""
        return (point >= CUT).float().mean() if self.is_hard else point.mean()

    def _follow_budget(self, point: Tensor) -> None:
        """Move the price by what masks at evaluation (free bins,) keep too much."""
        if point.numel():
            has_exact_zeros = self.is_hard or self.relaxation == "hard_concrete"
            self.price.add_(price_step(self._share(point), self._present_budget(), has_exact_zeros))

    @torch.no_grad()
    def meet_budget(self, selections: Iterable[Selection]) -> None:
        """Set the price at which given windows, such as training windows in evaluation, keep the budget on average.

        The price that training follows step by step lags behind the weights, all the more where those are averaged.
        """
        if self.budget is None or self.budget_scope == "window":
            return
        parts = [
            (chosen.sequence_logit[~chosen.forced], (chosen.signal_logit + chosen.place_logit)[~chosen.forced])
            for chosen in selections
        ]
        sequence, beside = (torch.cat(part) for part in zip(*parts, strict=True))

        def share_at(price: Tensor) -> Tensor:
            return self._share(self._relaxed(self._posterior(sequence, beside, price)).point())

        self.price.copy_(price_of(self.budget, share_at, self.price))
