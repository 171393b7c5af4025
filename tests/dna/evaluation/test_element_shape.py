"""Lengths and distances of elements, against the definition base by base."""

from __future__ import annotations

import numpy as np
import pytest

from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.calling import call_elements
from seqexp.dna.evaluation.element_shape import element_shapes, shape_metrics, shape_table
from seqexp.dna.genome.interval import Interval

BIN, NUM_BINS, UPSTREAM = 10, 30, 120


def masks(seed: int) -> BinScores:
    """Genes on both strands, TSS off the grid of bins, the last one over the end of its chromosome."""
    rng = np.random.default_rng(seed)
    starts = [100, 430, 777, 1_000]
    windows = tuple(Interval("chr1", s, s + BIN * NUM_BINS, "+-"[n % 2]) for n, s in enumerate(starts))
    values = rng.random((4, NUM_BINS)).astype(np.float32)
    splits = ("train", "test", "test", "val")
    return BinScores(tuple("abcd"), windows, values, BIN, {"chr1": 1_200}, splits, tss_offset_bp=UPSTREAM + 3)


@pytest.mark.parametrize("seed", range(3))
def test_distance_is_to_the_nearest_base_in_gene_orientation(seed: int) -> None:
    scores = masks(seed)
    elements = call_elements(scores, threshold=0.6)
    shapes = element_shapes(elements, scores)
    for element, shape in zip(elements.itertuples(), shapes.itertuples()):
        window = scores.windows[scores.gene_ids.index(element.gene_id)]
        tss = window.end - 1 - (UPSTREAM + 3) if window.strand == "-" else window.start + UPSTREAM + 3
        along = [base - tss if window.strand == "+" else tss - base for base in range(element.start, element.end)]
        assert shape.tss_distance_bp == min(along, key=abs)
        assert shape.length_bp == len(along)
        assert shape.split == scores.splits[scores.gene_ids.index(element.gene_id)]  # type: ignore[index]
    figures = shape_metrics(shapes)
    assert figures["element_length_bp_median"] == np.median(shapes["length_bp"])
    assert figures["element_tss_distance_bp_median"] == np.median(np.abs(shapes["tss_distance_bp"]))


def test_table_counts_genes_without_elements() -> None:
    scores = masks(0)
    own = scores.values.copy()
    own[1] = 0
    scores = scores.with_values(own, "mask")
    table = shape_table(element_shapes(call_elements(scores, threshold=0.6), scores), scores).set_index("elements of")
    assert table["genes"].to_dict() == {"all genes": 4, "training genes": 1, "validation genes": 1, "test genes": 2}
    assert table["genes without any"].to_dict()["test genes"] == 1
    assert table.loc["all genes", "elements"] == table["elements"].iloc[1:].sum()
    assert table.loc["all genes", "base pairs"] == table["base pairs"].iloc[1:].sum()


def test_no_element_at_all() -> None:
    scores = masks(0).with_values(np.zeros((4, NUM_BINS)), "mask")
    shapes = element_shapes(call_elements(scores, threshold=0.6), scores)
    assert np.isnan(shape_metrics(shapes)["element_length_bp_median"])
    table = shape_table(shapes, scores).set_index("elements of")
    assert table.loc["all genes", "within 1 kb of the TSS"] == "not defined"
    assert table.loc["all genes", "genes without any"] == 4
