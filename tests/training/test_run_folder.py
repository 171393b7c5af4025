"""A run folder: started, continued, replaced, opened again; and files that are not what they should be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import load_yaml
from seqexp.training.callbacks import RunOptions
from seqexp.training.checkpoints import AtomicCheckpointIO, read_checkpoint
from seqexp.training.fit import run_fit
from seqexp.training.folder import check_folder
from seqexp.training.predict import predict_run, write_predictions
from seqexp.training.run import Run

HELPERS = Path(__file__).parent / "helpers"
sys.path.insert(0, str(HELPERS))
CONFIG = str(HELPERS / "tiny.yaml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    run_fit(folder, [CONFIG], ["--trainer.max_epochs=2"])
    return folder


def test_what_a_run_leaves(finished: Path) -> None:
    files = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "run_record.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "logs/metrics.csv",
    } <= files
    assert any(name.startswith("logs/tensorboard/events") for name in files)
    assert not any(".part." in name for name in files)
    record = json.loads((finished / "run_record.json").read_text())
    assert (record["status"], record["epochs"], record["seed"]) == ("finished", 2, 3)
    assert record["data_fingerprint"] == "tiny"
    assert record["config"] == load_yaml(finished / "config.yaml")
    log = pd.read_csv(finished / "logs" / "metrics.csv")
    assert log["val_pearson"].notna().sum() == 2
    assert log["step"].is_unique


def test_predictions_come_back_bit_for_bit_with_any_number_of_workers(finished: Path, tmp_path: Path) -> None:
    frame = predict_run(Run.open(finished))
    assert frame["gene_id"].tolist() == [f"g{i}" for i in range(90)]
    assert set(frame["unit"]) == {"log2(TPM + 1)"}
    np.testing.assert_allclose(frame["target"], np.log2(frame["expression"] + 1), rtol=1e-5)
    write_predictions(frame, tmp_path / "predictions.tsv")
    read = pd.read_csv(tmp_path / "predictions.tsv", sep="\t")
    assert np.array_equal(read["prediction"].astype(np.float32), frame["prediction"])
    again = predict_run(Run.open(finished, overrides=["--data.init_args.num_workers=2"]))
    pd.testing.assert_frame_equal(frame, again, check_exact=True)


def test_scores_agree_with_the_predictions(finished: Path) -> None:
    run = Run.open(finished)
    frame = predict_run(run)
    rows = frame[frame["split"] == "test"]
    metrics = run.score("test")
    assert metrics["test_num"] == len(rows) == 15
    assert metrics["test_pearson"] == pytest.approx(np.corrcoef(rows["prediction"], rows["target"])[0, 1], abs=1e-6)
    assert not run.network.training


def test_a_run_is_not_replaced_unasked(finished: Path) -> None:
    with pytest.raises(ConfigError, match="holds a finished run"):
        run_fit(finished, [CONFIG])
    with pytest.raises(ConfigError, match="exclude each other"):
        check_folder(finished, overwrite=True, resume=True)


def test_overwrite_only_replaces_runs(tmp_path: Path) -> None:
    run_fit(tmp_path / "run", [CONFIG], ["--trainer.max_epochs=1"])
    (tmp_path / "run" / "predictions.tsv").write_text("of the old run")
    run_fit(tmp_path / "run", [CONFIG], ["--trainer.max_epochs=1"], overwrite=True)
    assert not (tmp_path / "run" / "predictions.tsv").exists()
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigError, match="files that are no run"):
        run_fit(tmp_path, [CONFIG], overwrite=True)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--run.monitor=train_loss", "a validation metric"),
        ("--run.mode=max", "run.mode is 'max' for val_loss"),
        ("--run.monitor=val_entropy", "not known for val_entropy"),
    ],
)
def test_models_are_chosen_by_validation(flag: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        run_fit(tmp_path / "run", [CONFIG], [flag])
    assert not (tmp_path / "run").exists()


def test_unknown_metric_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="val_entropy"):
        run_fit(tmp_path / "run", [CONFIG], ["--run.monitor=val_entropy", "--run.mode=max"])


def test_higher_is_better_for_correlations() -> None:
    assert RunOptions(monitor="val_pearson").direction == "max"
    assert RunOptions().direction == "min"
    assert RunOptions(monitor="val_kl", mode="min").direction == "min"


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run to resume"):
        run_fit(tmp_path / "run", [CONFIG], resume=True)
    assert not (tmp_path / "run").exists()


def test_a_failed_start_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="outputs of shape"):
        run_fit(tmp_path / "a", [CONFIG], ["--model.network.init_args.num_outputs=2"])
    assert not (tmp_path / "a" / "checkpoints").exists()
    run_fit(tmp_path / "a", [CONFIG], ["--trainer.max_epochs=1"])  # no checkpoint there: nothing to lose
    with pytest.raises(ConfigError, match="Nope"):
        run_fit(tmp_path / "b", [CONFIG], ["--model.network.class_path=tiny_run.Nope"])
    assert not (tmp_path / "b").exists()


def test_fast_dev_run_leaves_nothing(tmp_path: Path) -> None:
    run_fit(tmp_path / "run", [CONFIG], ["--trainer.fast_dev_run=true"])
    assert not (tmp_path / "run").exists()


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        run_fit(tmp_path / "file" / "run", [CONFIG])


def test_checkpoint_of_another_architecture(finished: Path) -> None:
    with pytest.raises(DataError, match="another architecture"):
        Run.open(finished, overrides=["--model.network.init_args.width=16"])


def test_no_run_no_checkpoint_or_a_torn_one(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no run in this folder"):
        Run.open(tmp_path)
    with pytest.raises(DataError, match="no checkpoint"):
        Run.open(finished, checkpoint=tmp_path / "none.ckpt")
    torn = tmp_path / "torn.ckpt"
    torn.write_bytes((finished / "checkpoints" / "best.ckpt").read_bytes()[:2000])
    with pytest.raises(DataError, match="not readable as a checkpoint"):
        Run.open(finished, checkpoint=torn)
    torch.save({"weights": 1}, tmp_path / "other.ckpt")
    with pytest.raises(DataError, match="not a checkpoint of a run"):
        read_checkpoint(tmp_path / "other.ckpt")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_never_scored(finished: Path, tmp_path: Path, bad: float) -> None:
    saved = read_checkpoint(finished / "checkpoints" / "best.ckpt")
    for weight in saved["state_dict"].values():
        if weight.is_floating_point() and weight.ndim:
            weight.view(-1)[0] = bad
    torch.save(saved, tmp_path / "bad.ckpt")
    with pytest.raises(DataError, match=r"weights of \d+ tensors are not finite"):
        Run.open(finished, checkpoint=tmp_path / "bad.ckpt")


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {}, "step": 1}, path)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DataError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {}, "step": 2}, path)
    assert read_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
