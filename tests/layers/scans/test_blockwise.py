"""Running in blocks changes neither values nor gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from seqexp.layers.scans import blockwise
from seqexp.layers.scans.blockwise import by_blocks


def moving_sum(x: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """Two earlier positions and the current one, weighted and bent."""
    x = x * scale[..., None]
    length = x.shape[1] - 2
    return torch.tanh(sum(x[:, shift : shift + length] * weight[shift] for shift in range(3)))


def inputs(length: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    shapes = [(2, length, 5), (2, length), (3, 5)]
    return [torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("length", [1, 2, 16, 17, 100])
@pytest.mark.parametrize("budget", [1, 200, 2**20])
def test_values_and_gradients(length: int, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockwise, "_BLOCK_ELEMENTS", budget)
    x, scale, weight = inputs(length)
    found = by_blocks(moving_sum, [x, scale], [weight], halo=2)
    padded = [torch.nn.functional.pad(x, (0, 0, 2, 0)), torch.nn.functional.pad(scale, (2, 0))]
    expected = moving_sum(*padded, weight)
    torch.testing.assert_close(found, expected)
    outer = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad(found, [x, scale, weight], outer), torch.autograd.grad(expected, [x, scale, weight], outer)
    ):
        torch.testing.assert_close(one, other)


def test_gradcheck_with_some_inputs_fixed() -> None:
    x, scale, weight = inputs(40)
    assert torch.autograd.gradcheck(lambda s: by_blocks(moving_sum, [x.detach(), s], [weight.detach()], 2), (scale,))


def test_keeps_only_the_inputs() -> None:
    stored: list[int] = []
    x, scale, weight = inputs(1000)

    def note(tensor: Tensor) -> Tensor:
        stored.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        by_blocks(moving_sum, [x, scale], [weight], 2)
    assert sum(stored) == x.numel() + scale.numel() + weight.numel()
