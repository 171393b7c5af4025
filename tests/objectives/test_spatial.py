"""Spatial metrics against scipy and brute force, ties, constant genes and slides of one spot included."""

import numpy as np
import pytest
from scipy import sparse, stats

from seqexp.core.errors import DataError
from seqexp.objectives.metrics import column_pearson, grouped_pearson, pearson
from seqexp.objectives.spatial import (
    genes_above,
    morans_i,
    oracle_means,
    retrieval_recall,
    spatial_scores,
)

RNG = np.random.default_rng(0)
TARGET = RNG.poisson(2.0, (40, 6)).astype(float)
PREDICTION = 0.5 * TARGET + RNG.normal(size=TARGET.shape)
SLIDES = np.repeat(["a", "b", "c"], [20, 19, 1])


def test_columns_agree_with_scipy_and_constants_are_undefined() -> None:
    target = TARGET.copy()
    target[:, 2] = 3.3
    found = column_pearson(PREDICTION, target)
    for gene in range(6):
        if gene == 2:
            assert np.isnan(found[gene])
        else:
            assert found[gene] == pytest.approx(stats.pearsonr(PREDICTION[:, gene], target[:, gene])[0], abs=1e-12)


def test_one_correlation_whether_of_vectors_columns_or_groups() -> None:
    columns = column_pearson(PREDICTION, TARGET)
    vectors = [pearson(PREDICTION[:, gene], TARGET[:, gene]) for gene in range(6)]
    np.testing.assert_allclose(columns, vectors, rtol=1e-13)
    order, grouped = grouped_pearson(PREDICTION[::-1], TARGET[::-1], SLIDES[::-1])
    assert order == ("c", "b", "a")
    np.testing.assert_allclose(grouped[2], column_pearson(PREDICTION[:20], TARGET[:20]), rtol=1e-12)


def test_slides_are_scored_apart_and_then_averaged() -> None:
    scores = spatial_scores(PREDICTION + 100 * (SLIDES == "b")[:, None], TARGET, SLIDES)
    expected = [
        [stats.pearsonr(PREDICTION[s == SLIDES, g], TARGET[s == SLIDES, g])[0] for g in range(6)] for s in ("a", "b")
    ]
    np.testing.assert_allclose(scores.pearson[:2], expected, atol=1e-12)
    assert np.isnan(scores.pearson[2]).all()  # one spot: nothing to correlate
    flat = scores.as_dict("test_")
    assert flat["test_pcc_mean"] == pytest.approx(np.mean(np.mean(expected, axis=1)))
    assert flat["test_pcc_median"] == pytest.approx(np.median(np.mean(expected, axis=0)))
    assert flat["test_pcc_num_undefined"] == 6
    assert list(scores.num_spots) == [20, 19, 1]


def test_order_of_spots_does_not_matter() -> None:
    order = RNG.permutation(len(TARGET))
    one, two = (
        spatial_scores(PREDICTION, TARGET, SLIDES),
        spatial_scores(PREDICTION[order], TARGET[order], SLIDES[order]),
    )
    assert one.per_slide == pytest.approx(two.per_slide, nan_ok=True)
    assert one.mse == pytest.approx(two.mse)


def test_relative_variance_difference_is_zero_for_equal_variances() -> None:
    shuffled = np.stack([RNG.permutation(column) for column in TARGET.T], axis=1)
    assert spatial_scores(shuffled, TARGET, SLIDES).rvd == pytest.approx(0, abs=1e-12)
    assert spatial_scores(TARGET * 2, TARGET, SLIDES).rvd == pytest.approx(9)  # variance four times as large


def test_genes_above_needs_size_and_significance() -> None:
    target = RNG.normal(size=(200, 3))
    prediction = np.stack([target[:, 0], -target[:, 1], RNG.normal(size=200)], axis=1)
    assert genes_above(prediction, target)["genes_above_0.7"] == 1
    few = genes_above(prediction[:4], target[:4] + 0.8 * RNG.normal(size=(4, 3)), alpha=1e-6)
    assert few["genes_above_0.1"] == 0


def test_morans_i_by_brute_force() -> None:
    weights = sparse.random(40, 40, 0.1, random_state=1, format="csr")
    dense = weights.toarray()
    values = TARGET - TARGET.mean(0)
    slow = [
        len(dense) / dense.sum() * sum(dense[i, j] * v[i] * v[j] for i in range(40) for j in range(40)) / (v @ v)
        for v in values.T
    ]
    np.testing.assert_allclose(morans_i(TARGET, weights), slow, rtol=1e-10)
    assert np.isnan(morans_i(np.ones((40, 1)), weights)).all()


def test_recall_counts_ties_against_the_model() -> None:
    assert retrieval_recall(np.eye(8))["recall_at_1"] == 1.0
    assert retrieval_recall(np.zeros((8, 8)))["recall_at_5"] == 0.0
    assert retrieval_recall(np.eye(8))["chance_at_5"] == 5 / 8


def test_rankings_put_undefined_genes_last() -> None:
    pearson = np.array([0.1, 0.9, 0.5, np.nan])
    assert oracle_means(pearson, {"hpg": pearson}, num=2)["hpg"] == pytest.approx(0.7)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="shape"):
        column_pearson(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(DataError, match="slides"):
        spatial_scores(np.zeros((3, 2)), np.zeros((3, 2)), ["a"])
