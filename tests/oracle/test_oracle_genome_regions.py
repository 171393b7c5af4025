"""Merging, overlap and coverage of interval lists against one bit per base."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.regions import IntervalIndex, covered_bp, merge

SIZE = 3_000


def draw(rng: np.random.Generator, number: int) -> pd.DataFrame:
    starts = rng.integers(0, SIZE - 1, number)
    ends = np.minimum(starts + rng.integers(1, 120, number), SIZE)
    return pd.DataFrame({"chrom": rng.choice(["chr1", "chr2"], number), "start": starts, "end": ends})


def paint(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    bits = {chrom: np.zeros(SIZE, dtype=bool) for chrom in ("chr1", "chr2", "chr3")}
    for row in frame.itertuples():
        bits[row.chrom][row.start : row.end] = True
    return bits


@pytest.mark.parametrize("seed", range(40))
def test_against_one_bit_per_base(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame, queries = draw(rng, int(rng.integers(1, 60))), draw(rng, 100)
    queries.loc[:4, "chrom"] = "chr3"
    bits, index = paint(frame), IntervalIndex(frame)
    expected = [int(bits[q.chrom][q.start : q.end].sum()) for q in queries.itertuples()]
    np.testing.assert_array_equal(index.covered(queries), expected)
    np.testing.assert_array_equal(index.overlaps(queries), np.array(expected) > 0)
    assert covered_bp(frame) == sum(int(b.sum()) for b in bits.values())
    merged = merge(frame)
    for chrom, painted in paint(merged).items():
        np.testing.assert_array_equal(painted, bits[chrom])
    for _, part in merged.groupby("chrom"):
        assert (part["start"].to_numpy()[1:] > part["end"].to_numpy()[:-1]).all()


@pytest.mark.parametrize("strand", ["+", "-"])
def test_bins_of_windows(strand: str) -> None:
    rng = np.random.default_rng(1)
    frame = draw(rng, 40)
    bits, index = paint(frame), IntervalIndex(frame)
    for _ in range(300):
        bin_bp = int(rng.choice([1, 5, 32]))
        start = int(rng.integers(-200, SIZE + 100))
        interval = Interval(str(rng.choice(["chr1", "chr2", "chr3"])), start, start + 10 * bin_bp, strand)
        padded = np.concatenate([np.zeros(1_000, bool), bits[interval.chrom], np.zeros(1_000, bool)])
        expected = padded[start + 1_000 : interval.end + 1_000].reshape(-1, bin_bp).sum(axis=1)
        expected = expected[::-1] if strand == "-" else expected
        np.testing.assert_array_equal(index.bins(interval, bin_bp), expected)
        np.testing.assert_array_equal(index.mask(interval, bin_bp), expected > 0)
