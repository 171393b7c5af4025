"""AdamW groups and the moving average of the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from seqexp.core.errors import ConfigError


def parameter_groups(network: nn.Module, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    """Groups of trainable parameters with the same weight decay and learning rate.

    Biases, gains of norms and other parameters with fewer than two axes do not decay, nor does any parameter that
    carries the attribute ``_no_weight_decay = True``. A parameter's attribute ``_lr_scale`` multiplies the learning
    rate.

    Raises
    ------
    ConfigError
        Nothing can be trained.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            is_exempt = parameter.ndim < 2 or name.endswith("bias") or getattr(parameter, "_no_weight_decay", False)
            key = (lr * getattr(parameter, "_lr_scale", 1.0), 0.0 if is_exempt else weight_decay)
            groups.setdefault(key, []).append(parameter)
    if not groups:
        raise ConfigError(f"{type(network).__name__} has no trainable parameters", expected="a network to train")
    keys = sorted(groups, reverse=True)
    return [{"params": groups[key], "lr": key[0], "weight_decay": key[1]} for key in keys]


def _averaging(decay: float) -> Any:
    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], num_averaged: Tensor | int) -> None:
        if not averaged[0].is_floating_point():  # counters; tensors come in groups of one dtype
            torch._foreach_copy_(averaged, current)
            return
        # Early steps average over a short memory, so that the random start is forgotten quickly.
        count = int(num_averaged)
        rate = 1.0 - min(decay, (1.0 + count) / (10.0 + count))
        torch._foreach_lerp_(averaged, current, rate)

    return update


class WeightAverage(AveragedModel):
    """Exponential moving average of a network's parameters and buffers; integer buffers are copied.

    Running statistics of a batch normalisation belong to the weights they were taken with, so they are averaged too.
    A submodule of the task, so that it is saved, restored and moved with it. Its decay grows with the number of
    updates n as min(decay, (1 + n) / (10 + n)).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network, multi_avg_fn=_averaging(decay), use_buffers=True)
        self.requires_grad_(False)
