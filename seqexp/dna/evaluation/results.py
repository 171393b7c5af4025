"""An evaluated run of the DNA wing, for whoever draws or prints it: tables and arrays, all of them computed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class GeneView:
    """What is drawn of one gene; arrays in gene orientation, positions on the genome.

    Attributes
    ----------
    title : str
        Heading, for example gene name, split, measured and predicted expression.
    chrom, start, end, strand, tss : str, int, int, str, int
        Window of the gene and its TSS, 0-based half-open.
    signals : dict of str to array (N,)
        Signal per track; any number of bins.
    mask : array (N,)
        Selector mask in [0, 1].
    elements, peaks : list of (start, end)
        Elements of this gene and peaks in its window.
    truth : list of (start, end), optional
        Planted elements; None for real data.
    peaks_label : str
        What the peaks are.
    """

    title: str
    chrom: str
    start: int
    end: int
    strand: str
    tss: int
    signals: dict[str, np.ndarray]
    mask: np.ndarray
    elements: Spans = field(default_factory=list)
    peaks: Spans = field(default_factory=list)
    truth: Spans | None = None
    peaks_label: str = "peaks"


@dataclass(frozen=True)
class RunResults:
    """All that the page shows; nothing is computed while drawing.

    Attributes
    ----------
    title, lead : str
        Heading, and one sentence on data and model.
    metrics : dict
        Flat metrics of the run (``metrics.json``).
    predictions : DataFrame
        Columns ``split``, ``target``, ``prediction``, in ``unit``.
    unit : str
        Unit of targets and predictions.
    data : DataFrame
        One row per fact about the data: ``what``, ``value``.
    models : DataFrame
        Test Pearson of the model, its controls and the naive baselines: ``name``, ``value``, ``low``, ``high``,
        ``mse``, ``val``.
    log : DataFrame, optional
        Logged training metrics.
    truth, comparison, protocol : DataFrame, optional
        Planted-truth scores, elements against peaks, and the fixed-mask protocol.
    peaks_label : str
        What the peaks are, as headings say it.
    curves : dict
        Precision-recall curves of the planted truth: name to (recall, precision, area).
    prevalence : float
        Share of planted bins.
    views : list of GeneView
        Genes to draw.
    notes : dict of str to list of str
        Warnings by section key.
    record : dict
        Run record.
    """

    title: str
    lead: str
    metrics: dict[str, Any]
    predictions: pd.DataFrame
    unit: str
    data: pd.DataFrame
    models: pd.DataFrame
    record: dict[str, Any]
    log: pd.DataFrame | None = None
    truth: pd.DataFrame | None = None
    comparison: pd.DataFrame | None = None
    protocol: pd.DataFrame | None = None
    peaks_label: str = "peaks"
    curves: dict[str, tuple[np.ndarray, np.ndarray, float]] = field(default_factory=dict)
    prevalence: float = math.nan
    views: list[GeneView] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
