"""The Beta selector: evidence, what is drawn from its posterior, and the budget, put together."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.beta import BetaFactor, Prior
from seqexp.dna.selectors.budget import Budget, BudgetPrice
from seqexp.dna.selectors.evidence import Evidence, EvidenceSettings
from seqexp.dna.selectors.relaxation import Relaxation
from seqexp.dna.selectors.selection import Selection, apply_forced, near_tss

_PRIOR, _EVIDENCE, _RELAXATION = Prior(), EvidenceSettings(), Relaxation()


class BetaSelector(nn.Module):
    """Posterior of a mask per bin from independent views of it, and the mask drawn from it.

    The sequence view is a head on the hidden states of the sequence encoder, the other a monotone map of what was
    measured (tracks, contacts) and of the distance to the TSS. Each gives a Beta factor (a mean and a precision); they
    are combined with the prior divided out.

    Nothing is stored in the forward pass. What training moves beside the weights (the price of the budget, the running
    estimates of the lesson) it moves by :meth:`follow`, once per training step.

    Parameters
    ----------
    width : int
        Channels D of the hidden states.
    num_tracks, num_contacts : int
        Tracks T (0 for sequence alone), then contact channels K, values log10(1 + contact with the TSS): evidence of
        their own, not weighed by trust and not taught to the sequence view.
    prior : Prior
        ``{mean, precision}``.
    evidence : EvidenceSettings
        ``{sequence: {…}, signals: {…}, place: {…}, rule}``.
    relaxation : Relaxation
        ``{kind, temperature, is_hard, is_sampled}``.
    budget : Budget, optional
        ``{share, scope, steps}``; without one the evidence alone says how much is kept.
    promoter_bp : int
        Width of a stretch around the TSS that is always kept; 0 for none.

    Raises
    ------
    ConfigError
        A setting out of its range.
    """

    def __init__(
        self,
        width: int,
        num_tracks: int,
        num_contacts: int = 0,
        *,
        prior: Prior = _PRIOR,
        evidence: EvidenceSettings = _EVIDENCE,
        relaxation: Relaxation = _RELAXATION,
        budget: Budget | None = None,
        promoter_bp: int = 0,
    ) -> None:
        super().__init__()
        if min(num_tracks, num_contacts) < 0:
            raise ConfigError(
                f"num_tracks {num_tracks}, num_contacts {num_contacts}", where="selector", expected="0 or more of each"
            )
        if budget is not None and budget.scope == "window" and evidence.rule != "odds":
            raise ConfigError(
                f"a budget with scope window, and the rule {evidence.rule!r}",
                where="selector",
                expected="the rule odds",
            )
        self.num_tracks, self.num_contacts, self.promoter_bp = num_tracks, num_contacts, promoter_bp
        self.prior, self.relaxation = prior, relaxation
        self.evidence = Evidence(width, num_tracks, num_contacts, prior, settings=evidence)
        self.budget = BudgetPrice(budget)

    @property
    def num_channels(self) -> int:
        """Channels T + K of the signals: tracks, then contacts."""
        return self.num_tracks + self.num_contacts

    @property
    def learns_signals(self) -> bool:
        """Whether the signals teach the sequence view, which needs :meth:`Evidence.agreement` in the loss."""
        return self.evidence.learns_signals

    def calibrate(self, quantiles: Tensor, levels: Tensor) -> None:
        """Calibrate the maps of tracks and contacts on quantiles (T + K, Q), see :meth:`SignalEvidence.calibrate`."""
        self.evidence.calibrate(quantiles, levels)

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
        views = self.evidence(hidden, signals, distance_bp)
        kept = near_tss(distance_bp, self.promoter_bp)
        price = self.budget(views.sequence + views.signal + views.place, kept | blacklist)
        posterior = self.evidence.posterior(views.sequence, views.signal + views.place, price)
        relaxed = self.relaxation.of(posterior)
        mask, forced = apply_forced(self.relaxation.mask(relaxed, self.training), kept, blacklist)
        kl = relaxed.divergence(self.prior.factor(mask)).masked_fill(forced, 0.0)
        return Selection(mask, kl, posterior.alpha, posterior.beta, forced, views.sequence, views.signal, views.place)

    @torch.no_grad()
    def follow(self, selection: Selection) -> None:
        """After the forward pass of a training step: move the price by what its masks keep too much at evaluation."""
        share = None
        if self.budget.is_common and not bool(selection.forced.all()):
            free = ~selection.forced
            share = self.relaxation.share(BetaFactor(selection.alpha[free], selection.beta[free]))
        self.budget.follow(share, self.relaxation.has_exact_zeros)

    @torch.no_grad()
    def meet_budget(self, selections: Iterable[Selection]) -> None:
        """Set the price at which given windows, such as training windows in evaluation, keep the budget on average.

        The price that training follows step by step lags behind the weights, all the more where those are averaged.
        """
        if not self.budget.is_common:
            return
        parts = [
            (chosen.sequence_logit[~chosen.forced], (chosen.signal_logit + chosen.place_logit)[~chosen.forced])
            for chosen in selections
        ]
        sequence, beside = (torch.cat(part) for part in zip(*parts, strict=True))
        self.budget.meet(lambda price: self.relaxation.share(self.evidence.posterior(sequence, beside, price)))
