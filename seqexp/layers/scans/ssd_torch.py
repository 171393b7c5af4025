"""The scan of Mamba-2 in plain torch: chunked, in memory linear in length, with a gradient written by hand.

Inside a chunk of Q positions the sum over earlier positions is a masked (Q, Q) matrix product; between chunks only
the state travels. Chunks are worked through in blocks small enough for the processor's cache, and the gradient is
written by hand: backward recomputes each block from the inputs and the state that entered it, so nothing of size
(L, Q) or (L, N, P) is ever stored. Every exponent is a sum of decays that lie between two positions, hence <= 0.

Axis letters of this file: B batch, L positions, H heads, P channels per head, G groups of heads that share B and C,
R heads per group, N state size, K chunks in a block, Q positions in a chunk.

Source: Dao and Gu, "Transformers are SSMs" (2024), sections 5 to 7; the backward pass is derived here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from einops import rearrange
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seqexp.layers.scans.scan_common import state_dtype

# Elements of the (K, H, Q, Q) decay matrices a block may hold: a few MB on a CPU (cache), 1 GB on an accelerator
# (few kernel launches).
_BLOCK_ELEMENTS = {"cpu": 2**18, "accelerator": 2**28}
_MAX_BLOCK_CHUNKS = 64  # the step between chunks is quadratic in their number inside a block


_DEFAULT_CHUNK = 64


def ssd(
    x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor | None, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """See :func:`seqexp.layers.scans.ssd.ssd`."""
    batch, length, heads, channels = x.shape
    if initial_state is None:
        initial_state = x.new_zeros(batch, heads, B.shape[-1], channels, dtype=state_dtype(x))
    chunk = max(1, min(chunk or _DEFAULT_CHUNK, length))
    padding = -length % chunk
    if padding:  # dt 0 makes the padded positions no-ops
        x, B, C = (functional.pad(tensor, (0, 0, 0, 0, 0, padding)) for tensor in (x, B, C))
        dt = functional.pad(dt, (0, 0, 0, padding))
    y, state = _ChunkedScan.apply(x, dt, A, B, C, initial_state, chunk)
    return y[:, :length], state


class _Block(NamedTuple):
    """A block of K chunks, in the dtype of the state, laid out for matrix products."""

    dt: Tensor  # (B, K, Q, G, R)
    xdt: Tensor  # (B, K, Q, G, R, P): x times dt
    write: Tensor  # (B, K, G, Q, N): B
    read: Tensor  # (B, K, G, Q, N): C
    since_start: Tensor  # (B, K, Q, G, R): exp of the decay from the chunk's start through a position
    until_end: Tensor  # (B, K, Q, G, R): exp of the decay after a position, to the chunk's end
    between: Tensor  # (B, K, G, R, Q, Q): exp of the decay from position j to i, 0 where j > i
    carry: Tensor  # (B, G, R, K+1, K+1): exp of the decay from chunk boundary k to m, 0 where k > m


def _load_block(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int) -> _Block:
    """Cast, reshape and compute all decays of one block; ``x`` etc. are slices along L."""
    dtype = state_dtype(x)
    batch, length, heads, _ = x.shape
    groups = B.shape[2]
    shape = (batch, length // chunk, chunk, groups, heads // groups)
    dt = dt.to(dtype).reshape(shape)
    xdt = x.to(dtype).reshape(*shape, -1) * dt[..., None]
    write, read = (tensor.to(dtype).reshape(*shape[:4], -1).transpose(2, 3) for tensor in (B, C))
    logs = (dt * A.to(dtype).view(shape[3:])).cumsum(2)
    total = logs[:, :, -1:]
    by_head = logs.permute(0, 1, 3, 4, 2)
    between = by_head[..., :, None] - by_head[..., None, :]
    future = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).triu(1)
    between = between.masked_fill_(future, -torch.inf).exp_()
    carry = _sums_between(total[:, :, 0].permute(0, 2, 3, 1)).exp_()
    return _Block(dt, xdt, write, read, logs.exp(), (total - logs).exp_(), between, carry)


def _sums_between(steps: Tensor) -> Tensor:
    """Sums of ``steps`` (..., K) from boundary k to boundary m: (..., K+1, K+1), -inf where k > m.

    Summed directly instead of as a difference of running totals, which would lose digits over a long block.
    """
    count = steps.shape[-1] + 1
    lower = torch.ones(count, count, dtype=torch.bool, device=steps.device).tril()
    rows = functional.pad(steps, (1, 0))[..., :, None].expand(*steps.shape[:-1], count, count)
    return rows.masked_fill(~lower.tril(-1), 0).cumsum(-2).masked_fill_(~lower, -torch.inf)


def _columns(tensor: Tensor) -> Tensor:
    """(B, K, Q, G, R, P) to (B, K, G, Q, R*P): all heads of a group side by side, one matrix product for all."""
    return rearrange(tensor, "b k q g r p -> b k g q (r p)")


def _rows(tensor: Tensor, like: Tensor) -> Tensor:
    """Inverse of :func:`_columns`."""
    return rearrange(tensor, "b k g q (r p) -> b k q g r p", r=like.shape[4])


def _heads_first(tensor: Tensor) -> Tensor:
    """(B, K, Q, G, R, P) to (B, K, G, R, Q, P)."""
    return rearrange(tensor, "b k q g r p -> b k g r q p")


def _carry_states(carry: Tensor, states: Tensor, heads: int) -> Tensor:
    """Accumulate (B, K+1, G, N, R*P) states over chunk boundaries with ``carry`` (B, G, R, K+1, K+1)."""
    split = states.unflatten(-1, (heads, -1))
    return torch.einsum("bgrmk,bkgnrp->bmgnrp", carry, split).flatten(-2)


def _boundary_states(block: _Block, entering: Tensor) -> Tensor:
    """States at the K+1 chunk boundaries, (B, K+1, G, N, R*P), from the one entering the block (B, G, N, R*P)."""
    written = block.write.transpose(-1, -2) @ _columns(block.xdt * block.until_end[..., None])
    return _carry_states(block.carry, torch.cat([entering[:, None], written], 1), block.dt.shape[-1])


def _block_forward(block: _Block, entering: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs of a block (B, K, Q, G, R, P) and the state that leaves it (B, G, N, R*P)."""
    states = _boundary_states(block, entering)
    scores = block.read @ block.write.transpose(-1, -2)
    inside = (block.between * scores[:, :, :, None]) @ _heads_first(block.xdt)
    before = _rows(block.read @ states[:, :-1], block.xdt) * block.since_start[..., None]
    return before + inside.permute(0, 1, 4, 2, 3, 5), states[:, -1]


class _BlockGradients(NamedTuple):
    xdt: Tensor  # (B, K, Q, G, R, P)
    log_decay: Tensor  # (B, K, Q, G, R): with respect to dt * A
    write: Tensor  # (B, K, G, Q, N)
    read: Tensor  # (B, K, G, Q, N)
    entering: Tensor  # (B, G, N, R*P)


def _block_backward(block: _Block, entering: Tensor, grad_y: Tensor, grad_leaving: Tensor) -> _BlockGradients:
    """Gradients of one block, recomputed from its inputs.

    Every term of y_i carries exp(s_i) and every term of x_j carries exp(-s_j), with s the running sum of the log
    decays in the chunk, so the gradient of s is a difference of two inner products and no (Q, Q) gradient of the
    decay matrix is needed. The terms i = j do not depend on s and are left out instead of being subtracted.
    """
    heads = block.dt.shape[-1]
    states = _boundary_states(block, entering)
    scaled_grad = grad_y * block.since_start[..., None]
    into_states = torch.cat([block.read.transpose(-1, -2) @ _columns(scaled_grad), grad_leaving[:, None]], 1)
    grad_states = _carry_states(block.carry.transpose(-1, -2), into_states, heads)
    # Between chunks: y = read @ state, state = writeᵀ @ x.
    before, after = states[:, :-1], grad_states[:, 1:]
    grad_read = _columns(scaled_grad) @ before.transpose(-1, -2)
    grad_log = (scaled_grad * _rows(block.read @ before, grad_y)).sum(-1)
    grad_xdt = _rows(block.write @ after, grad_y) * block.until_end[..., None]
    grad_write = _columns(block.xdt * block.until_end[..., None]) @ after.transpose(-1, -2)
    written = (block.xdt * grad_xdt).sum(-1)
    grad_log = grad_log - written
    kept = (before * after).unflatten(-1, (heads, -1)).sum((-3, -1)) * block.since_start[:, :, -1]
    grad_log[:, :, -1] += kept + written.sum(2)
    # Inside chunks: y = (between * scores) @ x.
    by_head = _heads_first(grad_y)
    grad_weights = by_head @ _heads_first(block.xdt).transpose(-1, -2)
    grad_weights *= block.between
    grad_scores = grad_weights.sum(3)
    grad_read = grad_read + grad_scores @ block.write
    grad_write = grad_write + grad_scores.transpose(-1, -2) @ block.read
    scores = (block.read @ block.write.transpose(-1, -2))[:, :, :, None]
    grad_xdt += ((block.between * scores).transpose(-1, -2) @ by_head).permute(0, 1, 4, 2, 3, 5)
    grad_weights *= scores
    grad_weights.diagonal(dim1=-2, dim2=-1).zero_()
    grad_log += (grad_weights.sum(-1) - grad_weights.sum(-2)).permute(0, 1, 4, 2, 3)
    grad_log = grad_log.flip(2).cumsum(2).flip(2)
    return _BlockGradients(grad_xdt, grad_log, grad_write, grad_read, grad_states[:, 0])


class _ChunkedScan(torch.autograd.Function):
    """Walks over blocks of chunks, forwards and then backwards; L must be a multiple of ``chunk``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor, chunk: int
    ) -> tuple[Tensor, Tensor]:
        bounds = _block_bounds(x, chunk)
        state = _pack_state(initial_state.to(state_dtype(x)), B.shape[2])
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        entering = state.new_empty(len(bounds), *state.shape)
        for number, (start, end) in enumerate(bounds):
            part = slice(start, end)
            entering[number] = state
            block = _load_block(x[:, part], dt[:, part], A, B[:, part], C[:, part], chunk)
            block_y, state = _block_forward(block, state)
            y[:, part] = block_y.reshape(y[:, part].shape)
        ctx.save_for_backward(x, dt, A, B, C, entering)
        ctx.chunk, ctx.state_dtype = chunk, initial_state.dtype
        return y, _unpack_state(state, x.shape[2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_state: Tensor) -> tuple[Tensor | None, ...]:
        x, dt, A, B, C, entering = ctx.saved_tensors
        dtype = state_dtype(x)
        grad_x, grad_dt, grad_B, grad_C = (torch.empty_like(tensor) for tensor in (x, dt, B, C))
        grad_A = torch.zeros_like(A, dtype=dtype)
        grad = _pack_state(grad_state.to(dtype), B.shape[2])
        for (start, end), state in reversed(list(zip(_block_bounds(x, ctx.chunk), entering))):
            part = slice(start, end)
            block = _load_block(x[:, part], dt[:, part], A, B[:, part], C[:, part], ctx.chunk)
            block_grad_y = grad_y[:, part].to(dtype).reshape(block.xdt.shape)
            found = _block_backward(block, state, block_grad_y, grad)
            grad = found.entering
            grad_x[:, part] = (found.xdt * block.dt[..., None]).reshape(grad_x[:, part].shape)
            through_x = (found.xdt.reshape(grad_x[:, part].shape) * x[:, part]).sum(-1)
            log_decay = found.log_decay.reshape(through_x.shape)
            grad_dt[:, part] = through_x + log_decay * A
            grad_A += (log_decay * dt[:, part]).sum((0, 1))
            grad_B[:, part] = found.write.transpose(2, 3).reshape(grad_B[:, part].shape)
            grad_C[:, part] = found.read.transpose(2, 3).reshape(grad_C[:, part].shape)
        grad_initial = _unpack_state(grad, x.shape[2]).to(ctx.state_dtype)
        return grad_x, grad_dt, grad_A.to(A.dtype), grad_B, grad_C, grad_initial, None


def _block_bounds(x: Tensor, chunk: int) -> list[tuple[int, int]]:
    """Start and end positions of the blocks the scan walks over."""
    batch, length, heads, _ = x.shape
    budget = _BLOCK_ELEMENTS["cpu" if x.device.type == "cpu" else "accelerator"]
    chunks = min(max(1, budget // max(1, batch * heads * chunk * chunk)), _MAX_BLOCK_CHUNKS)
    step = chunks * chunk
    return [(start, min(start + step, length)) for start in range(0, length, step)]


def _pack_state(state: Tensor, groups: int) -> Tensor:
    """(B, H, N, P) to (B, G, N, R*P)."""
    return rearrange(state, "b (g r) n p -> b g n (r p)", g=groups)


def _unpack_state(state: Tensor, heads: int) -> Tensor:
    """(B, G, N, R*P) to (B, H, N, P)."""
    return rearrange(state, "b g n (r p) -> b (g r) n p", r=heads // state.shape[1])
