"""Predictions of a run as a table, each row once however many processes made it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import atomic_path, refuse_input
from seqexp.objectives.contracts import Samples
from seqexp.objectives.metrics import StreamingRegression
from seqexp.training.asking import ask
from seqexp.training.processes import gather_rows
from seqexp.training.run import Run


class CollectPredictions(Callback):
    """Keeps index, prediction and target of every batch, and what else is asked for by name; the rest is let go."""

    def __init__(self, keep: Sequence[str] = ()) -> None:
        self.stream = StreamingRegression()
        self.kept: dict[str, list[NDArray[Any]]] = {name: [] for name in ("index", *keep)}

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *args: Any
    ) -> None:
        """Keep the rows of one batch."""
        self.stream.update(*(outputs[name].numpy() for name in ("index", "prediction", "target")))
        for name, parts in self.kept.items():
            if name in outputs:
                parts.append(outputs[name].numpy())

    def rows(self) -> dict[str, NDArray[Any]]:
        """What was kept by name, each row once, sorted by index; without the names that the network says nothing of."""
        first = np.unique(np.concatenate(self.kept["index"]), return_index=True)[1]
        return {name: np.concatenate(parts)[first] for name, parts in self.kept.items() if parts and name != "index"}


def predict_run(run: Run) -> pd.DataFrame:
    """Predict all labelled rows of a run's data: the table of :func:`predict_rows`."""
    return predict_rows(run)[0]


def predict_rows(run: Run, keep: Sequence[str] = ()) -> tuple[pd.DataFrame, dict[str, NDArray[Any]]]:
    """Predict all labelled rows of a run's data, and keep what the network says of each.

    Parameters
    ----------
    run : Run
    keep : sequence of str
        Names of ``ModelOutput.per_row``.

    Returns
    -------
    DataFrame
        One row per index, sorted by it: what the data module's ``describe(index)`` says (id, split, ...), then
        ``target`` and ``prediction`` in the unit named by the column ``unit``, such as log2(TPM + 1); where there are
        several targets, ``target_NAME`` and ``prediction_NAME`` for each of the data module's ``target_names``.
    dict of str to float32 array (R, ...)
        Those of ``keep`` that the network has, rows as in the table; of several processes, the rows of this one.

    Raises
    ------
    DataError
        A row came without a finite prediction.
    """
    collector = CollectPredictions(keep)
    run.trainer(callbacks=[collector]).predict(run.task, datamodule=run.datamodule, return_predictions=False)
    rows = gather_rows(collector.stream).rows()
    prediction, target = np.float32(rows["prediction"]), np.float32(rows["target"])
    if not np.isfinite(prediction).all():
        bad = rows["index"][~np.isfinite(prediction).all(axis=1)]
        raise DataError(f"{len(bad)} predictions are not finite, first of row {bad[0]}", where=run.checkpoint)
    describe = getattr(run.datamodule, "describe", None)
    described = [{"index": int(i), **(describe(int(i)) if callable(describe) else {})} for i in rows["index"]]
    names = getattr(run.datamodule, "target_names", ("",))
    doubled = [f"target_{name}" if name else "target" for name in names]  # told by the data too
    frame = pd.DataFrame(described).drop(columns=doubled, errors="ignore")
    if "expression" in frame:
        frame.insert(frame.columns.get_loc("expression") + 1, "expression_unit", run.transform.raw_unit)
    columns = {
        f"{kind}_{name}" if name else kind: values[:, number]
        for kind, values in (("target", target), ("prediction", prediction))
        for number, name in enumerate(names)
    }
    table = pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1).assign(unit=run.transform.unit)
    return table, collector.rows() if keep else {}


def sample_run(run: Run, num: int, seed: int = 0) -> pd.DataFrame:
    """Draws of a network that predicts a distribution, for all rows of a run's data.

    Parameters
    ----------
    run : Run
    num : int
        Draws per row.
    seed : int
        A draw follows from (seed, row, number of the draw), whatever the batches.

    Returns
    -------
    DataFrame
        One row per row of the data and draw, sorted by both: ``index``, ``draw``, then ``sample``, or ``sample_NAME``
        of each target, in the unit named by the column ``unit``.

    Raises
    ------
    ConfigError
        The network predicts no distribution, or ``num`` is below 1.
    """
    network = run.network
    if not isinstance(network, Samples) or num < 1:
        raise ConfigError(f"{num} samples of {type(network).__name__}", expected="1 or more, of one that samples")
    found: list[tuple[NDArray[Any], NDArray[Any]]] = []
    draws = partial(_draws, network, num=num, seed=seed)
    ask(run, run.datamodule.predict_dataloader(), draws, found.append)
    index, first = np.unique(np.concatenate([rows for rows, _ in found]), return_index=True)
    values = run.transform.restore(np.concatenate([drawn for _, drawn in found])[first])  # (R, num, G)
    names = getattr(run.datamodule, "target_names", ("",))
    columns = {f"sample_{name}" if name else "sample": values[..., g].ravel() for g, name in enumerate(names)}
    numbers = {"index": np.repeat(index, num), "draw": np.tile(np.arange(num), len(index))}
    return pd.DataFrame({**numbers, **columns}).assign(unit=run.transform.unit)


def _draws(network: Samples, batch: Any, num: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Row numbers (B,) and draws (B, num, G) of a batch."""
    return batch.index.cpu().numpy(), network.sample(batch, num, seed).transpose(0, 1).float().cpu().numpy()


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
