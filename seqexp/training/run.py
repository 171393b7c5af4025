"""A finished (or running) run, opened again from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule, Trainer
from torch import nn

from seqexp.core.errors import DataError
from seqexp.core.memory import keep_freed_memory
from seqexp.core.yaml import load_yaml
from seqexp.objectives.contracts import KnowsRows
from seqexp.objectives.transforms import Transform
from seqexp.training.checkpoints import AtomicCheckpointIO, data_state, hand_back, kept_for, read_checkpoint
from seqexp.training.config import RunConfig
from seqexp.training.folder import BEST, CONFIG, LAST, read_record
from seqexp.training.notes import tell
from seqexp.training.quiet import quiet_lightning
from seqexp.training.task import ExpressionTask


@dataclass(frozen=True)
class Run:
    """A trained network with the data it was trained on.

    Attributes
    ----------
    folder : Path
    network : nn.Module
        The network that predicts (averaged weights where the run averaged them), in evaluation mode, on the CPU.
    task : ExpressionTask
    datamodule : LightningDataModule
        Set up for prediction, unless the run was opened without its data.
    config, record : dict
        Contents of config.yaml and run_record.json.
    checkpoint : Path
        File the weights come from.
    settings : RunConfig
        Parsed settings, from which Trainers are built.
    facts : dict
        What the checkpoint holds of the data it was trained on; empty for a checkpoint of an earlier version.
    kept : dict
        Epoch and step of the checkpoint and the figure it was kept for (:func:`seqexp.training.checkpoints.kept_for`).
    """

    folder: Path
    network: nn.Module
    task: ExpressionTask
    datamodule: LightningDataModule
    config: dict[str, Any]
    record: dict[str, Any]
    checkpoint: Path
    settings: RunConfig
    facts: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def transform(self) -> Transform:
        """Target transform of the checkpoint, fitted on its training split."""
        return self.task.transform

    @classmethod
    def open(
        cls,
        run_dir: str | Path,
        checkpoint: str | Path = "best",
        overrides: Sequence[str] = (),
        *,
        reads_data: bool = True,
    ) -> Run:
        """Rebuild network and data from the saved config and load the weights.

        Parameters
        ----------
        run_dir : path
            Folder written by ``seqexp fit``.
        checkpoint : str or path
            ``best``, ``last`` or a file.
        overrides : sequence of str
            Flags laid over the saved config, such as ``--data.init_args.num_workers=2``.
        reads_data : bool
            Open the files of the data set too. Without, config and checkpoint are enough, wherever the data have gone;
            :meth:`read_data` does it later.

        Raises
        ------
        DataError
            No run in the folder, weights that are not finite or do not fit the config, or data that do not fit the
            checkpoint.
        ConfigError
            The saved config names classes that are not seqexp's; see :func:`seqexp.core.classes.allow_classes`.

        Notes
        -----
        Everything that was fitted on the training data comes from the checkpoint, whatever data are opened, and rows
        that it was trained on are never called test. What does not fit by itself is told on standard error.
        """
        folder = Path(run_dir)
        record = read_record(folder)
        if record is None or not (folder / CONFIG).is_file():
            raise DataError("no run in this folder", where=folder, expected="a folder written by seqexp fit")
        path = {"best": folder / BEST, "last": folder / LAST}.get(str(checkpoint), Path(checkpoint))
        saved = read_checkpoint(path)
        # One process on whatever device there is, unless the caller asks for more.
        alone = [
            "--trainer.accelerator=auto",
            "--trainer.devices=1",
            "--trainer.strategy=auto",
            "--trainer.logger=false",
        ]
        settings = RunConfig([f"--config={folder / CONFIG}", *alone, *overrides], is_received=True)
        task, datamodule = settings.model, settings.datamodule
        keep_freed_memory(settings.num_tokens)
        quiet_lightning()
        notes = hand_back(datamodule, saved, path, _changed(settings, load_yaml(folder / CONFIG)))
        tell(notes, folder)
        task.load_state_dict(saved["state_dict"])
        task.on_load_checkpoint(saved)
        _require_finite(task.scored_network, path)
        task.eval()
        run = cls(
            folder,
            task.scored_network,
            task,
            datamodule,
            load_yaml(folder / CONFIG),
            record,
            path,
            settings=settings,
            facts=data_state(datamodule, saved),
            kept=kept_for(saved),
        )
        if reads_data:
            run.read_data()
        return run

    def read_data(self) -> None:
        """Open the files of the data set, and tell on standard error what does not fit by itself.

        Raises
        ------
        DataError
            A file is missing or does not fit the checkpoint.
        """
        self.datamodule.prepare_data()
        self.datamodule.setup("predict")
        _require_rows(self.network, self.datamodule)
        tell(getattr(self.datamodule, "notes", ()), self.folder)

    def trainer(self, **replaced: Any) -> Trainer:
        """Trainer for scoring: no loggers, no checkpoints, no run folder, none of the config's callbacks, which belong
        to training; settings can be replaced."""
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        return self.settings.build_trainer(plugins=[AtomicCheckpointIO()], for_training=False, **{**quiet, **replaced})

    def score(self, split: str) -> dict[str, float]:
        """Metrics of the ``val`` or ``test`` split, such as ``{"test_pearson": 0.7, ...}``."""
        run = {"val": Trainer.validate, "test": Trainer.test}[split]
        metrics = run(self.trainer(), self.task, datamodule=self.datamodule, verbose=False)
        return dict(metrics[0])


def _changed(settings: RunConfig, saved: Mapping[str, Any]) -> list[str]:
    """Settings of the data that differ from those of the run; what it had no setting for, a later version added."""
    own, before = (dict(config["data"].get("init_args") or {}) for config in (settings.settings, saved))
    return sorted(name for name in before if own.get(name) != before[name])


def _require_finite(network: nn.Module, checkpoint: Path) -> None:
    """A weight that is no number makes predictions that are none, or hides where a part of the network is not used."""
    bad = [name for name, weight in network.named_parameters() if not bool(torch.isfinite(weight).all())]
    if bad:
        raise DataError(
            f"weights of {len(bad)} tensors are not finite, the first {bad[0]}",
            where=checkpoint,
            expected="numbers",
            fix="take another checkpoint, or train again",
        )


def _require_rows(network: nn.Module, datamodule: LightningDataModule) -> None:
    """Refuse a network that knows rows by their number on another table of rows."""
    if isinstance(network, KnowsRows) and network.knows_rows and getattr(datamodule, "has_other_rows", False):
        raise DataError(
            f"{type(network).__name__} was given something for each row of the table it was trained on",
            where=str(getattr(datamodule, "path", "data")),
            expected="the same table",
            fix="open the run with its own data",
        )
