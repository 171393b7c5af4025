"""What the evaluation of a histology run found: plain values, for whoever draws or tabulates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class GeneOnSlide:
    """One gene on the spots of one slide.

    Attributes
    ----------
    name : str
    measured, predicted : float array (n,)
        In the unit of the data.
    r : float
        Their Pearson correlation; NaN where either is constant.
    """

    name: str
    measured: Array
    predicted: Array
    r: float


@dataclass(frozen=True)
class SlideMap:
    """Some genes on one slide, with the picture of the tissue under them.

    Attributes
    ----------
    slide : str
    picture : uint8 array (P, P, 3)
        RGB.
    extent_um : (left, right, bottom, top)
        Of the picture, in microns; y runs downwards.
    points_um : float array (n, 2)
        Centres of the spots (x, y).
    genes : tuple of GeneOnSlide
    """

    slide: str
    picture: Picture
    extent_um: tuple[float, float, float, float]
    points_um: Array
    genes: tuple[GeneOnSlide, ...]


@dataclass(frozen=True)
class StainMaps:
    """What the stains of some genes unmix from one patch.

    Attributes
    ----------
    patch : uint8 array (P, P, 3)
    slide : str
        Where it lies.
    maps : dict of str to float array (P, P)
        By gene.
    """

    patch: Picture
    slide: str
    maps: dict[str, Array]


@dataclass(frozen=True)
class GeneRanking:
    """Correlation of every gene on the test slides beside that of one baseline.

    Attributes
    ----------
    r, baseline : float array (G,)
        NaN where undefined.
    label : str
        What the baseline is.
    """

    r: Array
    baseline: Array
    label: str


@dataclass(frozen=True)
class TissueResults:
    """All that the page of a run shows; nothing is computed while drawing.

    Attributes
    ----------
    title, lead : str
        Heading, and one sentence on data and model.
    metrics : dict
        Flat metrics of the run (``metrics.json``).
    unit : str
        Of targets and predictions.
    data, models, slides, genes : DataFrame
        Facts about the data; model, controls and baselines; correlation per slide; best and worst genes.
    verdict : str
        The model against the best naive baseline, in words.
    audit : str
        Text of the leak audit.
    record : dict
        Run record.
    kept : mapping
        The checkpoint it all comes from: ``epoch``, ``step``, ``monitor``, ``value``, ``mode``.
    shown : DataFrame
        Genes drawn on the slides: ``gene``, its figures, and why.
    ranking : GeneRanking
    maps : tuple of SlideMap
        Of some test slides, all with the same genes.
    log : DataFrame, optional
        Logged training metrics.
    truth : DataFrame, optional
        Simulated data: correlation by what a gene follows.
    stains : StainMaps, optional
        Of a network that unmixes stains.
    """

    title: str
    lead: str
    metrics: dict[str, Any]
    unit: str
    data: pd.DataFrame
    models: pd.DataFrame
    slides: pd.DataFrame
    genes: pd.DataFrame
    verdict: str
    audit: str
    record: dict[str, Any]
    kept: Mapping[str, Any]
    shown: pd.DataFrame
    ranking: GeneRanking
    maps: tuple[SlideMap, ...] = ()
    log: pd.DataFrame | None = None
    truth: pd.DataFrame | None = None
    stains: StainMaps | None = None
