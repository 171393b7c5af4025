"""Predictions of a run as a table keyed by gene, each row once however many processes made it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, refuse_input
from seqexp.objectives.metrics import StreamingRegression
from seqexp.training.processes import gather_rows
from seqexp.training.run import Run


class CollectPredictions(Callback):
    """Keeps index, prediction and target of every batch; masks, which can be large, are let go."""

    def __init__(self) -> None:
        self.stream = StreamingRegression()

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *args: Any
    ) -> None:
        """Keep the rows of one batch."""
        self.stream.update(*(outputs[name].numpy() for name in ("index", "prediction", "target")))


def predict_run(run: Run, watchers: Sequence[Callback] = ()) -> pd.DataFrame:
    """Predict all labelled rows of a run's data.

    Parameters
    ----------
    run : Run
    watchers : sequence of Callback
        See every batch and the outputs of the task, masks included, in the same pass.

    Returns
    -------
    DataFrame
        One row per index, sorted by it: what the data module's ``describe(index)`` says (gene_id, split, ...), then
        ``target`` and ``prediction`` in the unit named by the column ``unit``, such as log2(TPM + 1); where there are
        several targets, ``target_NAME`` and ``prediction_NAME`` for each of the data module's ``target_names``.

    Raises
    ------
    DataError
        A row came without a finite prediction.
    """
    collector = CollectPredictions()
    trainer = run.trainer(callbacks=[collector, *watchers])
    trainer.predict(run.task, datamodule=run.datamodule, return_predictions=False)
    rows = gather_rows(collector.stream).rows()
    prediction, target = np.float32(rows["prediction"]), np.float32(rows["target"])
    if not np.isfinite(prediction).all():
        bad = rows["index"][~np.isfinite(prediction).all(axis=1)]
        raise DataError(f"{len(bad)} predictions are not finite, first of row {bad[0]}", where=run.checkpoint)
    describe = getattr(run.datamodule, "describe", None)
    described = [{"index": int(i), **(describe(int(i)) if callable(describe) else {})} for i in rows["index"]]
    frame = pd.DataFrame(described).drop(columns=["target"], errors="ignore")
    if "expression" in frame:
        frame.insert(frame.columns.get_loc("expression") + 1, "expression_unit", run.transform.raw_unit)
    names = getattr(run.datamodule, "target_names", ("",))
    columns = {
        f"{kind}_{name}" if name else kind: values[:, number]
        for kind, values in (("target", target), ("prediction", prediction))
        for number, name in enumerate(names)
    }
    return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1).assign(unit=run.transform.unit)


def predictions_path(run: Run, output: Path | None) -> Path:
    """Where to write predictions: never over what is read, nor over what lies in the run folder.

    Parameters
    ----------
    run : Run
    output : Path, optional
        Asked for; by default a file of its own in the run folder, named after data set and checkpoint.

    Raises
    ------
    DataError
        The file is an input, or stands in the run folder already.
    """
    name = re.sub(r"[^\w.-]+", "_", str(getattr(getattr(run.datamodule, "spec", None), "name", "") or "data"))[:80]
    path = output or run.folder / f"predictions-{name}-{run.checkpoint.stem}.tsv"
    inputs = getattr(run.datamodule, "input_files", None)
    refuse_input(path, [run.checkpoint, *(inputs() if callable(inputs) else ())])
    if path.exists() and path.resolve().is_relative_to(run.folder.resolve()):
        raise DataError(
            "the file is there already, in the folder of the run",
            where=path,
            expected="predictions of a run stay what they are",
            fix="--output FILE; to write predictions.tsv of the run anew: seqexp report --run-dir " + str(run.folder),
        )
    return path


def write_predictions(frame: pd.DataFrame, path: str | Path) -> None:
    """Write the table as TSV; nine digits give each float32 back bit for bit."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, sep="\t", index=False, float_format="%.9g")
