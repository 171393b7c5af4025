"""Several expression columns in one data set, from the description to metrics per target and the table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.loaders.data import SequenceData
from seqexp.objectives.transforms import TargetTransform, make_transform
from tests.api.test_generic import FEW


@pytest.fixture
def two_targets(tiny_dataset: Path) -> Path:
    """The tiny data with a second cell type, not measured in the last gene."""
    path = tiny_dataset.parent / "genes.tsv"
    genes = pd.read_csv(path, sep="\t")
    genes["LIVER"] = np.round(genes["TPM"].to_numpy() ** 1.5 + 3, 3)
    genes.loc[len(genes) - 1, "LIVER"] = np.nan
    genes.to_csv(path, sep="\t", index=False)
    expression = {"columns": ["TPM", "LIVER"], "unit": "TPM"}
    dump_yaml({**load_yaml(tiny_dataset), "expression": expression, "transform": "log2p1-standardized"}, tiny_dataset)
    return tiny_dataset


def data(path: Path) -> SequenceData:
    made = SequenceData(path, 256, 256, 32)
    made.setup()
    return made


def test_each_column_has_its_own_scale_of_the_training_genes(two_targets: Path) -> None:
    made = data(two_targets)
    genes = pd.read_csv(two_targets.parent / "genes.tsv", sep="\t").dropna()
    assert len(made.genes) == len(genes)  # a gene without a value in one column is left out
    assert made.genes.report.dropped == {"no expression (LIVER)": 1}
    train = np.log2(genes[genes["chrom"].isin(["chr1", "chr2", "chr3", "chr4"])][["TPM", "LIVER"]].to_numpy() + 1)
    np.testing.assert_allclose(made.transform.mean, train.mean(0), rtol=1e-12)
    np.testing.assert_allclose(made.transform.std, train.std(0), rtol=1e-12)
    target = made.dataset("train").target
    np.testing.assert_allclose(target, (train - train.mean(0)) / train.std(0), atol=1e-5)
    np.testing.assert_allclose(made.statistics.target_std, [1, 1], atol=1e-5)
    assert made.target_names == ("TPM", "LIVER")
    assert made.facts()["num_targets"] == 2
    assert TargetTransform.from_state(made.transform.state()) == made.transform


def test_one_column_is_fitted_as_before() -> None:
    values = np.random.default_rng(0).gamma(2.0, 5.0, 301)
    made = make_transform("log1p-standardized").fit(values[:, None])
    assert (made.mean, made.std) == (float(np.log1p(values).mean()), float(np.log1p(values).std()))
    assert made == make_transform("log1p-standardized").fit(values)


def test_a_run_names_its_targets(two_targets: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = ["--dataset", str(two_targets), "--window-bp", "512", "--run-dir", str(run), *FEW]
    assert main(["fit", *flags]) == 0
    table = pd.read_csv(run / "predictions.tsv", sep="\t")
    names = [f"{kind}_{name}" for kind in ("expression", "target", "prediction") for name in ("TPM", "LIVER")]
    assert set(names) <= set(table)
    np.testing.assert_allclose(table["target_LIVER"], np.log2(table["expression_LIVER"] + 1), rtol=1e-4)
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"test_pearson", "test_pearson_TPM", "test_pearson_LIVER"} <= set(metrics)
    logged = pd.read_csv(run / "logs" / "metrics.csv")
    assert {"val_pearson", "val_pearson_TPM", "val_pearson_LIVER"} <= set(logged)
    dump_yaml({**load_yaml(two_targets), "expression": {"column": "TPM", "unit": "TPM"}}, two_targets)
    other = data_of_checkpoint(run, two_targets)
    with pytest.raises(DataError, match="the checkpoint predicts TPM, LIVER; the dataset has the expression columns"):
        other.setup()


def data_of_checkpoint(run: Path, dataset: Path) -> SequenceData:
    """A data module that has taken the facts of a run."""
    from seqexp.training.run import Run

    made = SequenceData(dataset, 256, 256, 32)
    made.load_state_dict(dict(Run.open(run, reads_data=False).facts))
    return made


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ({"columns": ["TPM", "TPM"]}, r"expression: columns: \['TPM', 'TPM'\]"),
        ({"column": "TPM", "columns": ["TPM"]}, "expression: column: 'TPM', columns"),
        ({"columns": ["TPM", "half_life"]}, "'half_life' is both the expression column and a covariate"),
    ],
)
def test_columns_that_cannot_be(expression: dict, message: str, tiny_dataset: Path) -> None:
    dump_yaml({**load_yaml(tiny_dataset), "expression": {"unit": "TPM", **expression}}, tiny_dataset)
    with pytest.raises(ConfigError, match=message):
        load_dataset(tiny_dataset)


def test_check_counts_by_column(two_targets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(two_targets)]) == 0
    told = capsys.readouterr().out
    assert "1 no expression (LIVER)" in told
    assert " LIVER " in told
    assert " TPM " in told
