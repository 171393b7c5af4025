"""Scores of elements against CRISPRi enhancer-gene pairs, beside the baselines that anyone can have.

A pair is an element that was silenced and a gene that was measured; it is positive where the gene went down. The
protocol of overlap, aggregation and a score of 0 for what is missed is that of the ENCODE benchmark
(EngreitzLab/CRISPR_comparison).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from seqexp.core.errors import ConfigError
from seqexp.dna.elements.files import load_masks
from seqexp.dna.evaluation.crispri_scores import (
    Scored,
    Scores,
    element_scores,
    mask_scores,
    read_elements,
    track_scores,
)
from seqexp.objectives.bootstrap import bootstrap_interval
from seqexp.objectives.metrics import average_precision

STRATA_BP = ((0, 10_000), (10_000, 100_000), (100_000, None))
_NEAR_BP = 1_000  # nearer elements count as this far in distance-weighted scores

Named = Iterable[tuple[str, Path]]


def score_files(
    pairs: pd.DataFrame, elements: Named = (), masks: Named = (), tracks: Named = ()
) -> tuple[dict[str, Scored], list[str]]:
    """Every score of some pairs: the baselines, and those of files, each with its name.

    Parameters
    ----------
    pairs : DataFrame
        Of :func:`seqexp.dna.evaluation.crispri_pairs.read_pairs`.
    elements, masks, tracks : iterables of (str, Path)
        BED or narrowPeak; run folders or masks.npz; bigWigs.

    Returns
    -------
    dict
        Name to scores (P,) and which pairs they cover (P,).
    list of str
        What was left out of the elements.

    Raises
    ------
    ConfigError
        Two scores have one name.
    DataError
        A file cannot be read, or touches no pair.
    """
    scores, told = baseline_scores(pairs), []

    def add(name: str, found: Scored) -> None:
        if name in scores:
            raise ConfigError(f"two scores named {name!r}", expected="a name for each", fix="name files: NAME=FILE")
        scores[name] = found

    for name, path in elements:
        table = read_elements(path, pairs)
        told.append(table.attrs["told"])
        add(name, element_scores(pairs, table, str(path)))
    for name, path in masks:
        add(f"mask of {name}", mask_scores(pairs, load_masks(path), str(path)))
    for name, path in tracks:
        add(f"track {name}", track_scores(pairs, path))
    return scores, [line for line in told if line]


def baseline_scores(pairs: pd.DataFrame) -> dict[str, Scored]:
    """Scores (P,) that need no model, of all pairs: distance, activity, both (ABC without contacts)."""
    distance = pairs["distance_bp"].to_numpy()
    far = np.maximum(distance, _NEAR_BP)
    scores = {"1 / distance": 1 / np.maximum(distance, 1)}
    if pairs["DHS"].notna().all():
        activity = pairs["DHS"].to_numpy(np.float64)
        scores |= {"DHS": activity, "DHS / distance": activity / far}
        if pairs["H3K27ac"].notna().all():
            scores["sqrt(DHS x H3K27ac) / distance"] = np.sqrt(activity * pairs["H3K27ac"].to_numpy()) / far
    return {name: (values, np.ones(len(pairs), dtype=bool)) for name, values in scores.items()}


def score_table(pairs: pd.DataFrame, scores: dict[str, Scored], num_resamples: int = 200) -> pd.DataFrame:
    """One row per score and set of pairs: all, those covered, and by distance.

    Returns
    -------
    DataFrame
        score, pairs (name of the set), num_pairs, num_positive, coverage, prevalence, auprc with ``_low`` and ``_high``
        (95 %, whole genes resampled), auroc. Ties are taken together.
    """
    rows = []
    distance = pairs["distance_bp"].to_numpy()
    for name, (values, is_covered) in scores.items():
        sets = {"all": np.ones(len(pairs), dtype=bool)}
        if not is_covered.all():
            sets["covered"] = is_covered
        for low, high in STRATA_BP:
            label = f"{low // 1000}-{high // 1000} kb" if high else f"over {low // 1000} kb"
            sets[label] = (distance > low if low else distance >= 0) & (distance <= (high or np.inf))
        for label, used in sets.items():
            rows.append(
                _row(
                    name,
                    label,
                    pairs[used],
                    values[used],
                    coverage=float(is_covered[used].mean()) if used.any() else float("nan"),
                    num_resamples=num_resamples,
                )
            )
    return pd.DataFrame(rows)


def _row(
    name: str, label: str, pairs: pd.DataFrame, values: Scores, *, coverage: float, num_resamples: int
) -> dict[str, object]:
    positive = pairs["is_positive"].to_numpy()
    times = num_resamples if label in ("all", "covered") else 0
    area = bootstrap_interval(average_precision, values, positive, groups=pairs["symbol"], num_resamples=times)
    is_defined = 0 < positive.sum() < len(positive)
    return {
        "score": name,
        "pairs": label,
        "num_pairs": len(pairs),
        "num_positive": int(positive.sum()),
        "coverage": coverage,
        "prevalence": float(positive.mean()) if len(positive) else float("nan"),
        "auprc": area.value,
        "auprc_low": area.low,
        "auprc_high": area.high,
        "auroc": float(roc_auc_score(positive, values)) if is_defined else float("nan"),
    }
