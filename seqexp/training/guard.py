"""When a loss or a gradient stops being a number: say where it began."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from seqexp.core.errors import SeqexpError
from seqexp.objectives.contracts import Losses


def _tensors(value: Any) -> Iterable[Tensor]:
    """All floating tensors inside an output: tensors, containers and dataclasses."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _tensors(getattr(value, name))


def _is_broken(value: Any) -> bool:
    return any(not bool(torch.isfinite(tensor).all()) for tensor in _tensors(value))


def first_broken_module(network: nn.Module, run: Callable[[], Any]) -> str | None:
    """Name of the first module of a network whose output is not finite when it is run again, innermost first."""
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and _is_broken(output):
                found.append(f"{name or 'network'} ({type(module).__name__})")

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in network.named_modules()]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def broken_parameters(network: nn.Module, gradients: bool = False) -> list[str]:
    """Names of parameters (or gradients) that are not finite."""
    named = ((name, p.grad if gradients else p.detach()) for name, p in network.named_parameters())
    return [name for name, value in named if value is not None and _is_broken(value)]


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def broken_loss(network: nn.Module, batch: Any, losses: Losses, where: str) -> SeqexpError:
    """Error for losses that are not finite, naming them and the first cause found: targets, parameters or a module."""
    parts = {**losses.terms, **losses.penalties}
    broken = ", ".join(f"{name} is {value.mean().item()}" for name, value in parts.items() if _is_broken(value))
    names = broken_parameters(network)
    if _is_broken(batch.target):
        rows = batch.index[~torch.isfinite(batch.target).all(dim=-1)].tolist()
        cause = f"targets of rows {rows[:5]} are not finite"
    elif names:
        cause = f"parameters are not finite: {_shortened(names)}"
    else:
        module = first_broken_module(network, lambda: network.losses(batch))  # type: ignore[operator]
        cause = f"the first output that is not finite comes from {module}" if module else "the loss itself overflows"
    return SeqexpError(
        f"the training loss is not finite ({broken or 'the weighted sum'}): {cause}",
        where=where,
        expected="a finite loss",
        fix="lower model.lr, keep trainer.gradient_clip_val at 1, or use trainer.precision: 32-true",
    )


def broken_gradient(network: nn.Module, where: str) -> SeqexpError | None:
    """Error for gradients that are not finite, or None where all are."""
    names = broken_parameters(network, gradients=True)
    if not names:
        return None
    return SeqexpError(
        f"gradients are not finite: {_shortened(names)}",
        where=where,
        expected="finite gradients",
        fix="lower model.lr, or look for a square root, logarithm or division at zero in these modules",
    )
