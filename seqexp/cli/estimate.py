"""`seqexp estimate`: time and memory of a training step before a run is started."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from seqexp.core.classes import add_allow_classes
from seqexp.core.errors import ConfigError
from seqexp.core.memory import keep_freed_memory

if TYPE_CHECKING:
    from torch import nn

    from seqexp.training.cost import Cost

_SHARES = (1 / 16, 1 / 8, 1 / 4)  # of the window that is asked for
_SHORTEST_BP = 4096  # below, fixed costs hide what grows


def main(argv: list[str]) -> int:
    """Measure short windows in processes of their own, extrapolate, print; 1 when the memory is not there."""
    parser = argparse.ArgumentParser(prog="seqexp estimate", description=__doc__, allow_abbrev=False)
    parser.add_argument("-c", "--config", action="append", required=True, help="file, or name of a shipped config")
    parser.add_argument("--window-bp", type=int, help="window to estimate (default: that of the config)")
    parser.add_argument("--batch-size", type=int, help="windows per step (default: that of the config)")
    parser.add_argument("--predict", action="store_true", help="estimate prediction instead of training")
    parser.add_argument("--as-window-bp", type=int, help=argparse.SUPPRESS)  # use memory as for a window this long
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    add_allow_classes(parser)
    arguments, overrides = parser.parse_known_args(argv)
    if arguments.measure:
        print(json.dumps(_measure_here(arguments, overrides)))
        return 0
    unit, window, batch_size = _sizes(arguments, overrides)
    lengths = _lengths(unit, window)
    costs = []
    for length in lengths:
        costs.append(_measure_apart(arguments, overrides, length, batch_size, window=window))
        print(f"measured {length:>12,} bp   {_show(costs[-1])}", flush=True)
    return _conclude(lengths, costs, window, batch_size, what="prediction" if arguments.predict else "training step")


def _sizes(arguments: argparse.Namespace, overrides: list[str]) -> tuple[int, int, int]:
    """Bases a window must be a multiple of, bases of the window, windows per step.

    Raises
    ------
    ConfigError
        A window or a batch that cannot be.
    """
    settings = _open(arguments, overrides)
    data = settings.datamodule
    unit = math.lcm(int(getattr(settings.model.network, "bin_bp", 1)), int(data.signal_bin_bp))
    window = int(data.window_bp if arguments.window_bp is None else arguments.window_bp)
    if window < unit or window % unit:
        raise ConfigError(f"window of {window} bp", where="--window-bp", expected=f"a positive multiple of {unit}")
    batch_size = int(data.batch_size if arguments.batch_size is None else arguments.batch_size)
    if batch_size < 1:
        raise ConfigError(f"batch of {batch_size} windows", where="--batch-size", expected="at least 1")
    return unit, window, batch_size


def _lengths(unit: int, window: int) -> list[int]:
    """Windows to measure, rising; the one that is asked for where it is short."""
    rounded = {max(unit, round(max(window * share, _SHORTEST_BP) / unit) * unit) for share in _SHARES}
    shorter = sorted(length for length in rounded if length < window)
    return shorter if len(shorter) > 1 else [window]


def _open(arguments: argparse.Namespace, overrides: list[str]) -> Any:
    """The config as task and data module; of the data, the description alone is read, where it is there."""
    from seqexp.training.config import RunConfig
    from seqexp.training.stack import config_stack

    stack = [f"--config={path}" for path in config_stack(arguments.config)]
    return RunConfig([*stack, *overrides], assumed=_ASSUMED)


def _measure_apart(
    arguments: argparse.Namespace, overrides: list[str], length: int, batch_size: int, *, window: int
) -> Cost:
    """Measure in a fresh process, whose peak of memory is that of this length alone."""
    from seqexp.training.cost import Cost

    flags = [flag for name in arguments.config for flag in ("--config", name)]
    flags += ["--window-bp", str(length), "--batch-size", str(batch_size), "--as-window-bp", str(window)]
    flags += [*(["--predict"] * arguments.predict)]
    flags += [flag for name in arguments.allow_classes for flag in ("--allow-classes", name)]
    command = [sys.executable, "-m", "seqexp", "estimate", "--measure", *flags, *overrides]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.strip()
        lines = told[told.rfind("error: ") :].splitlines() if "error: " in told else told.splitlines()[-1:]
        reason = " ".join(" ".join(lines).split()) or f"ended with status {done.returncode}"
        raise ConfigError(
            f"a step on {batch_size} windows of {length:,} bp does not run: {reason}",
            expected="a config that can be trained",
            fix="a smaller batch, where memory ran out",
        )
    return Cost(*json.loads(done.stdout.splitlines()[-1]))


def _measure_here(arguments: argparse.Namespace, overrides: list[str]) -> tuple[float, float]:
    """What the fresh process runs: random windows of the shape of the config."""
    import torch

    from seqexp.dna.loaders.random_batch import random_batch
    from seqexp.training.cost import measure, prediction_step, training_step

    settings = _open(arguments, overrides)
    network, data = settings.model.network, settings.datamodule
    keep_freed_memory((arguments.as_window_bp or arguments.window_bp) // int(getattr(network, "bin_bp", 1)))
    counts = {name: max(int(getattr(part, name, 0)) for part in network.modules()) for name in _COUNTS}
    signals = ("track",) * counts["num_tracks"] + ("contact",) * counts["num_contacts"]
    num_covariates = counts["num_covariates"]
    sizes = (arguments.batch_size, arguments.window_bp, int(data.signal_bin_bp), len(signals))
    batch = random_batch(*sizes, num_covariates=num_covariates)
    _calibrate(network, signals, num_covariates)
    trainer = settings.settings["trainer"]
    is_gpu = trainer.get("accelerator") != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if is_gpu else "cpu")
    if arguments.predict:
        return measure(prediction_step(network, batch, device), device)
    precision = str(trainer.get("precision") or "32-true")
    return measure(training_step(settings.model, network, batch, device, precision=precision), device)


# Of data that are not there yet.
_ASSUMED = {"num_tracks": 2, "num_contacts": 0, "num_covariates": 0, "num_targets": 1}
_COUNTS = ("num_tracks", "num_contacts", "num_covariates")


def _calibrate(network: nn.Module, signals: tuple[str, ...], num_covariates: int) -> None:
    """Give the network statistics of made-up data, as a fit would before its first step."""
    import numpy as np

    from seqexp.dna.loaders.statistics import DataStatistics

    levels = np.linspace(0, 1, 101, dtype=np.float32)
    quantiles = np.tile(levels * 10, (len(signals), 1)).astype(np.float32)
    made_up = DataStatistics(
        signals, quantiles, levels, 0.0, 1.0, num_train=8, covariates=("made up",) * num_covariates
    )
    if hasattr(network, "calibrate"):
        network.calibrate(made_up)  # type: ignore[operator]


def _conclude(lengths: list[int], costs: list[Cost], window: int, batch_size: int, *, what: str) -> int:
    from seqexp.training.cost import extrapolate

    cost = costs[-1] if lengths[-1] == window else extrapolate(lengths, costs, window)
    print(f"{what} on {batch_size} windows of {window:,} bp: {_show(cost)}")
    available = _available_bytes()
    if available is not None and cost.peak_bytes > available:
        print(
            f"this machine has {available / 2**30:.1f} GiB: it will not fit. Try checkpoint: true in the encoders, "
            "a smaller batch, or larger bins"
        )
        return 1
    return 0


def _show(cost: Cost) -> str:
    return f"{cost.seconds:10.4f} s   {cost.peak_bytes / 2**30:6.2f} GiB"


def _available_bytes() -> float | None:
    """Memory of the device that would be used."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(0).total_memory)
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return None
