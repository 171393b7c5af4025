"""The signal view that looks around: what it learns from the sequence, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.selectors.context import REACH_BINS, SignalContext
from seqexp.dna.selectors.evidence import EvidenceSettings
from seqexp.dna.selectors.selector import BetaSelector
from seqexp.dna.selectors.sequence import SequenceSettings
from seqexp.dna.selectors.signal import SignalSettings

LEVELS = torch.linspace(0, 1, 201)
BINS = 256


def world(rows: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two elements of 7 bins per row (B, N), hidden states (B, N, 1) that hint at them, a noisy track, marks beside."""
    rng = np.random.default_rng(seed)
    element = np.zeros((rows, BINS), dtype=bool)
    for row in element:
        for start in rng.choice(np.arange(8, BINS - 16, 16), 2, replace=False):
            row[start : start + 7] = True
    hidden = 2.0 * element + rng.normal(0, 1, element.shape)
    flank = np.roll(element, 7, axis=1) | np.roll(element, -7, axis=1)
    signals = np.stack(
        [4.0 * element + rng.gamma(2.0, 1.0, element.shape), 4.0 * flank + rng.gamma(2, 1, element.shape)]
    )
    return (
        torch.from_numpy(element),
        torch.from_numpy(hidden[..., None]).float(),
        torch.from_numpy(signals).permute(1, 2, 0).float(),
    )


def made(context_channels: int, learns_signals: bool = True) -> BetaSelector:
    torch.manual_seed(0)
    views = SequenceSettings(learns_signals=learns_signals), SignalSettings(context_channels=context_channels)
    selector = BetaSelector(1, 2, evidence=EvidenceSettings(*views))
    if selector.num_tracks:
        signals = world(40, 9)[2]
        selector.calibrate(torch.quantile(signals.flatten(0, 1), LEVELS, dim=0).T.contiguous(), LEVELS)
    return selector


def taught(context_channels: int, steps: int = 600) -> BetaSelector:
    """A selector after ``steps`` of the lesson alone; expression never enters."""
    selector = made(context_channels).train()
    optimizer = torch.optim.Adam(selector.parameters(), lr=1e-2)
    for step in range(steps):
        _, hidden, signals = world(8, 100 + step)
        optimizer.zero_grad()
        lesson = selector.evidence.lesson(hidden, signals)
        selector.evidence.observe(lesson)
        selector.evidence.agreement(lesson).backward()
        optimizer.step()
    return selector.eval()


def test_context_finds_elements_better_than_single_bins_without_ever_seeing_one() -> None:
    element, _, signals = world(60, 1)
    area = {}
    for channels in (0, 8):
        selector = taught(channels)
        with torch.no_grad():
            logit = selector.evidence.of_signals(signals)
        area[channels] = average_precision_score(element.flatten(), logit.flatten())
    assert area[8] > area[0] + 0.1
    assert area[8] > 0.75


def test_the_lesson_changes_the_context_alone() -> None:
    selector = made(8).train().evidence
    _, hidden, signals = world(4, 0)
    hidden.requires_grad_()

    def gradients() -> tuple[Tensor, ...]:
        loss = selector.agreement(selector.lesson(hidden, signals))
        return torch.autograd.grad(loss, [hidden, selector.head.weight])

    with_context = gradients()
    selector.context, kept = None, selector.context
    without = gradients()
    for one, other in zip(with_context, without):
        torch.testing.assert_close(one, other)
    selector.context = kept
    loss = kept.loss(selector.signals(signals), torch.full(signals.shape[:2], 0.2), torch.ones(signals.shape[:2]))
    assert selector.signals.threshold_shift.requires_grad
    gradient = torch.autograd.grad(loss, selector.signals.threshold_shift, allow_unused=True)[0]
    assert gradient is None


def test_unknown_bins_teach_nothing_and_reach_ends_where_it_says() -> None:
    context = SignalContext(2, 4)
    evidence, wanted = torch.randn(2, BINS, 2), torch.rand(2, BINS)
    known = torch.ones(2, BINS)
    known[:, 50:] = 0
    other = wanted.clone()
    other[:, 50:] = 1 - other[:, 50:]
    assert torch.equal(context.loss(evidence, wanted, known), context.loss(evidence, other, known))
    moved = evidence.clone()
    moved[:, 64] += 5
    change = (context.predicted(moved) - context.predicted(evidence)).abs().amax(0) > 0
    assert change.nonzero().flatten().tolist() == list(range(64 - REACH_BINS, 64 + REACH_BINS + 1))


def test_is_off_by_default_and_needs_a_teacher() -> None:
    assert not [name for name in made(0).state_dict() if "context" in name]
    assert [name for name in made(8).state_dict() if "context" in name]
    with pytest.raises(ConfigError, match="learns_signals"):
        made(8, learns_signals=False)


def test_a_posterior_of_both_views_holds_the_prior_once() -> None:
    selector = made(8)
    hidden = torch.zeros(1, BINS, 1)
    signals = torch.zeros(1, BINS, 2)
    with torch.no_grad():
        sequence, signal = selector.evidence.of_sequence(hidden), selector.evidence.of_signals(signals)
        chosen = selector.eval()(hidden, signals, torch.zeros(1, BINS), torch.zeros(1, BINS, dtype=torch.bool))
    prior = torch.logit(torch.tensor(selector.prior.mean))
    alone = sequence + prior  # what the sequence says by itself, its offset taken out
    torch.testing.assert_close(torch.logit(chosen.mean), alone + signal - prior, atol=1e-4, rtol=1e-4)
