"""A system from outside: one file and one config, and every command treats it as its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.api.finish import finish_run
from seqexp.cli.main import main
from seqexp.core.classes import allow_classes
from seqexp.core.yaml import dump_yaml
from seqexp.training.run import Run
from seqexp.training.sampling import sample_run

ALLOWED = ["--allow-classes", "toy_denoiser"]


@pytest.fixture(scope="module")
def run_dir(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the toy: two epochs, then a third after a resume."""
    folder = tmp_path_factory.mktemp("toy")
    data = {"dataset": str(shared_tiny_dataset), "upstream_bp": 1024, "downstream_bp": 1024, "signal_bin_bp": 32}
    config = {
        "model": {"network": {"class_path": "toy_denoiser.Denoiser"}, "lr": 0.01},
        "data": {"class_path": "seqexp.dna.loaders.data.SequenceData", "init_args": data},
        "trainer": {"accelerator": "cpu", "max_epochs": 2},
        "run": {"progress": "none", "monitor": "val_mse"},
    }
    dump_yaml(config, folder / "toy.yaml")
    run, given = str(folder / "run"), ["--config", str(folder / "toy.yaml")]
    assert main(["fit", *given, "--run-dir", run, "--finish", "false", *ALLOWED]) == 0
    assert main(["fit", "--run-dir", run, "--resume", *ALLOWED, "--trainer.max_epochs=3"]) == 0
    return folder / "run"


def test_it_trains_validates_resumes_and_is_reported(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = pd.read_csv(run_dir / "logs" / "metrics.csv")
    assert log["epoch"].max() == 2
    assert any("denoising" in name for name in log), list(log)
    assert log["val_mse"].notna().sum() == 3
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert np.isfinite(metrics["test_mse"])
    assert 0 <= metrics["sample_coverage_90"] <= 1
    assert metrics["sample_num"] == 50
    page = (run_dir / "report.html").read_text()
    for words in ("Denoiser", "Samples of the distribution", "90 % interval"):
        assert words in page
    assert main(["validate", "--run-dir", str(run_dir), *ALLOWED]) == 0
    assert "val_mse" in capsys.readouterr().out


def test_samples_do_not_depend_on_batches(run_dir: Path) -> None:
    with allow_classes("toy_denoiser"):
        whole, pieces = (
            sample_run(Run.open(run_dir, overrides=[f"--data.init_args.batch_size={size}"]), 5) for size in (64, 3)
        )
        assert pieces == pytest.approx(whole, rel=1e-5)
        assert finish_run(run_dir)["sample_crps"] == json.loads((run_dir / "metrics.json").read_text())["sample_crps"]


def test_samples_of_genes_that_are_asked_for(run_dir: Path, tmp_path: Path) -> None:
    genes = pd.read_csv(run_dir / "predictions.tsv", sep="\t")["gene_id"].astype(str).tolist()[:2]
    given = ["--run-dir", str(run_dir), "--genes", *genes, "--samples", "4"]
    assert main(["predict", *given, "--out", str(tmp_path / "out"), *ALLOWED]) == 0
    with np.load(tmp_path / "out" / "samples.npz") as saved:
        assert saved["samples"].shape == (4, 2, 1)
        assert saved["samples"].std(0).min() > 0
