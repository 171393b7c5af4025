"""What a discovery benchmark found, for whoever draws or prints it: tables and figures, all of them computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class WorldSummary:
    """One world.

    Attributes
    ----------
    name : str
    num_genes : dict
        Genes per split.
    budget : float
        Share of the free bins that every ranking keeps.
    prevalence : float
        Share of the free bins of the test windows that are planted; NaN without truth.
    open_accuracy : tuple of float
        Test Pearson of the reader with everything open, and its interval.
    peaks_from : str
        Where the peaks come from.
    rankings : DataFrame
        One row per ranking, best first: :func:`seqexp.dna.benchmark.summary.summarise`.
    curve : DataFrame
        Accuracy against budget: shares as index, one column per ranking.
    lead : dict
        Ranking to the AUPRC by which the method under test leads it; empty without truth.
    sizes : DataFrame
        AUPRC of the method by number of training genes.
    enrichments : mapping
        Ranking to table of :func:`seqexp.dna.evaluation.enrichment.feature_enrichment`.
    """

    name: str
    num_genes: dict[str, int]
    budget: float
    prevalence: float
    open_accuracy: tuple[float, float, float]
    peaks_from: str
    rankings: pd.DataFrame
    curve: pd.DataFrame
    lead: dict[str, float]
    sizes: pd.DataFrame
    enrichments: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class DiscoveryResults:
    """A benchmark: what its page shows.

    Attributes
    ----------
    title, plan : str
        Heading, and name of the file of the plan.
    method : str
        Ranking under test.
    worlds : tuple of WorldSummary
    """

    title: str
    plan: str
    method: str
    worlds: tuple[WorldSummary, ...]
