"""Train a run in its folder: start, resume, end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch.distributed as dist
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from seqexp.core.errors import ConfigError
from seqexp.core.memory import keep_freed_memory
from seqexp.training.callbacks import make_callbacks
from seqexp.training.checkpoints import AtomicCheckpointIO, data_state, read_checkpoint
from seqexp.training.config import RunConfig, config_stack
from seqexp.training.folder import CONFIG, LAST, check_folder, drop_if_unstarted, open_folder
from seqexp.training.loggers import CsvLog
from seqexp.training.processes import is_first_process
from seqexp.training.quiet import quiet_lightning


def run_fit(
    run_dir: str | Path,
    configs: Sequence[str] = (),
    overrides: Sequence[str] = (),
    overwrite: bool = False,
    *,
    resume: bool = False,
) -> Trainer:
    """Train a model and leave config, record, logs and checkpoints in ``run_dir``.

    Parameters
    ----------
    run_dir : path
        Run folder.
    configs : sequence of str
        Config files or names of shipped ones, later over earlier; none with ``resume`` takes the run's own.
    overrides : sequence of str
        Flags such as ``--model.lr=0.001``.
    overwrite, resume : bool
        Replace the run in the folder, or continue it from its last checkpoint.

    Returns
    -------
    Trainer
        After the fit; ``trainer.fast_dev_run`` tells whether a folder was written.

    Raises
    ------
    ConfigError, DataError
        See :func:`seqexp.training.folder.check_folder` and :class:`seqexp.training.config.RunConfig`.
    """
    folder = Path(run_dir)
    previous = check_folder(folder, overwrite, resume) if resume else None
    is_received = resume and not configs
    stack = [folder / CONFIG] if is_received else config_stack(list(configs))
    settings = RunConfig([*(f"--config={path}" for path in stack), *overrides], is_received)
    keep_freed_memory(settings.num_tokens)
    quiet_lightning()
    if settings.settings["trainer"].get("fast_dev_run"):
        trainer = settings.build_trainer()
        trainer.fit(settings.model, datamodule=settings.datamodule)
        return trainer
    if is_first_process():  # processes that Lightning starts beside it find the folder opened
        check_folder(folder, overwrite, resume)
        # Data that cannot be used are found before a folder is made or an earlier run is replaced.
        settings.datamodule.prepare_data()
        settings.datamodule.setup("fit")
        for note in getattr(settings.datamodule, "notes", ()):
            print(f"note: {note}", file=sys.stderr)
        if resume:  # likewise data on which the run cannot go on, which Lightning finds after its record is written
            settings.datamodule.load_state_dict(data_state(settings.datamodule, read_checkpoint(folder / LAST)))
        open_folder(folder, previous)
    trainer = settings.build_trainer(
        callbacks=make_callbacks(folder, settings.options, settings.settings, previous),
        plugins=[AtomicCheckpointIO()],
        logger=make_loggers(folder, resume) if settings.settings["trainer"].get("logger") is not False else False,
        default_root_dir=str(folder),
        enable_progress_bar=settings.options.progress in ("auto", "rich"),
    )
    try:
        trainer.fit(settings.model, datamodule=settings.datamodule, ckpt_path=str(folder / LAST) if resume else None)
    except MisconfigurationException as error:
        raise ConfigError(" ".join(str(error).split()), where="settings of the trainer or the run") from error
    except SystemExit:
        if trainer.interrupted:  # Lightning ends the process on Ctrl+C
            raise KeyboardInterrupt from None
        raise
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
        if is_first_process():
            drop_if_unstarted(folder, trainer.global_step)
    if trainer.global_step == 0:
        raise ConfigError("not a single training step was taken", fix="check trainer.max_epochs and trainer.max_steps")
    return trainer


def make_loggers(folder: Path, is_resumed: bool) -> list[Logger]:
    """CSV (``logs/metrics.csv``) and TensorBoard (``logs/tensorboard``)."""
    csv = CsvLog(folder / "logs" / "metrics.csv", is_resumed)
    return [csv, TensorBoardLogger(save_dir=folder / "logs", name="tensorboard", version="")]
