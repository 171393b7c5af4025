"""Which implementations of an operation are usable here, and which one a call gets.

The scans have one signature each and these back ends behind it:

=============  =====================================================================================
``reference``  one position at a time in float64, differentiated by autograd: the oracle of the tests
``torch``      chunked, hand-written backward; runs everywhere
``numba``      compiled loop for CPUs in float32, Mamba-1 scan only
``kernels``    mamba-ssm and causal-conv1d on a CUDA device
=============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from seqexp.core.errors import ConfigError, MissingExtraError
from seqexp.core.optional import require

# operation -> back end -> function that serves it, best first for "auto"; the reference is never chosen unasked.
_HERE = "seqexp.layers.scans."
OPERATIONS: dict[str, dict[str, str]] = {
    "selective_scan": {
        "kernels": _HERE + "kernels:selective_scan",
        "numba": _HERE + "scan_numba:selective_scan",
        "torch": _HERE + "scan_torch:selective_scan",
        "reference": _HERE + "scan_reference:selective_scan",
    },
    "ssd": {
        "kernels": _HERE + "kernels:ssd",
        "torch": _HERE + "ssd_torch:ssd",
        "reference": _HERE + "scan_reference:ssd",
    },
    "causal_conv": {"kernels": _HERE + "kernels:causal_conv", "torch": _HERE + "causal_conv:torch_causal_conv"},
}
# What a back end imports, and the extra that brings it. The compiled part of mamba-ssm is a module of its own, which
# a plain installation leaves out.
_MODULES: dict[tuple[str, str], tuple[str, ...]] = {
    ("selective_scan", "numba"): ("numba",),
    ("selective_scan", "kernels"): ("mamba_ssm.ops.selective_scan_interface", "selective_scan_cuda"),
    ("ssd", "kernels"): ("mamba_ssm.ops.triton.ssd_combined",),
    ("causal_conv", "kernels"): ("causal_conv1d",),
}
_EXTRAS = {"numba": "numba", "kernels": "cuda"}


def optional_modules(operation: str, backend: str) -> list[ModuleType]:
    """Import what a back end needs.

    Raises
    ------
    MissingExtraError
        Something is not installed, or cannot be imported.
    """
    return [require(name, _EXTRAS[backend]) for name in _MODULES.get((operation, backend), ())]


@cache
def why_not(operation: str, backend: str) -> str | None:
    """Reason why a back end cannot be used on this machine; None when it can."""
    if backend == "kernels" and not torch.cuda.is_available():
        return "no CUDA device"
    try:
        optional_modules(operation, backend)
    except MissingExtraError as error:
        return f"{error.__cause__}; pip install 'seqexp[{error.extra}]'"
    return None


def choose(operation: str, backend: str, x: Tensor, initial_state: Tensor | None = None) -> str:
    """Name of the back end a call gets.

    Parameters
    ----------
    operation : str
        A key of :data:`OPERATIONS`.
    backend : str
        ``auto`` takes the fastest that can serve the call; a name insists on it.
    x : Tensor
        Its device and dtype count.
    initial_state : Tensor, optional

    Raises
    ------
    ConfigError
        An unknown back end, or a named one that cannot serve the call; says why.
    """
    offered = OPERATIONS[operation]
    if backend == "auto":
        backend = next(name for name in offered if _obstacle(operation, name, x, initial_state) is None)
    elif backend not in offered:
        raise ConfigError(f"unknown back end {backend!r} for {operation}", expected="auto, " + ", ".join(offered))
    obstacle = _obstacle(operation, backend, x, initial_state)
    if obstacle is not None:
        raise ConfigError(
            f"the back end {backend!r} cannot serve this {operation}: {obstacle}",
            expected="a back end that fits device, dtype and installed packages",
            fix="backend='auto'; `seqexp doctor` lists what is usable",
        )
    return backend


def pick(operation: str, backend: str, x: Tensor, initial_state: Tensor | None = None) -> Callable[..., Any]:
    """Function of the back end that :func:`choose` names."""
    module, function = OPERATIONS[operation][choose(operation, backend, x, initial_state)].split(":")
    return getattr(import_module(module), function)


def _obstacle(operation: str, backend: str, x: Tensor, initial_state: Tensor | None) -> str | None:
    """Why a back end cannot serve a call with these tensors."""
    needed = {"numba": "cpu", "kernels": "cuda"}.get(backend)
    if needed is None:
        return None
    if x.device.type != needed:
        return f"it runs on {needed}, the tensors are on {x.device.type}"
    if x.dtype == torch.float64:
        return "it computes in float32, the tensors are float64"
    if (operation, backend) == ("selective_scan", "kernels") and initial_state is not None:
        return "the fused Mamba-1 scan takes no initial state"
    return why_not(operation, backend)
