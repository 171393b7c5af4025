"""A system that a user wrote, in one file and one config: trains, resumes, predicts samples and gets its report."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from seqexp.cli.main import main
from seqexp.core.classes import allow_classes
from seqexp.core.errors import ConfigError
from seqexp.core.yaml import dump_yaml
from seqexp.training.fit import run_fit
from seqexp.training.predict import predict_run, sample_run
from seqexp.training.run import Run

HELPERS = Path(__file__).parents[1] / "training" / "helpers"
sys.path.insert(0, str(HELPERS))


class Stop(Exception):
    """Ends a run from within, as a crash would."""


class StopAt(pl.Callback):
    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step >= 11:
            raise Stop


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, shared_tiny_dataset: Path) -> Path:
    data = {"dataset": str(shared_tiny_dataset), "upstream_bp": 512, "downstream_bp": 512, "signal_bin_bp": 32}
    content = {
        "model": {"network": {"class_path": "denoiser.Denoiser"}, "lr": 0.01, "ema": 0.9},
        "data": {"class_path": "seqexp.dna.loaders.data.SequenceData", "init_args": {**data, "batch_size": 8}},
        "trainer": {"accelerator": "cpu", "max_epochs": 12, "log_every_n_steps": 1},
        "run": {"progress": "none", "checkpoint_every_n_steps": 3, "patience": None},
    }
    path = tmp_path_factory.mktemp("denoiser") / "denoiser.yaml"
    dump_yaml(content, path)
    return path


@pytest.fixture(scope="module")
def run_dir(config: Path) -> Path:
    folder = config.parent / "run"
    flags = ["--allow-classes", "denoiser"]
    assert main(["fit", "--config", str(config), "--run-dir", str(folder), *flags]) == 0
    return folder


@pytest.fixture
def run(run_dir: Path) -> Any:
    with allow_classes("denoiser"):
        yield Run.open(run_dir)


def test_trains_and_validates(run_dir: Path) -> None:
    with open(run_dir / "logs/metrics.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    losses = [float(row["val_loss"]) for row in rows if row["val_loss"]]
    assert losses[-1] < losses[0]
    assert float([row["val_pearson"] for row in rows if row["val_pearson"]][-1]) > 0.3
    assert "train_pearson" not in rows[0]  # no sample is drawn while it trains
    assert any(row["train_denoising"] for row in rows)


def test_gets_its_metrics_and_its_report(run_dir: Path) -> None:
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert np.isfinite([metrics["test_pearson"], metrics["best_baseline_pearson"]]).all()
    assert 0 <= metrics["sample_coverage_90"] <= 1
    assert metrics["sample_crps"] > 0
    page = (run_dir / "report.html").read_text()
    for words in ("Denoiser", "Samples of the distribution", "inside the 90 % interval"):
        assert words in page


def test_resumes_bit_for_bit(config: Path, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqexp.training import fit as module

    make = module.make_callbacks
    with allow_classes("denoiser"):
        with monkeypatch.context() as patch:
            patch.setattr(module, "make_callbacks", lambda *a: [*make(*a), StopAt()])
            with pytest.raises(Stop):
                run_fit(tmp_path / "run", [str(config)])
        run_fit(tmp_path / "run", resume=True)
    names = ("checkpoints/last.ckpt", "checkpoints/best.ckpt")
    for name in names:
        one, other = (torch.load(folder / name, weights_only=True) for folder in (run_dir, tmp_path / "run"))
        assert all(torch.equal(value, other["state_dict"][key]) for key, value in one["state_dict"].items())
    assert (run_dir / "logs/metrics.csv").read_text() == (tmp_path / "run/logs/metrics.csv").read_text()


def test_samples_follow_from_seed_row_and_draw(run: Run) -> None:
    table = sample_run(run, 3, seed=5)
    assert table.columns.tolist() == ["index", "draw", "sample", "unit"]
    assert len(table) == 3 * 60
    assert table.groupby("index")["sample"].nunique().eq(3).all()
    run.datamodule.batch_size = 31  # other batches, the same draws; the first draws of more are those of fewer
    again = sample_run(run, 4, seed=5)
    np.testing.assert_allclose(again[again["draw"] < 3]["sample"], table["sample"], rtol=1e-5)
    assert not np.allclose(sample_run(run, 3, seed=6)["sample"], table["sample"])
    predicted = predict_run(run)
    means = sample_run(run, 4, seed=0).groupby("index")["sample"].mean()
    np.testing.assert_allclose(predicted.set_index("index")["prediction"], means, rtol=1e-4)


def test_samples_of_a_network_that_has_none_are_refused(run: Run) -> None:
    with pytest.raises(ConfigError, match="0 samples of Denoiser"):
        sample_run(run, 0)


def test_predicts_by_command(run_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "predictions.tsv"
    command = ["predict", "--run-dir", str(run_dir), "--output", str(out), "--allow-classes", "denoiser"]
    assert main(command) == 0
    assert len(out.read_text().splitlines()) == 61


def test_samples_of_genes_that_are_asked_for(run_dir: Path, tmp_path: Path) -> None:
    with open(run_dir / "predictions.tsv", newline="") as handle:
        genes = [row["gene_id"] for row in csv.DictReader(handle, delimiter="\t")][:2]
    command = [
        "predict",
        "--run-dir",
        str(run_dir),
        "--genes",
        *genes,
        "--samples",
        "4",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--out", str(tmp_path / "out"), "--allow-classes", "denoiser"]) == 0
    with np.load(tmp_path / "out" / "samples.npz") as saved:
        assert saved["samples"].shape == (4, 2, 1)
        assert saved["samples"].std(0).min() > 0
