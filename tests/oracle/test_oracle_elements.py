"""Masks, calling, trimming and comparison against plain Python sets of positions, numpy and sklearn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.calling import call_elements, kept_bins, merge_elements
from seqexp.dna.evaluation.compare import _shifted_overlap, compare, cover, disjoint, in_windows, trim_to_budget
from seqexp.dna.evaluation.truth import curve, peak_scores, planted_bins, score_truth
from seqexp.dna.genome.interval import Interval

SIZES = {"chr1": 3_000, "chr2": 1_300}
BIN = 20
NUM_BINS = 25


def random_masks(rng: np.random.Generator, num: int = 12, levels: int = 6) -> BinScores:
    """Few levels, so that ties are the rule; windows overlap each other and both chromosome ends."""
    windows = []
    for _ in range(num):
        chrom = str(rng.choice(list(SIZES)))
        start = int(rng.integers(-300, SIZES[chrom] - 200))
        windows.append(Interval(chrom, start, start + NUM_BINS * BIN, str(rng.choice(["+", "-"]))))
    values = rng.integers(1, levels + 1, (num, NUM_BINS)).astype(np.float32) / levels
    return BinScores(tuple(f"g{n}" for n in range(num)), tuple(windows), values, BIN, SIZES)


def random_intervals(rng: np.random.Generator, num: int) -> pd.DataFrame:
    chrom = rng.choice(list(SIZES), num)
    start = np.array([rng.integers(0, SIZES[c] - 1) for c in chrom])
    end = np.array([min(SIZES[c], s + rng.integers(1, 150)) for c, s in zip(chrom, start)])
    score = rng.integers(1, 5, num) / 4
    frame = pd.DataFrame({"chrom": chrom, "start": start, "end": end, "score": score})
    frame["summit_bp"] = [int(rng.integers(0, width)) for width in end - start]
    return frame.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def bases_of_bins(masks: BinScores) -> list[list[set[tuple[str, int]]]]:
    """Bases on the chromosome of every bin, in gene orientation."""
    result = []
    for window in masks.windows:
        bins = []
        for number in range(NUM_BINS):
            first = window.end - (number + 1) * BIN if window.strand == "-" else window.start + number * BIN
            bins.append({(window.chrom, b) for b in range(first, first + BIN) if 0 <= b < SIZES[window.chrom]})
        result.append(bins)
    return result


def positions(table: pd.DataFrame) -> list[tuple[str, int]]:
    return [(row.chrom, base) for row in table.itertuples() for base in range(row.start, row.end)]


@pytest.mark.parametrize("seed", range(4))
def test_threshold_elements_are_the_bases_of_the_bins(seed: int) -> None:
    masks = random_masks(np.random.default_rng(seed))
    elements = call_elements(masks, threshold=0.8)
    bins = bases_of_bins(masks)
    for row, gene_id in enumerate(masks.gene_ids):
        wanted = set().union(*(bins[row][n] for n in range(NUM_BINS) if masks.values[row, n] >= np.float32(0.8)))
        found = positions(elements[elements["gene_id"] == gene_id])
        assert len(found) == len(set(found))
        assert set(found) == wanted


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scope", ["pooled", "gene"])
def test_budget_with_ties(seed: int, scope: str) -> None:
    """Bins of the best values, missed by less than a bin, whatever the ties."""
    rng = np.random.default_rng(seed)
    masks = random_masks(rng)
    budget = int(rng.integers(BIN, 150))
    kept = kept_bins(masks, budget_bp=budget, scope=scope)  # type: ignore[arg-type]
    bins = bases_of_bins(masks)
    groups = [range(len(masks.windows))] if scope == "pooled" else [[row] for row in range(len(masks.windows))]
    for rows in groups:
        cells = [(row, n) for row in rows for n in range(NUM_BINS) if bins[row][n]]
        kept_bp = sum(len(bins[row][n]) for row, n in cells if kept[row, n])
        assert budget - BIN < kept_bp <= budget
        inside = [masks.values[cell] for cell in cells if kept[cell]]
        outside = [masks.values[cell] for cell in cells if not kept[cell]]
        assert min(inside) >= max(outside)
    assert not any(kept[row, n] and not bins[row][n] for row in range(len(kept)) for n in range(NUM_BINS))


@pytest.mark.parametrize("seed", range(3))
def test_joining_and_length_filter_stay_within_the_budget(seed: int) -> None:
    masks = random_masks(np.random.default_rng(seed), levels=100)
    plain = call_elements(masks, threshold=0.7)
    joined = call_elements(masks, threshold=0.7, max_gap_bp=45, min_length_bp=60)
    for gene_id in masks.gene_ids:
        own = sorted(zip(*(plain.loc[plain["gene_id"] == gene_id, c] for c in ("start", "end"))))
        wanted: list[list[int]] = []
        for start, end in own:
            if wanted and start - wanted[-1][1] <= 45:
                wanted[-1][1] = end
            else:
                wanted.append([start, end])
        wanted = [span for span in wanted if span[1] - span[0] >= 60]
        found = joined[joined["gene_id"] == gene_id].sort_values("start")
        assert found[["start", "end"]].to_numpy().tolist() == wanted
    within = call_elements(masks, budget_bp=400, max_gap_bp=45, min_length_bp=60)
    assert (within["end"] - within["start"]).sum() <= 400


@pytest.mark.parametrize("seed", range(3))
def test_merged_track_by_base(seed: int) -> None:
    masks = random_masks(np.random.default_rng(seed))
    highest: dict[tuple[str, int], float] = {}
    for row, bins in enumerate(bases_of_bins(masks)):
        for number, bases in enumerate(bins):
            for base in bases:
                highest[base] = max(highest.get(base, 0.0), float(masks.values[row, number]))
    track = masks.merged()
    found = {(r.chrom, base): float(r.value) for r in track.itertuples() for base in range(r.start, r.end)}
    assert found == highest
    assert sum(track["end"] - track["start"]) == len(highest)


@pytest.mark.parametrize("seed", range(3))
def test_merge_elements_covers_the_same_bases(seed: int) -> None:
    masks = random_masks(np.random.default_rng(seed))
    elements = call_elements(masks, threshold=0.8)
    united = merge_elements(elements)
    assert sorted(positions(united)) == sorted(set(positions(elements)))
    for row in united.itertuples():
        inside = elements[(elements["chrom"] == row.chrom) & elements["start"].between(row.start, row.end - 1)]
        assert set(row.gene_id.split(",")) == set(inside["gene_id"])
        assert row.score == inside["score"].max()
        assert row.start <= row.start + row.summit_bp < row.end
    for _, part in united.groupby("chrom"):
        assert (part["start"].to_numpy()[1:] > part["end"].to_numpy()[:-1]).all()


@pytest.mark.parametrize("seed", range(5))
def test_trim_is_exact_and_takes_the_best(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranked = random_intervals(rng, 30)
    total = len(set(positions(ranked)))
    for budget in (0, 1, int(rng.integers(2, total)), total, total + 100):
        trimmed = trim_to_budget(ranked, budget)
        found = positions(trimmed)
        assert len(found) == len(set(found)) == min(budget, total)
        assert set(found) <= set(positions(ranked))
        assert ((trimmed["summit_bp"] >= 0) & (trimmed["summit_bp"] < trimmed["end"] - trimmed["start"])).all()
    united = disjoint(ranked)
    assert sorted(positions(united)) == sorted(set(positions(ranked)))
    whole = trim_to_budget(ranked, int(rng.integers(2, total))).iloc[:-1]
    pd.testing.assert_frame_equal(whole, united.iloc[: len(whole)], check_dtype=False)


def test_trim_keeps_the_summit() -> None:
    one = pd.DataFrame({"chrom": ["c"], "start": [100], "end": [200], "score": [1.0], "summit_bp": [90]})
    row = trim_to_budget(one, 30).iloc[0]
    assert (row["start"], row["end"], row["summit_bp"]) == (170, 200, 20)


@pytest.mark.parametrize("seed", range(3))
def test_windows_and_coverage(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks, peaks = random_masks(rng), random_intervals(rng, 40)
    every = set(positions(peaks))
    local = in_windows(peaks, masks.windows, masks.gene_ids)
    assert (local["score"].diff().dropna() <= 0).all()
    covers = cover(local, masks.windows, masks.gene_ids)
    for window, covered in zip(masks.windows, covers):
        wanted = [(window.chrom, base) in every for base in range(window.start, window.end)]
        assert covered.tolist() == wanted
    middles_of = {gene_id: set() for gene_id in masks.gene_ids}
    for row in local.itertuples():
        middles_of[row.gene_id].add((row.chrom, (row.start + row.end) // 2))
    is_planted = planted_bins(local, masks)
    scores = peak_scores(peaks, masks)
    for row, bins in enumerate(bases_of_bins(masks)):
        for number, bases in enumerate(bins):
            half = len(bases & every) >= BIN / 2
            assert is_planted[row, number] == (half or bool(bases & middles_of[masks.gene_ids[row]]))
            if len(bases) == BIN:
                middle = min(bases)[1] + BIN // 2
                over = peaks[(peaks["chrom"] == masks.windows[row].chrom) & (peaks["start"] <= middle)]
                assert scores[row, number] == np.float32(over.loc[over["end"] > middle, "score"].max() or 0) or (
                    scores[row, number] == 0 and not (over["end"] > middle).any()
                )


def mirrored(masks: BinScores) -> BinScores:
    """The same genes on the reverse complement of the genome: gene orientation does not change."""
    turn = {"+": "-", "-": "+"}
    windows = [
        Interval(w.chrom, SIZES[w.chrom] - w.end, SIZES[w.chrom] - w.start, turn[w.strand]) for w in masks.windows
    ]
    return replace(masks, windows=tuple(windows))


def mirrored_table(table: pd.DataFrame) -> pd.DataFrame:
    size = table["chrom"].map(SIZES)
    return table.assign(start=size - table["end"], end=size - table["start"])


@pytest.mark.parametrize("seed", range(3))
def test_reverse_complement_of_the_genome_changes_nothing_in_gene_orientation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = random_masks(rng)
    on_grid = [Interval(w.chrom, w.start // 4 * 4, w.start // 4 * 4 + w.width, w.strand) for w in masks.windows]
    masks = replace(masks, windows=tuple(on_grid), values=rng.permutation(300).reshape(12, 25).astype(np.float32) / 300)
    intervals = random_intervals(rng, 60)
    intervals = intervals.assign(start=intervals["start"] // 4 * 4, end=intervals["start"] // 4 * 4 + 60)
    intervals["gene_id"] = rng.choice(masks.gene_ids, 60)
    other, turned = mirrored(masks), mirrored_table(intervals)
    assert np.array_equal(planted_bins(intervals, masks), planted_bins(turned, other))
    assert np.array_equal(peak_scores(intervals, masks), peak_scores(turned, other))
    for rule in ({"threshold": 0.7}, {"budget_bp": 900}, {"budget_bp": 90, "scope": "gene"}):
        assert np.array_equal(kept_bins(masks, **rule), kept_bins(other, **rule))  # type: ignore[arg-type]
        back = mirrored_table(call_elements(other, **rule))  # type: ignore[arg-type]
        columns = ["chrom", "start", "end", "gene_id"]
        found = call_elements(masks, **rule)[columns].sort_values(columns, ignore_index=True)  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(back[columns].sort_values(columns, ignore_index=True), found)


@pytest.mark.parametrize("seed", range(3))
def test_comparison(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = random_masks(rng, num=8)
    elements, peaks = (in_windows(random_intervals(rng, 40), masks.windows, masks.gene_ids) for _ in range(2))
    overlap, per_gene = compare(elements, peaks, masks.windows, masks.gene_ids, num_permutations=20)
    sums = np.zeros(3)
    for row in per_gene.itertuples():
        first, second = (set(positions(t[t["gene_id"] == row.gene_id])) for t in (elements, peaks))
        wanted = (len(first), len(second), len(first & second))
        assert (row.elements_bp, row.peaks_bp, row.shared_bp) == wanted
        sums += wanted
        if first | second:
            assert row.jaccard == pytest.approx(len(first & second) / len(first | second))
        else:
            assert np.isnan(row.jaccard)
    assert (overlap.elements_bp, overlap.peaks_bp, overlap.shared_bp) == tuple(sums)
    assert overlap.precision == pytest.approx(sums[2] / sums[0])
    assert overlap.recall == pytest.approx(sums[2] / sums[1])
    assert overlap.jaccard == pytest.approx(sums[2] / (sums[0] + sums[1] - sums[2]))


@pytest.mark.parametrize("length", [7, 100, 1001])
def test_shifts_by_convolution_equal_roll(length: int) -> None:
    rng = np.random.default_rng(length)
    own, reference = rng.random(length) < 0.3, rng.random(length) < 0.4
    wanted = [(np.roll(own, shift) & reference).sum() for shift in range(length)]
    assert _shifted_overlap(own, reference, np.arange(length)).tolist() == wanted
    assert not _shifted_overlap(own, np.zeros(length, dtype=bool), np.arange(5)).any()


def test_null_is_centred_and_sees_a_plant() -> None:
    """Shared bases after a random shift average to the product of the covered shares; a copy is far above."""
    rng = np.random.default_rng(3)
    windows = [Interval("chr1", n * 1000, (n + 1) * 1000) for n in range(20)]
    names = [f"g{n}" for n in range(20)]
    starts = np.arange(20) * 1000 + rng.integers(0, 900, 20)
    table = pd.DataFrame({"chrom": "chr1", "start": starts, "end": starts + 100, "gene_id": names})
    overlap, _ = compare(table, table, windows, names, num_permutations=400)
    assert overlap.enrichment == pytest.approx(10, rel=0.1)
    assert overlap.enrichment_p == pytest.approx(1 / 401)
    assert overlap.median_distance_bp == 0
    away = table.assign(start=np.arange(20) * 1000 + rng.integers(0, 900, 20)).assign(end=lambda t: t["start"] + 100)
    assert compare(away, table, windows, names, num_permutations=400)[0].enrichment_p > 0.01


@pytest.mark.parametrize("seed", range(2))
def test_area_equals_sklearn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    is_planted = rng.random((20, 30)) < 0.1
    scores = np.round(rng.random((20, 30)) + 0.5 * is_planted, 1)  # ties
    wanted = average_precision_score(is_planted.ravel(), scores.ravel())
    bound = score_truth(scores, is_planted, num_resamples=30)
    assert bound.value == pytest.approx(wanted)
    assert bound.low < wanted < bound.high
    recall, precision, area = curve(scores, is_planted)
    assert area == pytest.approx(wanted)
    assert (np.diff(recall) > 0).all()
    assert (np.diff(recall, prepend=0.0) * precision).sum() == pytest.approx(wanted)
