"""Training windows per second of every shipped config, on random windows of its own shape; prints a table.

Run with ``pytest -m benchmark -s tests/benchmarks/test_bench_training.py``. The limit beside each figure is the rate at
which one process builds the same one-hot windows and does nothing else: a model cannot train faster than that.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from seqexp.core.resources import shipped_folder
from seqexp.dna.loaders.batch import SequenceBatch, no_blacklist
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.training.config import RunConfig, config_stack

FOLDER = shipped_folder("configs")
CONFIGS = sorted(
    p.relative_to(FOLDER).as_posix() for part in ("dna", "baselines") for p in (FOLDER / part).glob("*.yaml")
)


def random_batch(data: SimpleNamespace, num_tracks: int) -> SequenceBatch:
    size, length = data.batch_size, data.upstream_bp + data.downstream_bp
    num_bins = length // data.signal_bin_bp
    return SequenceBatch(
        torch.randint(0, 4, (size, length), dtype=torch.uint8),
        torch.rand(size, num_bins, num_tracks).half() * 10,
        torch.randn(size, 1),
        torch.zeros(size, 0),
        torch.full((size,), data.upstream_bp),
        torch.arange(size),
        torch.zeros(size, dtype=torch.bool),
        no_blacklist(size, num_bins),
    )


def tracks_of(network: torch.nn.Module) -> int:
    return next((int(m.num_tracks) for m in network.modules() if hasattr(m, "num_tracks")), 0)


def rate(step, num_windows: int, seconds: float = 4.0) -> float:
    step()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        step()
        done += num_windows
    return done / (time.perf_counter() - started)


@pytest.mark.benchmark
def test_training_windows_per_second(capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for name in CONFIGS:
        settings = RunConfig([f"--config={path}" for path in config_stack([name])])
        task, data = settings.model, settings.datamodule
        batch = random_batch(data, tracks_of(task.network))
        num_tracks = batch.signals.shape[-1]
        levels = np.linspace(0, 1, 101, dtype=np.float32)
        quantiles = np.tile(levels * 10, (num_tracks, 1)).astype(np.float32)
        names = tuple(f"t{n}" for n in range(num_tracks))
        task.network.calibrate(DataStatistics(names, quantiles, levels, 0.0, 1.0, 8))
        optimizer = torch.optim.AdamW(task.network.parameters(), lr=1e-4)
        precision = str(settings.settings["trainer"].get("precision"))

        def step(task=task, batch=batch, optimizer=optimizer, precision=precision) -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in precision):
                output = task.network(batch)
            loss = (output.prediction.float() - batch.target).square().mean()
            loss = loss + sum(weight * output.penalties[key] for key, weight in task.penalties.items())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        task.train()
        trained, limit = rate(step, len(batch)), rate(batch.one_hot, len(batch), 1.0)
        length = batch.codes.shape[1]
        rows.append(f"{Path(name).as_posix():<34}{length:>9,}{trained:>12.1f}{limit:>14.0f}{trained / limit:>12.4f}")
        assert trained > 0
    with capsys.disabled():
        print(f"\n{'config':<34}{'window bp':>9}{'windows/s':>12}{'one-hot/s':>14}{'of limit':>12}")
        print("\n".join(rows))
        print(f"threads: {torch.get_num_threads()}")
