"""Intervals of the comparison; its figures are held against plain sets of positions in the oracle tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.elements.compare import compare, overlap_bounds, trim_to_budget
from seqexp.dna.elements.matched import compare_files, tiles
from seqexp.dna.genome.interval import Interval


def table(rows: list[tuple[str, int, int, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["chrom", "start", "end", "gene_id"])
    return frame.assign(score=1.0, summit_bp=0)


def test_bounds_hold_the_pooled_figures() -> None:
    rng = np.random.default_rng(0)
    counts = {"elements_bp": rng.integers(50, 200, 40), "peaks_bp": rng.integers(50, 200, 40)}
    shared = (np.minimum(*counts.values()) * rng.random(40)).astype(int)
    per_gene = pd.DataFrame({**counts, "shared_bp": shared})
    bounds = overlap_bounds(per_gene)
    own, peaks, both = (int(per_gene[name].sum()) for name in ("elements_bp", "peaks_bp", "shared_bp"))
    expected = {"precision": both / own, "recall": both / peaks, "jaccard": both / (own + peaks - both)}
    for name, value in expected.items():
        assert bounds[name].value == pytest.approx(value)
        assert bounds[name].low < value < bounds[name].high
        assert bounds[name].high - bounds[name].low < 0.5
    assert overlap_bounds(per_gene) == bounds  # seeded


def test_equal_genes_leave_nothing_uncertain() -> None:
    per_gene = pd.DataFrame({"elements_bp": [100] * 5, "peaks_bp": [50] * 5, "shared_bp": [25] * 5})
    assert overlap_bounds(per_gene)["jaccard"][:3] == pytest.approx((0.2, 0.2, 0.2))


def test_windows_without_elements_or_peaks() -> None:
    windows = [Interval("chr1", 0, 100), Interval("chr1", 200, 300)]
    found, per_gene = compare(table([("chr1", 10, 20, "a")]), table([("chr1", 210, 220, "b")]), windows, ["a", "b"])
    assert (found.elements_bp, found.peaks_bp, found.shared_bp, found.jaccard) == (10, 10, 0, 0.0)
    assert np.isnan(found.median_distance_bp)
    assert np.isnan(found.enrichment)
    assert found.enrichment_p == 1.0
    assert np.isnan(per_gene["recall"][0])
    assert np.isnan(per_gene["precision"][1])


def test_what_cannot_be_compared_is_refused() -> None:
    none, window = table([]), Interval("chr1", 0, 100)
    with pytest.raises(DataError, match="0 windows"):
        compare(none, none, [], [])
    with pytest.raises(DataError, match="each with one window"):
        compare(none, none, [window, window], ["a", "a"])
    with pytest.raises(ConfigError, match="0 permutations"):
        compare(none, none, [window], ["a"], num_permutations=0)
    with pytest.raises(ConfigError, match="budget of -1 bp"):
        trim_to_budget(none, -1)


def test_tiles_cover_the_chromosomes_of_both_sides() -> None:
    elements, peaks = table([("chr1", 10, 20, "."), ("chr3", 0, 5, ".")]), table([("1", 2_000_000, 2_000_100, ".")])
    windows, names = tiles(elements, peaks)
    assert [(w.chrom, w.start, w.end) for w in windows] == [
        ("chr1", 0, 1_000_000),
        ("chr1", 1_000_000, 2_000_000),
        ("chr1", 2_000_000, 2_000_100),
    ]
    assert names[0] == "chr1:0-1000000"


def test_files_without_intervals_or_common_names_are_told_apart(tmp_path: Path) -> None:
    for name, text in (("a.bed", "chr1\t0\t10\n"), ("z.bed", "chrZ\t0\t10\n"), ("none.bed", "")):
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"no intervals(.|\n)*none.bed"):
        compare_files(tmp_path / "a.bed", tmp_path / "none.bed")
    with pytest.raises(DataError, match=r"no chromosome name of a.bed occurs in z.bed"):
        compare_files(tmp_path / "a.bed", tmp_path / "z.bed")
    found = compare_files(tmp_path / "a.bed", tmp_path / "a.bed", num_permutations=9)
    assert (found.budget_bp, found.pooled.jaccard, found.bounds["jaccard"].value) == (10, 1.0, 1.0)
