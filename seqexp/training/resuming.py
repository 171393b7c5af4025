"""What a checkpoint must hold for a run to go on from it: every value of its kind, and all of them of one moment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from seqexp.core.errors import ConfigError, DataError
from seqexp.objectives.transforms import transform_from_state
from seqexp.training.optimizer import parameter_groups
from seqexp.training.task import ExpressionTask

_STEPS = "epoch_loop.automatic_optimization.optim_progress"


def check_resumable(saved: Mapping[str, Any], task: ExpressionTask, trainer: Trainer, path: Path) -> None:
    """Refuse a checkpoint from which Lightning would stumble, or go on with values that were never trained.

    Parameters
    ----------
    saved : mapping
        Content of the checkpoint.
    task : ExpressionTask
        Built from the settings of the resumed run.
    trainer : Trainer
        The one that will go on: its loops and callbacks say what their saved states look like.
    path : Path

    Raises
    ------
    DataError
        Names the value, what it is and what was expected.
    ConfigError
        The settings change what the optimiser has in its state.
    """
    try:
        _check(saved, task, trainer)
    except _DamagedError as error:
        raise DataError(
            f"the checkpoint is damaged: {error}",
            where=path,
            expected="last.ckpt as seqexp fit wrote it",
            fix="take the checkpoint from a copy, or train the run anew with --overwrite",
        ) from error


class _DamagedError(Exception):
    """A value that no run writes."""


def _check(saved: Mapping[str, Any], task: ExpressionTask, trainer: Trainer) -> None:
    for name in ("epoch", "global_step"):
        _count(saved.get(name), name)
    parameters = dict(task.named_parameters())
    state = _mapping(saved.get("state_dict"), "state_dict")
    for name, value in state.items():
        _require(isinstance(value, Tensor), f"state_dict {name}", value, "a tensor")
        if name in parameters:
            _finite(value, f"state_dict {name}")
    _same_kind(_mapping(saved.get("loops"), "loops").get("fit_loop"), trainer.fit_loop.state_dict(), "loops fit_loop")
    loop = saved["loops"]["fit_loop"]
    steps = loop[_STEPS]["optimizer"]["step"]["total"]["completed"]
    _require(steps == saved["global_step"], "global_step", saved["global_step"], f"{steps}, as in its loops")
    epoch = loop["epoch_progress"]["current"]["processed"]
    is_of_it = epoch - 1 <= saved["epoch"] <= epoch  # the last checkpoint of an epoch counts it already
    _require(is_of_it, "epoch", saved["epoch"], f"{epoch}, as in its loops")
    _check_optimizer(_only(saved.get("optimizer_states"), "optimizer_states"), task)
    _check_schedule(_only(saved.get("lr_schedulers"), "lr_schedulers"), saved)
    _check_callbacks(_mapping(saved.get("callbacks"), "callbacks"), trainer)
    _check_task(_mapping(saved.get("seqexp"), "seqexp"))
    _check_step(_mapping(saved["seqexp"].get("step", {}), "seqexp step"), task)


def _check_optimizer(state: Mapping[str, Any], task: ExpressionTask) -> None:
    """One group and one state per group and parameter of the network, in its shape."""
    expected = parameter_groups(task.network, task.lr, task.weight_decay)
    groups = state.get("param_groups")
    told = "optimizer param_groups"
    _require(isinstance(groups, list) and len(groups) == len(expected), told, groups, f"a list of {len(expected)}")
    parameters: list[Tensor] = [one for group in expected for one in group["params"]]
    first = 0
    for number, (group, wanted) in enumerate(zip(groups or [], expected)):
        name = f"{told} {number}"
        numbers = list(range(first, first + len(wanted["params"])))
        first += len(numbers)
        _require(_mapping(group, name).get("params") == numbers, f"{name} params", group.get("params"), str(numbers))
        for key in ("lr", "initial_lr", "weight_decay", "eps"):
            _number(group.get(key), f"{name} {key}")
        _check_unchanged(group, {"initial_lr": wanted["lr"], "weight_decay": wanted["weight_decay"]})
        betas = group.get("betas")
        is_pair = isinstance(betas, list | tuple) and len(betas) == 2 and all(isinstance(b, float) for b in betas)
        _require(is_pair, f"{name} betas", betas, "two numbers")
        _check_unchanged({"betas": tuple(betas or ())}, {"betas": task.betas})
        for key in ("amsgrad", "maximize"):
            _require(group.get(key) is False, f"{name} {key}", group.get(key), "False")
    states = _mapping(state.get("state"), "optimizer state")
    for key, values in states.items():
        is_known = isinstance(key, int) and 0 <= key < len(parameters)
        _require(is_known, "optimizer state", key, f"numbers below {len(parameters)}")
        for name in ("exp_avg", "exp_avg_sq", "step"):
            value = _mapping(values, f"optimizer state {key}").get(name)
            shape = () if name == "step" else tuple(parameters[key].shape)
            _tensor(value, f"optimizer state {key} {name}", shape, is_positive=name != "exp_avg")


def _check_unchanged(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """The optimiser goes on as it was: settings that differ would be ignored in silence."""
    for name, value in asked.items():
        if saved[name] != value:
            shown = "lr" if name == "initial_lr" else name
            raise ConfigError(
                f"model.{shown} is {value}, the run was trained with {saved[name]}",
                where="the settings of the resumed run",
                expected="the optimiser's settings as they were",
                fix=f"leave model.{shown} as it was, or start a new run",
            )


def _check_schedule(state: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    step, wanted = state.get("last_epoch"), saved["global_step"]
    _require(step == wanted and not isinstance(step, bool), "lr_schedulers last_epoch", step, f"{wanted}, the step")
    groups = saved["optimizer_states"][0]["param_groups"]
    base = [group["initial_lr"] for group in groups]
    _require(state.get("base_lrs") == base, "lr_schedulers base_lrs", state.get("base_lrs"), str(base))
    last = [group["lr"] for group in groups]
    _require(state.get("_last_lr") == last, "lr_schedulers _last_lr", state.get("_last_lr"), str(last))
    _count(state.get("_step_count"), "lr_schedulers _step_count")


def _check_callbacks(states: Mapping[str, Any], trainer: Trainer) -> None:
    """States of the callbacks that will read them."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        state = states.get(callback.state_key)
        if state is not None:
            _same_kind(state, callback.state_dict(), f"callbacks {callback.state_key.split('{')[0]}")


def _check_task(state: Mapping[str, Any]) -> None:
    """The target transform, and the rows of the epoch that was under way."""
    try:
        transform_from_state(_mapping(state.get("transform"), "seqexp transform"))
    except _DamagedError:
        raise
    except Exception as error:
        raise _DamagedError(f"seqexp transform: {error}") from error
    rows = _mapping(state.get("train_rows"), "seqexp train_rows")
    missing = {"index", "prediction", "target", "loss"} - rows.keys() if rows else set()
    _require(not missing, "seqexp train_rows", f"without {sorted(missing)}", "columns of the rows of an epoch")
    lengths = set()
    for name, values in rows.items():
        _require(isinstance(values, Tensor) and values.ndim > 0, f"seqexp train_rows {name}", values, "a tensor")
        _finite(values, f"seqexp train_rows {name}")
        lengths.add(len(values))
    _require(len(lengths) <= 1, "seqexp train_rows", sorted(lengths), "columns of one length")


def _check_step(state: Mapping[str, Any], task: ExpressionTask) -> None:
    """Where the training step stands: counts, and an optimiser whose numbers are finite."""
    task.step.require_own(state)
    for name, fresh in task.step.state().items():
        _require(name in state, f"seqexp step {name}", "nothing", "a value")
        _same_kind(state[name], fresh, f"seqexp step {name}")
    of_parameters = _mapping(state.get("optimizer", {}), "seqexp step optimizer").get("state", {})
    for number, values in _mapping(of_parameters, "seqexp step optimizer state").items():
        for name, value in _mapping(values, f"seqexp step optimizer state {number}").items():
            if isinstance(value, Tensor):
                _finite(value, f"seqexp step optimizer state {number} {name}")


def _same_kind(value: Any, template: Any, name: str) -> None:
    """Compare with what the same part of a new run would save; what is empty or None there says nothing."""
    if isinstance(template, Mapping):
        for key, inner in template.items():
            _require(key in _mapping(value, name), f"{name} {key}", "nothing", "a value")
            _same_kind(value[key], inner, f"{name} {key}")
    elif isinstance(template, bool | str):
        _require(type(value) is type(template), name, value, type(template).__name__)
    elif isinstance(template, int):
        _require(isinstance(value, int) and not isinstance(value, bool) and value >= 0, name, value, "a count")
    elif isinstance(template, float | Tensor):
        scalar = isinstance(value, float | int) or (isinstance(value, Tensor) and value.numel() == 1)
        _require(scalar and not math.isnan(float(value)), name, value, "a number")
    elif isinstance(template, list):
        _require(isinstance(value, list), name, value, "a list")


def _only(values: Any, name: str) -> Mapping[str, Any]:
    _require(isinstance(values, list) and len(values) == 1, name, values, "a list of one")
    return _mapping(values[0], name)


def _mapping(value: Any, name: str) -> Mapping[Any, Any]:
    _require(isinstance(value, Mapping), name, value, "a mapping")
    return dict(value)


def _count(value: Any, name: str) -> None:
    _require(isinstance(value, int) and not isinstance(value, bool) and value >= 0, name, value, "a count")


def _number(value: Any, name: str) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    _require(is_number and math.isfinite(value) and value >= 0, name, value, "a finite number of at least 0")


def _tensor(value: Any, name: str, shape: tuple[int, ...], is_positive: bool) -> None:
    is_tensor = isinstance(value, Tensor) and value.is_floating_point() and tuple(value.shape) == shape
    _require(is_tensor, name, value, f"floats of shape {shape}")
    _finite(value, name)
    _require(not is_positive or bool((value >= 0).all()), name, "negative values", "values of at least 0")


def _finite(value: Tensor, name: str) -> None:
    is_finite = not value.is_floating_point() or bool(torch.isfinite(value).all())
    _require(is_finite, name, "values that are not finite", "finite values")


def _require(holds: bool, name: str, found: Any, expected: str) -> None:
    if not holds:
        raise _DamagedError(f"{name} is {_shown(found)}, expected {expected}")


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) < 60 else f"{type(value).__name__} {text[:50]}…"
