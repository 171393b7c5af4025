"""A tiny network and data module that follow the batch contract, importable by name from a config."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from seqexp.core.seeds import sample_seed
from seqexp.objectives.contracts import Losses
from seqexp.objectives.losses import make_loss, regression
from seqexp.objectives.outputs import ModelOutput
from seqexp.objectives.transforms import make_transform


@dataclass(frozen=True)
class TinyBatch:
    x: Tensor
    target: Tensor
    index: Tensor

    def to(self, device: Any, **kwargs: Any) -> TinyBatch:
        return TinyBatch(self.x.to(device), self.target.to(device), self.index.to(device))


class TinyNet(nn.Module):
    """Dropout and a Gumbel-like draw make it depend on the generator of torch; calibration gives it a new buffer."""

    def __init__(self, width: int = 8, num_outputs: int = 1, break_at: int | None = None, loss: str = "mse") -> None:
        super().__init__()
        self.loss = make_loss(loss)
        self.body = nn.Sequential(nn.Linear(4, width), nn.LayerNorm(width), nn.GELU(), nn.Dropout(0.2))
        self.scale = nn.Parameter(torch.ones(width, 1))
        self.scale._no_weight_decay = True  # type: ignore[attr-defined]
        self.head = nn.Linear(width, num_outputs)
        self.register_buffer("levels", torch.zeros(0))
        self.break_at, self.calls = break_at, 0

    def calibrate(self, statistics: dict[str, Tensor]) -> None:
        self.levels = statistics["levels"].clone()

    def forward(self, batch: TinyBatch) -> ModelOutput:
        return self._read(batch)[0]

    def losses(self, batch: TinyBatch) -> Losses:
        output, hidden = self._read(batch)
        return regression(output, batch, self.loss, {"kl": hidden.square().mean()})

    def _read(self, batch: TinyBatch) -> tuple[ModelOutput, Tensor]:
        self.calls += 1
        hidden = self.body(batch.x) * self.scale.squeeze(-1)
        if self.training:
            hidden = hidden + 0.1 * torch.randn_like(hidden)
            if self.calls == self.break_at:
                hidden = hidden * float("nan")
        shown = {"per_row": {"mask": torch.sigmoid(hidden)}, "logged": {"mask_mean": torch.sigmoid(hidden).mean()}}
        return self.loss.output(self.head(hidden), **shown), hidden


class TinyRows(Dataset):
    def __init__(self, x: Tensor, target: Tensor, rows: np.ndarray) -> None:
        self.x, self.target, self.rows = x, target, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor, int]:
        row = int(self.rows[item])
        return self.x[row], self.target[row], row


def collate(rows: list[tuple[Tensor, Tensor, int]]) -> TinyBatch:
    x, target, index = zip(*rows, strict=True)
    return TinyBatch(torch.stack(x), torch.stack(target), torch.tensor(index))


class EpochOrder(Sampler):
    """A permutation per epoch, which can start late."""

    def __init__(self, num: int, seed: int) -> None:
        self.num, self.seed, self.epoch, self.skip = num, seed, 0, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng(sample_seed(self.seed, self.epoch, 0)).permutation(self.num)
        yield from order[self.skip :].tolist()


class ResumableLoader(DataLoader):
    """Counts the batches it handed out; after `load_state_dict` the next pass begins behind them."""

    handed_out = 0
    start = 0

    def __iter__(self) -> Iterator[TinyBatch]:
        self.handed_out, self.start = self.start, 0
        self.sampler.skip = self.handed_out * self.batch_size
        for batch in super().__iter__():
            self.handed_out += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"handed_out": self.handed_out}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.start = state["handed_out"] % len(self)


class TinyData(pl.LightningDataModule):
    def __init__(
        self, num_rows: int = 90, batch_size: int = 8, num_workers: int = 0, seed: int = 0, *, constant: bool = False
    ) -> None:
        super().__init__()
        self.num_rows, self.batch_size, self.num_workers, self.seed = num_rows, batch_size, num_workers, seed
        rng = np.random.default_rng(5)
        self.x = torch.from_numpy(rng.normal(size=(num_rows, 4))).float()
        self.expression = np.exp2(3 + self.x[:, 0].numpy() + 0.3 * rng.normal(size=num_rows))
        if constant:
            self.expression[:] = 3.0

    def setup(self, stage: str) -> None:
        labels = np.arange(self.num_rows) % 6
        self.rows = {"val": np.flatnonzero(labels == 0), "test": np.flatnonzero(labels == 1)}
        self.rows["train"] = np.flatnonzero(labels > 1)
        name = "log2p1" if np.ptp(self.expression) == 0 else "log2p1-standardized"
        self.transform = make_transform(name).fit(self.expression[self.rows["train"]])
        self.target = torch.from_numpy(self.transform.forward(self.expression)).float()[:, None]
        self.statistics = {"levels": torch.arange(3.0)}

    def fingerprint(self) -> str:
        return "tiny"

    def describe(self, index: int) -> dict[str, Any]:
        split = next(name for name, rows in self.rows.items() if index in rows)
        return {"gene_id": f"g{index}", "split": split, "expression": float(self.expression[index])}

    def _loader(self, rows: np.ndarray) -> DataLoader:
        return DataLoader(
            TinyRows(self.x, self.target, rows),
            batch_size=self.batch_size,
            collate_fn=collate,
            num_workers=self.num_workers,
        )

    def train_dataloader(self) -> DataLoader:
        rows = TinyRows(self.x, self.target, self.rows["train"])
        order = EpochOrder(len(rows), self.seed)
        return ResumableLoader(
            rows,
            batch_size=self.batch_size,
            sampler=order,
            collate_fn=collate,
            num_workers=self.num_workers,
            drop_last=True,
        )

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.rows["val"])

    def test_dataloader(self) -> DataLoader:
        return self._loader(self.rows["test"])

    def predict_dataloader(self) -> DataLoader:
        return self._loader(np.arange(self.num_rows))


class KillAt(pl.Callback):
    """Ends the process as a power cut would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step >= self.step:
            os.kill(os.getpid(), signal.SIGKILL)
