"""Settings of the trainer, the task and the run that no type refuses: checked together, before anything is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from inspect import unwrap
from operator import or_
from typing import Any, get_args

from seqexp.core.errors import ConfigError

_Rule = tuple[Callable[[Any], bool], str]


def _whole(lowest: int, *others: int) -> _Rule:
    also = "".join(f", or {other}" for other in others)
    return lambda value: isinstance(value, int) and (value >= lowest or value in others), f"at least {lowest}{also}"


def _number(lowest: float, highest: float = math.inf, is_open: bool = False) -> _Rule:
    """Finite and within the bounds; ``is_open``: above the lower one."""
    told = f"a finite number {'above' if is_open else 'of at least'} {lowest:g}"
    told += f" and at most {highest:g}" if math.isfinite(highest) else ""

    def holds(value: Any) -> bool:
        return math.isfinite(value) and (lowest < value if is_open else lowest <= value) and value <= highest

    return holds, told


def _share() -> _Rule:
    """Batches as a number, or as a share of all."""
    return (
        lambda value: value >= 1 if isinstance(value, int) else 0 < value <= 1,
        "a number of batches from 1, or a share above 0 and at most 1.0",
    )


_COUNT_OR_SHARE = _share()
_RULES: dict[str, _Rule] = {
    "trainer.max_epochs": _whole(1, -1),
    "trainer.min_epochs": _whole(1),
    "trainer.max_steps": _whole(1, -1),
    "trainer.min_steps": _whole(1),
    "trainer.num_nodes": _whole(1),
    "trainer.accumulate_grad_batches": _whole(1),
    "trainer.check_val_every_n_epoch": _whole(1),
    "trainer.log_every_n_steps": _whole(0),
    "trainer.num_sanity_val_steps": _whole(0, -1),
    "trainer.reload_dataloaders_every_n_epochs": _whole(0),
    "trainer.gradient_clip_val": _number(0),
    "trainer.limit_train_batches": _COUNT_OR_SHARE,
    "trainer.limit_val_batches": _COUNT_OR_SHARE,
    "trainer.limit_test_batches": _COUNT_OR_SHARE,
    "trainer.limit_predict_batches": _COUNT_OR_SHARE,
    "trainer.overfit_batches": (lambda value: value >= 0 and (isinstance(value, int) or value <= 1), "at least 0"),
    "trainer.val_check_interval": _COUNT_OR_SHARE,
    "model.lr": _number(0, is_open=True),
    "model.weight_decay": _number(0),
    "model.penalty_warmup": _number(0, 1),
    "model.warmup_fraction": (lambda value: 0 <= value < 1, "at least 0 and below 1"),
    "model.min_lr_fraction": _number(0, 1),
    "model.ema": (lambda value: 0 < value < 1, "null, or a decay between 0 and 1 such as 0.999"),
    "model.betas": (
        lambda value: all(0 <= beta < 1 for beta in value),
        "two numbers, each at least 0 and below 1",
    ),
    "model.loss_weights": (
        lambda value: all(math.isfinite(weight) and weight >= 0 for weight in value.values()),
        "finite weights of at least 0",
    ),
    "run.patience": _whole(1),
    "run.checkpoint_every_n_steps": _whole(0),
}
# Sizes of parts: torch takes some of these and fails later, or with a message about tensors.
_SIZES = (
    *("width", "bin_bp", "stride_bp", "kernel_bp", "kernel_size", "conv_size", "state_size", "head_dim", "num_heads"),
    *("head_width", "expand", "num_filters", "num_readouts", "num_members", "num_genes", "num_targets", "max_length"),
)
_WITHOUT_EFFECT = {
    "trainer.enable_checkpointing": "checkpoints are what a run is for",
    "trainer.default_root_dir": "--run-dir says where a run is kept",
    "trainer.enable_progress_bar": "run.progress chooses the display",
}
# Where these are as Lightning has them, they say nothing.
_DEFAULTS = {"trainer.enable_checkpointing": (None, True), "trainer.enable_progress_bar": (None, True, False)}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse numbers that cannot be meant and settings that would have no effect.

    Parameters
    ----------
    settings : mapping
        Settings of a run by section, typed by the parser; what is absent or null is left to its default.

    Raises
    ------
    ConfigError
        Names every such setting, its value and what was expected.
    """
    wrong = []
    for key, (holds, expected) in _RULES.items():
        value = _value(settings, key)
        if value is not None and not holds(value):
            wrong.append(f"{key}: {_shown(value)} (expected: {expected})")
    for key, reason in _WITHOUT_EFFECT.items():
        if _value(settings, key) not in _DEFAULTS.get(key, (None,)):
            wrong.append(f"{key} has no effect: {reason}")
    if wrong:
        raise ConfigError(
            "; ".join(wrong), where="the config files and flags of this command", fix="correct or remove these settings"
        )


def check_sizes(network: Mapping[str, Any]) -> None:
    """Refuse parts of a network of no size.

    Parameters
    ----------
    network : mapping
        ``class_path`` and ``init_args`` of the network, with those of its parts.

    Raises
    ------
    ConfigError
        Names every such part, its value and what was expected.
    """
    wrong = list(_sizes_of(network, "model.network"))
    if wrong:
        raise ConfigError(
            "; ".join(wrong), where="the config files and flags of this command", expected="sizes of at least 1"
        )


def _sizes_of(part: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, value in (part.get("init_args") or {}).items():
        if name in _SIZES and isinstance(value, int) and value < 1:
            yield f"{where}.{name}: {value}"
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping) and "class_path" in inner:
                yield from _sizes_of(inner, f"{where}.{name}")


def counts_before_shares(function: Callable[..., Any]) -> None:
    """Annotate settings that are a count or a share so that the parser tries the count first, in any process.

    ``typing`` caches unions without regard to order: where another package has written ``Union[float, int]`` before,
    ``Union[int, float]`` is that one, and 2 batches are read as a share of 2.0.
    """
    annotations = unwrap(function).__annotations__
    for name, annotation in annotations.items():
        kinds = get_args(annotation)
        if {int, float} <= set(kinds):
            annotations[name] = reduce(or_, sorted(kinds, key=lambda kind: kind is not int))
    function.__annotations__ = annotations


def _value(settings: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.partition(".")
    inner = settings.get(section)
    return (inner.get(name) if isinstance(inner, Mapping) else None) if name else inner


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
