"""Every shipped config of a run trains two steps on the data it names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from seqexp.cli.main import main
from seqexp.dna.simulation.config import SimulationConfig
from seqexp.dna.simulation.simulate import simulate_genome
from seqexp.training.fit import run_fit
from seqexp.training.predict import predict_run
from seqexp.training.run import Run

REAL = {
    "yeast": (
        *("dna/yeast.yaml", "dna/yeast_dna.yaml", "baselines/yeast_conv.yaml", "baselines/yeast_conv_dna.yaml"),
        *("discovery/yeast_seqexp.yaml", "discovery/yeast_reader.yaml"),
    ),
    "k562_chr22": (
        *("dna/k562_chr22.yaml", "dna/k562_chr22_mamba.yaml"),
        *("discovery/k562_chr22_reader.yaml", "discovery/k562_chr22_published.yaml"),
    ),
}
HI_C = ("--data.init_args.contacts=true",)
ENCODERS = ("mamba", "mamba2", "hyena", "hyenadna", "caduceus")


def two_steps(config: str, dataset: Path, run_dir: Path, *more: str) -> Run:
    """A run of two steps with real batches, evaluated on one batch; ``more`` are configs laid over, or flags."""
    limits = (
        "max_epochs=1",
        "limit_train_batches=2",
        "limit_val_batches=1",
        "num_sanity_val_steps=0",
        "log_every_n_steps=1",
    )
    flags = [f"--trainer.{limit}" for limit in limits]
    flags += [flag for flag in more if flag.startswith("--")]
    configs = [config, *(name for name in more if not name.startswith("--"))]
    trainer = run_fit(run_dir, configs, [f"--data.init_args.dataset={dataset}", *flags])
    assert trainer.global_step == 2
    return Run.open(run_dir, "last")


def test_demo(tmp_path: Path) -> None:
    config = SimulationConfig(num_genes=36, num_chromosomes=6, mean_elements=1.5)
    run = two_steps("dna/demo.yaml", simulate_genome(tmp_path / "data", config), tmp_path / "run")
    table = predict_run(run)
    assert len(table) == 36
    assert np.isfinite(table["prediction"]).all()


@pytest.fixture(scope="module")
def small_genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = SimulationConfig(num_genes=24, num_chromosomes=6, mean_elements=1.5)
    return simulate_genome(tmp_path_factory.mktemp("small") / "data", config)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_can_be_laid_over_a_config(encoder: str, small_genome: Path, tmp_path: Path) -> None:
    few = "--data.init_args.batch_size=2"
    run = two_steps("dna/yeast.yaml", small_genome, tmp_path / "run", f"encoders/{encoder}.yaml", few)
    assert encoder in " ".join(type(part).__module__ for part in run.network.modules())


HARD = ("base/seq2exp_hard.yaml",)


@pytest.mark.parametrize(("name", "more"), [("seqexp", ()), ("published", ()), ("published", HARD), ("reader", ())])
def test_arms_of_the_simulated_benchmark(name: str, more: tuple[str, ...], small_genome: Path, tmp_path: Path) -> None:
    few = "--data.init_args.batch_size=2"
    run = two_steps(f"discovery/simulated_{name}.yaml", small_genome, tmp_path / "run", few, *more)
    assert np.isfinite(predict_run(run)["prediction"]).all()


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    mirror = os.environ.get("SEQEXP_MIRROR")
    if not mirror:
        pytest.skip("SEQEXP_MIRROR is unset: the configs on real data are NOT tested")
    folder = tmp_path_factory.mktemp("real")
    for name in REAL:
        assert main(["data", "prepare", name, "--out", str(folder / name), "--mirror", mirror]) == 0
    return {name: folder / name / "dataset.yaml" for name in REAL}


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "config"), [(name, config) for name, configs in REAL.items() for config in configs])
def test_real_data(name: str, config: str, datasets: dict[str, Path], tmp_path: Path) -> None:
    run = two_steps(config, datasets[name], tmp_path / "run")
    log = pd.read_csv(tmp_path / "run" / "logs" / "metrics.csv")
    assert np.isfinite(log["train_total_step"].dropna()).all()
    batch = next(iter(run.datamodule.test_dataloader()))
    run.network.eval()
    with torch.no_grad():
        output = run.network(batch)
    assert torch.isfinite(output.prediction).all()


@pytest.mark.realdata
def test_contacts_are_evidence_where_the_plan_asks_for_them(datasets: dict[str, Path], tmp_path: Path) -> None:
    run = two_steps("dna/k562_chr22.yaml", datasets["k562_chr22"], tmp_path / "run", *HI_C)
    batch = next(iter(run.datamodule.test_dataloader()))
    assert batch.signals.shape[-1] == 4
    run.network.eval()
    with torch.no_grad():
        selection = run.network.select(batch)
    assert selection.place_logit.std() > 0.01
    near = selection.place_logit.reshape(len(batch), -1, 64).mean(-1)  # of 8 kb
    assert (near[:, 5:7].mean(1) > near[:, [0, 11]].mean(1)).float().mean() > 0.9  # contacts fall with distance
