"""The table of models: flat metrics, the best baseline, and a verdict that follows the paired interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import pearsonr

from seqexp.objectives.bootstrap import Bound, bootstrap_interval
from seqexp.objectives.metrics import mean_pearson_lead, pearson
from seqexp.objectives.model_table import UNDEFINED, Score, Verdict, best_baseline, model_table

RNG = np.random.default_rng(0)
TARGET = RNG.normal(size=200)
LABELS = {"mean": "training mean", "ridge": "a ridge"}


def score(prediction: np.ndarray) -> Score:
    return Score(*bootstrap_interval(pearson, prediction, TARGET, num_resamples=50)[:3], mse=0.5, val=0.1)


def paired(one: np.ndarray, other: np.ndarray) -> Bound:
    return bootstrap_interval(mean_pearson_lead, *(a[:, None] for a in (one, other, TARGET)), num_resamples=200)


def table(noise: float):
    shared = RNG.normal(size=200)
    named = {"this model": TARGET + noise * shared, "control: c": TARGET, "mean": np.ones(200)}
    return named | {"ridge": TARGET + 0.5 * shared}


@pytest.mark.parametrize(("noise", "word"), [(0.4, "beats"), (0.5, "ties with"), (0.7, "loses to")])
def test_the_paired_interval_decides(noise: float, word: str) -> None:
    """The noise is shared: intervals of either alone overlap, that of the difference does not hold 0."""
    named = table(noise)
    scores = {name: score(values) for name, values in named.items()}
    assert best_baseline(scores, LABELS) == "ridge"
    made = model_table(scores, LABELS, paired(named["this model"], named["ridge"]), figure="pearson")
    assert made.verdict.word == word
    assert made.rows["name"].tolist() == ["this model", "control: c", "training mean", "a ridge"]
    r = {name: pearsonr(values, TARGET)[0] for name, values in named.items() if name != "mean"}
    assert made.metrics["best_baseline_pearson"] == pytest.approx(r["ridge"])
    assert made.metrics["lead_over_baseline"] == pytest.approx(r["this model"] - r["ridge"], abs=1e-12)
    assert math.isnan(made.metrics["baseline_mean_pearson"])
    assert made.metrics["baseline_ridge_mse"] == 0.5
    said = made.verdict.sentence("test Pearson r", "genes")
    assert said.startswith(f"This model {word} the best naive baseline (a ridge): test Pearson r {r['this model']:.3f}")
    assert "95 % paired bootstrap over genes" in said


def test_what_cannot_be_judged_says_why() -> None:
    assert "is not defined" in Verdict("a ridge", math.nan, 0.4, UNDEFINED).sentence("r", "genes")
    assert "too few genes" in Verdict("a ridge", 0.5, 0.4, Bound(0.1, math.nan, math.nan, 9)).sentence("r", "genes")
    scores = {"this model": score(TARGET), "mean": score(np.ones(200))}
    assert best_baseline(scores, LABELS) is None
    alone = model_table(scores, LABELS, UNDEFINED, figure="pearson")
    assert alone.verdict.word == ""
    assert "no naive baseline has a r" in alone.verdict.sentence("r", "genes")
    assert math.isnan(alone.metrics["lead_over_baseline"])
