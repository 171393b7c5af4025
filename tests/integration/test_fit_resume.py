"""A run killed in the middle of an epoch and resumed ends exactly as one left alone."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

HELPERS = Path(__file__).parents[1] / "training" / "helpers"
CONFIG = HELPERS / "tiny.yaml"  # 56 training rows in 7 batches, a checkpoint every 3 steps


@pytest.fixture(autouse=True)
def _find_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HELPERS))


def fit(folder: Path, *flags: str, config: Path = CONFIG, **options: Any) -> Any:
    from seqexp.training.fit import run_fit

    return run_fit(folder, [str(config)], flags, **options)


def log_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "logs" / "metrics.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def assert_same_run(one: Path, other: Path) -> None:
    assert log_of(one) == log_of(other)
    for name in ("last.ckpt", "best.ckpt"):
        first, second = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (one, other))
        assert first["global_step"] == second["global_step"]
        assert first["state_dict"].keys() == second["state_dict"].keys()
        for key, value in first["state_dict"].items():
            assert torch.equal(value, second["state_dict"][key]), f"{name}: {key}"
        assert str(first["optimizer_states"]) == str(second["optimizer_states"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HELPERS))
        fit(folder)
    return folder


def killed_at(step: int, folder: Path, workers: int) -> None:
    """Fit in another process and kill it, as a power cut would."""
    code = (
        "import sys, tiny_run\n"
        "from seqexp.training import fit as module\n"
        "make = module.make_callbacks\n"
        f"module.make_callbacks = lambda *a: [*make(*a), tiny_run.KillAt({step})]\n"
        f"module.run_fit({str(folder)!r}, [{str(CONFIG)!r}], ['--data.init_args.num_workers={workers}'])\n"
    )
    path = f"{HELPERS}:{Path(__file__).parents[2]}"
    # The rest of the environment stays: variables such as OPENBLAS_CORETYPE decide the last digits of a sum.
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL


def test_killed_in_the_middle_of_an_epoch(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    killed_at(11, folder, workers=0)  # in the second epoch; the last checkpoint is of step 9, batch 2 of it
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 9
    assert len(saved["seqexp"]["train_rows"]["index"]) == 16
    fit(folder, resume=True)
    assert_same_run(whole, folder)


class Stop(Exception):
    """Ends a run from within, as a crash would."""


def crash(step: int, folder: Path, monkeypatch: pytest.MonkeyPatch, *flags: str, config: Path = CONFIG) -> None:
    """Fit and end in an error right after a step."""
    import tiny_run

    from seqexp.training import fit as module

    def stop(*arguments: object) -> None:
        raise Stop

    make = module.make_callbacks
    with monkeypatch.context() as patch:
        patch.setattr(tiny_run.os, "kill", stop)
        patch.setattr(module, "make_callbacks", lambda *a: [*make(*a), tiny_run.KillAt(step)])
        with pytest.raises(Stop):
            fit(folder, *flags, config=config)


@pytest.mark.parametrize("step", [4, 7, 10, 14, 20])
def test_crashed_anywhere(whole: Path, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the first and later epochs, and right after the last batch of one (7, 14)."""
    crash(step, tmp_path / "run", monkeypatch)
    fit(tmp_path / "run", resume=True)
    assert_same_run(whole, tmp_path / "run")


def test_resumed_after_the_end(whole: Path, tmp_path: Path) -> None:
    """Longer training of a finished run continues the count of epochs."""
    fit(tmp_path / "run")
    trainer = fit(tmp_path / "run", "--trainer.max_epochs=5", resume=True)
    assert trainer.current_epoch == 5
    assert log_of(tmp_path / "run")[:28] == log_of(whole)[:28]


def test_windows_of_a_genome(shared_tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Augmented windows read by two workers: resumed exactly, and predicted bit for bit with none and with two."""
    from seqexp.training.predict import predict_run
    from seqexp.training.run import Run

    config = HELPERS / "tiny_dna.yaml"
    dataset = f"--data.init_args.dataset={shared_tiny_dataset}"
    fit(tmp_path / "whole", dataset, config=config)
    crash(8, tmp_path / "run", monkeypatch, dataset, "--data.init_args.num_workers=2", config=config)  # 5 a epoch
    fit(tmp_path / "run", dataset, config=config, resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "run")

    frame = predict_run(Run.open(tmp_path / "run"))
    again = predict_run(Run.open(tmp_path / "run", overrides=["--data.init_args.num_workers=2"]))
    assert frame.equals(again)
    assert frame["split"].value_counts().to_dict() == {"train": 40, "val": 10, "test": 10}
