"""Gradient x input against what is known of a linear reader and against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_seq2exp import BIN_BP, BINS, ROWS, WIDTH, conv, make_batch
from torch import Tensor

from seqexp.dna.attribution.gradients import bin_attributions, corrected
from seqexp.dna.encoders.conv import SequenceStem, SignalStem
from seqexp.dna.heads.expression import ExpressionHead
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.models.masked import MaskedExpression


def reader() -> MaskedExpression:
    torch.manual_seed(0)
    stem = SequenceStem(WIDTH, BIN_BP, kernel_bp=BIN_BP, stride_bp=BIN_BP)
    return MaskedExpression(stem, conv(), ExpressionHead(WIDTH, dropout=0.0), SignalStem(2, WIDTH)).eval()


def test_correction_takes_what_all_bases_share_and_nothing_twice() -> None:
    gradient = torch.randn(2, 5, 4)
    once = corrected(gradient)
    torch.testing.assert_close(once.sum(-1), torch.zeros(2, 5), atol=1e-6, rtol=0)
    torch.testing.assert_close(corrected(once), once)
    torch.testing.assert_close(corrected(gradient + 7.0), once, atol=1e-5, rtol=1e-5)


class Linear(MaskedExpression):
    """A reader whose prediction is a weighted sum of its input."""

    def predict_inputs(self, batch: SequenceBatch, one_hot: Tensor, signals: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        of_bases = torch.randn(one_hot.shape[1:], generator=generator)
        of_signals = torch.randn(signals.shape[1:], generator=generator)
        self.weights = of_bases, of_signals
        return ((one_hot * of_bases).sum((1, 2)) + (signals * of_signals).sum((1, 2))).unsqueeze(1)


def test_a_linear_reader_gets_its_own_weights() -> None:
    net, batch = reader(), make_batch()
    net.__class__ = Linear
    index, scores = bin_attributions(net, [batch])
    of_bases, of_signals = net.weights
    centred = of_bases - of_bases.mean(-1, keepdim=True)
    by_base = (batch.one_hot() * centred).sum(-1).abs().unflatten(1, (BINS, BIN_BP)).sum(-1)
    expected = by_base + (batch.signals * of_signals).abs().sum(-1)
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-4)
    assert index.tolist() == list(range(ROWS))


def test_signals_of_a_network_by_finite_differences() -> None:
    net, batch = reader(), make_batch()
    one_hot, signals = batch.one_hot(), batch.signals.clone().requires_grad_()
    gradient = torch.autograd.grad(net.predict_inputs(batch, one_hot, signals).sum(), signals)[0]
    row, place, track = np.unravel_index(int(gradient.abs().argmax()), gradient.shape)
    step = torch.zeros_like(signals)
    step[row, place, track] = 0.004
    with torch.no_grad():
        above, below = (net.predict_inputs(batch, one_hot, signals + move).sum() for move in (step, -step))
        change = above - below
    assert float(change) / 0.008 == pytest.approx(float(gradient[row, place, track]), rel=0.02)
