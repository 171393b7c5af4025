"""The dataset: the same batches however many workers read them and however those are started."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.regions import IntervalIndex
from seqexp.dna.loaders.batch import SequenceBatch, collate
from seqexp.dna.loaders.data import SequenceData
from seqexp.dna.loaders.windows import mark_bins
from seqexp.loading.sampling import EpochSampler


def read_all(dataset: Path, folder: Path, source: str, num_workers: int, start: str | None = None) -> list:
    """Two epochs of augmented training batches."""
    data = SequenceData(
        dataset, 700, 700, 20, batch_size=9, reverse_complement=0.5, max_shift_bp=60, source=source, store_folder=folder
    )
    data.setup()
    rows = data.dataset("train", is_augmented=True)
    sampler = EpochSampler(len(rows), is_shuffled=True, seed=1)
    loader = DataLoader(
        rows,
        9,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=collate,
        persistent_workers=num_workers > 0,
        multiprocessing_context=start,
    )
    batches: list[SequenceBatch] = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches += loader
    return batches


@pytest.mark.parametrize("source", ["files", "store"])
def test_batches_do_not_depend_on_workers(shared_tiny_dataset: Path, tmp_path: Path, source: str) -> None:
    alone = read_all(shared_tiny_dataset, tmp_path, source, 0)
    assert len(alone) == 10
    ways = [(1, "fork"), (2, "fork")] + ([(1, "spawn")] if source == "store" else [])
    for num_workers, start in ways:
        helped = read_all(shared_tiny_dataset, tmp_path, source, num_workers, start)
        for first, second in zip(alone, helped, strict=True):
            for field in fields(SequenceBatch):
                a, b = getattr(first, field.name), getattr(second, field.name)
                assert torch.equal(a, b), (field.name, num_workers, start)
                assert a.stride() == b.stride(), field.name


def test_epochs_differ_in_order_and_augmentation(shared_tiny_dataset: Path, tmp_path: Path) -> None:
    batches = read_all(shared_tiny_dataset, tmp_path, "files", 0)
    placed = [
        {int(i): (int(t), bool(r)) for b in half for i, t, r in zip(b.index, b.tss_bp, b.is_reversed)}
        for half in (batches[:5], batches[5:])
    ]
    assert placed[0].keys() == placed[1].keys()
    assert sum(placed[0][i] != placed[1][i] for i in placed[0]) > 20


def test_large_batches_come_through_shared_memory_whole(shared_tiny_dataset: Path) -> None:
    data = SequenceData(shared_tiny_dataset, 15_000, 15_000, 1, batch_size=8, num_workers=1)
    data.setup()
    rows = data.dataset("train")
    loader = DataLoader(rows, 8, num_workers=1, collate_fn=collate)
    for number, batch in enumerate(loader):
        expected = rows.__getitems__(range(number * 8, number * 8 + 8))
        assert torch.equal(batch.codes, expected.codes)
        assert torch.equal(batch.signals, expected.signals)


@pytest.mark.parametrize("bin_bp", [1, 7])
@pytest.mark.parametrize("strand", ["+", "-"])
def test_blacklisted_bins_are_those_of_the_index(shared_tiny_dataset: Path, bin_bp: int, strand: str) -> None:
    data = SequenceData(shared_tiny_dataset, 100, 100)
    data.setup()
    rng = np.random.default_rng(0)
    frame = data.genes.windows(50, 50).assign(end=lambda f: f["start"] + rng.integers(1, 120, len(f)))
    index = IntervalIndex(frame)
    for start in rng.integers(-100, 40_000, 300):
        window = Interval("chr3", int(start), int(start) + 700, strand)
        marks = np.zeros(700 // bin_bp, dtype=bool)
        mark_bins(index, window, bin_bp, marks)
        np.testing.assert_array_equal(marks, index.mask(window, bin_bp))
    marks = np.zeros(700 // bin_bp, dtype=bool)
    mark_bins(index, Interval("elsewhere", 0, 700, strand), bin_bp, marks)
    assert not marks.any()
