"""How many optimiser steps a run will take."""

from __future__ import annotations

import math

from pytorch_lightning import Trainer
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
    steps = math.ceil(_batches_per_epoch(trainer) / trainer.accumulate_grad_batches) * max_epochs
    return max(1, steps if max_steps == -1 else min(steps, max_steps))


def _batches_per_epoch(trainer: Trainer) -> int:
    """Training batches of one process in one epoch."""
    loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
    batches = len(loader)
    if trainer.world_size > 1 and not isinstance(getattr(loader, "sampler", None), DistributedSampler):
        batches = math.ceil(batches / trainer.world_size)
    limit = getattr(trainer, "overfit_batches", 0) or trainer.limit_train_batches
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)
