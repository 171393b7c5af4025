"""Evidence from contacts and distance: what it adds, and what it leaves alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.budget import Budget
from seqexp.dna.selectors.evidence import EvidenceSettings
from seqexp.dna.selectors.place import PlaceEvidence, PlaceSettings
from seqexp.dna.selectors.relaxation import RELAXATIONS, Relaxation
from seqexp.dna.selectors.selection import Selection
from seqexp.dna.selectors.selector import BetaSelector

WIDTH, BINS, ROWS = 6, 40, 3
LEVELS = torch.linspace(0, 1, 201)
TAILS = torch.stack([0.2 * LEVELS + 80 * scale * LEVELS.clamp_min(0.9).sub(0.9) for scale in (1.0, 2.0, 0.1)])


def inputs(channels: int, bins: int = BINS) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(ROWS, bins, WIDTH, generator=generator)
    signals = torch.rand(ROWS, bins, channels, generator=generator) * 5
    distance_bp = (torch.arange(bins).float() * 50 - bins * 25).expand(ROWS, -1)
    return hidden, signals, distance_bp, torch.zeros(ROWS, bins, dtype=torch.bool)


def at(**settings: float) -> EvidenceSettings:
    return EvidenceSettings(place=PlaceSettings(**settings))


def selector(num_tracks: int, **settings: Any) -> BetaSelector:
    torch.manual_seed(0)
    made = BetaSelector(WIDTH, num_tracks, **settings)
    made.calibrate(TAILS[: made.num_channels], LEVELS)
    return made.eval()


def test_contacts_add_log_odds_of_their_own() -> None:
    hidden, signals, distance_bp, blacklist = inputs(3)
    with_contacts, without = selector(2, num_contacts=1), selector(2)
    chosen = with_contacts(hidden, signals, distance_bp, blacklist)
    plain = without(hidden, signals[..., :2], distance_bp, blacklist)
    assert torch.equal(chosen.sequence_logit, plain.sequence_logit)
    assert torch.equal(chosen.signal_logit, plain.signal_logit)
    assert plain.place_logit.eq(0).all()
    assert with_contacts.evidence.place is not None
    assert with_contacts.evidence.place.contacts is not None
    torch.testing.assert_close(chosen.place_logit, with_contacts.evidence.place.contacts.logit(signals[..., 2:]))
    joint = chosen.sequence_logit + chosen.signal_logit + chosen.place_logit
    torch.testing.assert_close(torch.logit(chosen.mean.double()).float(), joint, atol=2e-3, rtol=1e-3)
    trusted = selector(2, num_contacts=1)
    trusted.evidence.trust.share.copy_(torch.tensor([1.0, 0.0]))
    assert torch.equal(trusted(hidden, signals, distance_bp, blacklist).place_logit, chosen.place_logit)


def test_more_contact_is_never_evidence_against_levels_off_and_missing_says_nothing() -> None:
    hidden, _, distance_bp, blacklist = inputs(1, bins=400)
    rising = torch.linspace(0, 60, 400).view(1, -1, 1).expand(ROWS, -1, -1).clone()
    model = selector(0, num_contacts=1, evidence=at(contact_weight=0.5))
    found = model(hidden, rising, distance_bp, blacklist).place_logit.detach()
    assert (found.diff(dim=1) >= 0).all()
    assert found[0, 0] < 0 < found[0, -1]
    assert found.abs().max() <= 0.5 * 3.0 + 1e-6
    rising[:] = float("nan")
    assert model(hidden, rising, distance_bp, blacklist).place_logit.eq(0).all()


def test_contacts_are_not_taught_to_the_sequence() -> None:
    model, plain = selector(2, num_contacts=1).train(), selector(2).train()
    hidden, signals, *_ = inputs(3)
    assert model.evidence.head.out_features == 2
    loss, alone = (
        net.evidence.agreement(net.evidence.lesson(hidden, shown))
        for net, shown in ((model, signals), (plain, signals[..., :2]))
    )
    torch.testing.assert_close(loss, alone)
    assert model.evidence.trust.share.shape == (2,)
    chosen = model(*inputs(3))
    chosen.mask.sum().backward()
    assert model.evidence.place is not None
    assert model.evidence.place.contacts is not None
    assert model.evidence.place.contacts.raw_weight.grad is not None
    assert model.evidence.place.contacts.raw_weight.grad.abs() > 1e-6


def test_distance_counts_against_monotonically_and_on_average_not_at_all() -> None:
    evidence = PlaceEvidence(0, PlaceSettings(distance_weight=0.7))
    for bins in (40, 1000):
        *_, distance_bp, _ = inputs(0, bins=bins)
        logit = evidence(torch.zeros(ROWS, bins, 0), distance_bp).detach()
        order = distance_bp[0].abs().argsort()
        assert (logit[0, order].diff() <= 1e-6).all()
        torch.testing.assert_close(logit.mean(dim=1), torch.zeros(ROWS), atol=1e-5, rtol=0)
        far, near = distance_bp[0].abs().argmax(), distance_bp[0].abs().argmin()
        drop = 0.7 * (math.log1p(distance_bp[0, far].abs() / 1000) - math.log1p(distance_bp[0, near].abs() / 1000))
        assert float(logit[0, near] - logit[0, far]) == pytest.approx(drop, rel=1e-4)


def test_each_side_of_the_tss_has_a_weight_of_its_own() -> None:
    evidence = PlaceEvidence(0, PlaceSettings(distance_weight=0.7))
    assert evidence.raw_distance_weight is not None
    *_, distance_bp, _ = inputs(0, bins=400)
    with torch.no_grad():
        evidence.raw_distance_weight[0] = 5.0
    logit = evidence(torch.zeros(ROWS, 400, 0), distance_bp).detach()[0]
    reach, upstream = torch.log1p(distance_bp[0].abs() / 1000), distance_bp[0] < 0
    for side, weight in ((upstream, math.log1p(math.exp(5.0))), (~upstream, 0.7)):
        slope = (logit[side][0] - logit[side][-1]) / (reach[side][-1] - reach[side][0])
        assert float(slope) == pytest.approx(weight, rel=1e-4)
    assert float(logit.mean()) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("weight", [0.5, 8.0, 60.0])
def test_budget_of_a_window_holds_however_much_the_distance_counts(weight: float) -> None:
    """Before the price is off, log-odds of 60 times the distance exceed what a mean in float32 can tell from 0 or 1."""
    parts = {"relaxation": Relaxation(is_hard=True), "budget": Budget(0.1, scope="window")}
    mask = selector(2, evidence=at(distance_weight=weight), **parts).eval()(*inputs(2, bins=400)).mask
    assert mask.mean(dim=1).tolist() == pytest.approx([0.1] * ROWS)


def test_distance_moves_the_mask_and_hardly_how_much_is_kept() -> None:
    chosen = selector(2, evidence=at(distance_weight=0.5))(*inputs(2, bins=400))
    plain = selector(2)(*inputs(2, bins=400))
    near = inputs(2, bins=400)[2][0].abs() < 1000
    assert chosen.mask[:, near].mean() > plain.mask[:, near].mean() + 0.02
    assert chosen.mask.mean().item() == pytest.approx(plain.mask.mean().item(), rel=0.05)
    model = selector(2, evidence=at(distance_weight=0.5)).train()
    model(*inputs(2)).mask.square().sum().backward()
    assert model.evidence.place is not None
    assert model.evidence.place.raw_distance_weight is not None
    assert model.evidence.place.raw_distance_weight.grad is not None


def test_checkpoints_have_no_more_than_the_options_that_are_on() -> None:
    def names(**settings: Any) -> set[str]:
        return set(BetaSelector(WIDTH, 2, **settings).state_dict())

    plain = names()
    assert not any("place" in name for name in plain)
    assert all(names(relaxation=Relaxation(kind)) == plain for kind in RELAXATIONS)
    assert names(relaxation=Relaxation(is_hard=True)) == plain
    assert names(evidence=at(distance_weight=0.5)) - plain == {"evidence.place.raw_distance_weight"}
    assert names(budget=Budget(0.1, steps=9)) - plain == {"budget.num_steps"}
    added = {"unit", "threshold", "slope", "raw_weight", "threshold_shift"}
    assert names(num_contacts=1) - plain == {f"evidence.place.contacts.{name}" for name in added}


@pytest.mark.parametrize("setting", [{"contact_weight": 0.0}, {"distance_weight": 0.0}])
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting)) + r" 0\.0"):
        PlaceSettings(**setting)
    with pytest.raises(ConfigError, match="num_contacts -1"):
        BetaSelector(WIDTH, 2, -1)


def made_of(mean: Tensor, forced: Tensor) -> Selection:
    blank = torch.zeros_like(mean)
    return Selection(mean, blank, 10 * mean, 10 * (1 - mean), forced, blank, blank)


def test_contiguity_counts_steps_between_free_neighbours() -> None:
    mean = torch.tensor([[0.1, 0.1, 0.5, 0.9, 0.9], [0.2, 0.6, 0.2, 0.2, 0.2]])
    forced = torch.zeros(2, 5, dtype=torch.bool)
    assert float(made_of(mean, forced).contiguity()) == pytest.approx((0.8 + 0.8) / 8, rel=1e-5)
    forced[0, 2] = True  # takes both of its pairs away
    assert float(made_of(mean, forced).contiguity()) == pytest.approx(0.8 / 6, rel=1e-5)
    assert float(made_of(torch.full((2, 5), 0.3), forced).contiguity()) == 0.0
    assert float(made_of(mean, torch.ones(2, 5, dtype=torch.bool)).contiguity()) == 0.0
    assert float(made_of(mean, forced).place_logit) == 0.0
    assert float(made_of(mean, forced).kept_bins()) == pytest.approx((0.1 + 0.1 + 0.9 + 0.9 + 1.4) / 2, rel=1e-5)
