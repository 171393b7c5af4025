"""What happens around training: record, stopping, progress. `make_callbacks` puts them in the order they need."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping, RichProgressBar
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from seqexp.core.errors import ConfigError, SeqexpError
from seqexp.core.run_record import make_run_record, write_run_record
from seqexp.core.yaml import dump_yaml
from seqexp.training.checkpoints import LastCheckpoint, best_checkpoint, require_room
from seqexp.training.folder import RunFolder
from seqexp.training.loggers import CsvLog

_DIRECTIONS = {"loss": "min", "mse": "min", "mae": "min", "pearson": "max", "spearman": "max", "r2": "max"}
_DIRECTIONS["pcc_mean"] = "max"  # of data whose rows come in groups


@dataclass
class RunOptions:
    """Settings of a run beside the Trainer's own (key ``run`` of a config).

    Attributes
    ----------
    monitor : str
        Validation metric that chooses the best checkpoint and stops early.
    mode : str
        Whether lower (``min``) or higher (``max``) is better; ``auto`` knows it for the metrics of the task.
    patience : int, optional
        Validations without improvement before stopping; null never stops early.
    checkpoint_every_n_steps : int
        Optimiser steps between checkpoints within an epoch; 0 writes them between epochs only.
    progress : str
        ``rich`` bar, one ``plain`` line per epoch, ``none``, or ``auto``: a bar when a terminal watches.
    """

    monitor: str = "val_loss"
    mode: Literal["auto", "min", "max"] = "auto"
    patience: int | None = None
    checkpoint_every_n_steps: int = 500
    progress: Literal["auto", "rich", "plain", "none"] = "auto"

    def __post_init__(self) -> None:
        """Refuse to choose a model by anything but the validation split."""
        if not self.monitor.startswith("val_"):
            raise ConfigError(f"run.monitor is {self.monitor!r}", expected="a validation metric such as val_loss")
        known = _DIRECTIONS.get(self.monitor.removeprefix("val_"))
        if known is not None and self.mode not in ("auto", known):
            raise ConfigError(f"run.mode is {self.mode!r} for {self.monitor}", expected=known, fix="delete run.mode")
        if known is None and self.mode == "auto":
            raise ConfigError(f"run.mode is not known for {self.monitor}", expected="run.mode: min or max")

    @property
    def direction(self) -> str:
        """``min`` or ``max``."""
        return _DIRECTIONS[self.monitor.removeprefix("val_")] if self.mode == "auto" else self.mode


class RunRecord(Callback):
    """Writes config.yaml and run_record.json after the first step, and the end of the run into the record.

    Before that step nothing in the folder changes: a run that cannot train replaces no other.
    """

    def __init__(self, folder: RunFolder, config: dict[str, Any]) -> None:
        self.folder, self.config = folder, config
        self.record: dict[str, Any] = {}

    @rank_zero_only
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Note what runs, before it does."""
        if stage != "fit":
            return
        fingerprint = getattr(getattr(trainer, "datamodule", None), "fingerprint", None)
        identity = fingerprint() if callable(fingerprint) else ""
        self.record = make_run_record(self.config, self.config.get("seed_everything"), identity)
        previous = self.folder.previous
        if previous:  # a resumed run keeps its start and lists its restarts
            restarts = [*previous.get("resumed", []), self.record["started"]]
            self.record.update(started=previous.get("started"), resumed=restarts)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Begin the run in its folder, once a step has succeeded."""
        if trainer.global_step > 0:
            self._begin(trainer)

    @rank_zero_only
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note when and where the run ended."""
        if trainer.global_step > 0:
            self._begin(trainer)  # a run resumed after its last step takes none
            self.record["ended"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
            self._write(trainer, "finished")

    @rank_zero_only
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Note that the run did not end by itself."""
        if self.folder.is_begun:
            self.record["error"] = str(exception) or type(exception).__name__
            with suppress(SeqexpError):  # on a full disk the first error is the one to tell
                self._write(trainer, "interrupted")

    @rank_zero_only
    def _begin(self, trainer: pl.Trainer) -> None:
        if not self.folder.is_begun:
            if self.folder.replaces:  # an earlier run stays where this one cannot be kept
                require_room(self.folder.path / "last.ckpt", trainer.lightning_module, trainer.optimizers)
            self.folder.begin()
            dump_yaml(self.config, self.folder.path / "config.yaml")
            self._write(trainer, "running")

    def _write(self, trainer: pl.Trainer, status: str) -> None:
        self.record.update(status=status, epochs=trainer.current_epoch, steps=trainer.global_step)
        write_run_record(self.folder.path / "run_record.json", self.record)


class StopEarly(EarlyStopping):
    """Early stopping that stays stopped when resumed, and waits through epochs without a defined metric."""

    def __init__(self, monitor: str, mode: str, patience: int) -> None:
        super().__init__(monitor=monitor, mode=mode, patience=patience, check_finite=False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run killed after its last validation must not train another epoch."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge on validation only."""


class RewindLog(Callback):
    """Takes back logged rows that lie after the step a run resumes from, also in a folder that was moved."""

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Name checkpoints by where they lie now: Lightning forgets the best score of a run that was moved."""
        for callback in trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            folder = getattr(callback, "dirpath", None)
            if state and folder:
                old = {name: state[name] for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
                state.update({name: str(Path(folder, Path(path).name)) if path else "" for name, path in old.items()})
                best = state["best_k_models"].items()
                state.update(dirpath=folder, best_k_models={str(Path(folder, Path(p).name)): v for p, v in best})

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Called once the step is restored."""
        for logger in trainer.loggers:
            if isinstance(logger, CsvLog):
                logger.rewind(trainer.global_step)


class PlainProgress(Callback):
    """One line per epoch, for logs and pipes; printed when the next begins, because only then all metrics are in."""

    def __init__(self) -> None:
        self._started: float | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell of the epoch before and start the clock."""
        self._print(trainer, trainer.current_epoch)
        self._started = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell of the last epoch."""
        self._print(trainer, trainer.current_epoch)

    @rank_zero_only
    def _print(self, trainer: pl.Trainer, number: int) -> None:
        if self._started is None:
            return
        metrics = trainer.callback_metrics
        shown = [
            name for name in ("train_loss", "val_loss", "val_pearson", "val_pcc_mean", "val_mse") if name in metrics
        ]
        values = "  ".join(f"{name} {float(metrics[name]):.4f}" for name in shown)
        print(f"epoch {number:>3}  {values}  ({time.monotonic() - self._started:.1f} s)", flush=True)
        self._started = None


def progress_callback(choice: str) -> Callback | None:
    """Progress display by name; ``auto`` looks whether a terminal watches."""
    if choice == "auto":
        choice = "rich" if sys.stdout.isatty() else "plain"
    return {"rich": RichProgressBar, "plain": PlainProgress}.get(choice, lambda: None)()


def make_callbacks(folder: RunFolder, options: RunOptions, config: dict[str, Any]) -> list[Callback]:
    """Callbacks of a training run. ``last`` comes after ``best`` and stopping, whose state it saves."""
    callbacks: list[Callback] = [RunRecord(folder, config), RewindLog()]
    progress = progress_callback(options.progress)
    if progress is not None:
        callbacks.append(progress)
    if options.patience is not None:
        callbacks.append(StopEarly(options.monitor, options.direction, options.patience))
    callbacks.append(best_checkpoint(folder.path / "checkpoints", options.monitor, options.direction))
    callbacks.append(LastCheckpoint(folder.path / "checkpoints", options.checkpoint_every_n_steps))
    return callbacks
