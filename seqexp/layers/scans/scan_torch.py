"""The selective scan of Mamba-1 in plain torch: block by block, with a gradient written by hand.

A block is as many positions as fit the processor's cache with their states. Inside a block everything but the
recurrence itself is one operation over all positions; the recurrence is one fused multiply-add per position, in place.
Only the state that enters each block is kept for backward, which recomputes the block from its inputs, so nothing of
size (L, D, N) exists at any time.

Axis letters of this file: T positions in a block, N state size, D channels. Blocks are laid out (T, B, N, D): time
first, so that a step is one contiguous piece, and channels last, so that sums over states are matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqexp.layers.scans.scan_common import state_dtype

# Elements of one (T, B, N, D) tensor of a block: 1 MB on a CPU (four of them live at once), 1 GB on an accelerator.
_BLOCK_ELEMENTS = {"cpu": 2**18, "accelerator": 2**28}
_BLOCK_RANGE = (16, 1024)  # positions: fewer would make the kept states large, more would not be faster


def selective_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """See :func:`seqexp.layers.scans.scan.selective_scan`; ``chunk`` is the number of positions in a block."""
    if initial_state is None:
        initial_state = x.new_zeros(x.shape[0], *A.shape, dtype=state_dtype(x))
    return _BlockedScan.apply(x, dt, A, B, C, initial_state, chunk or _block_length(x, A))


def _block_length(x: Tensor, A: Tensor) -> int:
    budget = _BLOCK_ELEMENTS["cpu" if x.device.type == "cpu" else "accelerator"]
    low, high = _BLOCK_RANGE
    return min(max(budget // max(1, x.shape[0] * A.numel()), low), high)


class _Space(NamedTuple):
    """The large tensors of a block and their rows, reused by every block: fresh memory costs more than the sums."""

    decay: Tensor  # (T, B, N, D)
    states: Tensor  # (T + 1, B, N, D)
    grad: Tensor  # (T, B, N, D)
    rows: tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]  # (B, N, D) each, views of the three


def _make_space(length: int, state: Tensor) -> _Space:
    """Space for blocks of ``length`` positions of a scan with states like ``state`` (B, N, D)."""
    decay, states, grad = (state.new_empty(length + extra, *state.shape) for extra in (0, 1, 0))
    return _Space(decay, states, grad, (decay.unbind(0), states.unbind(0), grad.unbind(0)))


class _Block(NamedTuple):
    """Inputs of a block in the dtype of the state, shaped to broadcast to (T, B, N, D)."""

    x: Tensor  # (T, B, 1, D)
    dt: Tensor  # (T, B, 1, D)
    write: Tensor  # (T, B, N, 1): B
    read: Tensor  # (T, B, 1, N): C
    decay: Tensor  # (T, B, N, D): exp(dt A)
    states: Tensor  # (T + 1, B, N, D): before the first position and after each


def _run_block(sequences: list[Tensor], rates: Tensor, entering: Tensor, space: _Space) -> _Block:
    """Compute decays and states from slices (B, T, ...) of x, dt, B, C, ``rates`` (N, D) and the entering state."""
    x, dt, write, read = (tensor.to(entering.dtype).transpose(0, 1).contiguous() for tensor in sequences)
    x, dt, write, read = x[:, :, None], dt[:, :, None], write[..., None], read[:, :, None]
    decay, states = space.decay[: len(x)], space.states[: len(x) + 1]
    torch.mul(dt, rates, out=decay).exp_()
    states[0] = entering
    torch.mul(dt * x, write, out=states[1:])
    decays, steps, _ = space.rows
    for decay_t, before, after in zip(decays[: len(x)], steps, steps[1:]):
        after.addcmul_(decay_t, before)
    return _Block(x, dt, write, read, decay, states)


class _BlockGradients(NamedTuple):
    """Gradients of a block; time first."""

    x: Tensor  # (T, B, D)
    dt: Tensor  # (T, B, D)
    rates: Tensor  # (N, D)
    write: Tensor  # (T, B, N)
    read: Tensor  # (T, B, N)
    entering: Tensor  # (B, N, D)


def _block_backward(
    block: _Block, rates: Tensor, grad_y: Tensor, grad_leaving: Tensor, space: _Space
) -> _BlockGradients:
    """Walk a block backwards, ``grad_y`` (T, B, 1, D) and ``grad_leaving`` (B, N, D) given.

    The gradient of a state is what its own output asks for plus the decayed gradient of the next state.
    """
    grad_read = block.states[1:] @ grad_y.transpose(-1, -2)
    grad = torch.mul(block.read.transpose(-1, -2), grad_y, out=space.grad[: len(grad_y)])
    grad[-1] += grad_leaving
    decays, _, steps = space.rows
    for number in range(len(grad) - 1, 0, -1):
        steps[number - 1].addcmul_(decays[number], steps[number])
    written = block.dt * block.x
    grad_write = grad @ written.transpose(-1, -2)
    grad_written = (block.write.transpose(-1, -2) @ grad)[:, :, 0]
    decayed = grad.mul_(block.decay)
    entering = decayed[0].clone()
    grad_log = decayed.mul_(block.states[:-1])  # of the exponent dt * A
    grad_dt = torch.mul(grad_log, rates, out=block.decay).sum(2) + grad_written * block.x[:, :, 0]
    grad_rates = grad_log.mul_(block.dt).sum((0, 1))
    grad_x = grad_written * block.dt[:, :, 0]
    return _BlockGradients(grad_x, grad_dt, grad_rates, grad_write[..., 0], grad_read[..., 0], entering)


class _BlockedScan(torch.autograd.Function):
    """Walks over blocks, forwards and then backwards."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor, chunk: int
    ) -> tuple[Tensor, Tensor]:
        dtype = state_dtype(x)
        starts = range(0, x.shape[1], chunk)
        rates, state = A.to(dtype).t().contiguous(), initial_state.to(dtype).transpose(1, 2)
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        kept = any(ctx.needs_input_grad)
        entering = state.new_empty(len(starts) if kept else 0, *state.shape)
        space = _make_space(min(chunk, x.shape[1]), state)
        for number, start in enumerate(starts):
            if kept:
                entering[number] = state
            block = _run_block([tensor[:, start : start + chunk] for tensor in (x, dt, B, C)], rates, state, space)
            y[:, start : start + chunk] = (block.read @ block.states[1:])[:, :, 0].transpose(0, 1)
            state = block.states[-1].clone()
        ctx.save_for_backward(x, dt, A, B, C, entering)
        ctx.chunk, ctx.initial_dtype = chunk, initial_state.dtype
        return y, state.transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor) -> tuple[Tensor | None, ...]:
        x, dt, A, B, C, entering = ctx.saved_tensors
        dtype = state_dtype(x)
        rates, grad = A.to(dtype).t().contiguous(), grad_state.to(dtype).transpose(1, 2)
        grads = [torch.empty_like(tensor) for tensor in (x, dt, B, C)]
        grad_rates = torch.zeros_like(rates)
        space = _make_space(min(ctx.chunk, x.shape[1]), grad)
        for number in range(len(entering) - 1, -1, -1):
            part = slice(number * ctx.chunk, (number + 1) * ctx.chunk)
            block = _run_block([tensor[:, part] for tensor in (x, dt, B, C)], rates, entering[number], space)
            block_grad_y = grad_y[:, part].to(dtype).transpose(0, 1).contiguous()[:, :, None]
            found = _block_backward(block, rates, block_grad_y, grad, space)
            grad = found.entering
            grad_rates += found.rates
            for whole, piece in zip(grads, (found.x, found.dt, found.write, found.read)):
                whole[:, part] = piece.transpose(0, 1)
        grad_x, grad_dt, grad_B, grad_C = grads
        grad_initial = grad.transpose(1, 2).to(ctx.initial_dtype)
        return grad_x, grad_dt, grad_rates.t().to(A.dtype), grad_B, grad_C, grad_initial, None
