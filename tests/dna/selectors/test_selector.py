"""The selector: what it draws, what it keeps, how sequence and signals enter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.beta import Prior
from seqexp.dna.selectors.budget import Budget
from seqexp.dna.selectors.context import EDGE, unmixed
from seqexp.dna.selectors.evidence import EvidenceSettings
from seqexp.dna.selectors.relaxation import Relaxation
from seqexp.dna.selectors.selection import apply_forced, near_tss
from seqexp.dna.selectors.selector import BetaSelector
from seqexp.dna.selectors.sequence import SequenceSettings
from seqexp.dna.selectors.signal import OPEN_SHARE, SATURATION, SignalEvidence, SignalSettings

WIDTH, BINS = 6, 40
LEVELS = torch.linspace(0, 1, 201)


def inputs(num_tracks: int, rows: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, BINS, WIDTH, generator=generator)
    signals = torch.rand(rows, BINS, num_tracks, generator=generator) * 5
    distance_bp = (torch.arange(BINS).float() * 50 - 1000).expand(rows, -1)
    return hidden, signals, distance_bp, torch.zeros(rows, BINS, dtype=torch.bool)


def selector(num_tracks: int = 2, **settings: Any) -> BetaSelector:
    torch.manual_seed(0)
    made = BetaSelector(WIDTH, num_tracks, **settings)
    if num_tracks:
        made.calibrate(skewed_quantiles(num_tracks), LEVELS)
    return made


def of_sequence(**settings: Any) -> EvidenceSettings:
    return EvidenceSettings(sequence=SequenceSettings(**settings))


def skewed_quantiles(num_tracks: int) -> Tensor:
    """Mostly background, a long tail: what a track looks like."""
    return torch.stack(
        [0.2 * LEVELS + 8 * LEVELS.clamp_min(0.9).sub(0.9) * (track + 1) * 10 for track in range(num_tracks)]
    )


def test_draws_in_training_and_takes_the_mean_at_test() -> None:
    model = selector()
    first, second = model.train()(*inputs(2)), model(*inputs(2))
    assert not torch.equal(first.mask, second.mask)
    model.eval()
    assert torch.equal(model(*inputs(2)).mask, model(*inputs(2)).mask)
    chosen = model(*inputs(2))
    torch.testing.assert_close(chosen.mask, chosen.mean)
    assert torch.equal(selector(relaxation=Relaxation(is_sampled=False)).train()(*inputs(2)).mask, chosen.mask)


def test_sequence_weight_is_where_its_log_odds_start_and_no_more() -> None:
    started = selector(evidence=of_sequence(weight=0.1))
    light, plain = started.eval()(*inputs(2)), selector().eval()(*inputs(2))
    torch.testing.assert_close(light.sequence_logit, 0.1 * plain.sequence_logit, rtol=1e-4, atol=1e-6)
    assert torch.equal(light.signal_logit, plain.signal_logit)
    assert "evidence.raw_scale" in dict(started.named_parameters())  # it goes on from there
    with pytest.raises(ConfigError, match=r"weight 4\.0\s+where: +selector: evidence: sequence"):
        of_sequence(weight=4.0)


def test_draws_scatter_round_the_mean_as_their_precision_says() -> None:
    model = selector(num_tracks=0, evidence=of_sequence(precision=30.0)).train()
    hidden, signals, distance_bp, blacklist = inputs(0)
    draws = torch.stack([model(hidden, signals, distance_bp, blacklist).mask for _ in range(2000)])
    chosen = model(hidden, signals, distance_bp, blacklist)
    torch.testing.assert_close(draws.mean(0), chosen.mean, atol=0.02, rtol=0)
    torch.testing.assert_close(draws.var(0), chosen.mean * (1 - chosen.mean) / 31, atol=2e-3, rtol=0)


def test_blacklisted_bins_drop_and_the_promoter_wins_over_them() -> None:
    hidden, signals, distance_bp, blacklist = inputs(2)
    blacklist[:, :30] = True  # the TSS lies at bin 20
    chosen = selector(promoter_bp=200).eval()(hidden, signals, distance_bp, blacklist)
    promoter = near_tss(distance_bp, 200)
    assert promoter.sum(1).eq(4).all()
    assert chosen.mask[promoter].eq(1).all()
    assert chosen.mask[blacklist & ~promoter].eq(0).all()
    assert torch.equal(chosen.forced, blacklist | promoter)
    assert chosen.kl[chosen.forced].eq(0).all()
    assert (chosen.kl[~chosen.forced] > 0).all()
    mask, forced = apply_forced(
        torch.full((1, 3), 0.5), torch.tensor([[1, 0, 0]]).bool(), torch.tensor([[1, 1, 0]]).bool()
    )
    assert mask.tolist() == [[1.0, 0.0, 0.5]]
    assert forced.tolist() == [[True, True, False]]


def test_both_views_add_their_log_odds() -> None:
    model = selector().eval()
    hidden, signals, distance_bp, blacklist = inputs(2)
    chosen = model(hidden, signals, distance_bp, blacklist)
    joint = chosen.sequence_logit + chosen.signal_logit
    torch.testing.assert_close(torch.logit(chosen.mean.double()).float(), joint, atol=2e-3, rtol=1e-3)


def test_more_signal_is_never_evidence_against_and_levels_off() -> None:
    evidence = SignalEvidence(1)
    evidence.calibrate(skewed_quantiles(1), LEVELS)
    rising = evidence(torch.linspace(0, 200, 500).view(1, -1, 1)).detach()[0, :, 0]
    assert (rising.diff() >= 0).all()
    assert rising[0] < 0 < rising[-1]
    assert rising.abs().max() <= SATURATION
    assert rising[-1] == pytest.approx(SATURATION, abs=0.05)
    assert evidence(torch.full((1, 1, 1), float("nan"))).eq(0).all()


def test_threshold_lies_between_background_and_peaks_of_the_training_split() -> None:
    evidence = SignalEvidence(2)
    quantiles = skewed_quantiles(2)
    evidence.calibrate(quantiles, LEVELS)
    for track in range(2):
        values = quantiles[track].view(1, -1, 1).expand(1, -1, 2)
        share = float((evidence(values)[0, :, track] > 0).float().mean())
        assert OPEN_SHARE[0] - 0.01 <= share <= OPEN_SHARE[1] + 0.01
    scaled = SignalEvidence(2)
    scaled.calibrate(quantiles * 1000, LEVELS)  # the unit of a track is no matter
    torch.testing.assert_close(scaled(quantiles.T[None] * 1000), evidence(quantiles.T[None]), atol=1e-3, rtol=1e-3)


def test_calibration_is_kept_in_the_checkpoint() -> None:
    model, fresh = selector().eval(), BetaSelector(WIDTH, 2).eval()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(*inputs(2)).mask, model(*inputs(2)).mask)


def test_background_activity_is_taken_out_of_the_sequence_view() -> None:
    model = selector(num_tracks=1).evidence
    model.floor.fill_(0.2)
    element = torch.tensor([0.05, 0.3, 0.9])
    active = 0.2 + 0.8 * element  # P(active) = floor + (1 - floor) P(element)
    torch.testing.assert_close(unmixed(torch.logit(active)[None, :, None], model.floor)[0, :, 0], torch.logit(element))
    rarer = torch.logit(torch.tensor([[[0.1]]]))  # than the background: as little as may be said
    below = unmixed(rarer, model.floor)
    torch.testing.assert_close(torch.sigmoid(below), torch.full_like(below, EDGE))


def test_trust_goes_to_the_track_that_the_sequence_explains() -> None:
    model = selector().train().evidence
    hidden, signals, *_ = inputs(2, rows=200)
    signals[..., 0] = torch.where(hidden[..., 0] > 1.0, 20.0, 0.0)  # a function of the sequence; track 1 is noise
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(150):
        lesson = model.lesson(hidden, signals)
        model.observe(lesson)
        loss = model.agreement(lesson)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert model.trust.share[0] > 0.95
    assert model.trust.share.sum() == pytest.approx(1.0)
    assert losses[-1] < 0.5 * losses[0]
    assert model.signals.raw_weight.grad is None  # the signals' side is taken as given


def test_agreement_leaves_missing_signals_out() -> None:
    model = selector().eval().evidence
    hidden, signals, *_ = inputs(2)
    partly = signals.clone()
    partly[:, 10:] = float("nan")
    some, all_known = model.lesson(hidden, partly), model.lesson(hidden[:, :10], signals[:, :10])
    torch.testing.assert_close(model.agreement(some), model.agreement(all_known))


def test_without_learning_signals_there_is_one_head_and_nothing_to_estimate() -> None:
    model = selector(evidence=of_sequence(learns_signals=False)).train()
    chosen = model(*inputs(2))
    assert model.evidence.head.out_features == 1
    chosen.mask.sum().backward()
    assert model.evidence.head.weight.grad is not None
    assert model.evidence.head.weight.grad.abs().sum() > 0
    assert not BetaSelector(WIDTH, 0).learns_signals


@pytest.mark.parametrize(
    ("part", "settings", "message"),
    [
        (Prior, {"mean": 1.0}, "mean 1.0"),
        (Prior, {"precision": 0.0}, "positive precision"),
        (EvidenceSettings, {"signals": SignalSettings(precision=0.0)}, "precision of 0"),
        (EvidenceSettings, {"rule": "sum"}, "'sum'"),
        (Budget, {"share": 1.0}, "share 1.0"),
        (Budget, {"share": 0.5, "scope": "gene"}, "'gene'"),
        (Budget, {"share": 0.5, "steps": -1}, "steps -1"),
    ],
)
def test_settings_out_of_range_are_refused(part: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        part(**settings)


@pytest.mark.parametrize("budget", [0.03, 0.2])
def test_budget_is_kept_on_windows_never_seen(budget: float) -> None:
    model = selector(budget=Budget(budget), promoter_bp=200).train()

    def window(seed: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        hidden, signals, distance_bp, blacklist = inputs(2)
        hidden = torch.randn(hidden.shape, generator=generator)
        return hidden, 9 * torch.rand(signals.shape, generator=generator) ** 4, distance_bp, blacklist

    for seed in range(400):
        model.follow(model(*window(seed)))
    model.eval()
    price = model.budget.price.clone()
    found = [model(*window(seed)) for seed in range(1000, 1060)]
    kept = torch.cat([s.mask[~s.forced] for s in found]).mean().item()
    assert kept == pytest.approx(budget, rel=0.05)
    assert all((s.mask[s.forced] == 1).all() for s in found)
    assert torch.equal(model.budget.price, price)  # the forward pass does not move it
    free = selector().train()
    free.follow(free(*window(0)))
    assert free.budget.price == 0


def test_the_forward_pass_stores_nothing() -> None:
    """Buffers and attributes are those of before, in training too; `follow` and `observe` alone move the former."""
    model = selector(budget=Budget(0.1, steps=9), evidence=EvidenceSettings(signals=SignalSettings(context_channels=4)))
    model.train()

    def state() -> dict[str, Any]:
        held = {name: values.clone() for name, values in model.state_dict().items()}
        parts = dict(model.named_modules()).items()
        return {**held, **{f"{name}: {key}": id(kept) for name, part in parts for key, kept in vars(part).items()}}

    before = state()
    chosen = model(*inputs(2))
    lesson = model.evidence.lesson(*inputs(2)[:2])
    model.evidence.agreement(lesson).backward()
    after = state()
    assert before.keys() == after.keys()
    assert all(torch.equal(torch.as_tensor(before[name]), torch.as_tensor(after[name])) for name in before)
    model.follow(chosen)
    model.evidence.observe(lesson)
    moved = {name for name, values in model.state_dict().items() if not torch.equal(values, before[name])}
    kept = {"budget.price", "budget.num_steps", "evidence.floor", "evidence.context.floor", "evidence.trust.gain"}
    assert moved - {"evidence.trust.share"} == kept
