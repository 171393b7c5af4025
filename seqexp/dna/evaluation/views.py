"""Which genes to draw, and what is drawn of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seqexp.core.errors import ConfigError
from seqexp.dna.evaluation.results import GeneView, Spans

if TYPE_CHECKING:
    from seqexp.dna.evaluation.collect import Collected
    from seqexp.dna.evaluation.elements import ElementResults
    from seqexp.dna.loaders.data import SequenceData

NUM_VIEWS = 5


def choose_genes(collected: Collected, wanted: tuple[str, ...]) -> list[int]:
    """Rows to draw: the genes asked for, else test genes spread over the range of measured expression.

    Raises
    ------
    ConfigError
        A gene asked for is not among those of the run.
    """
    table = collected.predictions
    if not wanted:
        rows = collected.rows("test")
        order = rows[np.argsort(table["target"].to_numpy(float)[rows], kind="stable")]
        places = np.linspace(0.95, 0.35, NUM_VIEWS) * (len(order) - 1)
        return [int(row) for row in dict.fromkeys(order[places.round().astype(int)])] if len(order) else []
    found = []
    for name in wanted:
        is_it = (table["gene_id"].astype(str) == name) | (table["gene_name"].astype(str) == name)
        if not is_it.any():
            raise ConfigError(f"no gene {name!r} in this run", expected="an id or name of predictions.tsv")
        found.append(int(np.flatnonzero(is_it)[0]))
    return found


def _spans(frame: pd.DataFrame | None, chrom: str, start: int, end: int) -> Spans:
    if frame is None:
        return []
    hit = frame[(frame["chrom"] == chrom) & (frame["end"] > start) & (frame["start"] < end)]
    return [(max(int(s), start), min(int(e), end)) for s, e in zip(hit["start"], hit["end"])]


def make_views(data: SequenceData, collected: Collected, results: ElementResults, rows: list[int]) -> list[GeneView]:
    """Track views of some genes."""
    views = []
    table, truth = collected.predictions, results.truth_table
    for row in rows:
        gene = table.iloc[row]
        window = results.masks.windows[row]
        place = (window.chrom, window.start, window.end)
        own = results.elements[results.elements["gene_id"] == str(gene["gene_id"])]
        tss = window.end - 1 - data.upstream_bp if window.is_reverse else window.start + data.upstream_bp
        name = gene["gene_name"] if str(gene["gene_name"]) not in ("", "nan") else gene["gene_id"]
        signals = collected.signals[row]
        views.append(
            GeneView(
                title=f"{name} ({gene['split']})  measured {gene['target']:.2f}, predicted {gene['prediction']:.2f} "
                f"{gene['unit']}",
                chrom=window.chrom,
                start=window.start,
                end=window.end,
                strand=window.strand,
                tss=tss,
                signals={n: signals[:, t] for t, n in enumerate(data.statistics.track_names)},
                mask=results.masks.values[row],
                elements=_spans(own, *place),
                peaks=_spans(None if results.peaks is None else results.peaks.table, *place),
                peaks_label="peaks" if results.peaks is None else results.peaks.label,
                truth=None if truth is None else _spans(truth[truth["gene_id"] == gene["gene_id"]], *place),
            )
        )
    return views
