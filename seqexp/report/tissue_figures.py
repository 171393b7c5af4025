"""Figures of a histology run: genes on the tissue, scatter, ranking of genes, stain maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqexp.histology.evaluation.results import GeneOnSlide, GeneRanking, SlideMap, StainMaps
from seqexp.report.style import BASELINE, MODEL, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def tissue_maps(shown: SlideMap, unit: str) -> Figure:
    """Measured and predicted expression of some genes over the H&E of one slide; ``unit`` is that of expression."""
    points, extent = shown.points_um, shown.extent_um
    size = float(np.clip(2500 / len(points), 2, 30))
    with house_style():
        figure = new_figure(7.4, 1.0 + 2.15 * len(shown.genes))
        axes = figure.subplots(len(shown.genes), 3, squeeze=False)
        for row, gene in enumerate(shown.genes):
            axes[row, 0].imshow(shown.picture, extent=extent, rasterized=True)
            axes[row, 0].set_ylabel(gene.name, fontweight="bold")
            columns = ((gene.measured, "measured"), (gene.predicted, f"predicted, r {gene.r:.2f}"))
            for axis, (values, title) in zip(axes[row, 1:], columns):
                axis.imshow(shown.picture, extent=extent, alpha=0.25, rasterized=True)
                low, high = np.percentile(values, [2, 98])
                dots = axis.scatter(*points.T, c=values, s=size, cmap="viridis", vmin=low, vmax=high, lw=0)
                figure.colorbar(dots, ax=axis, shrink=0.75, pad=0.02)
                axis.set_title(title)
            for axis in axes[row]:
                axis.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
        axes[0, 0].set_title(f"{shown.slide}, H&E")
        figure.supxlabel(f"colour: {unit}", fontsize=8)
    return figure


def gene_ranking(ranking: GeneRanking) -> Figure:
    """Correlation of every gene, sorted, with that of a baseline."""
    with house_style():
        figure = new_figure(7.2, 2.6)
        axis = figure.subplots()
        lines = ((ranking.r, MODEL, "this model"), (ranking.baseline, BASELINE, ranking.label))
        for values, colour, name in lines:
            ordered = np.sort(values[np.isfinite(values)])[::-1]
            axis.plot(np.arange(1, len(ordered) + 1), ordered, color=colour, label=name)
        axis.axhline(0, color="#666666", lw=0.8)
        axis.set(xlabel="genes, by their own correlation", ylabel="Pearson r", title="Every gene of the test slides")
        axis.legend()
    return figure


def gene_scatter(genes: Sequence[GeneOnSlide], unit: str) -> Figure:
    """Predicted against measured for some genes, a panel each."""
    with house_style():
        figure = new_figure(7.4, 2.3)
        for axis, gene in zip(figure.subplots(1, len(genes), squeeze=False)[0], genes):
            axis.scatter(gene.measured, gene.predicted, s=7, alpha=0.5, color=MODEL, lw=0, rasterized=True)
            axis.set(title=f"{gene.name}  r {gene.r:.2f}", xlabel="measured")
        figure.axes[0].set_ylabel(f"predicted, {unit}", fontsize=8)
    return figure


def stain_maps(stains: StainMaps) -> Figure:
    """A patch and, for some genes, the stains that their weights unmix from it."""
    with house_style():
        figure = new_figure(7.4, 1.9)
        axes = figure.subplots(1, 1 + len(stains.maps))
        axes[0].imshow(stains.patch)
        axes[0].set_title("patch")
        for axis, (name, values) in zip(axes[1:], stains.maps.items()):
            axis.imshow(values, cmap="magma")
            axis.set_title(name)
        for axis in axes:
            axis.set(xticks=[], yticks=[])
    return figure
