"""What a training step costs: measured at short lengths, extrapolated to the length wanted."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn

from seqexp.core.memory import peak_resident_bytes
from seqexp.training.objective import total
from seqexp.training.optimizer import parameter_groups
from seqexp.training.task import ExpressionTask

NOISE = 0.08  # relative, of a measured step


class Cost(NamedTuple):
    """Of one step."""

    seconds: float
    peak_bytes: float  # of the process on a CPU, of the tensors on a GPU


def peak_bytes(device: torch.device) -> float:
    """Most memory in use so far: of the device, or of this process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return float(peak_resident_bytes())


def measure(step: Callable[[], None], device: torch.device, repeats: int = 2) -> Cost:
    """Best wall time of ``repeats`` steps after one to warm up, and the peak of memory of this process."""
    times = []
    for _ in range(repeats + 1):
        gc.collect()
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return Cost(min(times[1:]), peak_bytes(device))


def training_step(
    task: ExpressionTask, network: nn.Module, batch: object, device: torch.device, *, precision: str
) -> Callable[[], None]:
    """One step of AdamW on a batch, outside a Trainer."""
    network.to(device).train()
    optimizer = torch.optim.AdamW(parameter_groups(network, task.lr, task.weight_decay))
    half = torch.float16 if precision.startswith("16") else torch.bfloat16

    def step() -> None:
        moved = batch.to(device)  # type: ignore[attr-defined]
        with torch.autocast(device.type, half, enabled="mixed" in precision):
            loss = total(network.losses(moved), task.loss_weights)  # type: ignore[operator]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def prediction_step(network: nn.Module, batch: object, device: torch.device) -> Callable[[], None]:
    """Predict a batch."""
    network.to(device).eval()

    def step() -> None:
        with torch.inference_mode():
            network(batch.to(device))  # type: ignore[attr-defined]

    return step


def extrapolate(lengths: Sequence[int], costs: Sequence[Cost], length: int) -> Cost:
    """Cost at ``length`` from costs at shorter ones.

    Each figure is taken to be a sum of a constant and a linear term, neither negative, fitted to equal relative errors;
    a quadratic term is added only where they fall short of the longest by more than noise (:data:`NOISE`) would.
    """
    powers = np.array([[1.0, x, x * x] for x in np.asarray(lengths, float) / length])
    found = []
    for values in np.asarray(costs, float).T:
        scaled = powers / values[:, None]
        weights, _ = nnls(scaled[:, :2], np.ones(len(values)))
        if scaled[-1, :2] @ weights < 1 - NOISE:
            weights, _ = nnls(scaled, np.ones(len(values)))
        found.append(float(weights.sum()))
    return Cost(*found)
