"""What a model is worth: a table of it beside controls and naive baselines on the same rows, and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.objectives.bootstrap import Bound

Array = NDArray[np.float64]


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


def model_table(
    named: Mapping[str, Array],
    labels: Mapping[str, str],
    score: Callable[[Array], Score],
    paired: Callable[[Array, Array], Bound],
    *,
    figure: str,
) -> ModelTable:
    """Score predictions beside each other.

    Parameters
    ----------
    named : mapping
        Predictions of all rows by name, those of the model first; naive baselines under their key in ``labels``.
    labels : mapping
        Key of a baseline, as in ``metrics.json``, to what people call it.
    score : callable
        Predictions to their :class:`Score`.
    paired : callable
        Two predictions to the difference of their values, with its interval over the same resampled rows.
    figure : str
        What the values are called in ``metrics.json``, such as ``pearson``.

    Returns
    -------
    ModelTable
        Its metrics are ``baseline_KEY_FIGURE`` with ``_low`` and ``_high``, ``baseline_KEY_mse``,
        ``best_baseline_FIGURE``, and ``lead_over_baseline`` with ``_low`` and ``_high``. What is not defined is NaN.
    """
    scores = {name: score(values) for name, values in named.items()}
    rows = pd.DataFrame([{"name": labels.get(name, name), **own._asdict()} for name, own in scores.items()])
    metrics: dict[str, float] = {}
    baselines = {key: own for key, own in scores.items() if key in labels}
    for key, own in baselines.items():
        ends = {figure: own.value, f"{figure}_low": own.low, f"{figure}_high": own.high, "mse": own.mse}
        metrics |= {f"baseline_{key}_{end}": float(value) for end, value in ends.items()}
    known = {key: own.value for key, own in baselines.items() if not math.isnan(own.value)}
    best: Any = max(known, key=lambda key: known[key], default=None)
    first = next(iter(named))
    undefined = Bound(math.nan, math.nan, math.nan, 0)
    difference = undefined if best is None else paired(named[first], named[best])
    other = math.nan if best is None else known[best]
    verdict = Verdict("" if best is None else labels[best], scores[first].value, other, difference)
    metrics[f"best_baseline_{figure}"] = other
    metrics["lead_over_baseline"], metrics["lead_over_baseline_low"] = difference.value, difference.low
    metrics["lead_over_baseline_high"] = difference.high
    return ModelTable(rows, metrics, verdict)
