"""Pictures beside the figures of a histology run: tissue under the spots, and the stains a network unmixes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from seqexp.histology.evaluation.metrics import Predicted
from seqexp.histology.evaluation.results import Array, GeneOnSlide, Picture, SlideMap, StainMaps
from seqexp.histology.slides import Slide
from seqexp.objectives.contracts import MapsPixels

_THUMBNAIL_PX, _PATCH_PX = 500, 224
_MARGIN_UM = 300.0
_NUM_SLIDES, _NUM_STAINS = 2, 4


def slide_maps(predicted: Predicted, genes: NDArray[np.int64]) -> tuple[SlideMap, ...]:
    """Measured and predicted expression of some genes, given by column, on the first test slides."""
    data, fold = predicted.data, predicted.data.fold
    frame, test, symbols = fold.spots.frame, fold.rows("test"), list(fold.panel)
    maps = []
    for number, name in enumerate(predicted.test.slides[:_NUM_SLIDES]):
        rows = test[frame["slide"].to_numpy()[test] == name]
        points = frame[["x_um", "y_um"]].to_numpy(np.float64)[rows]
        shown = [
            GeneOnSlide(
                symbols[gene],
                data.values[rows, gene],
                predicted.values[rows, gene],
                float(predicted.test.pearson[number, gene]),
            )
            for gene in genes.tolist()
        ]
        maps.append(SlideMap(name, *thumbnail(data.slides.slides[name], points), points, tuple(shown)))
    return tuple(maps)


def thumbnail(slide: Slide, points_um: Array) -> tuple[Picture, tuple[float, float, float, float]]:
    """Picture (P, P, 3) of the tissue under the spots, and its extent (left, right, bottom, top) in microns."""
    low, high = points_um.min(0) - _MARGIN_UM, points_um.max(0) + _MARGIN_UM
    side = float((high - low).max())
    centre = (low + high) / 2
    left, top = (float(edge) for edge in centre - side / 2)
    return slide.read_patch_um(centre, side, _THUMBNAIL_PX), (left, left + side, top + side, top)


def stain_maps(network: MapsPixels, predicted: Predicted, genes: NDArray[np.int64]) -> StainMaps | None:
    """First stain of some genes on the test patch with the widest spread of colour; None where no patches are read."""
    data, rows = predicted.data, predicted.data.fold.rows("test")
    if data.patches is None:
        return None
    row = rows[int(data.patches[rows].reshape(len(rows), -1).std(1).argmax())]
    spot = data.fold.spots.frame.iloc[row]
    slide = data.slides.slides[str(spot["slide"])]
    centre = np.array([spot["x_um"], spot["y_um"]], dtype=np.float64)
    patch = slide.read_patch_um(centre, data.patch_um or _PATCH_PX * slide.mpp, _PATCH_PX)
    symbols, maps = list(data.fold.panel), {}
    for gene in genes[:_NUM_STAINS].tolist():
        with torch.no_grad():
            found = network.pixel_maps(torch.from_numpy(patch)[None], gene)
        maps[symbols[gene]] = found[0, 0].numpy().astype(np.float64)
    return StainMaps(patch, slide.name, maps)
