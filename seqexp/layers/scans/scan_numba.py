"""The selective scan of Mamba-1 as a compiled loop for CPUs, float32, with a gradient written by hand.

Imported only where numba is installed. Channels are worked on in groups of 16, one or two vector registers wide; the
exponential is a polynomial because the compiler can then keep it in those registers. Threads come from a small pool
over sequences and channels, as many as torch uses, and not from numba's own runtime, which refuses to be called from
two threads at once, such as a training loop and its backward thread.

Axis letters of this file: L positions, D channels, N state size, W channels in a group, K chunks of T positions.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seqexp.layers.scans.backends import optional_modules

numba = optional_modules("selective_scan", "numba")[0]

_W = 16
_CHUNK = 64
Floats = NDArray[np.float32]


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile; keep the result on disk where some folder is writable."""
    # Sums may be reordered into vector lanes; NaN and infinity keep their meaning.
    options = {"nogil": True, "fastmath": {"contract", "nsz", "reassoc"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)


@_jit
def _exp(value: float) -> float:
    """e to the power of a float32 <= 0, to about 1e-7 relative; below -87, where float32 ends, e**-87."""
    # value = k ln 2 + r with |r| <= ln(2) / 2; ln 2 in two parts, so that r keeps its digits. Coefficients of e**r:
    # Cephes library, expf.
    value = max(value, np.float32(-87.0))
    k = np.floor(value * np.float32(1.44269504) + np.float32(0.5))
    r = value - k * np.float32(0.693359375) + k * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@_jit
def _forward(
    x: Floats, dt: Floats, A: Floats, B: Floats, C: Floats, state: Floats, entering: Floats, y: Floats, first: int,
    last: int,
) -> None:  # fmt: skip
    """Scan channels ``first`` to ``last`` of one sequence.

    ``x``, ``dt``, ``y`` (L, D); ``A``, ``state`` (N, D), the latter overwritten; ``B``, ``C`` (L, N); ``entering``
    (K, N, D) receives the state before each chunk, or has no rows.
    """
    size = A.shape[0]
    rates, held = np.empty((size, _W), np.float32), np.empty((size, _W), np.float32)
    step, written, total = np.empty(_W, np.float32), np.empty(_W, np.float32), np.empty(_W, np.float32)
    for start in range(0, x.shape[0], _CHUNK):
        for group in range(first, last, _W):
            lanes = slice(group, group + _W)
            rates[:], held[:] = A[:, lanes], state[:, lanes]
            if entering.shape[0]:
                entering[start // _CHUNK, :, lanes] = held
            for t in range(start, min(start + _CHUNK, x.shape[0])):
                for w in range(_W):
                    step[w] = dt[t, group + w]
                    written[w] = dt[t, group + w] * x[t, group + w]
                    total[w] = 0
                for n in range(size):
                    write, read = B[t, n], C[t, n]
                    for w in range(_W):
                        new = _exp(step[w] * rates[n, w]) * held[n, w] + written[w] * write
                        held[n, w] = new
                        total[w] += new * read
                for w in range(_W):
                    y[t, group + w] = total[w]
            state[:, lanes] = held


@_jit
def _rerun(
    x: Floats, dt: Floats, rates: Floats, B: Floats, start: int, end: int, group: int, decays: Floats, states: Floats
) -> None:
    """Decays (T, N, W) and states (T + 1, N, W) of a group over a chunk, from ``states[0]``."""
    step, written = np.empty(_W, np.float32), np.empty(_W, np.float32)
    for t in range(start, end):
        row = t - start
        for w in range(_W):
            step[w] = dt[t, group + w]
            written[w] = dt[t, group + w] * x[t, group + w]
        for n in range(rates.shape[0]):
            write = B[t, n]
            for w in range(_W):
                decay = _exp(step[w] * rates[n, w])
                decays[row, n, w] = decay
                states[row + 1, n, w] = decay * states[row, n, w] + written[w] * write


@_jit
def _backward(
    x: Floats, dt: Floats, A: Floats, B: Floats, C: Floats, entering: Floats, grad_y: Floats, grad_state: Floats,
    grad_x: Floats, grad_dt: Floats, grad_A: Floats, grad_B: Floats, grad_C: Floats, first: int, last: int,
) -> None:  # fmt: skip
    """Gradients of channels ``first`` to ``last`` of one sequence, chunk by chunk from the end.

    ``grad_state`` (N, D) holds the gradient of the last state and is overwritten with that of the first; ``grad_A``
    (N, D), ``grad_B`` and ``grad_C`` (L, N) are added to.
    """
    size = A.shape[0]
    shape = (size, _W)
    rates, carried, total_A = np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty(shape, np.float32)
    decays, states = np.empty((_CHUNK, *shape), np.float32), np.empty((_CHUNK + 1, *shape), np.float32)
    step, value, asked = np.empty(_W, np.float32), np.empty(_W, np.float32), np.empty(_W, np.float32)
    of_written, of_log = np.empty(_W, np.float32), np.empty(_W, np.float32)
    for chunk in range(entering.shape[0] - 1, -1, -1):
        start, end = chunk * _CHUNK, min((chunk + 1) * _CHUNK, x.shape[0])
        for group in range(first, last, _W):
            lanes = slice(group, group + _W)
            rates[:], carried[:], total_A[:] = A[:, lanes], grad_state[:, lanes], grad_A[:, lanes]
            states[0] = entering[chunk, :, lanes]
            _rerun(x, dt, rates, B, start, end, group, decays, states)
            for t in range(end - 1, start - 1, -1):
                row = t - start
                for w in range(_W):
                    step[w], value[w], asked[w] = dt[t, group + w], x[t, group + w], grad_y[t, group + w]
                    of_written[w], of_log[w] = 0, 0
                for n in range(size):
                    write, read = B[t, n], C[t, n]
                    sum_write, sum_read = np.float32(0), np.float32(0)
                    for w in range(_W):
                        grad = carried[n, w] + read * asked[w]
                        sum_read += states[row + 1, n, w] * asked[w]
                        sum_write += grad * step[w] * value[w]
                        of_written[w] += grad * write
                        decayed = grad * decays[row, n, w]
                        carried[n, w] = decayed
                        log = decayed * states[row, n, w]
                        of_log[w] += log * rates[n, w]
                        total_A[n, w] += log * step[w]
                    grad_B[t, n] += sum_write
                    grad_C[t, n] += sum_read
                for w in range(_W):
                    grad_x[t, group + w] = of_written[w] * step[w]
                    grad_dt[t, group + w] = of_written[w] * value[w] + of_log[w]
            grad_state[:, lanes], grad_A[:, lanes] = carried, total_A


def selective_scan(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """See :func:`seqexp.layers.scans.scan.selective_scan`; the chunk length is fixed here."""
    channels, dtype = x.shape[-1], x.dtype
    if initial_state is None:
        initial_state = x.new_zeros(x.shape[0], *A.shape, dtype=torch.float32)
    filled = [tensor.float() for tensor in (x, dt, A.t(), B, C, initial_state.transpose(1, 2))]
    if channels % _W:  # channels with dt 0 and state 0 stay 0
        for index in (0, 1, 2, 5):
            filled[index] = functional.pad(filled[index], (0, -channels % _W))
    y, state = _CompiledScan.apply(*(tensor.contiguous() for tensor in filled))
    return y[..., :channels].to(dtype), state[..., :channels].transpose(1, 2).contiguous()


class _CompiledScan(torch.autograd.Function):
    """All float32 and contiguous; ``A`` (N, D) and the states (B, N, D)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor
    ) -> tuple[Tensor, Tensor]:
        y, state = torch.empty_like(x), initial_state.clone()
        num_kept = -(-x.shape[1] // _CHUNK) if any(ctx.needs_input_grad) else 0
        entering = x.new_empty(len(x), num_kept, *A.shape)
        arrays = [tensor.detach().numpy() for tensor in (x, dt, B, C, state, entering, y)]

        def work(sequence: int, part: int, first: int, last: int) -> None:
            own = [array[sequence] for array in arrays]
            _forward(own[0], own[1], A.detach().numpy(), *own[2:], first, last)

        _share_out(work, len(x), x.shape[-1])
        ctx.save_for_backward(x, dt, A, B, C, entering)
        return y, state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor) -> tuple[Tensor | None, ...]:
        x, dt, A, B, C, entering = ctx.saved_tensors
        num_parts = _num_parts(len(x), x.shape[-1])
        grad_x, grad_dt = torch.empty_like(x), torch.empty_like(dt)
        grad_A = A.new_zeros(len(x), *A.shape)
        # Parts of a sequence run at the same time and share B and C: each has sums of its own.
        grad_B, grad_C = (B.new_zeros(len(B), num_parts, *B.shape[1:]) for _ in range(2))
        grad_initial = grad_state.clone(memory_format=torch.contiguous_format)
        tensors = (x, dt, B, C, entering, grad_y.contiguous(), grad_initial, grad_x, grad_dt, grad_A, grad_B, grad_C)
        arrays = [tensor.detach().numpy() for tensor in tensors]

        def work(sequence: int, part: int, first: int, last: int) -> None:
            own = [array[sequence] for array in arrays]
            _backward(own[0], own[1], A.detach().numpy(), *own[2:10], own[10][part], own[11][part], first, last)

        _share_out(work, len(x), x.shape[-1])
        return grad_x, grad_dt, grad_A.sum(0), grad_B.sum(1), grad_C.sum(1), grad_initial


def _num_parts(num_sequences: int, channels: int) -> int:
    """Parts each sequence's channels are cut into, so that every thread has work."""
    return max(1, min(channels // _W, -(-torch.get_num_threads() // max(1, num_sequences))))


def _share_out(work: Callable[[int, int, int, int], None], num_sequences: int, channels: int) -> None:
    """Call ``work(sequence, part, first channel, last channel)`` for all, on as many threads as torch uses."""
    num_parts = _num_parts(num_sequences, channels)
    groups = channels // _W
    bounds = [part * groups // num_parts * _W for part in range(num_parts + 1)]
    tasks = [(s, part, *bounds[part : part + 2]) for s in range(num_sequences) for part in range(num_parts)]
    if torch.get_num_threads() == 1:
        for task in tasks:
            work(*task)
        return
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for done in [pool.submit(work, *task) for task in tasks]:
            done.result()
