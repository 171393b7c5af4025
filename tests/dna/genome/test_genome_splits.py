"""Splits by chromosome and by segment, and the leak check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.genes import GeneTable, LoadReport
from seqexp.dna.genome.splits import SplitSpec, assign, check_leaks


def genes_at(places: list[tuple[str, int]], **columns: list[str]) -> GeneTable:
    frame = pd.DataFrame(places, columns=["chrom", "tss"])
    ids = [f"G{n}" for n in range(len(places))]
    strands = ["+-"[n % 2] for n in range(len(places))]
    frame = frame.assign(**{"gene_id": ids, "gene_name": ids, "strand": strands, **columns})  # type: ignore[arg-type]
    return GeneTable(frame, LoadReport(Path("genes.tsv"), len(places)))


def by_chromosome(**changes: Any) -> SplitSpec:
    return SplitSpec(**{"by": "chromosome", "train": ("rest",), "val": ("chr2",), "test": ("chr3",), **changes})


def by_segment(**changes: Any) -> SplitSpec:
    lists = {"train": ("chr1:0-1000",), "val": ("chr1:1000-2000",), "test": ("chr1:2000-3000",)}
    return SplitSpec(**{"by": "segment", **lists, **changes})


def test_chromosomes_rest_exclude_alias() -> None:
    genes = genes_at([("chr1", 50), ("chr2", 50), ("chr3", 50), ("chrM", 50), ("chr4", 50)])
    windows = genes.windows(10, 10)
    labels = assign(genes, windows, by_chromosome(val=("2",), exclude=("MT",)))
    assert labels.tolist() == ["train", "val", "test", "none", "train"]
    assert assign(genes, windows, by_chromosome(train=("chr4",))).tolist() == ["none", "val", "test", "none", "train"]
    report = check_leaks(genes, windows, labels)
    assert report.ok
    assert report.counts == {"train": 2, "val": 1, "test": 1, "none": 1}
    assert report.render() == "genes: train 2, val 1, test 1, none 1; windows shared between splits: 0"


def test_segments_go_by_tss_and_give_way_where_windows_overlap() -> None:
    genes = genes_at([("chr1", p) for p in (100, 899, 900, 950, 1_000, 1_500, 1_999, 2_000, 2_999, 3_000)])
    windows = genes.windows(50, 50)
    labels = assign(genes, windows, by_segment())
    expected = ["train", "train", "train", "none", "val", "val", "none", "test", "test", "none"]
    assert labels.tolist() == expected
    assert check_leaks(genes, windows, labels).ok
    # Placed by TSS alone, the same windows are a leak.
    by_tss = np.array([*["train"] * 4, *["val"] * 3, *["test"] * 2, "none"])
    with pytest.raises(DataError, match="the splits overlap: windows shared by train/val 1, val/test 1"):
        check_leaks(genes, windows, by_tss)


def test_segment_exclude_and_alias() -> None:
    genes = genes_at([("1", 100), ("1", 600), ("1", 1_500), ("1", 2_500)])
    spec = by_segment(train=("rest",), exclude=("chr1:500-700",))
    assert assign(genes, genes.windows(5, 5), spec).tolist() == ["train", "none", "val", "test"]


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (by_chromosome, {"val": ("chr3",)}, "splits val and test overlap: chr3"),
        (by_chromosome, {"test": ("2", "chr3")}, "splits val and test overlap: chr2"),
        (by_chromosome, {"exclude": ("chr2",)}, "splits val and exclude overlap"),
        (by_segment, {"val": ("chr1:999-2000",)}, "splits train and val overlap: chr1:0-1000"),
        (by_segment, {"test": ("1:1500-1600",)}, "splits val and test overlap"),
    ],
)
def test_overlapping_lists(make: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (by_chromosome, {"val": ()}, "splits.val is empty"),
        (by_chromosome, {"val": ("rest",)}, "'rest' alone, and for train only"),
        (by_chromosome, {"train": ("rest", "chr1")}, "'rest' alone"),
        (by_chromosome, {"by": "patient"}, "splits.by: 'patient'"),
    ],
)
def test_wrong_lists(make: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**changes)
    with pytest.raises(DataError, match="not an interval"):
        by_segment(test=("chr1",))


def test_empty_split_and_misspelt_chromosome() -> None:
    genes = genes_at([("chr1", 50), ("chr2", 50), ("chr3", 50)])
    windows = genes.windows(10, 10)
    with pytest.raises(DataError, match=r"splits\.val names 'chr9', where no gene lies(.|\n)*chr1, chr2, chr3"):
        assign(genes, windows, by_chromosome(val=("chr9",)))
    with pytest.raises(DataError, match="no gene is left in split train"):
        assign(genes, windows, by_chromosome(exclude=("chr1",)))
    with pytest.raises(DataError, match="no gene is left in split val and test"):
        assign(genes, windows, by_segment())
    with pytest.raises(DataError, match="no gene is left in split test"):
        check_leaks(genes, windows, np.array(["train", "val", "none"]))


def test_shared_genes_and_names() -> None:
    places = [("chr1", 50), ("chr2", 50), ("chr3", 50)]
    twice = genes_at(places, gene_id=["P", "Q", "P_PAR_Y"])
    labels = np.array(["train", "val", "test"])
    with pytest.raises(DataError, match="genes in several splits: P"):
        check_leaks(twice, twice.windows(5, 5), labels)
    named = genes_at(places, gene_name=["SNOR", "b", "SNOR"])
    report = check_leaks(named, named.windows(5, 5), labels)
    assert report.shared_names == ("SNOR",)
    assert "1 gene names in several splits" in report.render()
