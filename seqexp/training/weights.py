"""Weights into a task, with one clear message where they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqexp.core.errors import DataError


def adopt_buffers(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give buffers the shape they have in ``state``.

    Networks are calibrated on the data before training, so some buffers (such as signal quantiles) have shapes that a
    freshly built network does not know. Parameters are not touched.
    """
    for prefix, child in module.named_modules():
        for name, buffer in child._buffers.items():
            saved = state.get(f"{prefix}.{name}" if prefix else name)
            if saved is not None and (buffer is None or buffer.shape != saved.shape):
                device = torch.device("cpu") if buffer is None else buffer.device
                child._buffers[name] = torch.empty_like(saved, device=device)


def check_weights(module: nn.Module, state: Mapping[str, Any]) -> None:
    """Compare the names and shapes of a saved state with those of a module.

    Raises
    ------
    DataError
        Lists what is missing, unexpected or of another shape.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and isinstance(own[name], Tensor) and own[name].shape != state[name].shape
    ]
    if not missing and not unexpected and not shapes:
        return
    listed = []
    for label, names in (("missing", missing), ("unexpected", unexpected), ("other shape", shapes)):
        if names:
            listed.append(f"{len(names)} {label}: " + ", ".join(names[:5]) + (", …" if len(names) > 5 else ""))
    raise DataError(
        "the checkpoint holds weights of another architecture; " + "; ".join(listed),
        expected=f"the {len(own)} weights of {type(module).__name__} with this config",
        fix="use the config.yaml that lies beside the checkpoint, or the checkpoint of this run",
    )
