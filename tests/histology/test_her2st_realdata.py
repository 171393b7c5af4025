"""her2st from recipe to figures: the baselines reach what they should, the shipped configs run."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from seqexp.api.finish import finish_run
from seqexp.cli.main import main
from seqexp.histology.evaluation.naive import naive_predictions
from seqexp.histology.evaluation.table import score
from seqexp.histology.loaders.data import SpotData
from seqexp.training.fit import run_fit

pytestmark = pytest.mark.realdata
SECTIONS = ("section_B4", "section_C2", "section_C3", "section_C4")


@pytest.fixture(scope="module")
def her2st(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mirror = os.environ.get("SEQEXP_MIRROR")
    if not mirror:
        pytest.skip("SEQEXP_MIRROR is unset: the histology wing is NOT tested on real data")
    folder = tmp_path_factory.mktemp("her2st") / "her2st"
    assert main(["data", "prepare", "her2st", "--out", str(folder), "--mirror", mirror]) == 0
    return folder


def test_ridge_on_four_scales_reaches_0_24_and_colour_its_floor(her2st: Path) -> None:
    reached: dict[str, list[float]] = {}
    for split in SECTIONS:
        data = SpotData(her2st, split, patch_px=0, features="texture")
        data.setup()
        for name, values in naive_predictions(data).items():
            reached.setdefault(name, []).append(score(data, values, "test").as_dict()["pcc_mean"])
    assert np.mean(reached["texture_ridge"]) >= 0.24
    assert np.mean(reached["colour_ridge"]) >= 0.13
    assert min(reached["texture_ridge"]) > 0.14


@pytest.mark.parametrize("config", ["histology/nsl.yaml", "histology/mclstexp.yaml"])
def test_shipped_configs_learn_something_in_three_epochs(her2st: Path, tmp_path: Path, config: str) -> None:
    flags = [f"--data.init_args.dataset={her2st}", "--trainer.max_epochs=3", "--run.progress=none"]
    run_fit(tmp_path / "run", [config], flags)
    metrics = finish_run(tmp_path / "run")
    assert metrics["test_pcc_mean"] > 0.05
    assert abs(metrics["shuffled_pcc_mean"]) < 0.05
    assert metrics["num_genes"] == 250
