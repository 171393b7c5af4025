"""The batch: expansion on the device, travel between processes, putting together."""

from __future__ import annotations

import pickle
from dataclasses import fields

import pytest
import torch

from seqexp.dna.loaders.batch import SequenceBatch, collate, no_blacklist


def make_batch(num_windows: int = 3, length: int = 10, num_bins: int = 5, num_tracks: int = 2) -> SequenceBatch:
    generator = torch.Generator().manual_seed(num_windows + length)
    return SequenceBatch(
        torch.randint(0, 5, (num_windows, length), generator=generator, dtype=torch.uint8),
        torch.rand(num_windows, num_tracks, num_bins, generator=generator).half().transpose(1, 2),
        torch.rand(num_windows, 1, generator=generator),
        torch.empty(num_windows, 0),
        torch.arange(num_windows),
        torch.arange(num_windows) + 7,
        torch.zeros(num_windows, dtype=torch.bool),
        no_blacklist(num_windows, num_bins),
    )


def same(first: SequenceBatch, second: SequenceBatch) -> bool:
    pairs = [(getattr(first, f.name), getattr(second, f.name)) for f in fields(SequenceBatch)]
    return all(torch.equal(a, b) and a.dtype == b.dtype for a, b in pairs)


@pytest.mark.parametrize(("num_windows", "length"), [(1, 1), (3, 7), (2, 7), (3, 10), (16, 64)])
def test_one_hot_is_base_by_base(num_windows: int, length: int) -> None:
    batch = make_batch(num_windows, length, 1)
    one_hot = batch.one_hot()
    assert one_hot.dtype == torch.float32
    assert one_hot.shape == (num_windows, length, 4)
    for row in range(num_windows):
        for position in range(length):
            code = int(batch.codes[row, position])
            assert one_hot[row, position].tolist() == [float(channel == code) for channel in range(4)]


def test_one_hot_of_a_slice_that_starts_at_an_odd_byte() -> None:
    batch = make_batch(1, 9)
    part = SequenceBatch(batch.codes[:, 1:], *(getattr(batch, f.name) for f in fields(SequenceBatch)[1:]))
    assert torch.equal(part.one_hot(), batch.one_hot()[:, 1:])


def test_one_hot_under_inference_mode_can_be_trained_on_afterwards() -> None:
    with torch.inference_mode():
        make_batch(2, 12).one_hot()
    weight = torch.ones(4, requires_grad=True)
    (make_batch(2, 12).one_hot() @ weight).sum().backward()
    assert weight.grad is not None


def test_signals_become_float32_and_keep_nan() -> None:
    batch = make_batch()
    batch.signals[0, 0, 0] = float("nan")
    values = batch.signal_values()
    assert values.dtype == torch.float32
    assert values[0, 0, 0].isnan()
    assert batch.bin_bp == 2


@pytest.mark.parametrize("length", [10, 200_000])
def test_travels_unchanged(length: int) -> None:
    batch = make_batch(2, length, length // 5)
    arrived = pickle.loads(pickle.dumps(batch))
    assert same(batch, arrived)
    assert arrived.signals.stride() == batch.signals.stride()  # kernels may add in another order otherwise
    assert arrived.blacklist.untyped_storage().nbytes() == 1


def test_a_real_blacklist_travels_too() -> None:
    batch = make_batch(1, 4, 1)
    batch = SequenceBatch(*(getattr(batch, f.name) for f in fields(SequenceBatch)[:-1]), torch.ones(1, 1).bool())
    assert pickle.loads(pickle.dumps(batch)).blacklist.all()


def test_collate_joins_rows_and_passes_batches_through() -> None:
    first, second = make_batch(2), make_batch(3)
    whole = collate([first, second])
    assert len(whole) == 5
    assert torch.equal(whole.codes[2:], second.codes)
    assert collate(first) is first
    assert collate([first]) is first


def test_to_moves_every_field() -> None:
    moved = make_batch().to("meta")
    assert {getattr(moved, f.name).device.type for f in fields(SequenceBatch)} == {"meta"}
    assert moved.blacklist.stride() == (0, 0)  # still one byte
    assert moved.signals.stride() == make_batch().signals.stride()
