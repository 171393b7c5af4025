"""Which genes to draw and why, and what is drawn of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seqexp.core.errors import ConfigError
from seqexp.dna.evaluation.results import GeneView, Spans
from seqexp.dna.genome.gene_models import genes_in

if TYPE_CHECKING:
    from seqexp.dna.evaluation.collect import Collected
    from seqexp.dna.evaluation.elements import ElementResults
    from seqexp.dna.loaders.data import SequenceData

LEVELS = (0.95, 0.8, 0.65, 0.5, 0.35)  # of measured expression among the test genes
_MOST_TARGETS = 3  # whose figures a heading holds

Chosen = dict[int, str]


def choose_genes(collected: Collected, wanted: tuple[str, ...]) -> Chosen:
    """Rows to draw and why: the genes asked for, else test genes spread over the range of measured expression.

    Raises
    ------
    ConfigError
        A gene asked for is not among those of the run.
    """
    table = collected.predictions
    if not wanted:
        rows = collected.rows("test")
        order = rows[np.argsort(collected.measured[rows].mean(axis=1), kind="stable")]
        found: Chosen = {}
        for level in LEVELS if len(order) else ():
            row = int(order[int(np.round(level * (len(order) - 1)))])
            found.setdefault(row, f"test gene at quantile {level:.2f} of the measured expression of all test genes")
        return found
    found = {}
    for name in wanted:
        is_it = (table["gene_id"].astype(str) == name) | (table["gene_name"].astype(str) == name)
        if not is_it.any():
            raise ConfigError(f"no gene {name!r} in this run", expected="an id or name of predictions.tsv")
        found[int(np.flatnonzero(is_it)[0])] = "asked for"
    return found


def make_views(
    data: SequenceData, collected: Collected, results: ElementResults, chosen: Chosen
) -> tuple[GeneView, ...]:
    """Track views of some genes, with all genes of the dataset's file in their windows."""
    table, truth, masks = collected.predictions, results.truth_table, results.masks
    rows = list(chosen)
    models = genes_in(data.spec.genes, data.spec.columns, [masks.windows[row] for row in rows])
    views = []
    for row, genes in zip(rows, models):
        gene, window = table.iloc[row], masks.windows[row]
        place = (window.chrom, window.start, window.end)
        own = results.elements[results.elements["gene_id"] == str(gene["gene_id"])]
        views.append(
            GeneView(
                title=_title(gene, collected, row),
                chrom=window.chrom,
                start=window.start,
                end=window.end,
                strand=window.strand,
                tss=int(masks.tss()[row]),
                signals={name: collected.signals[row][:, t] for t, name in enumerate(data.statistics.track_names)},
                mask=masks.values[row],
                elements=spans_in(own, *place),
                peaks=spans_in(None if results.peaks is None else results.peaks.table, *place),
                peaks_label="peaks" if results.peaks is None else results.peaks.label,
                truth=None if truth is None else spans_in(truth[truth["gene_id"] == gene["gene_id"]], *place),
                genes=genes,
                gene_id=str(gene["gene_id"]),
                why=chosen[row],
            )
        )
    return tuple(views)


def _title(gene: pd.Series, collected: Collected, row: int) -> str:
    name = gene["gene_name"] if str(gene["gene_name"]) not in ("", "nan") else gene["gene_id"]
    figures = zip(collected.target_names, collected.measured[row], collected.predicted[row])
    told = [
        f"{f'{target}: ' if target else ''}measured {measured:.2f}, predicted {predicted:.2f}"
        for target, measured, predicted in figures
    ]
    more = ", \u2026" if len(told) > _MOST_TARGETS else ""
    return f"{name} ({gene['split']})  {'; '.join(told[:_MOST_TARGETS])}{more} {gene['unit']}"


def spans_in(frame: pd.DataFrame | None, chrom: str, start: int, end: int) -> Spans:
    """What lies of a table of intervals in a window, cut off at its ends; nothing without a table."""
    if frame is None:
        return []
    hit = frame[(frame["chrom"] == chrom) & (frame["end"] > start) & (frame["start"] < end)]
    return [(max(int(s), start), min(int(e), end)) for s, e in zip(hit["start"], hit["end"])]
