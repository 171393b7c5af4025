"""The selector with other relaxations and with a hard mask: values, gradients, budget."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.budget import Budget
from seqexp.dna.selectors.evidence import EvidenceSettings
from seqexp.dna.selectors.relaxation import RELAXATIONS, Relaxation, straight_through
from seqexp.dna.selectors.selection import Selection, near_tss
from seqexp.dna.selectors.selector import BetaSelector

WIDTH, BINS = 6, 40
LEVELS = torch.linspace(0, 1, 201)


def window(seed: int, rows: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The toy of ``test_selector.py``: hidden states and signals that have nothing to do with each other."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, BINS, WIDTH, generator=generator)
    signals = 9 * torch.rand(rows, BINS, 2, generator=generator) ** 4
    distance_bp = (torch.arange(BINS).float() * 50 - 1000).expand(rows, -1)
    return hidden, signals, distance_bp, torch.zeros(rows, BINS, dtype=torch.bool)


def selector(**settings: Any) -> BetaSelector:
    torch.manual_seed(0)
    made = BetaSelector(WIDTH, 2, **settings)
    tails = [0.2 * LEVELS + 80 * (track + 1) * LEVELS.clamp_min(0.9).sub(0.9) for track in range(2)]
    made.calibrate(torch.stack(tails), LEVELS)
    return made


def test_posterior_does_not_depend_on_the_relaxation() -> None:
    beta, *others = (selector(relaxation=Relaxation(name)).eval()(*window(0)) for name in RELAXATIONS)
    for other in others:
        assert torch.equal(other.alpha, beta.alpha)
        assert torch.equal(other.beta, beta.beta)
    torch.testing.assert_close(others[0].mask, beta.mask, atol=1e-5, rtol=1e-4)  # Kumaraswamy of the same mean
    torch.testing.assert_close(others[1].mask, (1.2 * beta.mean - 0.1).clamp(0, 1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("is_hard", [False, True])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_masks_are_drawn_in_training_and_carry_gradient_to_all_evidence(relaxation: str, is_hard: bool) -> None:
    model = selector(relaxation=Relaxation(relaxation, is_hard=is_hard)).train()
    first, second = model(*window(0)), model(*window(0))
    assert not torch.equal(first.mask, second.mask)
    first.mask.mul(torch.randn(first.mask.shape)).sum().backward()
    for parameter in (model.evidence.head.weight, model.evidence.signals.raw_weight, model.evidence.offset):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 1e-6
        assert parameter.grad.isfinite().all()
    model.eval()
    assert torch.equal(model(*window(0)).mask, model(*window(0)).mask)


def test_hard_concrete_has_exact_zeros_and_ones_and_more_of_them_when_cold() -> None:
    shares = []
    for temperature in (0.3, 0.9):
        torch.manual_seed(1)
        relaxation = Relaxation("hard_concrete", temperature)
        mask = selector(relaxation=relaxation).train()(*window(0, rows=50)).mask
        shares.append(float(((mask == 0) | (mask == 1)).float().mean()))
        assert (mask == 0).any()
        assert (mask == 1).any()
    assert shares[0] > shares[1]


@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_hard_mask_rounds_draws_in_training_and_means_otherwise(relaxation: str) -> None:
    hard, soft = (selector(relaxation=Relaxation(relaxation, is_hard=is_hard)) for is_hard in (True, False))
    for mode in (True, False):
        hard.train(mode), soft.train(mode)
        torch.manual_seed(3)
        rounded = hard(*window(0)).mask
        torch.manual_seed(3)
        drawn = soft(*window(0)).mask
        assert set(rounded.unique().tolist()) == {0.0, 1.0}  # exactly
        assert torch.equal(rounded, (drawn >= 0.5).float())
    chosen = hard.eval()(*window(0))
    assert torch.equal(chosen.mask, (chosen.mean >= 0.5).float())


def test_gradient_of_a_hard_mask_is_that_of_the_soft_draw_for_kept_and_dropped() -> None:
    soft = torch.tensor([0.1, 0.49, 0.5, 0.9], requires_grad=True)
    hard = straight_through(soft)
    assert hard.tolist() == [0.0, 0.0, 1.0, 1.0]
    weights = torch.tensor([1.0, -2.0, 3.0, -4.0])
    (hard * weights).sum().backward()
    assert torch.equal(soft.grad, weights)


@pytest.mark.parametrize("budget", [0.03, 0.2])
@pytest.mark.parametrize("is_hard", [False, True])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_budget_is_kept_on_windows_never_seen(relaxation: str, is_hard: bool, budget: float) -> None:
    parts = {"relaxation": Relaxation(relaxation, is_hard=is_hard), "budget": Budget(budget)}
    model = selector(**parts, promoter_bp=200).train()
    with torch.no_grad():
        for seed in range(400):  # whole bins are kept or not, so a hard mask needs more of them to measure a share
            model.follow(model(*window(seed, rows=40 if is_hard else 3)))
        found: list[Selection] = [model.eval()(*window(1000 + seed, rows=400)) for seed in range(4)]
    kept = torch.cat([s.mask[~s.forced] for s in found]).mean().item()
    assert kept == pytest.approx(budget, rel=0.05)


def test_a_small_budget_is_reached_again_after_everything_was_open() -> None:
    model = selector(relaxation=Relaxation(is_hard=True), budget=Budget(0.02)).train()
    with torch.no_grad():
        model.evidence.offset.fill_(6.0)
        for seed in range(300):
            model.follow(model(*window(seed, rows=40)))
        kept = model.eval()(*window(1000, rows=400)).mask.mean().item()
    assert kept == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"kind": "gumbel"}, "'gumbel'"), ({"temperature": 0.0}, "temperature 0.0"), ({"temperature": 1.0}, "1.0")],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Relaxation(**settings)


@pytest.mark.parametrize("rule", ["odds", "product"])
@pytest.mark.parametrize("is_hard", [False, True])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_price_is_set_to_what_the_budget_asks_of_given_windows(relaxation: str, is_hard: bool, rule: str) -> None:
    parts = {"relaxation": Relaxation(relaxation, is_hard=is_hard), "evidence": EvidenceSettings(rule=rule)}
    model = selector(**parts, budget=Budget(0.15), promoter_bp=200).eval()
    chosen = [model(*window(seed, rows=20)) for seed in range(5)]
    model.meet_budget(chosen)
    found = [model(*window(seed, rows=20)) for seed in range(5)]
    assert torch.cat([s.mask[~s.forced] for s in found]).mean().item() == pytest.approx(0.15, abs=2e-3)
    model.meet_budget(found)  # the price in force has no say
    assert torch.cat([model(*window(0, rows=20)).mask[~found[0].forced]]).mean().item() == pytest.approx(
        found[0].mask[~found[0].forced].mean().item(), abs=1e-4
    )
    free = selector().eval()
    free.meet_budget([])
    assert free.budget.price == 0


def test_budget_of_each_window_keeps_exactly_its_best_bins() -> None:
    model = selector(relaxation=Relaxation(is_hard=True), budget=Budget(0.15, "window"), promoter_bp=200).eval()
    hidden, signals, distance_bp, blacklist = window(0, rows=20)
    blacklist[:10, :7] = True
    chosen = model(hidden, signals, distance_bp, blacklist)
    evidence = (chosen.sequence_logit + chosen.signal_logit).masked_fill(chosen.forced, -torch.inf)
    for row in range(20):
        num = round(0.15 * int((~chosen.forced[row]).sum()))
        best = set(evidence[row].argsort(descending=True)[:num].tolist())
        assert set((chosen.mask[row].bool() & ~chosen.forced[row]).nonzero().flatten().tolist()) == best
    drawn = model.train()(hidden, signals, distance_bp, blacklist)
    assert model.budget.price == 0  # there is no common price
    free = ~drawn.forced
    mask = drawn.mask.detach()
    assert 0.1 < float(mask[free].mean()) < 0.25  # draws scatter round the best
    drawn.mask.mul(torch.randn(drawn.mask.shape)).sum().backward()
    assert model.evidence.head.weight.grad is not None
    assert model.evidence.head.weight.grad.abs().max() > 1e-6
    everything = torch.ones_like(blacklist)
    assert model.eval()(hidden, signals, distance_bp, everything).mask[~near_tss(distance_bp, 200)].eq(0).all()


def test_budget_of_each_window_needs_additive_odds() -> None:
    with pytest.raises(ConfigError, match="scope window, and the rule 'product'"):
        selector(budget=Budget(0.1, "window"), evidence=EvidenceSettings(rule="product"))


@pytest.mark.parametrize("scope", ["data", "window"])
def test_budget_falls_step_by_step_in_training_and_is_what_is_asked_in_evaluation(scope: Any) -> None:
    relaxation = Relaxation(is_hard=True, is_sampled=False)
    model = selector(relaxation=relaxation, budget=Budget(0.1, scope, steps=100)).train()
    shares = []
    for seed in range(150):
        chosen = model(*window(seed, rows=40))
        model.follow(chosen)
        shares.append(float(chosen.mask.detach().mean()))
        if seed == 50:
            evaluated = model.eval()(*window(999, rows=40)).mask.detach().mean()
            model.train()
    if scope == "window":
        assert shares[0] == pytest.approx(1.0, abs=0.05)
        assert shares[50] == pytest.approx(0.1**0.5, abs=0.02)
        assert float(evaluated) == pytest.approx(0.1)
    assert shares[-1] == pytest.approx(0.1, abs=0.03)
    assert int(model.budget.num_steps) == 150
    assert "budget.num_steps" not in selector().state_dict()
