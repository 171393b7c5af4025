"""The order of rows: shares of processes, epochs, and resuming inside one, alone and under Lightning."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from seqexp.core.errors import ConfigError
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.loaders.data import SequenceData
from seqexp.loading.sampling import Draw, EpochSampler, ResumableLoader


@pytest.mark.parametrize("num_processes", [1, 2, 3, 7])
@pytest.mark.parametrize("is_shuffled", [False, True])
def test_shares_cover_every_row(num_processes: int, is_shuffled: bool) -> None:
    shares = [
        list(EpochSampler(20, is_shuffled, False, 5, rank=r, num_processes=num_processes)) for r in range(num_processes)
    ]
    assert sorted(draw.row for share in shares for draw in share) == list(range(20))
    padded = [EpochSampler(20, is_shuffled, True, 5, rank=r, num_processes=num_processes) for r in range(num_processes)]
    assert {len(list(s)) for s in padded} == {len(padded[0])} == {-(-20 // num_processes)}
    counts = Counter(draw.row for s in padded for draw in s)
    assert set(counts) == set(range(20))
    assert sum(counts.values()) - 20 < num_processes


def test_fewer_rows_than_processes() -> None:
    assert [len(list(EpochSampler(2, True, True, 0, rank=r, num_processes=5))) for r in range(5)] == [1] * 5
    assert [len(EpochSampler(2, True, False, 0, rank=r, num_processes=5)) for r in range(5)] == [1, 1, 0, 0, 0]


def test_order_changes_with_epoch_and_seed_and_nothing_else() -> None:
    sampler = EpochSampler(50, True, seed=3)
    first = [draw.row for draw in sampler]
    assert first == [draw.row for draw in EpochSampler(50, True, seed=3)]
    sampler.set_epoch(1)
    draws = list(sampler)
    assert [draw.row for draw in draws] != first
    assert {draw.epoch for draw in draws} == {1}
    assert [draw.row for draw in EpochSampler(50, True, seed=4)] != first
    assert list(EpochSampler(3)) == [Draw(0, 0), Draw(1, 0), Draw(2, 0)]


def loader_of(dataset: Path, num_workers: int = 0, **settings: int) -> ResumableLoader:
    data = SequenceData(
        dataset,
        128,
        128,
        16,
        batch_size=7,
        num_workers=num_workers,
        reverse_complement=0.5,
        max_shift_bp=32,
        **settings,
    )
    data.setup()
    return data.train_dataloader()


def seen(batch: SequenceBatch) -> tuple:
    """Rows and their augmentation."""
    return tuple(map(tuple, (batch.index.tolist(), batch.tss_bp.tolist(), batch.is_reversed.tolist())))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_loader_goes_on_where_it_stopped(shared_tiny_dataset: Path, num_workers: int) -> None:
    loader = loader_of(shared_tiny_dataset)
    loader.sampler.set_epoch(4)
    whole = [seen(batch) for batch in loader]
    assert len(whole) == len(loader) == 6
    first = loader_of(shared_tiny_dataset, num_workers)
    first.sampler.set_epoch(4)
    taken = iter(first)
    for expected in whole[:2]:
        assert seen(next(taken)) == expected
    state = first.state_dict()  # workers have prepared more than two batches by now
    assert state["position"] == 2
    second = loader_of(shared_tiny_dataset, num_workers)
    second.load_state_dict(state)
    second.sampler.set_epoch(4)
    assert second.state_dict() == state
    assert len(second) == 6  # Lightning counts from the start of the epoch
    assert [seen(batch) for batch in second] == whole[2:]
    assert second.state_dict()["position"] == 0
    second.sampler.set_epoch(5)
    assert len(list(second)) == 6


def test_the_rest_of_an_epoch_needs_the_same_settings(shared_tiny_dataset: Path) -> None:
    loader = loader_of(shared_tiny_dataset)
    next(iter(loader))
    with pytest.raises(ConfigError, match="inside an epoch"):
        loader_of(shared_tiny_dataset, seed=1).load_state_dict(loader.state_dict())
    loader_of(shared_tiny_dataset, seed=1).load_state_dict({**loader.state_dict(), "position": 0})


class Recorder(pl.LightningModule):
    """Notes what it is trained on; its one weight keeps Lightning happy."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.batches: list[tuple] = []

    def training_step(self, batch: SequenceBatch, batch_idx: int) -> torch.Tensor:
        self.batches.append((self.current_epoch, batch_idx, seen(batch)))
        return (self.weight - batch.target).square().mean()

    def validation_step(self, batch: SequenceBatch, batch_idx: int) -> None:
        assert not batch.is_reversed.any()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(dataset: Path, folder: Path, num_workers: int = 0, resume: Path | None = None) -> list[tuple]:
    """Three epochs of six batches, validated twice an epoch, with a checkpoint after every step."""
    data = SequenceData(
        dataset, 128, 128, 16, batch_size=7, num_workers=num_workers, reverse_complement=0.5, max_shift_bp=32
    )
    saver = ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=1)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(accelerator="cpu", max_epochs=3, val_check_interval=3, callbacks=[saver], **quiet)
    model = Recorder()
    trainer.fit(model, datamodule=data, ckpt_path=resume)
    return model.batches


def test_lightning_resumes_after_any_step(shared_tiny_dataset: Path, tmp_path: Path) -> None:
    whole = fit(shared_tiny_dataset, tmp_path / "whole")
    assert len(whole) == 18
    assert len({batch for _, _, batch in whole}) == 18
    for step in (1, 3, 5, 6, 8, 12, 13, 17):
        rest = fit(shared_tiny_dataset, tmp_path / f"from{step}", resume=tmp_path / "whole" / f"step={step}.ckpt")
        assert rest == whole[step:], step
    rest = fit(shared_tiny_dataset, tmp_path / "workers", 2, tmp_path / "whole" / "step=8.ckpt")
    assert rest == whole[8:]
