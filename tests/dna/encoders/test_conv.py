"""Convolutional stems and encoder: shapes, what a gate hides, reading frames, words."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.conv import ConvEncoder, SequenceStem, SignalStem, _words


def bases(*shape: int, seed: int = 0) -> torch.Tensor:
    codes = torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(seed))
    return functional.one_hot(codes, 4).float()


@pytest.fixture
def encoder() -> ConvEncoder:
    torch.manual_seed(0)
    return ConvEncoder(8, dilations=(1, 2, 4), dropout=0.0).eval()


def test_closed_position_is_invisible_to_all_others_and_keeps_its_own_value(encoder: ConvEncoder) -> None:
    x, gate = torch.randn(2, 20, 8), torch.ones(2, 20)
    gate[:, 7] = 0.0
    changed = x.clone()
    changed[:, 7] = torch.randn(2, 8)
    before, after = encoder(x, gate), encoder(changed, gate)
    others = torch.arange(20) != 7
    torch.testing.assert_close(before[:, others], after[:, others])
    torch.testing.assert_close(before[:, 7], encoder.norm(x.transpose(1, 2)).transpose(1, 2)[:, 7])


def test_padding_closed_by_the_gate_changes_nothing(encoder: ConvEncoder) -> None:
    x = torch.randn(2, 20, 8)
    padded = torch.cat([x, torch.randn(2, 5, 8)], dim=1)
    gate = torch.cat([torch.ones(2, 20), torch.zeros(2, 5)], dim=1)
    torch.testing.assert_close(encoder(padded, gate)[:, :20], encoder(x))


def test_half_open_gate_differs_from_both_ends_and_passes_gradient(encoder: ConvEncoder) -> None:
    x, gate = torch.randn(1, 12, 8), torch.full((1, 12), 0.5, requires_grad=True)
    half, full, none = encoder(x, gate), encoder(x), encoder(x, torch.zeros(1, 12))
    assert (half - full).abs().max() > 1e-2
    assert (half - none).abs().max() > 1e-2
    half.square().sum().backward()
    assert gate.grad is not None
    assert (gate.grad != 0).all()


def test_receptive_field_is_what_is_stated(encoder: ConvEncoder) -> None:
    x = torch.randn(1, 41, 8, requires_grad=True)
    encoder(x)[0, 20, 0].backward()  # the sum over channels is constant after the norm
    assert x.grad is not None
    touched = x.grad[0].abs().sum(-1).nonzero().flatten()
    assert int(touched[-1] - touched[0]) + 1 == encoder.receptive_field == 15


@pytest.mark.parametrize(("bin_bp", "stride_bp", "word_bp", "kernel_bp"), [(1, 1, 0, 7), (12, 3, 3, 15), (8, 8, 2, 4)])
def test_stem_gives_one_token_per_bin(bin_bp: int, stride_bp: int, word_bp: int, kernel_bp: int) -> None:
    stem = SequenceStem(6, bin_bp, kernel_bp, stride_bp, word_bp=word_bp)
    assert stem(bases(2, 96)).shape == (2, 96 // bin_bp, 6)


def test_stem_token_sees_its_own_bin() -> None:
    """A base changes the token of its bin most of all, so tokens lie where their bases lie."""
    torch.manual_seed(0)
    stem = SequenceStem(16, bin_bp=12, kernel_bp=9, stride_bp=3, word_bp=3, num_blocks=0)
    x = bases(1, 120)
    changed = x.clone()
    changed[0, 53] = changed[0, 53].roll(1)  # in bin 4
    assert (stem(x) - stem(changed)).abs().sum(-1).argmax() == 4


def test_stem_with_step_three_reads_the_same_frame_after_a_shift_of_three() -> None:
    torch.manual_seed(0)
    stem = SequenceStem(8, bin_bp=3, kernel_bp=9, stride_bp=3, word_bp=3, num_blocks=0)
    x = bases(1, 120)
    torch.testing.assert_close(stem(x)[:, 11:19], stem(x[:, 3:])[:, 10:18])


def test_words_are_one_hot_words_and_an_unknown_base_makes_none() -> None:
    x = bases(3, 30)
    codes = x.argmax(-1)
    words = _words(x.transpose(1, 2), 3, 3)
    expected = codes[:, 0::3] * 16 + codes[:, 1::3] * 4 + codes[:, 2::3]
    assert torch.equal(words.argmax(1), expected)
    assert torch.equal(words.sum(1), torch.ones(3, 10))
    x[0, 4] = 0.0
    assert _words(x.transpose(1, 2), 3, 3)[0, :, 1].sum() == 0.0


def test_signals_are_compressed_in_units_of_the_scale_and_missing_counts_as_zero() -> None:
    stem = SignalStem(2, 4)
    stem.calibrate(torch.tensor([5.0, 0.0]))
    values = torch.tensor([[[5.0, 0.0], [0.0, 1.0], [float("nan"), -1.0]]])
    expected = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]])
    torch.testing.assert_close(stem.compress(values), expected)
    assert stem(values).shape == (1, 3, 4)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="kernel_size 4"):
        ConvEncoder(8, kernel_size=4)
    with pytest.raises(ConfigError, match="dilations"):
        ConvEncoder(8, dilations=(1, 0))
    with pytest.raises(ConfigError, match="stride_bp 5"):
        SequenceStem(8, bin_bp=12, stride_bp=5)
    with pytest.raises(ConfigError, match="window of 100 bp"):
        SequenceStem(8, bin_bp=12, stride_bp=3)(bases(1, 100))
