"""Track view of one gene: signals, mask, elements, peaks, planted truth and the TSS on one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seqexp.dna.evaluation.results import GeneView, Spans
from seqexp.report.style import MODEL, PEAKS, TRACKS, TRUTH, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _thin(values: np.ndarray, num: int = 1200) -> np.ndarray:
    """At most ``num`` values, each the maximum of its stretch, so that narrow peaks stay visible."""
    if len(values) <= num:
        return values
    edges = np.linspace(0, len(values), num + 1).astype(int)[:-1]
    return np.maximum.reduceat(values, edges)


def _fill(axis: Axes, view: GeneView, values: np.ndarray, colour: str) -> None:
    along = values[::-1] if view.strand == "-" else values  # the axis runs along the genome
    values = _thin(np.nan_to_num(np.asarray(along, dtype=float)))
    edges = np.linspace(view.start, view.end, len(values) + 1)
    axis.stairs(values, edges, fill=True, color=colour)


def _spans(axis: Axes, view: GeneView, spans: Spans, row: int, *, colour: str) -> None:
    least = (view.end - view.start) / 600  # a narrow element must still be seen
    bars = [(start, max(end - start, least)) for start, end in spans]
    axis.broken_barh(bars, (row - 0.32, 0.64), color=colour)


def gene_view(view: GeneView) -> Figure:
    """Draw one gene: a row per signal, the mask, then elements, peaks and truth as bars."""
    rows = {"elements": (view.elements, MODEL), view.peaks_label: (view.peaks, PEAKS)}
    if view.truth is not None:
        rows["planted"] = (view.truth, TRUTH)
    heights = [0.55] * len(view.signals) + [0.7, 0.24 * len(rows) + 0.1]
    with house_style():
        figure = new_figure(8.4, sum(heights) + 0.7)
        axes = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights})
        for axis, (name, values), colour in zip(axes, view.signals.items(), TRACKS * 4):
            _fill(axis, view, values, colour)
            axis.set_ylabel(name, rotation=0, ha="right", va="center")
            axis.set_ylim(0, max(float(np.nanmax(values)) * 1.05, 1e-6))
            axis.locator_params(axis="y", nbins=2)
        _fill(axes[-2], view, view.mask, MODEL)
        axes[-2].set(ylim=(0, 1), yticks=[0, 1])
        axes[-2].set_ylabel("mask", rotation=0, ha="right", va="center")
        for row, (spans, colour) in enumerate(reversed(list(rows.values()))):
            _spans(axes[-1], view, spans, row, colour=colour)
        axes[-1].set_yticks(range(len(rows)), list(reversed(rows)))
        axes[-1].set_ylim(-0.6, len(rows) - 0.4)
        axes[-1].tick_params(axis="y", length=0)
        axes[-1].spines["left"].set_visible(False)
        for axis in axes:
            axis.axvline(view.tss, color="#c0392b", lw=0.9, ls=(0, (3, 2)), zorder=5)
        axes[0].set_title(view.title)
        arrow = "TSS →" if view.strand == "+" else "← TSS"
        axes[0].annotate(
            arrow,
            (view.tss, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3 if view.strand == "+" else -3, -2),
            textcoords="offset points",
            color="#c0392b",
            ha="left" if view.strand == "+" else "right",
            va="top",
            fontsize=8,
        )
        axes[-1].set_xlim(view.start, view.end)
        axes[-1].set_xlabel(f"{view.chrom} position (bp)")
        axes[-1].xaxis.set_major_formatter(lambda x, _: f"{int(x):,}")
        axes[-1].locator_params(axis="x", nbins=6)
    return figure
