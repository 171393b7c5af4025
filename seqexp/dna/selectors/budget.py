"""What a base costs: the price at which masks keep a budget, the multiplier of that constraint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.context import EDGE

STEP = 0.05  # of the way to the price that would meet the budget, per training step
LONGEST_STEP = 1.0  # of the price of a mask with exact zeros, in log-odds: all open at a small budget would overshoot
ALMOST_ALL = 0.999  # the most that a budget may be: all has no price
RANGE, HALVINGS = 30.0, 40  # where the price of a budget is looked for, in log-odds


@dataclass(frozen=True)
class Budget:
    """How much masks keep.

    Parameters
    ----------
    share : float
        Of the free bases, those that are neither forced nor dropped.
    scope : {"data", "window"}
        Held on average over windows, by one price of a base that is taken off the log-odds of every bin; or in each
        window, where it is the best bins that have odds above one: of a hard mask exactly so many are kept, and how
        many can tell the predictor nothing.
    steps : int
        Training steps over which the budget falls from everything to ``share``, by a constant factor per step, so that
        the predictor has learned to read before it must do without; evaluation always keeps ``share``.
    """

    share: float
    scope: Literal["data", "window"] = "data"
    steps: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or self.steps < 0 or self.scope not in ("data", "window"):
            raise ConfigError(
                f"share {self.share}, scope {self.scope!r}, steps {self.steps}",
                where="selector: budget",
                expected="a share of the bases between 0 and 1; data or window; 0 or more steps",
            )


class BudgetPrice(nn.Module):
    """The price of a base under a budget; 0 without one. A state of training, kept in the checkpoint.

    Parameters
    ----------
    budget : Budget, optional
    """

    price: Tensor
    num_steps: Tensor

    def __init__(self, budget: Budget | None) -> None:
        super().__init__()
        self.budget = budget
        self.is_common = budget is not None and budget.scope == "data"
        if budget is not None and budget.steps:
            self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("price", torch.zeros(()))

    @property
    def present(self) -> float:
        """Share to keep now: it falls to what is asked in training, and is what is asked in evaluation."""
        if self.budget is None:
            return 0.0
        is_falling = self.training and self.budget.steps
        return (
            falling_budget(self.budget.share, int(self.num_steps), self.budget.steps)
            if is_falling
            else self.budget.share
        )

    def forward(self, logit: Tensor, forced: Tensor) -> Tensor:
        """Price () or, of a budget per window, (B, 1), for log-odds (B, N) and bins (B, N) that are not chosen."""
        if self.budget is not None and not self.is_common:
            return window_price(logit, forced, self.present)
        return self.price.clone()

    @torch.no_grad()
    def follow(self, share: Tensor | None, has_exact_zeros: bool) -> None:
        """After a training step: move by what masks at evaluation keep too much (``share`` (), None of no bins)."""
        if self.is_common and share is not None:
            self.price.add_(price_step(share, self.present, has_exact_zeros))
        if self.budget is not None and self.budget.steps:
            self.num_steps += 1

    @torch.no_grad()
    def meet(self, share_at: Callable[[Tensor], Tensor]) -> None:
        """Set the price at which ``share_at(price)`` is the budget."""
        if self.is_common and self.budget is not None:
            self.price.copy_(price_of(self.budget.share, share_at, self.price))


def falling_budget(budget: float, num_steps: int, budget_steps: int) -> float:
    """Share to keep after ``num_steps`` of training: nearly all at first, ``budget`` from ``budget_steps`` on."""
    return float(min(budget ** min(1.0, num_steps / budget_steps), ALMOST_ALL))


@torch.no_grad()
def window_price(logit: Tensor, forced: Tensor, budget: float) -> Tensor:
    """Price (B, 1) at which the budgeted share of the free bins of each window have odds above one.

    Parameters
    ----------
    logit : Tensor (B, N)
        Log-odds before the price.
    forced : bool Tensor (B, N)
        Bins that are not the selector's choice.
    budget : float
        Share of the free bins.
    """
    free = logit.masked_fill(forced, -torch.inf).sort(dim=1, descending=True).values
    num_kept = ((~forced).sum(dim=1, keepdim=True) * budget).round().long()
    last = free.gather(1, (num_kept - 1).clamp_min(0))
    first_out = free.gather(1, num_kept.clamp_max(free.shape[1] - 1))
    edge = torch.where(first_out.isfinite(), (last + first_out) / 2, last)
    return torch.where(num_kept > 0, edge, free[:, :1] + 1.0)


@torch.no_grad()
def price_of(budget: float, share_at: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Price () at which ``share_at(price)``, which falls with it, is the budget; by bisection."""
    low, high = torch.full_like(like, -RANGE), torch.full_like(like, RANGE)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if share_at(middle) > budget else (low, middle)
    return (low + high) / 2


@torch.no_grad()
def price_step(share: Tensor, budget: float, has_exact_zeros: bool) -> Tensor:
    """Change of the price () in one training step: up where masks keep a larger share () than the budget.

    Shares of masks with exact zeros scatter from batch to batch, and a mean of log-odds is not the log-odds of a mean;
    so for them the step follows the share itself, in the units of log-odds at the budget.
    """
    if has_exact_zeros:
        return (STEP * (share - budget) / (budget * (1 - budget))).clamp(max=LONGEST_STEP)
    share = share.clamp(EDGE**2, 1 - EDGE**2)
    return STEP * (torch.logit(share) - torch.logit(torch.tensor(budget)))
