"""How well a run predicts: scores of its validation and test genes, and control runs on the same genes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.tables import numbers, read_table, require_column
from seqexp.dna.evaluation.collect import Collected, columns_of
from seqexp.objectives.bootstrap import bootstrap_interval
from seqexp.objectives.metrics import mean_pearson, regression_scores

_FIGURES = ("pearson", "spearman", "mse", "mae", "r2")


def accuracy(collected: Collected) -> dict[str, float]:
    """Regression metrics of validation and test genes, Pearson with its 95 % interval over genes.

    Of several targets they are means over the targets; those of each have its name behind them, such as
    ``test_pearson_NAME``.
    """
    metrics: dict[str, float] = {}
    for split in ("val", "test"):
        rows = collected.rows(split)
        measured, predicted = collected.measured[rows], collected.predicted[rows]
        metrics[f"num_{split}"] = len(rows)
        metrics |= _scores(predicted, measured, split, "")
        if len(collected.target_names) > 1:
            for number, name in enumerate(collected.target_names):
                metrics |= _scores(predicted[:, [number]], measured[:, [number]], split, f"_{name}")
    metrics["num_train"] = len(collected.rows("train"))
    return metrics


def _scores(predicted: np.ndarray, measured: np.ndarray, split: str, name: str) -> dict[str, float]:
    scores, bound = regression_scores(predicted, measured), bootstrap_interval(mean_pearson, predicted, measured)
    metrics = {f"{split}_{figure}{name}": getattr(scores, figure) for figure in _FIGURES}
    return metrics | {f"{split}_pearson{name}_low": bound.low, f"{split}_pearson{name}_high": bound.high}


def target_table(collected: Collected, metrics: dict[str, Any]) -> pd.DataFrame | None:
    """Test and validation figures of each target, for people; None where there is one target."""
    if len(collected.target_names) < 2:
        return None
    names = {"test_pearson{}": "test r", "test_pearson{}_low": "95 % low", "test_pearson{}_high": "95 % high"}
    unit = collected.predictions["unit"].iloc[0]
    names |= {"test_spearman{}": "test Spearman", "test_mse{}": f"test MSE, ({unit})\u00b2", "val_pearson{}": "val r"}
    rows = [
        {"target": name, **{label: float(metrics[key.format(f"_{name}")]) for key, label in names.items()}}
        for name in collected.target_names
    ]
    together = {label: float(metrics[key.format("")]) for key, label in names.items()}
    return pd.DataFrame([*rows, {"target": "mean over targets", **together}])


def controls(folders: tuple[Path, ...], collected: Collected) -> dict[str, np.ndarray]:
    """Predictions (R, G) of control runs for the same genes, by name of their folder.

    Raises
    ------
    DataError
        A run is not finished, or has other genes, splits or targets.
    """
    found: dict[str, np.ndarray] = {}
    own = collected.predictions.set_index("gene_id")
    for folder in folders:
        path = Path(folder) / "predictions.tsv"
        if not path.is_file():
            raise DataError(
                "no predictions", where=path, expected="a finished run", fix=f"seqexp report --run-dir {folder}"
            )
        other = read_table(path).set_index("gene_id")
        columns = columns_of("prediction", collected.target_names)
        for column in columns:
            require_column(other, column, path, "a run on the same targets")
        predicted = pd.concat([numbers(other, column, path) for column in columns], axis=1)
        missing = set(own.index) - set(other.index)
        if missing:
            raise DataError(f"{len(missing)} genes are missing", where=path, expected="a run on the same genes")
        if (other.loc[own.index, "split"] != own["split"]).any():
            raise DataError("genes are split in another way", where=path, expected="a run with the same splits")
        found[Path(folder).resolve().name] = predicted.loc[own.index].to_numpy()
    return found
