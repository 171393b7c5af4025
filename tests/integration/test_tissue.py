"""A histology run from slides to report: every file, the same figures twice, order and workers without effect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_tissue import small_tissue

from seqexp.api.finish import finish_run, summary
from seqexp.cli.main import main
from seqexp.core.errors import DataError, MissingExtraError
from seqexp.core.yaml import dump_yaml
from seqexp.dna.evaluation.settings import FinishSettings
from seqexp.histology.benchmark.folds import fold_table, read_metrics
from seqexp.histology.loaders.data import SpotData
from seqexp.objectives.spatial import spatial_scores
from seqexp.training.fit import run_fit
from seqexp.training.predict import predict_run
from seqexp.training.run import Run

FILES = ("metrics.json", "predictions.tsv", "predictions.h5ad", "report.html", "config.yaml", "run_record.json")
NSL = {"class_path": "seqexp.histology.models.nsl.NSL", "init_args": {"num_genes": 8}}
RETRIEVAL = {
    "class_path": "seqexp.histology.models.mclstexp.MclSTExp",
    "init_args": {"num_genes": 8, "num_features": 21, "width": 16, "num_heads": 2, "head_width": 8, "exclude": "slide"},
}


def config_of(network: dict[str, object], **data: object) -> dict[str, object]:
    init = {"dataset": str(small_tissue()), "split": "patient", "patch_px": 8, "features": "colour", "batch_size": 16}
    return {
        "model": {"network": network, "lr": 0.02},
        "data": {"class_path": "seqexp.histology.loaders.data.SpotData", "init_args": {**init, **data}},
        "trainer": {"accelerator": "cpu", "max_epochs": 3},
        "run": {"progress": "none"},
    }


def fitted(folder: Path, network: dict[str, object], **data: object) -> Path:
    dump_yaml(config_of(network, **data), folder.with_suffix(".yaml"))
    run_fit(folder, [str(folder.with_suffix(".yaml"))])
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tissue")
    made = {"nsl": fitted(folder / "nsl", NSL), "retrieval": fitted(folder / "retrieval", RETRIEVAL)}
    finish_run(made["nsl"])
    finish_run(made["retrieval"], FinishSettings(beside=(made["nsl"],)))
    return made


@pytest.mark.parametrize("name", ["nsl", "retrieval"])
def test_every_file_is_there_and_metrics_are_flat(runs: dict[str, Path], name: str) -> None:
    assert [file for file in FILES if not (runs[name] / file).is_file()] == []
    assert not list(runs[name].rglob("*.part.*"))
    metrics = json.loads((runs[name] / "metrics.json").read_text())
    for key in ("test_pearson", "test_spearman", "test_mse", "test_pcc_mean", "test_pcc_median", "test_pcc_mean_P2_1"):
        assert isinstance(metrics[key], float), key
    for key in ("colour_ridge", "texture_ridge", "nearest"):
        assert isinstance(metrics[f"baseline_{key}_pcc_mean"], float)
    assert metrics["pcc_mean"] == metrics["test_pcc_mean"]
    assert metrics["test_pearson_low"] <= metrics["test_pearson"] <= metrics["test_pearson_high"]
    assert isinstance(metrics["baseline_colour_ridge_pearson"], float)
    # these data are in ln(CP10K + 1) already; negative predictions count as 0 there
    assert metrics["test_mse_cp10k"] == pytest.approx(metrics["test_mse"], rel=1e-5)
    assert metrics["baseline_mean_pcc_mean"] is None  # a constant has no correlation
    assert abs(metrics["shuffled_pcc_mean"]) < 0.35
    assert metrics["truth_colour_pcc_mean"] is not None
    if name == "retrieval":
        assert metrics["retrieval_pool"] == 25
        assert metrics["retrieval_chance_at_5"] == 0.2
        assert 0 <= metrics["retrieval_recall_at_1"] <= metrics["retrieval_recall_at_10"] <= 1


def test_report_shows_model_control_and_tissue(runs: dict[str, Path]) -> None:
    page = (runs["retrieval"] / "report.html").read_text()
    for text in ("control: nsl", "ridge, colour of one patch", "Genes on the tissue", "By what a gene follows"):
        assert text in page
    for text in ("the best naive baseline (", "shown because", "checkpoint kept", "test MSE, (ln(CP10K + 1))²"):
        assert text in page
    assert page.count('aria-label="Slide P2_') == 2  # alternative text of the maps
    assert "Learned stains" in (runs["nsl"] / "report.html").read_text()
    assert "spots shuffled" in summary(read_metrics(runs["nsl"]))


def test_predictions_agree_with_the_metrics_and_open_as_anndata(runs: dict[str, Path]) -> None:
    import anndata

    table = pd.read_csv(runs["nsl"] / "predictions.tsv", sep="\t")
    genes = [c.removeprefix("target_") for c in table if c.startswith("target_")]
    test = table[table["split"] == "test"]
    predicted, measured = (test[[f"{kind}_{g}" for g in genes]].to_numpy() for kind in ("prediction", "target"))
    scores = spatial_scores(predicted, measured, test["slide"])
    assert scores.as_dict()["pcc_mean"] == pytest.approx(read_metrics(runs["nsl"])["test_pcc_mean"], abs=1e-6)
    saved = anndata.read_h5ad(runs["nsl"] / "predictions.h5ad")
    assert list(saved.var_names) == genes
    rows = saved.obs["split"].to_numpy() == "test"
    np.testing.assert_allclose(saved.X[rows], predicted, rtol=1e-5)
    np.testing.assert_allclose(saved.layers["measured"][rows], measured, rtol=1e-5)
    assert saved.obsm["spatial"].shape == (saved.n_obs, 2)


@pytest.mark.parametrize("name", ["nsl", "retrieval"])
def test_predictions_do_not_depend_on_batches_workers_or_the_pass(runs: dict[str, Path], name: str) -> None:
    tables = [
        predict_run(Run.open(runs[name], overrides=list(flags)))
        for flags in ((), ("--data.init_args.num_workers=2",), ("--data.init_args.batch_size=7",))
    ]
    columns = [c for c in tables[0] if c.startswith("prediction_")]
    again = predict_run(Run.open(runs[name]))
    np.testing.assert_array_equal(again[columns], tables[0][columns])
    np.testing.assert_array_equal(tables[1][columns], tables[0][columns])
    np.testing.assert_allclose(tables[2][columns], tables[0][columns], rtol=2e-5, atol=2e-5)


def test_retrieval_remembers_the_training_spots_of_the_best_epoch(runs: dict[str, Path]) -> None:
    run = Run.open(runs["retrieval"])
    data = run.datamodule
    assert isinstance(data, SpotData)
    assert run.network.rows.tolist() == data.fold.rows("train").tolist()
    kept = run.network.keys.clone()
    run.network.memorise(data.memory_dataloader())
    np.testing.assert_allclose(run.network.keys, kept, rtol=1e-5, atol=1e-5)


def test_numbers_of_genes_and_features_must_fit(tmp_path: Path) -> None:
    wrong = {**NSL, "init_args": {"num_genes": 9}}
    dump_yaml(config_of(wrong), tmp_path / "c.yaml")
    assert main(["fit", "--config", str(tmp_path / "c.yaml"), "--run-dir", str(tmp_path / "run")]) == 2
    assert not (tmp_path / "run").exists()


def test_controls_of_another_split_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    table = pd.read_csv(runs["nsl"] / "predictions.tsv", sep="\t")
    (tmp_path / "other").mkdir()
    table.assign(split="train").to_csv(tmp_path / "other" / "predictions.tsv", sep="\t", index=False)
    with pytest.raises(DataError, match="other spots"):
        finish_run(runs["nsl"], FinishSettings(beside=(tmp_path / "other",)))


def test_folds_go_on_past_a_bad_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump_yaml(config_of(NSL), tmp_path / "nsl.yaml")
    arguments = ["benchmark", "folds", "--config", str(tmp_path / "nsl.yaml"), "--dataset", str(small_tissue())]
    assert main([*arguments, "--splits", "nobody", "patient", "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "nobody" in printed.err
    table = pd.read_csv(tmp_path / "out" / "folds.tsv", sep="\t")
    assert table["model"].iloc[0] == "nsl"
    assert np.isfinite(table["patient"].iloc[0])
    before = (tmp_path / "out" / "nsl" / "patient" / "metrics.json").stat().st_mtime_ns
    assert main([*arguments, "--splits", "patient", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "nsl" / "patient" / "metrics.json").stat().st_mtime_ns == before


def test_table_of_folds_by_hand() -> None:
    def metrics(test: float) -> dict[str, float]:
        return {"test_pcc_mean": test, "val_pcc_mean": 0.5, "baseline_colour_ridge_pcc_mean": 0.1}

    table = fold_table({"a": {"x": metrics(0.2), "y": metrics(0.4)}, "b": {"x": metrics(0.3)}}).set_index("model")
    assert table.loc["a", "mean"] == pytest.approx(0.3)
    assert table.loc["a", "sd"] == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert np.isnan(table.loc["b", "mean"])
    assert table.loc["ridge, colour of one patch", "y"] == pytest.approx(0.1)


def test_epochs_are_scored_inside_slides(runs: dict[str, Path]) -> None:
    """What chooses the checkpoint is not moved by differences between slides."""
    log = pd.read_csv(runs["nsl"] / "logs" / "metrics.csv")
    last = log["val_pcc_mean"].dropna().iloc[-1]
    run = Run.open(runs["nsl"], "last")
    table = predict_run(run)
    val = table[table["split"] == "val"]
    genes = list(run.datamodule.target_names)
    predicted, measured = (val[[f"{kind}_{g}" for g in genes]] for kind in ("prediction", "target"))
    assert last == pytest.approx(spatial_scores(predicted, measured, val["slide"]).as_dict()["pcc_mean"], abs=1e-5)


def test_without_anndata_the_rest_is_finished(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from seqexp.histology.evaluation import annotated

    def missing(module: str, extra: str) -> None:
        raise MissingExtraError(module, extra)

    (runs["nsl"] / "report.html").unlink()
    monkeypatch.setattr(annotated, "require", missing)
    finish_run(runs["nsl"])
    assert "predictions.h5ad is left out" in capsys.readouterr().err
    assert (runs["nsl"] / "report.html").is_file()


def test_errors_in_ln_cp10k_whatever_the_logarithm(tmp_path: Path) -> None:
    import shutil

    import yaml

    from seqexp.histology.evaluation.metrics import canonical_errors

    folder = tmp_path / "data"
    shutil.copytree(small_tissue().parent, folder, ignore=shutil.ignore_patterns("cache"))
    errors = {}
    for name, target_sum, log in (("ln", 10_000, "e"), ("log2", 1_000_000, "2")):
        content = yaml.safe_load(small_tissue().read_text())
        content["transform"] = {"scope": "all", "target_sum": target_sum, "log": log}
        (folder / "slides.yaml").write_text(yaml.safe_dump(content))
        module = SpotData(folder, "patient", patch_px=0, features="colour")
        module.setup()
        rows = module.fold.rows("test")
        shuffled = module.values.astype(float)
        shuffled[rows] = shuffled[rows[::-1]]
        errors[name] = canonical_errors(module, shuffled)
    assert errors["log2"] == pytest.approx(errors["ln"], rel=1e-4)
    assert errors["ln"]["test_mse_cp10k"] > 0.01
