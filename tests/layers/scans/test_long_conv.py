"""The long convolution against a direct sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqexp.layers.scans import long_conv as module
from seqexp.layers.scans.long_conv import long_conv


@pytest.mark.parametrize("length", [1, 2, 7, 64, 101])
def test_equals_numpy_convolution(length: int) -> None:
    rng = np.random.default_rng(0)
    x, taps = rng.standard_normal((2, 3, length)), rng.standard_normal((3, length))
    y = long_conv(torch.tensor(x).float(), torch.tensor(taps).float()).numpy()
    for b in range(2):
        for d in range(3):
            expected = np.convolve(x[b, d], taps[d])[:length]
            np.testing.assert_allclose(y[b, d], expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("budget", [1, 2**24])
def test_gradcheck(budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one group of channels and in many."""
    monkeypatch.setitem(module._GROUP_ELEMENTS, "cpu", budget)
    torch.manual_seed(0)
    x = torch.randn(2, 3, 9, dtype=torch.float64, requires_grad=True)
    taps = torch.randn(3, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(long_conv, (x, taps))


def test_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="taps"):
        long_conv(torch.zeros(2, 3, 8), torch.zeros(3, 7))


def test_half_precision_is_computed_in_float32() -> None:
    x = torch.randn(1, 2, 500).bfloat16()
    taps = torch.rand(2, 500)
    y = long_conv(x, taps)
    assert y.dtype == torch.bfloat16
    expected = long_conv(x.double(), taps.double())
    assert ((y.double() - expected).abs().max() / expected.abs().max()) < 5e-3
