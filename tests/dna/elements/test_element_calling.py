"""Elements called on small masks whose answer can be read off."""

from __future__ import annotations

import numpy as np
import pytest

from seqexp.core.errors import ConfigError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.calling import call_elements, describe_call, kept_bins, merge_elements, with_p_values
from seqexp.dna.genome.interval import Interval


def one(values: list[float], strand: str = "+", start: int = 100, size: int = 1000) -> BinScores:
    window = Interval("chr1", start, start + 10 * len(values), strand)
    return BinScores(("g",), (window,), np.array([values], np.float32), 10, {"chr1": size}, tss_offset_bp=0)


def spans(masks: BinScores, **rule: object) -> list[tuple[int, int]]:
    found = call_elements(masks, **rule)  # type: ignore[arg-type]
    return [(int(s), int(e)) for s, e in zip(found["start"], found["end"])]


def test_threshold_score_and_summit() -> None:
    found = call_elements(one([0.1, 0.6, 0.9, 0.1, 0.7, 0.0]), threshold=0.5)
    assert found[["start", "end", "summit_bp"]].to_numpy().tolist() == [[110, 130, 15], [140, 150, 5]]
    np.testing.assert_allclose(found["score"], [0.75, 0.7], rtol=1e-6)
    assert found["gene_id"].tolist() == ["g", "g"]


def test_minus_strand_elements_lie_on_the_forward_strand() -> None:
    found = call_elements(one([0.9, 0.8, 0.1, 0.0], "-"), threshold=0.5)
    assert (found["start"][0], found["end"][0], found["summit_bp"][0]) == (120, 140, 15)
    assert found["strand"].tolist() == ["-"]


def test_gap_is_joined_counts_in_the_score_and_in_the_budget() -> None:
    masks = one([0.9, 0.0, 0.6, 0.0, 0.0, 0.5])
    assert spans(masks, threshold=0.5, max_gap_bp=10) == [(100, 130), (150, 160)]
    assert call_elements(masks, threshold=0.5, max_gap_bp=10)["score"][0] == pytest.approx(0.5)
    assert spans(masks, threshold=0.5, max_gap_bp=9) == [(100, 110), (120, 130), (150, 160)]
    assert spans(masks, budget_bp=30, max_gap_bp=10) == [(100, 130)]  # two bins and the gap fill it
    assert spans(masks, budget_bp=20, max_gap_bp=10) == [(100, 110)]  # the second bin would cost 20 more


def test_length_filter_frees_its_share_of_the_budget() -> None:
    masks = one([0.9, 0.0, 0.5, 0.4, 0.0, 0.3])
    assert spans(masks, budget_bp=20) == [(100, 110), (120, 130)]
    assert spans(masks, budget_bp=20, min_length_bp=20) == [(120, 140)]


def test_ties_are_cut_from_the_middle_and_zero_is_never_kept() -> None:
    assert spans(one([1.0] * 6), budget_bp=20) == [(120, 140)]
    assert spans(one([0.0, 0.2, 0.0]), budget_bp=30) == [(110, 120)]


def test_bins_beyond_the_chromosome_do_not_count() -> None:
    masks = one([0.9] * 4, start=-15, size=20)  # widths 0, 5, 10, 5
    assert spans(masks, threshold=0.5) == [(0, 20)]
    found = call_elements(masks, budget_bp=10)
    assert int((found["end"] - found["start"]).sum()) <= 10
    assert int(found["start"].min()) >= 0


def test_skipped_bins_are_not_elements() -> None:
    masks = one([1.0, 1.0, 0.2, 0.3])
    skip = masks.promoter(20)
    assert skip.tolist() == [True, False, False, False]
    assert spans(masks, budget_bp=20, skip=skip) == [(110, 120), (130, 140)]
    turned = one([1.0, 1.0, 0.2, 0.3], "-")
    assert spans(turned, threshold=0.25, skip=skip) == [(100, 110), (120, 130)]


def test_scope_shares_the_budget_out() -> None:
    windows = (Interval("chr1", 0, 30, "+"), Interval("chr1", 100, 130, "+"))
    values = np.array([[0.9, 0.8, 0.7], [0.3, 0.2, 0.1]], np.float32)
    masks = BinScores(("a", "b"), windows, values, 10, {"chr1": 200})
    assert spans(masks, budget_bp=20, scope="pooled") == [(0, 20)]
    assert spans(masks, budget_bp=20, scope="gene") == [(0, 20), (100, 120)]
    assert spans(masks, budget_bp=10, scope="gene", max_gap_bp=10) == [(0, 10), (100, 110)]


def test_account_of_a_call() -> None:
    masks = one([0.5, 0.5, 0.5, 0.9])
    kept = kept_bins(masks, budget_bp=25)
    told = describe_call(masks, kept, call_elements(masks, budget_bp=25), budget_bp=25)
    assert told == {
        "num_elements": 2,
        "num_genes": 1,
        "kept_bp": 20,
        "lowest_mask": 0.5,
        "num_tied": 2,
        "short_bp": 5,
    }
    nothing = kept_bins(one([0.0]), threshold=0.5)
    assert describe_call(one([0.0]), nothing, call_elements(one([0.0]), threshold=0.5))["num_elements"] == 0


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"budget_bp": 20, "threshold": 0.5},
        {"threshold": 0.0},
        {"threshold": 1.5},
        {"budget_bp": 5},
        {"budget_bp": 20, "scope": "window"},
        {"threshold": 0.5, "max_gap_bp": -1},
        {"threshold": 0.5, "min_length_bp": -1},
    ],
)
def test_impossible_rules_are_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        call_elements(one([0.5, 0.5]), **rule)  # type: ignore[arg-type]


def test_elements_of_neighbours_are_united() -> None:
    windows = (Interval("chr1", 0, 30, "+"), Interval("chr1", 20, 50, "-"))
    values = np.array([[0.0, 0.6, 0.7], [0.0, 0.0, 0.9]], np.float32)
    united = merge_elements(call_elements(BinScores(("a", "b"), windows, values, 10, {"chr1": 200}), threshold=0.5))
    assert united[["start", "end", "summit_bp", "strand"]].to_numpy().tolist() == [[10, 30, 15, "."]]
    assert united["gene_id"].tolist() == ["a,b"]
    assert united["score"][0] == pytest.approx(0.9)
    assert merge_elements(united.iloc[:0]).empty


def test_p_values_from_a_null() -> None:
    elements = call_elements(one([0.9, 0.0, 0.6, 0.0, 0.2]), threshold=0.1)
    told = with_p_values(elements, np.arange(1, 20) / 20 - 0.01)  # 0.04, 0.09, ... 0.94
    p = 10 ** -told["p_value"].to_numpy()
    np.testing.assert_allclose(p, [(1 + n) / 20 for n in (1, 7, 15)], rtol=1e-6)
    q = 10 ** -told["q_value"].to_numpy()
    np.testing.assert_allclose(q, [0.3, 0.6, 0.8], rtol=1e-6)
    assert with_p_values(elements.iloc[:0], [0.5]).empty
