"""Learning-rate and penalty schedules: plain functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from seqexp.core.errors import ConfigError


def _cosine(start: float, stop: float, progress: float) -> float:
    """From ``start`` to ``stop`` along half a cosine, progress in [0, 1]."""
    return stop + (start - stop) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, max(0.0, progress))))


def warmup_cosine(step: int, total: int, warmup: float, min_fraction: float) -> float:
    """Learning-rate multiplier: linear warm-up over ``warmup · total`` steps, then cosine to ``min_fraction``."""
    warm = max(1, round(warmup * total)) if warmup > 0 else 0
    if step < warm:
        return (step + 1) / warm
    return _cosine(1.0, min_fraction, (step - warm) / max(1, total - 1 - warm))


def one_cycle(step: int, total: int, warmup: float, min_fraction: float) -> float:
    """Learning-rate multiplier of one-cycle training (Smith and Topin 2018): up, then down to ``min_fraction``."""
    warm = max(1, round(warmup * total))
    if step < warm:
        return _cosine(1.0 / 25.0, 1.0, step / warm)
    return _cosine(1.0, min_fraction, (step - warm) / max(1, total - 1 - warm))


def warmup_constant(step: int, total: int, warmup: float, min_fraction: float) -> float:
    """Linear warm-up, then constant."""
    return min(1.0, (step + 1) / max(1, round(warmup * total)))


SCHEDULES: dict[str, Callable[[int, int, float, float], float]] = {
    "cosine": warmup_cosine,
    "one-cycle": one_cycle,
    "constant": warmup_constant,
}


def make_schedule(name: str, total: int, warmup: float, min_fraction: float) -> Callable[[int], float]:
    """Multiplier as a function of the optimiser step.

    Parameters
    ----------
    name : str
        ``cosine``, ``one-cycle`` or ``constant``.
    total : int
        Optimiser steps of the whole run.
    warmup : float
        Fraction of ``total`` spent warming up, in [0, 1).
    min_fraction : float
        Multiplier at the end.

    Raises
    ------
    ConfigError
        Unknown name or fractions out of range.
    """
    if name not in SCHEDULES:
        raise ConfigError(f"unknown schedule {name!r}", expected="one of: " + ", ".join(SCHEDULES))
    if not 0.0 <= warmup < 1.0 or not 0.0 <= min_fraction <= 1.0:
        raise ConfigError(
            f"warmup_fraction {warmup} and min_lr_fraction {min_fraction}", expected="in [0, 1) and in [0, 1]"
        )
    return lambda step: SCHEDULES[name](step, total, warmup, min_fraction)


def penalty_ramp(step: int, total: int, warmup: float) -> float:
    """Fraction of a penalty's weight at a step: linear from 0 to 1 over ``warmup · total`` steps."""
    return 1.0 if warmup <= 0.0 else min(1.0, step / max(1.0, warmup * total))
