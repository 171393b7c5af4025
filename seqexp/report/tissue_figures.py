"""Figures of a histology run: genes on the tissue, scatter, ranking of genes, stain maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seqexp.histology.slides import Slide
from seqexp.report.style import BASELINE, MODEL, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
_THUMBNAIL_PX = 500
_MARGIN_UM = 300.0


def thumbnail(slide: Slide, points_um: Array) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
    """Picture of the tissue under the spots, and its extent (left, right, bottom, top) in microns."""
    low, high = points_um.min(0) - _MARGIN_UM, points_um.max(0) + _MARGIN_UM
    side = float((high - low).max())
    centre = (low + high) / 2
    picture = slide.read_patch_um(centre, side, _THUMBNAIL_PX)
    left, top = centre - side / 2
    return picture, (left, left + side, top + side, top)


def tissue_maps(slide: Slide, points_um: Array, genes: list[tuple[str, Array, Array, float]], unit: str) -> Figure:
    """Measured and predicted expression of some genes over the H&E of one slide.

    Parameters
    ----------
    slide : Slide
    points_um : array (n, 2)
        Centres of the spots.
    genes : list of (symbol, measured (n,), predicted (n,), r)
    unit : str
    """
    picture, extent = thumbnail(slide, points_um)
    size = float(np.clip(2500 / len(points_um), 2, 30))
    with house_style():
        figure = new_figure(7.4, 1.0 + 2.15 * len(genes))
        axes = figure.subplots(len(genes), 3, squeeze=False)
        for row, (name, measured, predicted, r) in enumerate(genes):
            axes[row, 0].imshow(picture, extent=extent, rasterized=True)
            axes[row, 0].set_ylabel(name, fontweight="bold")
            for axis, values, title in zip(axes[row, 1:], (measured, predicted), ("measured", f"predicted, r {r:.2f}")):
                axis.imshow(picture, extent=extent, alpha=0.25, rasterized=True)
                low, high = np.percentile(values, [2, 98])
                shown = axis.scatter(*points_um.T, c=values, s=size, cmap="viridis", vmin=low, vmax=high, lw=0)
                figure.colorbar(shown, ax=axis, shrink=0.75, pad=0.02)
                axis.set_title(title)
            for axis in axes[row]:
                axis.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
        axes[0, 0].set_title(f"{slide.name}, H&E")
        figure.supxlabel(f"colour: {unit}", fontsize=8)
    return figure


def gene_ranking(r: Array, baseline: Array, label: str) -> Figure:
    """Correlation of every gene, sorted, with that of a baseline."""
    with house_style():
        figure = new_figure(7.2, 2.6)
        axis = figure.subplots()
        for values, colour, name in ((r, MODEL, "this model"), (baseline, BASELINE, label)):
            ordered = np.sort(values[np.isfinite(values)])[::-1]
            axis.plot(np.arange(1, len(ordered) + 1), ordered, color=colour, label=name)
        axis.axhline(0, color="#666666", lw=0.8)
        axis.set(xlabel="genes, by their own correlation", ylabel="Pearson r", title="Every gene of the test slides")
        axis.legend()
    return figure


def gene_scatter(genes: list[tuple[str, Array, Array, float]], unit: str) -> Figure:
    """Predicted against measured for some genes, a panel each."""
    with house_style():
        figure = new_figure(7.4, 2.3)
        for axis, (name, measured, predicted, r) in zip(figure.subplots(1, len(genes), squeeze=False)[0], genes):
            axis.scatter(measured, predicted, s=7, alpha=0.5, color=MODEL, lw=0, rasterized=True)
            axis.set(title=f"{name}  r {r:.2f}", xlabel="measured")
        figure.axes[0].set_ylabel(f"predicted, {unit}", fontsize=8)
    return figure


def stain_maps(patch: NDArray[np.uint8], maps: list[tuple[str, Array]]) -> Figure:
    """A patch and, for some genes, the stains that their weights unmix from it."""
    with house_style():
        figure = new_figure(7.4, 1.9)
        axes = figure.subplots(1, 1 + len(maps))
        axes[0].imshow(patch)
        axes[0].set_title("patch")
        for axis, (name, values) in zip(axes[1:], maps):
            axis.imshow(values, cmap="magma")
            axis.set_title(name)
        for axis in axes:
            axis.set(xticks=[], yticks=[])
    return figure
