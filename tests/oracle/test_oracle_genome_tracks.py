"""Binned signals against per-base values that pyBigWig gives one by one, and a slow loop over bins."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from seqexp.core.errors import DataError
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.tracks import TrackSet

SIZES = {"chr1": 30_000, "chr2": 1_000, "chrEmpty": 500}


@pytest.fixture(scope="module")
def bigwigs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A sparse track with gaps, a track full of values, and one that does not list chr2."""
    folder, rng = tmp_path_factory.mktemp("bigwig"), np.random.default_rng(5)
    paths = {}
    for name in ("sparse", "full", "no_chr2"):
        chroms = {c: s for c, s in SIZES.items() if name != "no_chr2" or c != "chr2"}
        paths[name] = folder / f"{name}.bw"
        with pyBigWig.open(str(paths[name]), "w") as handle:
            handle.addHeader(list(chroms.items()))
            for chrom, size in chroms.items():
                if chrom == "chrEmpty":
                    continue
                edges = np.unique(np.concatenate([[0, size], rng.integers(0, size, size // 20)]))
                starts, ends = edges[:-1], edges[1:]
                values = rng.normal(0, 5, len(starts)).round(3) * (rng.random(len(starts)) < 0.8)
                if name != "full":
                    is_kept = rng.random(len(starts)) < 0.6
                    starts, ends, values = starts[is_kept], ends[is_kept], values[is_kept]
                handle.addEntries([chrom] * len(starts), starts.tolist(), ends=ends.tolist(), values=values.tolist())
    return paths


def per_base(handle: pyBigWig, interval: Interval) -> list[float]:
    """Value of every base, NaN where there is none or no chromosome, forward orientation."""
    size = handle.chroms().get(interval.chrom, 0)
    low, high = max(interval.start, 0), min(interval.end, size)
    inside = handle.values(interval.chrom, low, high) if low < high else []
    values = [math.nan] * interval.width
    for offset, value in enumerate(inside):
        values[low - interval.start + offset] = value
    return values


def slow_bins(values: list[float], bin_bp: int, agg: str, missing: str) -> list[float]:
    bins = []
    for first in range(0, len(values), bin_bp):
        bases = values[first : first + bin_bp]
        present = [0.0 if math.isnan(v) else v for v in bases] if missing == "zero" else [
            v for v in bases if not math.isnan(v)
        ]  # fmt: skip
        if not present:
            bins.append(math.nan)
        else:
            total = math.fsum(present)
            bins.append({"max": max(present), "sum": total, "mean": total / len(present)}[agg])
    return bins


@pytest.mark.parametrize("missing", ["zero", "nan"])
def test_bins_equal_the_slow_loop(missing: str, bigwigs: dict[str, Path]) -> None:
    tracks = TrackSet(bigwigs, missing)  # type: ignore[arg-type]
    handles = [pyBigWig.open(str(path)) for path in bigwigs.values()]
    rng = np.random.default_rng(13)
    for number in range(1_500):
        chrom = str(rng.choice(list(SIZES), p=[0.7, 0.25, 0.05]))
        bin_bp = int(rng.choice([1, 1, 2, 7, 32, 128]))
        width = bin_bp * int(rng.integers(1, 400 // bin_bp + 2))
        at = [0, SIZES[chrom], int(rng.integers(SIZES[chrom])), int(rng.integers(SIZES[chrom]))][number % 4]
        start = at - int(rng.integers(-20, width + 20))
        interval = Interval(chrom, start, start + width, str(rng.choice(["+", "-", "."])))
        agg = str(rng.choice(["mean", "max", "sum"]))
        found = tracks.values(interval, bin_bp, agg)  # type: ignore[arg-type]
        expected = np.array([slow_bins(per_base(h, interval), bin_bp, agg, missing) for h in handles]).T
        if interval.strand == "-":
            expected = expected[::-1]
        assert found.dtype == np.float32
        assert found.shape == (width // bin_bp, 3)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        np.testing.assert_allclose(found, expected.astype(np.float32), rtol=1e-6, atol=1e-6, err_msg=str(interval))


def test_base_values_are_bitwise_those_of_the_file(bigwigs: dict[str, Path]) -> None:
    tracks = TrackSet(bigwigs, "nan")
    with pyBigWig.open(str(bigwigs["full"])) as handle:
        expected = np.array(handle.values("chr1", 0, SIZES["chr1"]), dtype=np.float32)
    np.testing.assert_array_equal(tracks.values(Interval("chr1", 0, SIZES["chr1"]))[:, 1], expected)


def test_policy_error_names_track_and_first_base(bigwigs: dict[str, Path]) -> None:
    tracks = TrackSet({"full": bigwigs["full"]}, "error")
    assert np.isfinite(tracks.values(Interval("chr1", 100, 300), 10)).all()
    with pytest.raises(DataError, match=r"track full has no value for 5 of 10 bases(.|\n)*chr1:30000"):
        tracks.values(Interval("chr1", 29_995, 30_005))
