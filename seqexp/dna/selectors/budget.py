"""What a base costs: the price at which masks keep a budget, the multiplier of that constraint. Pure functions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from seqexp.dna.selectors.context import EDGE

STEP = 0.05  # of the way to the price that would meet the budget, per training step
LONGEST_STEP = 1.0  # of the price of a mask with exact zeros, in log-odds: all open at a small budget would overshoot
ALMOST_ALL = 0.999  # the most that a budget may be: all has no price
RANGE, HALVINGS = 30.0, 40  # where the price of a budget is looked for, in log-odds


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
