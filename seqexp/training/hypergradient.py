"""Gradient of an outer loss with respect to outer parameters, through steps of the inner ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from seqexp.objectives.contracts import Losses, TwoLevel


class _Calls(nn.Module):
    """Calls a method of a network by name, since ``functional_call`` knows ``forward`` alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, method: str, batch: Any) -> Losses:
        return getattr(self.network, method)(batch)


def unrolled_hypergradient(
    network: TwoLevel,
    batch: Any,
    outer_batch: Any,
    total: Callable[[Losses], Tensor],
    *,
    num_steps: int,
    lr: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Outer loss after steps of gradient descent on the inner one, and its gradient through them.

    ``theta_{t+1} = theta_t - lr * d inner(theta_t, phi) / d theta``, then ``d outer(theta_T, phi) / d phi``, exact for
    these T steps. Parameters and buffers of the network stay as they are.

    Parameters
    ----------
    network : TwoLevel
        An ``nn.Module``.
    batch, outer_batch : batch
        Rows of the inner loss, the same in every step, and of the outer one.
    total : callable
        Adds up named losses.
    num_steps : int
        T, at least 1.
    lr : float
        Of the inner steps; weight decay and momentum of the inner optimiser have no part in them.

    Returns
    -------
    (Tensor (), dict of str to Tensor)
        Outer loss, and a gradient for each outer parameter by name; zeros for one that has no part in it.
    """
    calls = _Calls(network)  # type: ignore[arg-type]
    named = {name: p.detach() for name, p in calls.named_parameters()}
    is_trained = {name for name, p in calls.named_parameters() if p.requires_grad}
    outer = {
        f"network.{name}": named[f"network.{name}"].clone().requires_grad_() for name in network.outer_parameters()
    }
    inner = {name: named[name].clone().requires_grad_() for name in named if name in is_trained - outer.keys()}
    fixed = {name: value for name, value in named.items() if name not in outer and name not in inner}
    fixed |= {name: buffer.clone() for name, buffer in calls.named_buffers()}

    def value_of(method: str, rows: Any) -> Tensor:
        return total(functional_call(calls, {**fixed, **inner, **outer}, (method, rows)))

    device = next(iter(outer.values())).device
    # Only the plain kernel of attention can be differentiated twice; halves would round small gradients away.
    with sdpa_kernel(SDPBackend.MATH), torch.autocast(device.type, enabled=False):
        for _ in range(num_steps):
            slopes = torch.autograd.grad(
                value_of("losses", batch), list(inner.values()), create_graph=True, allow_unused=True
            )
            moved = zip(inner.items(), slopes, strict=True)
            inner = {name: value if slope is None else value - lr * slope for (name, value), slope in moved}
        value = value_of("outer_losses", outer_batch)
        gradients = torch.autograd.grad(value, list(outer.values()), allow_unused=True)
    found = {
        name.removeprefix("network."): torch.zeros_like(p) if gradient is None else gradient
        for (name, p), gradient in zip(outer.items(), gradients, strict=True)
    }
    return value.detach(), found
