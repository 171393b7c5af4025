"""Runs of several configs on several splits: one table of what each reached on each test split, baselines beside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.json_file import load_json
from seqexp.histology.evaluation.naive import LABELS

SCORE = "pcc_mean"


def read_metrics(folder: Path) -> dict[str, Any]:
    """``metrics.json`` of a finished run, undefined figures as NaN.

    Raises
    ------
    DataError
        The run is not finished, or has no such scores.
    """
    path = folder / "metrics.json"
    if not path.is_file():
        raise DataError("no metrics", where=path, expected="a finished run", fix=f"seqexp report --run-dir {folder}")
    metrics = {k: math.nan if v is None else v for k, v in load_json(path, "metrics of a finished run").items()}
    if f"test_{SCORE}" not in metrics:
        raise DataError(f"no figure test_{SCORE}", where=path, expected="a run of the histology wing")
    return metrics


def fold_table(runs: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> pd.DataFrame:
    """Mean correlation on the test slides of every split.

    Parameters
    ----------
    runs : mapping
        Model -> split -> metrics.

    Returns
    -------
    DataFrame
        A row per model, then the baselines (of the first model that has them for a split): ``model``, a column per
        split, ``mean`` and ``sd`` over splits, ``val``: mean of the same figure on the validation spots. Splits that a
        model was not run on are NaN, and so is then its mean.
    """
    splits = list(dict.fromkeys(split for of_model in runs.values() for split in of_model))
    rows = [
        _row(name, [_value(of_model, split, f"test_{SCORE}") for split in splits], splits)
        | {"val": float(np.mean([_value(of_model, split, f"val_{SCORE}") for split in splits]))}
        for name, of_model in runs.items()
    ]
    for key, label in LABELS.items():
        values = [
            next((float(m[s].get(f"baseline_{key}_{SCORE}", math.nan)) for m in runs.values() if s in m), math.nan)
            for s in splits
        ]
        if np.isfinite(values).any():
            rows.append(_row(label, values, splits))
    return pd.DataFrame(rows)


def _value(of_model: Mapping[str, Mapping[str, Any]], split: str, key: str) -> float:
    return float(of_model[split][key]) if split in of_model else math.nan


def _row(name: str, values: list[float], splits: list[str]) -> dict[str, Any]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return {"model": name, **dict(zip(splits, values)), "mean": float(np.mean(values)), "sd": spread}
