"""The contrastive loss, held to its definition, in one piece and in chunks."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import logsumexp

from seqexp.layers.contrast import contrastive_loss


def views(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, 4, generator=generator), torch.randn(rows, 4, generator=generator)


def test_value_is_that_of_the_definition() -> None:
    first, second = views(9)
    logits = first.double().numpy() @ second.double().numpy().T * 1.7
    own = np.diag(logits)
    expected = np.mean((logsumexp(logits, axis=1) - own + logsumexp(logits, axis=0) - own) / 2)
    np.testing.assert_allclose(contrastive_loss(first, second, torch.tensor(1.7)).item(), expected, rtol=1e-5)
    alike = torch.zeros(9, 4)
    assert math.isclose(contrastive_loss(alike, alike, torch.tensor(1.0)).item(), math.log(9), rel_tol=1e-6)


def test_chunks_give_the_same_value_and_gradients() -> None:
    found = []
    for chunk in (100, 4):
        first, second = (view.requires_grad_() for view in views(10))
        scale = torch.tensor(1.7, requires_grad=True)
        loss = contrastive_loss(first, second, scale, chunk)
        found.append((loss, *torch.autograd.grad(loss, (first, second, scale))))
    for whole, chunked in zip(*found):
        torch.testing.assert_close(whole, chunked)
