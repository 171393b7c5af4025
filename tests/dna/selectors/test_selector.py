"""The selector: what it draws, what it keeps, how sequence and signals enter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.context import EDGE, unmixed
from seqexp.dna.selectors.selection import apply_forced, near_tss
from seqexp.dna.selectors.selector import BetaSelector
from seqexp.dna.selectors.signal import OPEN_SHARE, SATURATION, SignalEvidence

WIDTH, BINS = 6, 40
LEVELS = torch.linspace(0, 1, 201)


def inputs(num_tracks: int, rows: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, BINS, WIDTH, generator=generator)
    signals = torch.rand(rows, BINS, num_tracks, generator=generator) * 5
    distance_bp = (torch.arange(BINS).float() * 50 - 1000).expand(rows, -1)
    return hidden, signals, distance_bp, torch.zeros(rows, BINS, dtype=torch.bool)


def selector(num_tracks: int = 2, **settings: float | str | bool) -> BetaSelector:
    torch.manual_seed(0)
    made = BetaSelector(WIDTH, num_tracks, **settings)
    if num_tracks:
        made.calibrate(skewed_quantiles(num_tracks), LEVELS)
    return made


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
    assert torch.equal(selector(is_sampled=False).train()(*inputs(2)).mask, chosen.mask)


def test_sequence_weight_is_where_its_log_odds_start_and_no_more() -> None:
    light, plain = selector(sequence_weight=0.1).eval()(*inputs(2)), selector().eval()(*inputs(2))
    torch.testing.assert_close(light.sequence_logit, 0.1 * plain.sequence_logit, rtol=1e-4, atol=1e-6)
    assert torch.equal(light.signal_logit, plain.signal_logit)
    assert "raw_scale" in dict(selector(sequence_weight=0.1).named_parameters())  # it goes on from there
    with pytest.raises(ConfigError, match="sequence_weight"):
        selector(sequence_weight=4.0)


def test_draws_scatter_round_the_mean_as_their_precision_says() -> None:
    model = selector(num_tracks=0, sequence_precision=30.0).train()
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
    model = selector(num_tracks=1)
    model.floor.fill_(0.2)
    element = torch.tensor([0.05, 0.3, 0.9])
    active = 0.2 + 0.8 * element  # P(active) = floor + (1 - floor) P(element)
    torch.testing.assert_close(unmixed(torch.logit(active)[None, :, None], model.floor)[0, :, 0], torch.logit(element))
    rarer = torch.logit(torch.tensor([[[0.1]]]))  # than the background: as little as may be said
    below = unmixed(rarer, model.floor)
    torch.testing.assert_close(torch.sigmoid(below), torch.full_like(below, EDGE))


def test_trust_goes_to_the_track_that_the_sequence_explains() -> None:
    model = selector().train()
    hidden, signals, *_ = inputs(2, rows=200)
    signals[..., 0] = torch.where(hidden[..., 0] > 1.0, 20.0, 0.0)  # a function of the sequence; track 1 is noise
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(150):
        loss = model.agreement(hidden, signals)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert model.trust[0] > 0.95
    assert model.trust.sum() == pytest.approx(1.0)
    assert losses[-1] < 0.5 * losses[0]
    assert model.signals.raw_weight.grad is None  # the signals' side is taken as given


def test_agreement_leaves_missing_signals_out() -> None:
    model = selector().eval()
    hidden, signals, *_ = inputs(2)
    partly = signals.clone()
    partly[:, 10:] = float("nan")
    torch.testing.assert_close(model.agreement(hidden, partly), model.agreement(hidden[:, :10], signals[:, :10]))


def test_without_learning_signals_there_is_one_head_and_nothing_to_estimate() -> None:
    model = selector(learns_signals=False).train()
    chosen = model(*inputs(2))
    assert model.evidence.out_features == 1
    chosen.mask.sum().backward()
    assert model.evidence.weight.grad is not None
    assert model.evidence.weight.grad.abs().sum() > 0
    assert not BetaSelector(WIDTH, 0).learns_signals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior_mean": 1.0}, "prior_mean 1.0"),
        ({"signal_precision": 0.0}, "precision of 0"),
        ({"rule": "sum"}, "'sum'"),
    ],
    ids=["prior_mean", "precision", "rule"],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float | str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        selector(**settings)


@pytest.mark.parametrize("budget", [0.03, 0.2])
def test_budget_is_kept_on_windows_never_seen(budget: float) -> None:
    model = selector(budget=budget, promoter_bp=200).train()

    def window(seed: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        hidden, signals, distance_bp, blacklist = inputs(2)
        hidden = torch.randn(hidden.shape, generator=generator)
        return hidden, 9 * torch.rand(signals.shape, generator=generator) ** 4, distance_bp, blacklist

    for seed in range(400):
        model(*window(seed))
    model.eval()
    price = model.price.clone()
    found = [model(*window(seed)) for seed in range(1000, 1060)]
    kept = torch.cat([s.mask[~s.forced] for s in found]).mean().item()
    assert kept == pytest.approx(budget, rel=0.05)
    assert all((s.mask[s.forced] == 1).all() for s in found)
    assert torch.equal(model.price, price)  # evaluation does not move it
    free = selector().train()
    free(*window(0))
    assert free.price == 0


def test_budget_out_of_range() -> None:
    with pytest.raises(ConfigError, match="budget"):
        selector(budget=1.0)
