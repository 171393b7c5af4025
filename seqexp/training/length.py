"""How many optimiser steps a run will take, and whether it will be validated."""

from __future__ import annotations

import math

from pytorch_lightning import LightningDataModule, Trainer
from torch.utils.data.distributed import DistributedSampler

from seqexp.core.errors import ConfigError


def total_steps(trainer: Trainer) -> int:
    """Optimiser steps of the whole run, from the length of the training loader and the Trainer's limits.

    ``Trainer.estimated_stepping_batches`` would open the training loader before the checkpoint of a resumed run is
    read, and Lightning would then not tell that loader where in the epoch it stopped; so a loader of our own is asked.

    Raises
    ------
    ConfigError
        The run has neither a number of epochs nor of steps.
    """
    max_epochs, max_steps = trainer.max_epochs or -1, trainer.max_steps
    if max_epochs == -1:
        if max_steps == -1:
            raise ConfigError("the run has no end", expected="trainer.max_epochs or trainer.max_steps")
        return max_steps
    steps = math.ceil(_batches_per_epoch(trainer, trainer.datamodule) / trainer.accumulate_grad_batches) * max_epochs  # type: ignore[attr-defined]
    return max(1, steps if max_steps == -1 else min(steps, max_steps))


def require_validation(trainer: Trainer, datamodule: LightningDataModule) -> None:
    """Refuse a run that would end before its first validation, by which the best checkpoint is chosen.

    Raises
    ------
    ConfigError
        Says how many steps come first.
    """
    if trainer.limit_val_batches == 0:
        raise ConfigError("no validation takes place", where="trainer.limit_val_batches: 0", expected="at least 1")
    batches = _batches_per_epoch(trainer, datamodule)
    if batches < 1:
        raise ConfigError("no training batch in an epoch", where="trainer.limit_train_batches", expected="at least 1")
    every = trainer.check_val_every_n_epoch
    interval = trainer.val_check_interval
    within = interval if isinstance(interval, int) else max(1, int(batches * float(interval or 1.0)))
    if every is not None and within > batches:
        raise ConfigError(
            f"trainer.val_check_interval is {within} batches, an epoch has {batches}",
            expected=f"at most {batches}, or trainer.check_val_every_n_epoch: null",
        )
    first = within if every is None else (every - 1) * batches + within
    longest = [batches * trainer.max_epochs] if trainer.max_epochs not in (None, -1) else []
    longest += [trainer.max_steps * trainer.accumulate_grad_batches] if trainer.max_steps != -1 else []
    if longest and min(longest) < first:
        raise ConfigError(
            f"the run ends after {min(longest)} batches, before its first validation, after which a checkpoint is kept",
            where="trainer.max_steps, trainer.max_epochs",
            expected=f"at least {first} batches, {math.ceil(first / trainer.accumulate_grad_batches)} steps; "
            f"an epoch has {batches} batches",
            fix="train longer, or validate within the epoch: trainer.val_check_interval",
        )


def _batches_per_epoch(trainer: Trainer, datamodule: LightningDataModule) -> int:
    """Training batches of one process in one epoch."""
    loader = datamodule.train_dataloader()
    batches = len(loader)
    if trainer.world_size > 1 and not isinstance(getattr(loader, "sampler", None), DistributedSampler):
        batches = math.ceil(batches / trainer.world_size)
    limit = getattr(trainer, "overfit_batches", 0) or trainer.limit_train_batches
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)
