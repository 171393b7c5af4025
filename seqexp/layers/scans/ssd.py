"""State-space duality (SSD), the scan of Mamba-2: one function, interchangeable back ends.

Per head, with a scalar decay, over positions t::

    state_t = exp(dt_t A) state_{t-1} + dt_t B_t x_tᵀ        (N, P)
    y_t     = C_tᵀ state_t                                   (P,)

Source: Dao and Gu, "Transformers are SSMs" (2024), sections 5 to 7.
"""

from __future__ import annotations

from torch import Tensor

from seqexp.layers.scans.backends import pick
from seqexp.layers.scans.scan_common import check_shapes, run_scan


def ssd(
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
    """Selective scan with scalar decay per head, differentiable in every float tensor.

    Parameters
    ----------
    x : Tensor, (B, L, H, P)
        Values written into the state; may be bfloat16 or float16, the state is float32 all the same.
    dt : Tensor, (B, L, H)
        Step sizes >= 0. A position with ``dt`` 0 neither writes nor lets the state decay: an exact no-op.
    A : Tensor, (H,)
        Decay rates < 0.
    B, C : Tensor, (B, L, G, N)
        Write and read directions; head ``h`` uses group ``h // (H // G)``.
    initial_state : Tensor, (B, H, N, P), optional
        State before the first position; zeros when left out. Hand over the returned state to continue a sequence.
    mask : Tensor, (B, L) bool, optional
        True where a position is real. Others are no-ops whatever they hold, even NaN; their ``y`` is 0.
    backend : str
        ``auto``, or a name of :mod:`seqexp.layers.scans.backends`. The result does not depend on it beyond rounding.
    chunk : int, optional
        Positions per chunk, 64 when left out. Changes time and memory only.

    Returns
    -------
    y : Tensor, (B, L, H, P)
        In the dtype of ``x``.
    state : Tensor, (B, H, N, P)
        State after the last position, float32 (float64 for float64 ``x``).

    Raises
    ------
    ValueError
        When the shapes do not belong together or ``chunk`` is below 1.
    ConfigError
        The back end is unknown or cannot serve this call.
    """
    if x.ndim != 4 or B.ndim != 4:
        raise ValueError(f"x must be (B, L, H, P) and B (B, L, G, N); found {tuple(x.shape)} and {tuple(B.shape)}")
    batch, length, heads, channels = x.shape
    if B.shape[:2] != x.shape[:2] or heads % B.shape[2]:
        raise ValueError(f"B must be ({batch}, {length}, G, N) with G dividing {heads}, found {tuple(B.shape)}")
    expected = {
        "dt": (dt, (batch, length, heads)),
        "A": (A, (heads,)),
        "C": (C, tuple(B.shape)),
        "initial_state": (initial_state, (batch, heads, B.shape[-1], channels)),
        "mask": (mask, (batch, length)),
    }
    check_shapes(expected, chunk)
    scan = pick("ssd", backend, x, initial_state)
    return run_scan(scan, (x, dt, B, C), A, initial_state, mask, chunk)
