"""Figures of a DNA run: predicted against measured, lengths and places of elements, precision-recall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from seqexp.report.figures import colour_of
from seqexp.report.style import BASELINE, MODEL, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TIED = 0.02  # share of recall in one step from which a ranking is said to end before it


def predicted_against_measured(
    predictions: pd.DataFrame, unit: str, metrics: dict[str, Any], target: str = ""
) -> Figure:
    """Scatter of held-out predictions, one panel for validation and one for test.

    Parameters
    ----------
    predictions : DataFrame
        Columns ``split``, ``target`` and ``prediction``, both in ``unit``; with a name, ``target_NAME`` and so on.
    unit : str
        Unit of the axes, for example ``log2(TPM+1)``.
    metrics : dict
        Flat metrics; ``<split>_pearson`` with ``_low`` and ``_high`` are printed in the panels.
    target : str
        Name of one of several targets, whose metrics have its name behind them.
    """
    name = f"_{target}" if target else ""
    with house_style():
        figure = new_figure(7.2, 3.5)
        for axis, split in zip(figure.subplots(1, 2, sharex=True, sharey=True), ("val", "test")):
            part = predictions[predictions["split"] == split]
            limits = np.nanpercentile(predictions[[f"target{name}", f"prediction{name}"]].to_numpy(float), [0, 100])
            axis.plot(limits, limits, color="#cccccc", lw=0.8, zorder=0)
            axis.scatter(
                part[f"target{name}"], part[f"prediction{name}"], s=8, alpha=0.45, color=MODEL, lw=0, rasterized=True
            )
            r, low, high = (metrics.get(f"{split}_pearson{name}{end}", float("nan")) for end in ("", "_low", "_high"))
            what = f"{target}, {split}" if target else {"val": "Validation", "test": "Test"}[split]
            title = f"{what}  r = {r:.3f}" if np.isfinite(r) else f"{what}  r not defined"
            axis.set_title(title + (f"  [{low:.3f}, {high:.3f}]" if np.isfinite(low) else ""))
            axis.set_xlabel(f"measured {unit}")
            axis.text(0.02, 0.97, f"n = {len(part)}", transform=axis.transAxes, va="top", color="#555555")
        figure.axes[0].set_ylabel(f"predicted {unit}")
    return figure


def element_shapes(shapes: pd.DataFrame) -> Figure:
    """How long elements are and how far from the TSS, for all genes and for test genes.

    Parameters
    ----------
    shapes : DataFrame
        Columns ``split``, ``length_bp`` and ``tss_distance_bp`` (negative upstream).
    """
    from matplotlib.ticker import LogLocator

    with house_style():
        figure = new_figure(7.2, 2.6)
        left, right = figure.subplots(1, 2)
        is_test = (shapes["split"] == "test").to_numpy()
        length = shapes["length_bp"].to_numpy(float)
        shortest, longest = (float(length.min()), float(length.max())) if len(length) else (1.0, 10.0)
        lengths = np.geomspace(shortest, max(longest, shortest + 1) * 1.001, 30)
        distance = shapes["tss_distance_bp"].to_numpy(float)
        reach = float(np.abs(distance).max(initial=1.0))
        for axis, values, edges in ((left, length, lengths), (right, distance, np.linspace(-reach, reach, 42))):
            axis.hist(values, edges, color=BASELINE, label="all genes")
            axis.hist(values[is_test], edges, color=MODEL, label="test genes")
            axis.set_ylabel("elements")
        left.set(xscale="log", xlabel="length (bp)", title="Length of elements")
        left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if longest < 20 * shortest else (1, 3)))
        left.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        left.minorticks_off()
        right.set(xlabel="from the TSS (bp), upstream below 0", title="Distance from the TSS")
        right.xaxis.set_major_formatter(lambda x, _: f"{int(x):,}")
        right.locator_params(axis="x", nbins=5)
        right.legend()
    return figure


def precision_recall(curves: Mapping[str, tuple[np.ndarray, np.ndarray, float]], prevalence: float) -> Figure:
    """Precision against recall of planted elements; the area under each line is its average precision.

    Parameters
    ----------
    curves : mapping
        Name to (recall, precision, average precision); a precision holds from the recall before it (0 for the first) to
        its own. A dot marks where a ranking ends: what lies beyond is tied, and any order of it as good as chance.
    prevalence : float
        Precision of a random ranking.
    """
    with house_style():
        figure = new_figure(4.6, 4.2)
        axis = figure.subplots()
        axis.axhline(prevalence, color="#bbbbbb", lw=0.8, ls="--", label=f"random  {prevalence:.3f}")
        for name, (recall, precision, area) in curves.items():
            edges = np.repeat(np.concatenate([[0.0], recall]), 2)[1:-1]
            (line,) = axis.plot(
                edges, np.repeat(precision, 2), color=colour_of(name), label=f"{name}  {area:.3f}", lw=1.6
            )
            if len(recall) > 1 and recall[-1] - recall[-2] > _TIED:
                line.set(marker="o", markersize=4.5, markevery=[2 * len(recall) - 3])
        axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision", title="Planted elements (area)")
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(
            handles[1:] + handles[:1], labels[1:] + labels[:1], loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2
        )
    return figure
