"""Rows of a spot table as batches, read whole; training turns them at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from seqexp.core.seeds import sample_seed
from seqexp.histology.loaders.batch import SpotBatch
from seqexp.histology.loaders.cache import SpotArray
from seqexp.loading.sampling import Draw


class SpotColumns(Protocol):
    """Columns that correspond to the rows of a spot table."""

    patches: SpotArray | None
    features: NDArray[np.float32]
    blocks: NDArray[np.int64]
    grid: NDArray[np.int64]
    slide: NDArray[np.int64]
    patient: NDArray[np.int64]
    seed: int


class SpotDataset(Dataset):
    """Rows of the spot table as batches; whole batches are read at once."""

    def __init__(
        self, data: SpotColumns, rows: NDArray[np.int64], targets: NDArray[np.float32], is_turned: bool
    ) -> None:
        self.rows, self.targets, self.is_turned, self.seed = rows, targets, is_turned, data.seed
        self.patches, self.features, self.blocks = data.patches, data.features, data.blocks
        self.grid, self.slide, self.patient = data.grid, data.slide, data.patient

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | Draw) -> SpotBatch:
        """Batch of one spot."""
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[int | Draw]) -> SpotBatch:
        """Batch of several spots."""
        draws = [key if isinstance(key, Draw) else Draw(key, 0) for key in keys]
        rows = self.rows[[draw.row for draw in draws]]
        patches = np.zeros((len(rows), 0, 0, 3), np.uint8) if self.patches is None else self.patches[rows]
        blocks = self.blocks[rows]
        for number, (draw, row) in enumerate(zip(draws, rows.tolist())):
            if self.is_turned:
                way = int(np.random.default_rng(sample_seed(self.seed, draw.epoch, row)).integers(8))
                patches[number], blocks[number] = turned(patches[number], way), turned_block(blocks[number], way)
        is_neighbour = blocks >= 0
        neighbours = np.where(is_neighbour[..., None], self.features[blocks], np.float32(0))
        columns = (patches, self.features[rows], neighbours, is_neighbour, self.targets[rows], self.grid[rows])
        return SpotBatch(*map(torch.from_numpy, (*columns, self.slide[rows], self.patient[rows], rows)))


def turned(square: NDArray[Any], way: int) -> NDArray[Any]:
    """A square (P, P, ...) laid on itself in one of eight ways: tissue has no up or down."""
    rotated = np.rot90(square, way % 4)
    return rotated[:, ::-1] if way >= 4 else rotated


def turned_block(block: NDArray[np.int64], way: int) -> NDArray[np.int64]:
    """The places around a spot (K,), row by row, after its patch was turned: neighbours turn with it."""
    side = math.isqrt(len(block))
    return turned(block.reshape(side, side), way).ravel()
