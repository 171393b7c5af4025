"""How well a run predicts: scores of its validation and test genes, and control runs on the same genes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqexp.core.errors import DataError
from seqexp.core.tables import numbers, read_table
from seqexp.dna.evaluation.collect import Collected
from seqexp.objectives.bootstrap import bootstrap_interval
from seqexp.objectives.metrics import pearson, regression_scores


def accuracy(collected: Collected) -> dict[str, float]:
    """Regression metrics of validation and test genes, Pearson with its 95 % interval."""
    metrics: dict[str, float] = {}
    for split in ("val", "test"):
        part = collected.predictions.iloc[collected.rows(split)]
        prediction, target = part["prediction"].to_numpy(float), part["target"].to_numpy(float)
        metrics[f"num_{split}"] = len(part)
        scores = regression_scores(prediction, target)
        metrics |= {f"{split}_{key}": getattr(scores, key) for key in ("pearson", "spearman", "mse", "mae", "r2")}
        bound = bootstrap_interval(pearson, prediction, target)
        metrics |= {f"{split}_pearson_low": bound.low, f"{split}_pearson_high": bound.high}
    metrics["num_train"] = len(collected.rows("train"))
    return metrics


def controls(folders: tuple[Path, ...], collected: Collected) -> dict[str, np.ndarray]:
    """Predictions of control runs for the same genes, by name of their folder."""
    found: dict[str, np.ndarray] = {}
    for folder in folders:
        path = Path(folder) / "predictions.tsv"
        if not path.is_file():
            raise DataError(
                "no predictions", where=path, expected="a finished run", fix=f"seqexp report --run-dir {folder}"
            )
        other = read_table(path).set_index("gene_id")
        predicted = numbers(other, "prediction", path)
        missing = set(collected.predictions["gene_id"]) - set(other.index)
        if missing:
            raise DataError(f"{len(missing)} genes are missing", where=path, expected="a run on the same genes")
        own = collected.predictions.set_index("gene_id")
        if (other.loc[own.index, "split"] != own["split"]).any():
            raise DataError("genes are split in another way", where=path, expected="a run with the same splits")
        found[Path(folder).resolve().name] = predicted.loc[own.index].to_numpy()
    return found
