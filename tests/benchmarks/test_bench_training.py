"""Training windows per second of every shipped config of the DNA wing, and of yeast with every encoder; prints a table.

Run with ``pytest -m benchmark -s tests/benchmarks/test_bench_training.py``. The limit beside each figure is the rate at
which one process builds the same one-hot windows and does nothing else: a model cannot train faster than that. Configs
with more than :data:`MOST_TOKENS` tokens in a step are made for a GPU and left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from seqexp.core.memory import keep_freed_memory
from seqexp.core.resources import shipped_folder
from seqexp.dna.loaders.random_batch import random_batch
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.training.config import RunConfig
from seqexp.training.cost import training_step
from seqexp.training.stack import config_stack

FOLDER = shipped_folder("configs")
MOST_TOKENS = 500_000
SHIPPED = sorted(
    p.relative_to(FOLDER).as_posix() for part in ("dna", "baselines") for p in (FOLDER / part).glob("*.yaml")
)
OVERLAYS = sorted(p.relative_to(FOLDER).as_posix() for p in (FOLDER / "encoders").glob("*.yaml"))
STACKS = [(name,) for name in SHIPPED] + [("dna/yeast.yaml", name) for name in OVERLAYS]


def tracks_of(network: torch.nn.Module) -> int:
    return next((int(m.num_tracks) for m in network.modules() if hasattr(m, "num_tracks")), 0)


def rate(step: Callable[[], object], num_windows: int, seconds: float = 4.0) -> float:
    step()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        step()
        done += num_windows
    return done / (time.perf_counter() - started)


@pytest.mark.benchmark
def test_training_windows_per_second(capsys: pytest.CaptureFixture[str]) -> None:
    keep_freed_memory()  # as `seqexp fit` does for windows of these lengths
    rows = []
    for stack in STACKS:
        settings = RunConfig([f"--config={path}" for path in config_stack(list(stack))])
        task, data = settings.model, settings.datamodule
        length, size = data.upstream_bp + data.downstream_bp, data.batch_size
        if length // data.signal_bin_bp * size > MOST_TOKENS:
            continue
        num_tracks = tracks_of(task.network)
        batch = random_batch(size, length, data.signal_bin_bp, num_tracks)
        levels = np.linspace(0, 1, 101, dtype=np.float32)
        quantiles = np.tile(levels * 10, (num_tracks, 1)).astype(np.float32)
        names = tuple(f"t{n}" for n in range(num_tracks))
        task.network.calibrate(DataStatistics(names, quantiles, levels, 0.0, 1.0, 8))
        precision = str(settings.settings["trainer"].get("precision"))
        step = training_step(task, task.network, batch, torch.device("cpu"), precision=precision)
        trained, limit = rate(step, size), rate(batch.one_hot, size, 1.0)
        number = sum(p.numel() for p in task.network.parameters())
        figures = f"{number:>12,}{length:>11,}{trained:>12.2f}{limit:>14.0f}{trained / limit:>12.4f}"
        rows.append(f"{' + '.join(stack):<42}{figures}")
        assert trained > 0
    with capsys.disabled():
        heads = f"{'parameters':>12}{'window bp':>11}{'windows/s':>12}{'one-hot/s':>14}{'of limit':>12}"
        print(f"\n{'config':<42}{heads}")
        print("\n".join(rows))
        print(f"threads: {torch.get_num_threads()}")
