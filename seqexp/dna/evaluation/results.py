"""An evaluated run of the DNA wing, for whoever draws or prints it: tables and arrays, all of them computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from seqexp.dna.genome.gene_models import GeneModel as GeneModel

Spans = list[tuple[int, int]]
Curves = Mapping[str, tuple[np.ndarray, np.ndarray, float]]


@dataclass(frozen=True)
class GeneView:
    """What is drawn of one gene; arrays in gene orientation, positions on the genome, 0-based half-open.

    Attributes
    ----------
    title : str
        Heading, for example gene name, split, measured and predicted expression.
    chrom, start, end, strand, tss : str, int, int, str, int
        Window of the gene and its TSS.
    signals : dict of str to array (N,)
        Signal per track, in the units of its file; any number of bins.
    mask : array (N,), optional
        Selector mask in [0, 1]; None for a network without one, which has no elements either.
    elements, peaks : list of (start, end)
        Elements of this gene and peaks in its window.
    truth : list of (start, end), optional
        Planted elements; None for real data.
    peaks_label : str
        What the peaks are.
    genes : tuple of GeneModel
        All genes of the dataset's gene file that reach into the window.
    gene_id : str
        Which of them is shown.
    why : str
        Why it is shown.
    """

    title: str
    chrom: str
    start: int
    end: int
    strand: str
    tss: int
    signals: dict[str, np.ndarray]
    mask: np.ndarray | None
    elements: Spans = field(default_factory=list)
    peaks: Spans = field(default_factory=list)
    truth: Spans | None = None
    peaks_label: str = "peaks"
    genes: tuple[GeneModel, ...] = ()
    gene_id: str = ""
    why: str = ""


@dataclass(frozen=True)
class ElementFindings:
    """What the page shows of the elements of a run.

    Attributes
    ----------
    shapes : DataFrame
        A row per element: gene_id, split, length_bp, tss_distance_bp (negative upstream).
    shape_table : DataFrame
        Their number, lengths and distances, for people.
    truth, comparison, protocol : DataFrame, optional
        Planted-truth scores, elements against peaks, and the fixed-mask protocol.
    peaks_label : str
        What the peaks are, as headings say it.
    curves : mapping
        Precision-recall curves of the planted truth: name to (recall, precision, area).
    prevalence : float
        Share of planted bins.
    views : tuple of GeneView
        Genes to draw.
    """

    shapes: pd.DataFrame
    shape_table: pd.DataFrame
    truth: pd.DataFrame | None = None
    comparison: pd.DataFrame | None = None
    protocol: pd.DataFrame | None = None
    peaks_label: str = "peaks"
    curves: Curves = field(default_factory=dict)
    prevalence: float = math.nan
    views: tuple[GeneView, ...] = ()


@dataclass(frozen=True)
class RunResults:
    """All that the page shows; nothing is computed while drawing.

    Attributes
    ----------
    title, lead : str
        Heading, and one sentence on data and model.
    verdict : str
        The model against the best naive baseline, in words.
    metrics : dict
        Flat metrics of the run (``metrics.json``).
    predictions : DataFrame
        ``split``, and in ``unit`` ``target`` and ``prediction``, or ``target_NAME`` and ``prediction_NAME``.
    unit : str
        Unit of targets and predictions.
    target_names : tuple of str
        One without a name where there is one target.
    data : DataFrame
        One row per fact about the data: ``what``, ``value``.
    models : DataFrame
        Test Pearson of the model, its controls and the naive baselines: ``name``, ``value``, ``low``, ``high``,
        ``mse``, ``val``.
    record : dict
        Run record.
    kept : mapping
        The checkpoint it all comes from: ``epoch``, ``step``, ``monitor``, ``value``, ``mode``.
    targets : DataFrame, optional
        Figures of each target, where there are several.
    log : DataFrame, optional
        Logged training metrics.
    elements : ElementFindings, optional
        Of a network that selects.
    notes : mapping of str to list of str
        Warnings by section key.
    """

    title: str
    lead: str
    verdict: str
    metrics: dict[str, Any]
    predictions: pd.DataFrame
    unit: str
    target_names: tuple[str, ...]
    data: pd.DataFrame
    models: pd.DataFrame
    record: dict[str, Any]
    kept: Mapping[str, Any]
    targets: pd.DataFrame | None = None
    log: pd.DataFrame | None = None
    elements: ElementFindings | None = None
    notes: Mapping[str, list[str]] = field(default_factory=dict)
