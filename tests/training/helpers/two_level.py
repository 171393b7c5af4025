"""A two-level problem with a known answer: ridge regression whose penalty of each feature the outer loss chooses.

With orthonormal features (X'X / n = 1) ridge shrinks each least-squares coefficient b to b / (1 + e^phi), and the outer
loss, squared error on rows whose coefficients are c, is least where that is c: e^phi = b / c - 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from tiny_run import EpochOrder, ResumableLoader, TinyBatch, TinyRows, collate
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seqexp.objectives.contracts import Losses
from seqexp.objectives.outputs import ModelOutput
from seqexp.objectives.transforms import make_transform

NUM = 16
LEAST_SQUARES = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
OUTER = torch.tensor([1.0, -0.8, 0.1], dtype=torch.float64)


def features(num: int = NUM) -> Tensor:
    """Orthonormal columns (num, 3) of mean zero."""
    drawn = np.random.default_rng(0).normal(size=(num, 3))
    return torch.from_numpy(np.linalg.qr(drawn - drawn.mean(0))[0] * np.sqrt(num))


class Ridge(nn.Module):
    def __init__(self, break_after: int | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.log_penalty = nn.Parameter(torch.zeros(3))
        self.offset = nn.Parameter(torch.zeros(1))
        self.break_after, self.num_outer = break_after, 0

    def forward(self, batch: Any) -> ModelOutput:
        return ModelOutput((batch.x @ self.weight + 0 * self.offset)[:, None])

    def losses(self, batch: Any) -> Losses:
        output = self(batch)
        rows = 0.5 * (output.prediction - batch.target).square().squeeze(1)
        return Losses(
            {"error": rows, "shrinkage": 0.5 * (self.log_penalty.exp() * self.weight.square()).sum()}, output=output
        )

    def outer_parameters(self) -> Iterable[str]:
        return ["log_penalty", "offset"]

    def outer_losses(self, batch: Any) -> Losses:
        self.num_outer += 1
        error = 0.5 * (self(batch).prediction - batch.target).square().squeeze(1)
        if self.break_after is not None and self.num_outer > self.break_after:
            error = error / 0.0
        return Losses({"outer": error})

    def project(self) -> None:
        self.log_penalty.data.clamp_(-5.0, 5.0)


class Rows(pl.LightningDataModule):
    """Inner rows have coefficients ``LEAST_SQUARES``, those of the outer step ``OUTER``; validation has both."""

    def __init__(self, batch_size: int = NUM, repeats: int = 1, seed: int = 0) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.x = torch.cat([features(), features()])
        self.y = torch.cat([features() @ LEAST_SQUARES, features() @ OUTER])[:, None]
        self.rows = {
            "train": np.tile(np.arange(NUM), repeats),
            "outer": np.arange(NUM, 2 * NUM),
            "val": np.arange(2 * NUM),
        }
        self.transform = make_transform("identity", "units").fit(self.y.numpy().ravel())

    def fingerprint(self) -> str:
        return "rows"

    def describe(self, index: int) -> dict[str, Any]:
        return {"split": "train" if index < NUM else "val"}

    def loader(self, name: str) -> DataLoader[TinyBatch]:
        data = TinyRows(self.x.float(), self.y.float(), self.rows[name])
        return DataLoader(data, batch_size=self.batch_size, collate_fn=collate)

    def train_dataloader(self) -> DataLoader[TinyBatch]:
        if len(self.rows["train"]) > NUM:  # the same whole batch over and over, in which features are orthonormal
            return self.loader("train")
        data = TinyRows(self.x.float(), self.y.float(), self.rows["train"])
        order = EpochOrder(len(data), 0)
        return ResumableLoader(data, batch_size=self.batch_size, sampler=order, collate_fn=collate)

    def outer_dataloader(self) -> DataLoader[TinyBatch]:
        return self.loader("outer")

    def val_dataloader(self) -> DataLoader[TinyBatch]:
        return self.loader("val")

    def predict_dataloader(self) -> DataLoader[TinyBatch]:
        return self.loader("val")
