"""Checkpoints that are whole or absent, and the moments from which a run continues exactly."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.apply_func import convert_tensors_to_scalars
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, temporary_path
from seqexp.core.write_errors import write_errors_of
from seqexp.training.loggers import CsvLog


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint as plain tensors and containers, never running code from it.

    Raises
    ------
    DataError
        The file is missing, torn or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError("no checkpoint", where=path, expected="a file written by seqexp fit", fix="check --run-dir")
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"not readable as a checkpoint: {reason}", where=path, expected="a whole checkpoint") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise DataError("not a checkpoint of a run", where=path, expected="a dictionary with state_dict")
    return content


def data_state(datamodule: pl.LightningDataModule, checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds of a data module; empty where it holds nothing."""
    return checkpoint.get(type(datamodule).__qualname__) or {}


def kept_for(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """When the weights of a checkpoint were saved, and the figure they were kept for.

    Returns
    -------
    dict
        ``epoch`` (counted from 0, as in the log), ``step`` (of the optimiser), and of one that was chosen by a figure
        ``monitor``, its ``value`` and ``mode`` (min or max).
    """
    places = {"epoch": checkpoint.get("epoch"), "step": checkpoint.get("global_step")}
    found: dict[str, Any] = {name: place for name, place in places.items() if isinstance(place, int)}
    for key, state in (checkpoint.get("callbacks") or {}).items():
        value = state.get("current_score") if str(key).startswith("ModelCheckpoint") else None
        if value is not None:
            mode = "max" if "'mode': 'max'" in str(key) else "min"
            found |= {"monitor": state["monitor"], "value": float(value), "mode": mode}
    return found


_HARMLESS = ("batch_size", "num_workers", "source", "store_folder", "cache_folder", "seed")


def hand_back(
    datamodule: pl.LightningDataModule, checkpoint: Mapping[str, Any], path: Path, changed: Sequence[str]
) -> list[str]:
    """Give a data module, before it is set up, what a checkpoint says of the data it was trained on.

    Parameters
    ----------
    datamodule : LightningDataModule
        One with ``notes`` knows what to do with it: scales and seen rows stay those of the checkpoint.
    checkpoint : mapping
        Its content.
    path : Path
        Its file.
    changed : sequence of str
        Data settings that differ from those of the run.

    Returns
    -------
    list of str
        What has to be told of a checkpoint that says less than one of this version.

    Raises
    ------
    DataError
        It does not say what it was trained on, and is asked about other data.
    """
    state = data_state(datamodule, checkpoint)
    if state:
        datamodule.load_state_dict(state)
    if "seen" in state or not hasattr(datamodule, "notes"):
        return []
    lacks = "the checkpoint does not say what it was trained on (scales and rows): it is of an earlier version"
    changed = [name for name in changed if name not in _HARMLESS]
    if changed:
        raise DataError(
            lacks,
            where=f"{path}; settings of the data that differ from the run's: {', '.join(changed)}",
            expected="the data of the run, or a checkpoint of this version",
            fix="open it with the settings it was trained with, or train it again",
        )
    return [f"{lacks}; both are taken from the data of the run as they lie there now"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames, so that a killed run or a full disk leaves the previous checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint atomically."""
        with atomic_path(path) as temporary, open(temporary, "wb") as handle:
            torch.save(checkpoint, handle)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint; see :func:`read_checkpoint`."""
        return read_checkpoint(path, map_location or "cpu")


def require_room(path: Path, module: pl.LightningModule, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Prove that a checkpoint fits on the disk beside what lies there.

    Raises
    ------
    DataError
        It does not; nothing is left behind.
    """
    temporary = temporary_path(path)
    try:
        with write_errors_of(path, temporary), open(temporary, "wb") as handle:
            torch.save([module.state_dict(), *(optimizer.state_dict() for optimizer in optimizers)], handle)
    finally:
        temporary.unlink(missing_ok=True)


def best_checkpoint(folder: Path, monitor: str, mode: str) -> ModelCheckpoint:
    """Keep ``best.ckpt``: the epoch with the best value of ``monitor`` on the validation split."""
    return ModelCheckpoint(
        dirpath=folder,
        filename="best",
        monitor=monitor,
        mode=mode,
        save_top_k=1,
        save_on_train_epoch_end=False,
        auto_insert_metric_name=False,
        enable_version_counter=False,
    )


class LastCheckpoint(Checkpoint):
    """Keep ``last.ckpt``: after the first step, after every epoch and, within an epoch, every so many steps.

    The first one shows that a checkpoint fits on the disk, and that there is one before anything else is kept.

    A checkpoint between the last batch of an epoch and its validation would make Lightning skip that validation on
    resuming, so none is written there: the end of the epoch follows at once.
    """

    def __init__(self, folder: Path, every_n_steps: int) -> None:
        self.path = folder / "last.ckpt"
        self.every_n_steps = every_n_steps
        self._saved_step = -1

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Save within an epoch."""
        is_first = trainer.global_step == 1
        is_due = is_first or (self.every_n_steps > 0 and trainer.global_step % self.every_n_steps == 0)
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        every = trainer.val_check_batch
        is_validation_next = trainer.is_last_batch or (every is not None and batches % every == 0)
        if is_due and trainer.global_step != self._saved_step and not is_validation_next:
            self._save(trainer, is_epoch_end=False)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save after an epoch, its validation included."""
        self._save(trainer, is_epoch_end=True)

    def _save(self, trainer: pl.Trainer, is_epoch_end: bool) -> None:
        self._saved_step = trainer.global_step
        _log_ahead(trainer, is_epoch_end)
        for logger in trainer.loggers:  # rows up to this step are on disk before the step can be resumed from
            logger.save()
        trainer.save_checkpoint(self.path)


def _log_ahead(trainer: pl.Trainer, is_epoch_end: bool) -> None:
    """Log the step or epoch that has just ended: Lightning does so after its checkpoint, and a kill may come between.

    To the CSV alone, in which the same row is then written once more.
    """
    connector = trainer._logger_connector
    if is_epoch_end or connector.should_update_logs:
        metrics = {"epoch": trainer.current_epoch, **convert_tensors_to_scalars(connector.metrics["log"])}
        step = trainer.fit_loop.epoch_loop._batches_that_stepped - int(is_epoch_end)
        for logger in trainer.loggers:
            if isinstance(logger, CsvLog):
                logger.log_metrics(metrics, step)
