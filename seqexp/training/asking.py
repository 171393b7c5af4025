"""Put a question about batches to a trained network: on the device there is, in its precision, without gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning import Callback
from torch.utils.data import DataLoader

from seqexp.training.run import Run


def ask(
    run: Run,
    loader: DataLoader,
    question: Callable[[Any], Any],
    take: Callable[[Any], None],
    *,
    is_shown: bool = False,
) -> None:
    """Answer a question about every batch of a loader.

    Parameters
    ----------
    run : Run
    loader : DataLoader
    question : callable
        From a batch on the device to an answer, such as ``run.network.embed``.
    take : callable
        Takes each answer when it is there.
    is_shown : bool
        Show a progress bar.
    """
    trainer = run.trainer(callbacks=[_Taker(take)], enable_progress_bar=is_shown)
    try:
        trainer.predict(_Asked(run.task, question), dataloaders=loader, return_predictions=False)
    except SystemExit:  # Lightning's answer to the interrupt key
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
    run.task.eval()


class _Asked(pl.LightningModule):
    """What the Trainer drives: the task, asked something else than its predictions."""

    def __init__(self, task: pl.LightningModule, question: Callable[[Any], Any]) -> None:
        super().__init__()
        self.task, self.question = task, question

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        """The answer for a batch."""
        return self.question(batch)


class _Taker(Callback):
    def __init__(self, take: Callable[[Any], None]) -> None:
        self.take = take

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *args: Any
    ) -> None:
        """Hand on the answer."""
        self.take(outputs)
