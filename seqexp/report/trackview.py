"""Track view of one gene: signals, mask, elements, peaks, planted truth and the TSS on one axis."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqexp.dna.evaluation.results import GeneView, Spans
from seqexp.report.genes_row import draw_genes, lanes_of
from seqexp.report.style import MODEL, PEAKS, TRACKS, TRUTH, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_RED = "#c0392b"
_LETTERS, _LINE = 20, 0.15  # letters of a track's name on a line, height of a line in inches


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
    """Draw one gene: a row per signal, the mask, then elements, peaks and truth as bars, then all genes there."""
    bars = {} if view.mask is None else {"elements": (view.elements, MODEL)}
    bars[view.peaks_label] = (view.peaks, PEAKS)
    if view.truth is not None:
        bars["planted"] = (view.truth, TRUTH)
    heights = [max(0.55, _LINE * _wrapped(name).count("\n") + 0.35) for name in view.signals]
    heights += [] if view.mask is None else [0.7]
    heights += [len(bars) * (0.24 + _LINE * max(_wrapped(name).count("\n") for name in bars)) + 0.1]
    heights += [0.27 * lanes_of(view)[1] + 0.1] if view.genes else []
    with house_style():
        figure = new_figure(8.4, sum(heights) + 0.7)
        grid = {"height_ratios": heights}
        axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, gridspec_kw=grid)[:, 0].tolist()
        for axis, (name, values), colour in zip(axes, view.signals.items(), TRACKS * 4):
            _fill(axis, view, values, colour)
            _name(axis, name)
            axis.set_ylim(0, max(float(np.nanmax(values)) * 1.05, 1e-6))
            axis.locator_params(axis="y", nbins=2)
        below = axes[len(view.signals) :]
        if view.mask is not None:
            mask = below.pop(0)
            _fill(mask, view, view.mask, MODEL)
            mask.set(ylim=(0, 1), yticks=[0, 1])
            _name(mask, "mask")
        _bars(below[0], view, bars)
        if view.genes:
            draw_genes(axes[-1], view)
            _name(axes[-1], "genes")
        _mark_tss(axes, view)
        axes[0].set_title(view.title)
        axes[-1].set_xlim(view.start, view.end)
        axes[-1].set_xlabel(f"{view.chrom} position (bp)")
        axes[-1].xaxis.set_major_formatter(lambda x, _: f"{int(x):,}")
        axes[-1].locator_params(axis="x", nbins=6)
    return figure


def told(view: GeneView) -> str:
    """The figure in words, for those who do not see it."""
    parts = [f"elements: {len(view.elements)}", f"{view.peaks_label}: {len(view.peaks)}"]
    parts += [f"planted: {len(view.truth)}"] if view.truth is not None else []
    parts += [f"genes in the window: {len(view.genes)}"] if view.genes else []
    place = f"{view.chrom}:{view.start:,}-{view.end:,}, strand {view.strand}, TSS at {view.tss:,}"
    tracks = ", ".join([*view.signals, *(["mask"] if view.mask is not None else [])])
    return f"Track view of {view.title}; {place}; tracks {tracks}; {', '.join(parts)}"


def _bars(axis: Axes, view: GeneView, bars: dict[str, tuple[Spans, str]]) -> None:
    names = list(reversed(bars))
    for row, name in enumerate(names):
        spans, colour = bars[name]
        _spans(axis, view, spans, row, colour=colour)
    axis.set_yticks(range(len(names)), [_wrapped(name) for name in names])
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def _mark_tss(axes: Sequence[Axes], view: GeneView) -> None:
    for axis in axes:
        axis.axvline(view.tss, color=_RED, lw=0.9, ls=(0, (3, 2)), zorder=5)
    is_forward = view.strand != "-"
    axes[0].annotate(
        "TSS →" if is_forward else "← TSS",
        (view.tss, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(3 if is_forward else -3, -2),
        textcoords="offset points",
        color=_RED,
        ha="left" if is_forward else "right",
        va="top",
        fontsize=8,
    )


def _name(axis: Axes, name: str) -> None:
    axis.set_ylabel(_wrapped(name), rotation=0, ha="right", va="center")


def _wrapped(name: str) -> str:
    """A name on lines of at most :data:`_LETTERS` letters, broken where words end, else where it must."""
    lines = [""]
    for word in re.findall(r"[^\s_./-]*[\s_./-]?", name):
        if len(lines[-1]) + len(word) > _LETTERS and lines[-1]:
            lines.append("")
        lines[-1] += word
        while len(lines[-1]) > _LETTERS:
            lines[-1:] = [lines[-1][:_LETTERS], lines[-1][_LETTERS:]]
    return "\n".join(line.strip() for line in lines)
