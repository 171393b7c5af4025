"""Train a run in its folder: start, resume, end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from pytorch_lightning import Trainer
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from seqexp.core.errors import ConfigError
from seqexp.core.memory import keep_freed_memory
from seqexp.core.write_errors import is_of_writing, write_error
from seqexp.training.callbacks import make_callbacks
from seqexp.training.checkpoints import AtomicCheckpointIO, data_state, read_checkpoint
from seqexp.training.config import RunConfig
from seqexp.training.folder import CONFIG, LAST, RunFolder, check_folder, own_run, read_record
from seqexp.training.length import require_validation
from seqexp.training.loggers import make_loggers
from seqexp.training.notes import tell
from seqexp.training.processes import is_first_process
from seqexp.training.quiet import quiet_lightning, quiet_writer_threads
from seqexp.training.resuming import check_resumable
from seqexp.training.stack import config_stack


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
    previous = _previous(folder, overwrite, resume) if resume else None
    is_received = resume and not configs
    stack = [folder / CONFIG] if is_received else config_stack(list(configs))
    settings = RunConfig([*(f"--config={path}" for path in stack), *overrides], is_received)
    keep_freed_memory(settings.num_tokens)
    quiet_lightning()
    if settings.settings["trainer"].get("fast_dev_run"):
        trainer = settings.build_trainer()
        trainer.fit(settings.model, datamodule=settings.datamodule)
        return trainer
    run = RunFolder(folder, previous)
    trainer = settings.build_trainer(
        callbacks=make_callbacks(run, settings.options, settings.settings),
        plugins=[AtomicCheckpointIO()],
        logger=make_loggers(folder, settings.config_init["trainer"].get("logger"), is_resumed=previous is not None),
        default_root_dir=str(folder),
        enable_progress_bar=settings.options.progress in ("auto", "rich"),
    )
    if not is_first_process():  # started by Lightning beside the first one, which owns the folder
        return _fit(trainer, settings, run)
    _previous(folder, overwrite, resume)
    # Settings and data that cannot be used are found before a folder is made.
    settings.datamodule.prepare_data()
    settings.datamodule.setup("fit")
    tell(getattr(settings.datamodule, "notes", ()), folder, is_fit=True)
    if previous is not None:  # likewise a checkpoint, or data, from which the run cannot go on
        saved = read_checkpoint(folder / LAST)
        settings.datamodule.load_state_dict(data_state(settings.datamodule, saved))
        check_resumable(saved, settings.model, trainer, folder / LAST)
    require_validation(trainer, settings.datamodule)
    with own_run(folder):
        _previous(folder, overwrite, resume)  # again: another process may have been here before us
        run.open()
        try:
            return _fit(trainer, settings, run)
        finally:
            run.leave()


def _previous(folder: Path, overwrite: bool, resume: bool) -> dict[str, Any] | None:
    """Record of the run to resume, in every process; the first one also refuses what may not be done."""
    if is_first_process():
        return check_folder(folder, overwrite, resume)
    return read_record(folder) if (folder / LAST).is_file() else None


def _fit(trainer: Trainer, settings: RunConfig, run: RunFolder) -> Trainer:
    """Train to the end, or to an error that says what went wrong."""
    checkpoint = str(run.path / LAST) if run.previous is not None else None
    try:
        with quiet_writer_threads():
            trainer.fit(settings.model, datamodule=settings.datamodule, ckpt_path=checkpoint)
    except MisconfigurationException as error:
        raise ConfigError(" ".join(str(error).split()), where="settings of the trainer or the run") from error
    except OSError as error:  # of a logger, whose files seqexp does not write itself
        if is_of_writing(error):
            raise write_error(error, run.path / "logs" / "tensorboard", "the logs of the run") from error
        raise
    except SystemExit:
        if trainer.interrupted:  # Lightning ends the process on Ctrl+C
            raise KeyboardInterrupt from None
        raise
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
    if trainer.global_step == 0:
        raise ConfigError("not a single training step was taken", fix="check trainer.max_epochs and trainer.max_steps")
    return trainer
