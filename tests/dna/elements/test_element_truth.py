"""Planted truth: which bins are planted, the fixed signal rules, the area with its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seqexp.core.errors import DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.evaluation.signal_rules import RULE, seq2exp_rule, signal_rule, track_rankings
from seqexp.dna.evaluation.truth import (
    at_budget,
    curve,
    peak_scores,
    planted_bins,
    score_truth,
)
from seqexp.dna.genome.interval import Interval
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.dna.loaders.windows import CONTACT
from seqexp.objectives.metrics import average_precision


@pytest.fixture
def masks() -> BinScores:
    windows = (Interval("chr1", 100, 140, "+"), Interval("chr1", 120, 160, "-"))
    return BinScores(("a", "b"), windows, np.zeros((2, 4), np.float32), 10, {"chr1": 1000})


def test_planted_bins_are_those_of_the_own_gene(masks: BinScores) -> None:
    rows = [("chr1", 114, 131, "a"), ("chr1", 152, 154, "b"), ("chr1", 500, 600, "a"), ("chr1", 0, 9, "z")]
    truth = pd.DataFrame(rows, columns=["chrom", "start", "end", "gene_id"])
    # The last fills a fifth of its bin only; its gene is on the minus strand, so the bin is its most upstream one.
    expected = [[False, True, True, False], [True, False, False, False]]
    assert planted_bins(truth, masks).tolist() == expected


def test_bins_take_the_score_of_the_best_peak_over_their_middle(masks: BinScores) -> None:
    rows = [("chr1", 112, 126, 2.0, 5), ("chr1", 124, 150, 5.0, 5), ("chr2", 100, 140, 9.0, 5)]
    peaks = pd.DataFrame(rows, columns=["chrom", "start", "end", "score", "summit_bp"])
    assert peak_scores(peaks, masks).tolist() == [[0, 2, 5, 5], [0, 5, 5, 5]]


def test_signal_rule_is_one_at_the_thresholds() -> None:
    signals = np.array([[[2.0, 10.0], [4.0, 0.0], [np.nan, 20.0]]])
    assert signal_rule(signals, [2.0, 10.0])[0].tolist() == [1.0, 1.0, 1.0]
    assert signal_rule(signals, [2.0, 10.0], [3, 1])[0].tolist() == [1.0, 1.5, 0.5]
    assert signal_rule(np.zeros((1, 3, 0)), []).tolist() == [[0, 0, 0]]
    for bad in ([1.0], [1.0, 1.0, 1.0]):
        with pytest.raises(DataError, match="one per track"):
            signal_rule(signals, bad)
    with pytest.raises(DataError, match="one per track"):
        signal_rule(signals, [1.0, 1.0], [-1, 2])


def test_contacts_are_no_track_of_the_signal_rule() -> None:
    levels = np.linspace(0, 1, 101, dtype=np.float32)
    quantiles = np.stack([4 * levels, 10 * levels, 3 * levels])
    statistics = DataStatistics(("ATAC", "H3K27ac", CONTACT), quantiles, levels, 0.0, 1.0, num_train=9)
    signals = np.random.default_rng(0).random((2, 5, 3)).astype(np.float32)
    found = track_rankings(signals, statistics)
    assert list(found) == [RULE, "ATAC", "H3K27ac"]
    high = statistics.high_quantile()[:2]
    np.testing.assert_allclose(high, [3.96, 9.9], rtol=1e-6)
    np.testing.assert_allclose(found[RULE], (signals[..., :2] / high).mean(-1), rtol=1e-6)
    assert np.array_equal(found["H3K27ac"], signals[..., 1])
    only = DataStatistics((CONTACT,), quantiles[2:], levels, 0.0, 1.0, num_train=9)
    assert track_rankings(signals[..., 2:], only) == {}


def test_published_rule_cuts_where_it_was_published_to() -> None:
    at = np.array([[[1.5, 0.2, 1.0], [5.0, 1.0, 0.5], [0.0, 0.0, 0.0]]])
    np.testing.assert_allclose(seq2exp_rule(at)[0], [0.0, 0.4 * 3.5 + 0.4 * 0.8 - 0.2 * 0.5, -0.88], atol=1e-6)
    np.testing.assert_allclose(seq2exp_rule(at[..., :2])[0], [0.0, 2.15, -0.85], atol=1e-6)
    with pytest.raises(DataError, match="1 tracks"):
        seq2exp_rule(at[..., :1])


@pytest.mark.parametrize("seed", range(3))
def test_area_groups_ties_and_its_interval_is_over_genes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    is_planted = rng.random((30, 40)) < 0.1
    scores = np.round(is_planted * 0.5 + rng.random((30, 40)), 1)
    bound = score_truth(scores, is_planted)
    assert bound.value == pytest.approx(average_precision(scores.ravel(), is_planted.ravel()))
    assert bound.low < bound.value < bound.high
    used = rng.random((30, 40)) < 0.7
    expected = average_precision(scores[used], is_planted[used])
    assert score_truth(scores, is_planted, num_resamples=2, is_used=used).value == pytest.approx(expected)
    order = rng.permutation(30)
    assert score_truth(scores[order], is_planted[order]).value == pytest.approx(bound.value)


def test_area_of_no_information_is_the_prevalence() -> None:
    is_planted = np.zeros((10, 10), dtype=bool)
    is_planted[:, 3] = True
    assert score_truth(np.zeros((10, 10)), is_planted).value == pytest.approx(0.1)
    assert np.isnan(score_truth(np.zeros((2, 2)), np.zeros((2, 2), dtype=bool)).value)


def test_resamples_weigh_whole_genes() -> None:
    """Two genes, one ranked perfectly and one in reverse: draws are one of three mixtures."""
    scores = np.array([[0.9, 0.1], [0.1, 0.9]])
    is_planted = np.array([[True, False], [True, False]])
    bound = score_truth(scores, is_planted, num_resamples=400)
    assert (bound.low, bound.high) == pytest.approx((0.5, 1.0))


def test_at_budget_and_curve() -> None:
    is_planted = np.array([[True, False, True, False]])
    assert at_budget(np.array([[True, True, False, False]]), is_planted) == (0.5, 0.5)
    assert np.isnan(at_budget(np.zeros((1, 4), dtype=bool), is_planted)[0])
    recall, precision, area = curve(np.array([[0.9, 0.8, 0.7, 0.1]]), is_planted)
    assert (np.diff(recall) >= 0).all()
    assert recall[-1] == 1.0
    assert precision[0] == 1.0
    assert area == pytest.approx(0.5 + 0.5 * 2 / 3)


@pytest.mark.parametrize("chrom", ["1", "CHR1", "chr01"])
def test_other_names_of_the_chromosome_and_names_of_none(masks: BinScores, chrom: str) -> None:
    rows = [(chrom, 112, 126, 2.0, 5, "a"), ("chr2", 100, 140, 9.0, 5, "b")]
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "score", "summit_bp", "gene_id"])
    same = table.assign(chrom=["chr1", "chr2"])
    assert planted_bins(table, masks).tolist() == planted_bins(same, masks).tolist()
    assert planted_bins(table, masks).sum() == 2  # an element of gene b on another chromosome is not in its window
    assert peak_scores(table, masks).tolist() == peak_scores(same, masks).tolist()
    assert peak_scores(table, masks).max() == 2
    for score in (planted_bins, peak_scores):
        with pytest.raises(DataError, match="occurs in the genome of the masks"):
            score(table.assign(chrom="NC_000001.11"), masks)


def test_a_peak_of_any_score_ranks_above_none(masks: BinScores) -> None:
    rows = [("chr1", 100, 110, -4.0, 5), ("chr1", 120, 130, 0.0, 5)]
    peaks = pd.DataFrame(rows, columns=["chrom", "start", "end", "score", "summit_bp"])
    assert peak_scores(peaks, masks).tolist() == [[1, 0, 5, 0], [0, 0, 0, 5]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_have_no_area(bad: float) -> None:
    is_planted, scores = np.array([[True, False, True]]), np.array([[0.3, bad, 0.1]])
    for scored in (score_truth, curve):
        with pytest.raises(DataError, match="1 scores are not finite"):
            scored(scores, is_planted)
    used = np.array([[True, False, True]])
    assert score_truth(scores, is_planted, is_used=used).value == 1.0  # a bin that does not count may hold anything
    with pytest.raises(DataError, match="no bin is planted"):
        curve(np.zeros((1, 3)), np.zeros((1, 3), dtype=bool))
