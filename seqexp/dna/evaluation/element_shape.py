"""How many elements a run keeps, how long they are, and how far from the TSS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from seqexp.dna.elements.bin_scores import BinScores

NEAR_BP = 1_000


def element_shapes(elements: pd.DataFrame, masks: BinScores) -> pd.DataFrame:
    """Length and place of every element.

    Parameters
    ----------
    elements : DataFrame
        Elements of :func:`seqexp.dna.elements.calling.call_elements` on ``masks``.
    masks : BinScores
        With splits.

    Returns
    -------
    DataFrame
        gene_id, split, length_bp, and tss_distance_bp: from the TSS of its gene to the nearest base of the element, 0
        where it holds the TSS, negative upstream.
    """
    row_of = {gene_id: row for row, gene_id in enumerate(masks.gene_ids)}
    rows = np.array([row_of[gene_id] for gene_id in elements["gene_id"]], dtype=np.int64)
    tss, is_reverse = masks.tss()[rows], masks.is_reverse[rows]
    start, end = elements["start"].to_numpy(np.int64), elements["end"].to_numpy(np.int64)
    along = np.where(tss < start, start - tss, np.where(tss >= end, end - 1 - tss, 0))
    splits = np.array(masks.splits or [""] * len(masks), dtype=object)[rows]
    columns = {"gene_id": elements["gene_id"].to_numpy(), "split": splits, "length_bp": end - start}
    return pd.DataFrame({**columns, "tss_distance_bp": np.where(is_reverse, -along, along)})


def shape_table(shapes: pd.DataFrame, masks: BinScores) -> pd.DataFrame:
    """The same for people: one row for all genes and one per split."""
    splits = np.array(masks.splits or [""] * len(masks))
    named = {"train": "training genes", "val": "validation genes", "test": "test genes"}
    groups = {"all genes": (shapes, len(masks))}
    groups |= {
        label: (shapes[shapes["split"] == split], int((splits == split).sum())) for split, label in named.items()
    }
    return pd.DataFrame([{"elements of": label, **_row(*group)} for label, group in groups.items() if group[1]])


def shape_metrics(shapes: pd.DataFrame) -> dict[str, float]:
    """Flat figures of all genes: medians of the length and of the distance, whichever side, in bp."""
    return {
        "element_length_bp_median": _median(shapes["length_bp"]),
        "element_tss_distance_bp_median": _median(shapes["tss_distance_bp"].abs()),
    }


def _row(shapes: pd.DataFrame, num_genes: int) -> dict[str, Any]:
    low, high = shapes["length_bp"].quantile([0.25, 0.75])
    distance = shapes["tss_distance_bp"].abs()
    return {
        "genes": num_genes,
        "genes without any": num_genes - int(shapes["gene_id"].nunique()),
        "elements": len(shapes),
        "base pairs": int(shapes["length_bp"].sum()),
        "median length (bp)": _told(_median(shapes["length_bp"])),
        "quartiles of it (bp)": f"{low:,.0f} to {high:,.0f}" if len(shapes) else "not defined",
        "median distance to the TSS (bp)": _told(_median(distance)),
        "within 1 kb of the TSS": f"{(distance <= NEAR_BP).mean():.1%}" if len(shapes) else "not defined",
    }


def _told(bases: float) -> str:
    return "not defined" if math.isnan(bases) else f"{bases:,.0f}"


def _median(values: pd.Series) -> float:
    return float(values.median())
