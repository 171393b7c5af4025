"""What a model is worth: a table of it beside controls and naive baselines on the same rows, and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from seqexp.objectives.bootstrap import Bound

UNDEFINED = Bound(math.nan, math.nan, math.nan, 0)  # a difference where there is nothing to compare with


class Score(NamedTuple):
    """One row of the table: a figure of the test split, its 95 % interval, the squared error, the figure of validation.

    ``mse`` is in squared units of the target, all else of one kind, such as Pearson r.
    """

    value: float
    low: float
    high: float
    mse: float
    val: float


@dataclass(frozen=True)
class Verdict:
    """The model against the best naive baseline.

    Attributes
    ----------
    baseline : str
        What people call the baseline; empty where none has a figure.
    value, other : float
        Figure of the model and of that baseline.
    difference : Bound
        Model less baseline with its 95 % interval, both scored on the same resampled rows.
    """

    baseline: str
    value: float
    other: float
    difference: Bound

    @property
    def word(self) -> str:
        """``beats``, ``ties with`` or ``loses to``, by whether the interval holds 0; empty without an interval."""
        _, low, high, _ = self.difference
        if math.isnan(low) or math.isnan(high):
            return ""
        return "beats" if low > 0 else "loses to" if high < 0 else "ties with"

    def sentence(self, figure: str, rows: str) -> str:
        """In words, such as ``This model beats …``; ``figure`` names the values, ``rows`` what was resampled."""
        if math.isnan(self.value):
            return f"No verdict: the {figure} of this model is not defined."
        if not self.baseline:
            return f"No verdict: no naive baseline has a {figure}; this model has {self.value:.3f}."
        against = f"the best naive baseline ({self.baseline}): {figure} {self.value:.3f} against {self.other:.3f}"
        if not self.word:
            return f"No verdict: too few {rows} to tell this model from {against}."
        value, low, high, _ = self.difference
        told = f"a difference of {value:+.3f} [{low:+.3f}, {high:+.3f}], 95 % paired bootstrap over {rows}"
        return f"This model {self.word} {against}, {told}."


@dataclass(frozen=True)
class ModelTable:
    """The model, its controls and the naive baselines.

    Attributes
    ----------
    rows : DataFrame
        ``name`` and the fields of :class:`Score`, in the order given.
    metrics : dict of str to float
        The same of the baselines, flat; the best of them; and by how much the model leads it.
    verdict : Verdict
    """

    rows: pd.DataFrame
    metrics: dict[str, float]
    verdict: Verdict


def best_baseline(scores: Mapping[str, Score], labels: Mapping[str, str]) -> str | None:
    """Key of the naive baseline with the highest value; None where none has one."""
    known = {key: own.value for key, own in scores.items() if key in labels and not math.isnan(own.value)}
    return max(known, key=lambda key: known[key], default=None)


def model_table(
    scores: Mapping[str, Score], labels: Mapping[str, str], difference: Bound, *, figure: str
) -> ModelTable:
    """The model, its controls and the naive baselines beside each other.

    Parameters
    ----------
    scores : mapping
        By name, those of the model first; naive baselines under their key in ``labels``.
    labels : mapping
        Key of a baseline, as in ``metrics.json``, to what people call it.
    difference : Bound
        Value of the model less that of :func:`best_baseline`, with its interval over the same resampled rows;
        :data:`UNDEFINED` without a baseline.
    figure : str
        What the values are called in ``metrics.json``, such as ``pearson``.

    Returns
    -------
    ModelTable
        Its metrics are ``baseline_KEY_FIGURE`` with ``_low`` and ``_high``, ``baseline_KEY_mse``,
        ``best_baseline_FIGURE``, and ``lead_over_baseline`` with ``_low`` and ``_high``. What is not defined is NaN.
    """
    rows = pd.DataFrame([{"name": labels.get(name, name), **own._asdict()} for name, own in scores.items()])
    metrics: dict[str, float] = {}
    for key, own in scores.items():
        if key in labels:
            ends = {figure: own.value, f"{figure}_low": own.low, f"{figure}_high": own.high, "mse": own.mse}
            metrics |= {f"baseline_{key}_{end}": float(value) for end, value in ends.items()}
    best = best_baseline(scores, labels)
    other = math.nan if best is None else scores[best].value
    verdict = Verdict("" if best is None else labels[best], next(iter(scores.values())).value, other, difference)
    metrics[f"best_baseline_{figure}"] = other
    metrics["lead_over_baseline"], metrics["lead_over_baseline_low"] = difference.value, difference.low
    metrics["lead_over_baseline_high"] = difference.high
    return ModelTable(rows, metrics, verdict)
