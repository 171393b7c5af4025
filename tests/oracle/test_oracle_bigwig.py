"""Our reader of bigWigs against pyBigWig, on every kind of block, in both byte orders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from tiny_bigwig import Block, write_raw_bigwig

from seqexp.dna.genome.bigwig import BigWig

SIZES = {"chr1": 60_000, "chr2": 900, "chr10": 5_000}


def entries(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    edges = np.unique(rng.integers(0, size, 4_000))
    edges = edges[: len(edges) // 2 * 2]
    is_kept = rng.random(len(edges) // 2) < 0.8
    starts, ends = edges[::2][is_kept], edges[1::2][is_kept]
    return starts, ends, rng.normal(size=len(starts)).astype(np.float32).astype(float)


def stretches(rng: np.random.Generator) -> list[tuple[str, int, int]]:
    found = [(chrom, 0, size) for chrom, size in SIZES.items()]
    for chrom, size in SIZES.items():
        for _ in range(15):
            start = int(rng.integers(0, size - 1))
            found.append((chrom, start, int(rng.integers(start + 1, size + 1))))
    return found


def agree(path: Path) -> None:
    with pyBigWig.open(str(path)) as theirs:
        ours = BigWig(path)
        assert ours.chroms() == dict(theirs.chroms())
        for chrom, start, end in stretches(np.random.default_rng(1)):
            expected = theirs.values(chrom, start, end, numpy=True)
            np.testing.assert_array_equal(ours.values(chrom, start, end), expected)
            found = np.column_stack(ours.intervals(chrom, start, end)).tolist()
            assert found == [list(interval) for interval in theirs.intervals(chrom, start, end) or ()]


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_files_of_pybigwig(kind: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(kind)
    with pyBigWig.open(str(tmp_path / "a.bw"), "w") as handle:
        handle.addHeader(list(SIZES.items()))
        for chrom, size in SIZES.items():
            if chrom == "chr2":
                continue
            starts, ends, values = entries(rng, size)
            if kind == 1:
                handle.addEntries([chrom] * len(starts), starts.tolist(), ends=ends.tolist(), values=values.tolist())
            elif kind == 2:
                handle.addEntries(chrom, (starts[::2]).tolist(), values=values[::2].tolist(), span=1)
            else:
                handle.addEntries(chrom, 17, values=values[:100].tolist(), span=7, step=11)
    agree(tmp_path / "a.bw")
    assert BigWig(tmp_path / "a.bw").chroms_with_values() == ["chr1", "chr10"]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("is_compressed", [True, False])
def test_files_of_any_order_and_depth(order: str, is_compressed: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    blocks: list[Block] = []
    for number, size in enumerate(SIZES.values()):
        starts, ends, values = entries(rng, size)
        kinds = (1, 2, 3)
        for first in range(0, len(starts) - 50, 50):
            kind = kinds[len(blocks) % 3]
            start, end = int(starts[first]), int(ends[first + 49])
            if kind == 1:
                rows = zip(starts[first : first + 50], ends[first : first + 50], values[first:])
            else:
                step = max(1, (end - start) // 50)
                rows = ((start + n * step, start + n * step + 1, value) for n, value in enumerate(values[:50]))
            blocks.append((number, kind, [(int(s), int(e), float(v)) for s, e, v in rows]))
    write_raw_bigwig(tmp_path / "a.bw", SIZES, blocks, order, is_compressed=is_compressed)
    if order == "<":  # pyBigWig refuses the other
        agree(tmp_path / "a.bw")
    else:
        write_raw_bigwig(tmp_path / "b.bw", SIZES, blocks, "<", is_compressed=is_compressed)
        ours, same = BigWig(tmp_path / "a.bw"), BigWig(tmp_path / "b.bw")
        for chrom, start, end in stretches(rng):
            np.testing.assert_array_equal(ours.values(chrom, start, end), same.values(chrom, start, end))


def test_intervals_that_overlap_or_are_out_of_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    starts = rng.integers(0, 800, (20, 30))
    blocks: list[Block] = [
        (1, 1, [(int(s), int(s) + int(rng.integers(1, 40)), float(n)) for n, s in enumerate(of_block)])
        for of_block in starts
    ]
    blocks.append((2, 1, [(10, 20, 1.0), (15, 40, 2.0), (30, 35, 3.0), (90, 95, 4.0), (50, 60, 5.0)]))
    for _, _, intervals in blocks:  # the writer takes the start of a block from its first interval
        intervals.insert(0, (0, 1, 9.0))
    write_raw_bigwig(tmp_path / "a.bw", SIZES, blocks, per_node=64)
    agree(tmp_path / "a.bw")
