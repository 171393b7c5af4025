"""Several expression columns: figures of each target and together, against scipy and numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from seqexp.core.errors import DataError
from seqexp.dna.evaluation.accuracy import accuracy, controls, target_table
from seqexp.dna.evaluation.collect import Collected
from seqexp.dna.evaluation.naive import beside_baselines
from seqexp.dna.evaluation.views import LEVELS, choose_genes
from seqexp.report import dna_figures
from seqexp.report.style import to_svg

NAMES = ("liver", "K562 rep 1")
NUM = 90


@pytest.fixture
def collected() -> Collected:
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(NUM, 2))
    predicted = measured + rng.normal(size=(NUM, 2)) * [0.5, 2.0]
    table = pd.DataFrame(
        {
            "index": np.arange(NUM),
            "gene_id": [f"G{n}" for n in range(NUM)],
            "gene_name": "",
            "chrom": [f"chr{n % 5}" for n in range(NUM)],
            "split": ["train"] * 50 + ["val"] * 15 + ["test"] * 25,
            "unit": "log2(TPM + 1)",
        }
    )
    for number, name in enumerate(NAMES):
        table[f"target_{name}"], table[f"prediction_{name}"] = measured[:, number], predicted[:, number]
    kmers = np.hstack([measured[:, :1] + rng.normal(size=(NUM, 1)), rng.normal(size=(NUM, 3))])
    nothing = np.zeros((NUM, 0))
    return Collected(table, None, np.zeros((NUM, 1, 0)), kmers, nothing, bin_bp=10, target_names=NAMES)


def test_each_target_and_all_together(collected: Collected) -> None:
    metrics, test = accuracy(collected), collected.rows("test")
    r, rho, mse = [], [], []
    for name in NAMES:
        x, y = (collected.predictions[f"{kind}_{name}"].to_numpy()[test] for kind in ("prediction", "target"))
        r.append(pearsonr(x, y)[0])
        rho.append(spearmanr(x, y)[0])
        mse.append(np.mean((x - y) ** 2))
        assert metrics[f"test_pearson_{name}"] == pytest.approx(r[-1])
        assert metrics[f"test_spearman_{name}"] == pytest.approx(rho[-1])
        assert metrics[f"test_mse_{name}"] == pytest.approx(mse[-1])
        assert metrics[f"test_pearson_{name}_low"] < r[-1] < metrics[f"test_pearson_{name}_high"]
    assert metrics["test_pearson"] == pytest.approx(np.mean(r))
    assert metrics["test_spearman"] == pytest.approx(np.mean(rho))
    assert metrics["test_mse"] == pytest.approx(np.mean(mse))
    table = target_table(collected, metrics)
    assert table is not None
    assert table["target"].tolist() == [*NAMES, "mean over targets"]
    assert table["test r"].tolist() == pytest.approx([*r, np.mean(r)])
    svg = to_svg(dna_figures.predicted_against_measured(collected.predictions, "log2(TPM + 1)", metrics, NAMES[1]))
    assert f"K562 rep 1, test  r = {r[1]:.3f}" in svg


def test_baselines_are_fitted_target_by_target(collected: Collected) -> None:
    made = beside_baselines(collected, {"twin": collected.predicted})
    rows = made.rows.set_index("name")
    assert rows.loc["control: twin", "value"] == rows.loc["this model", "value"]
    train, test = collected.rows("train"), collected.rows("test")
    mean = collected.measured[train].mean(axis=0)
    assert made.metrics["baseline_mean_mse"] == pytest.approx(np.mean((mean - collected.measured[test]) ** 2))
    assert made.metrics["baseline_kmer_ridge_pearson"] < made.rows["value"].iloc[0]
    lead = made.metrics["lead_over_baseline"]
    assert lead == pytest.approx(rows.loc["this model", "value"] - made.metrics["best_baseline_pearson"])


def test_genes_to_draw_are_spread_over_the_mean_of_the_targets(collected: Collected) -> None:
    chosen = choose_genes(collected, ())
    test = collected.rows("test")
    order = test[np.argsort(collected.measured[test].mean(axis=1))]
    assert list(chosen) == [order[round(level * 24)] for level in LEVELS]
    assert chosen[int(order[12])].startswith("test gene at quantile 0.50")
    assert choose_genes(collected, ("G7",)) == {7: "asked for"}


def test_a_control_of_other_targets_is_refused(collected: Collected, tmp_path: Path) -> None:
    collected.predictions.rename(columns={"prediction_liver": "prediction"}).to_csv(
        tmp_path / "predictions.tsv", sep="\t", index=False
    )
    with pytest.raises(DataError, match="prediction_liver"):
        controls((tmp_path,), collected)
    collected.predictions.to_csv(tmp_path / "predictions.tsv", sep="\t", index=False)
    (found,) = controls((tmp_path,), collected).values()
    np.testing.assert_allclose(found, collected.predicted)
