"""Run a per-position function over a long sequence in blocks that fit the processor's cache.

On a CPU, chains of cheap operations on (B, L, D) tensors are bound by memory: every operation reads and writes the
whole tensor and keeps a copy for backward. Here a chain runs block by block; backward keeps only the inputs and runs
each block's chain again while it is in cache. Accelerators get the plain function: they have the bandwidth and pay
per launch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_BLOCK_ELEMENTS = 2**17


def by_blocks(
    function: Callable[..., Tensor], sequences: Sequence[Tensor], parameters: Sequence[Tensor], halo: int = 0
) -> Tensor:
    """``function(*padded_sequences, *parameters)``, computed block by block on a CPU.

    Parameters
    ----------
    function : callable
        Takes the sequences with ``halo`` more positions in front, and the parameters; returns (B, L, ...). Output
        position ``t`` may depend on input positions ``t - halo`` to ``t`` only, and on no random numbers.
    sequences : sequence of Tensor, (B, L, ...)
        Equal B and L; positions before the first count as zeros.
    parameters : sequence of Tensor
        Whatever else the function needs, whole.
    halo : int
        Earlier positions an output depends on.

    Returns
    -------
    Tensor, (B, L, ...)
        Differentiable once in every tensor.
    """
    if sequences[0].device.type != "cpu":
        return function(*(_with_halo(tensor, 0, tensor.shape[1], halo) for tensor in sequences), *parameters)
    return _ByBlocks.apply(function, halo, len(sequences), *sequences, *parameters)


def _with_halo(tensor: Tensor, start: int, end: int, halo: int) -> Tensor:
    """Positions ``start - halo`` to ``end`` of (B, L, ...), zeros before the first."""
    missing = max(0, halo - start)
    part = tensor[:, max(0, start - halo) : end]
    return functional.pad(part, (0, 0) * (tensor.ndim - 2) + (missing, 0)) if missing else part


def _bounds(first: Tensor) -> list[tuple[int, int]]:
    length = first.shape[1]
    step = max(16, _BLOCK_ELEMENTS // max(1, first[:, :1].numel()))
    return [(start, min(start + step, length)) for start in range(0, length, step)]


class _ByBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: Callable[..., Tensor], halo: int, count: int, *tensors: Tensor) -> Tensor:
        ctx.function, ctx.halo, ctx.count = function, halo, count
        ctx.save_for_backward(*tensors)
        sequences, parameters = tensors[:count], tensors[count:]
        whole: Tensor | None = None
        for start, end in _bounds(sequences[0]):
            part = function(*(_with_halo(tensor, start, end, halo) for tensor in sequences), *parameters)
            if whole is None:
                whole = part.new_empty(part.shape[0], sequences[0].shape[1], *part.shape[2:])
            whole[:, start:end] = part
        return function(*tensors) if whole is None else whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        tensors: tuple[Tensor, ...] = ctx.saved_tensors
        halo, count = ctx.halo, ctx.count
        wanted = [index for index, is_needed in enumerate(ctx.needs_input_grad[3:]) if is_needed]
        # Sequences are written before they are added to: filling them with zeros first would cost as much as writing.
        make = (torch.empty_like, torch.zeros_like)
        totals = {index: make[index >= count](tensors[index]) for index in wanted}
        for start, end in _bounds(tensors[0]):
            with torch.enable_grad():
                inputs = [_with_halo(tensor, start, end, halo).detach() for tensor in tensors[:count]]
                inputs += [tensor.detach() for tensor in tensors[count:]]
                for index in wanted:
                    inputs[index].requires_grad_()
                part = ctx.function(*inputs)
            found = torch.autograd.grad(part, [inputs[index] for index in wanted], grad[:, start:end])
            for index, value in zip(wanted, found):
                if index < count:
                    totals[index][:, start:end] = value[:, halo:]
                    totals[index][:, max(0, start - halo) : start] += value[:, max(0, halo - start) : halo]
                else:
                    totals[index] += value
        return None, None, None, *(totals.get(index) for index in range(len(tensors)))
