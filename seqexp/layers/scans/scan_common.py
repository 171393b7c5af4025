"""What the two scans share: the dtype of the state, shape checks, padding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Scan = Callable[..., tuple[Tensor, Tensor]]


def state_dtype(x: Tensor) -> torch.dtype:
    """Float32, whatever the values are in, except float64."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def check_shapes(expected: Mapping[str, tuple[Tensor | None, Sequence[int]]], chunk: int | None) -> None:
    """Compare tensors, where given, with their shapes.

    Raises
    ------
    ValueError
        Names the first tensor that does not fit, or a ``chunk`` below 1.
    """
    for name, (tensor, shape) in expected.items():
        if tensor is not None and tuple(tensor.shape) != tuple(shape):
            raise ValueError(f"{name} must have shape {tuple(shape)}, found {tuple(tensor.shape)}")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be at least 1, found {chunk}")


def run_scan(
    scan: Scan,
    sequences: Sequence[Tensor],
    A: Tensor,
    initial_state: Tensor | None,
    mask: Tensor | None,
    chunk: int | None,
) -> tuple[Tensor, Tensor]:
    """Call a back end with ``sequences`` = (x, dt, B, C), all (B, L, ...), with masked positions made no-ops.

    Masked values are replaced, not multiplied by 0, so that NaN and infinity in the padding cannot get through.
    """
    if mask is not None:
        sequences = [_silence(tensor, mask) for tensor in sequences]
    x, dt, B, C = sequences
    # Autocast would round the state to half precision.
    with torch.autocast(device_type=x.device.type, enabled=False):
        y, state = scan(x, dt, A, B, C, initial_state, chunk)
    return (y if mask is None else _silence(y, mask)), state


def _silence(tensor: Tensor, mask: Tensor) -> Tensor:
    """(B, L, ...) with zeros where ``mask`` (B, L) is False."""
    return tensor.masked_fill(~mask.view(*mask.shape, *(1,) * (tensor.ndim - 2)), 0)
