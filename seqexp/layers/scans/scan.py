"""The selective scan of Mamba-1: one function, interchangeable back ends.

Per channel d with a state of N numbers, over positions t::

    state_t = exp(dt_t A) * state_{t-1} + dt_t x_t B_t      (N,)
    y_t     = C_tᵀ state_t

Source: Gu and Dao, "Mamba" (2023), section 3; the backward passes are derived in this package.
"""

from __future__ import annotations

from torch import Tensor

from seqexp.layers.scans.backends import pick
from seqexp.layers.scans.scan_common import check_shapes, run_scan


def selective_scan(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    initial_state: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    backend: str = "auto",
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Selective scan with a diagonal state per channel, differentiable in every float tensor.

    Parameters
    ----------
    x : Tensor, (B, L, D)
        Values written into the state; may be bfloat16 or float16, the state is float32 all the same.
    dt : Tensor, (B, L, D)
        Step sizes >= 0. A position with ``dt`` 0 neither writes nor lets the state decay: an exact no-op.
    A : Tensor, (D, N)
        Decay rates < 0.
    B, C : Tensor, (B, L, N)
        Write and read directions.
    initial_state : Tensor, (B, D, N), optional
        State before the first position; zeros when left out. Hand over the returned state to continue a sequence.
    mask : Tensor, (B, L) bool, optional
        True where a position is real. Others are no-ops whatever they hold, even NaN; their ``y`` is 0.
    backend : str
        ``auto``, or a name of :mod:`seqexp.layers.scans.backends`. The result does not depend on it beyond rounding.
    chunk : int, optional
        Positions worked through at a time; None fits the processor's cache. Changes time and memory only.

    Returns
    -------
    y : Tensor, (B, L, D)
        In the dtype of ``x``.
    state : Tensor, (B, D, N)
        State after the last position, float32 (float64 for float64 ``x``). The fused kernel gives it no gradient.

    Raises
    ------
    ValueError
        When the shapes do not belong together or ``chunk`` is below 1.
    ConfigError
        The back end is unknown or cannot serve this call.
    """
    if x.ndim != 3 or B.ndim != 3:
        raise ValueError(f"x must be (B, L, D) and B (B, L, N); found {tuple(x.shape)} and {tuple(B.shape)}")
    batch, length, channels = x.shape
    size = B.shape[-1]
    expected = {
        "dt": (dt, (batch, length, channels)),
        "A": (A, (channels, size)),
        "B": (B, (batch, length, size)),
        "C": (C, (batch, length, size)),
        "initial_state": (initial_state, (batch, channels, size)),
        "mask": (mask, (batch, length)),
    }
    check_shapes(expected, chunk)
    scan = pick("selective_scan", backend, x, initial_state)
    return run_scan(scan, (x, dt, B, C), A, initial_state, mask, chunk)
