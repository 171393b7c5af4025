"""Augmentation: the window of the opposite strand and the shifted interval, for everything in the batch alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from seqexp.core.errors import ConfigError
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.regions import IntervalIndex, read_bed
from seqexp.dna.loaders.augment import Augmentation, move_window
from seqexp.dna.loaders.sources import FileSource
from seqexp.dna.loaders.windows import WindowDataset
from seqexp.loading.sampling import Draw

COMPLEMENT = torch.tensor([3, 2, 1, 0, 4], dtype=torch.uint8)


class Fixed(Augmentation):
    """Always the same draw."""

    def draw(self, epoch: int, index: int) -> tuple[int, bool]:
        return self.max_shift_bp, self.reverse_complement > 0


@pytest.fixture(scope="module")
def opened(shared_tiny_dataset: Path) -> tuple[FileSource, IntervalIndex]:
    spec = load_dataset(shared_tiny_dataset)
    assert spec.blacklist is not None
    return FileSource(spec.open_reference(), spec.open_tracks(), 8), IntervalIndex(read_bed(spec.blacklist))


def dataset(opened: tuple[FileSource, IntervalIndex], window: Interval, augmentation: Augmentation) -> WindowDataset:
    source, blacklist = opened
    return WindowDataset(
        source,
        [window],
        np.array([3]),
        64,
        target=np.ones((1, 1)),
        covariates=None,
        augmentation=augmentation,
        blacklist=blacklist,
    )


@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("start", [19_900, -50, 39_900])
def test_reverse_complement_turns_everything(opened, start: int, strand: str) -> None:
    window = Interval("chr2", start, start + 256, strand)
    plain = dataset(opened, window, Augmentation())[0]
    turned = dataset(opened, window, Fixed(reverse_complement=1.0))[0]
    assert turned.is_reversed.item()
    assert torch.equal(turned.codes, COMPLEMENT[plain.codes.flip(1).long()])
    assert torch.equal(turned.signals, plain.signals.flip(1))
    assert torch.equal(turned.blacklist, plain.blacklist.flip(1))
    assert turned.tss_bp.item() == 256 - 1 - plain.tss_bp.item()
    assert torch.equal(turned.one_hot(), plain.one_hot().flip(1, 2))
    opposite = dataset(opened, Interval("chr2", start, start + 256, "-" if strand == "+" else "+"), Augmentation())[0]
    assert torch.equal(turned.codes, opposite.codes)
    assert torch.equal(turned.signals, opposite.signals)


@pytest.mark.parametrize("strand", ["+", "-"])
def test_shift_is_the_shifted_interval(opened, strand: str) -> None:
    window = Interval("chr2", 19_900, 20_156, strand)
    plain = dataset(opened, window, Augmentation())[0]
    moved = dataset(opened, window, Fixed(max_shift_bp=24))[0]
    expected = dataset(opened, window.shift(24), Augmentation())[0]
    assert torch.equal(moved.codes, expected.codes)
    assert torch.equal(moved.signals, expected.signals)
    assert torch.equal(moved.blacklist, expected.blacklist)
    assert torch.equal(moved.codes[:, :-24], plain.codes[:, 24:])  # downstream: what was at 24 is now at 0
    assert moved.tss_bp.item() == plain.tss_bp.item() - 24
    tss_codes = [int(batch.codes[0, batch.tss_bp[0]]) for batch in (plain, moved)]
    assert tss_codes[0] == tss_codes[1]


def test_the_tss_base_stays_the_tss_base() -> None:
    for strand in "+-":
        window = Interval("chr1", 1_000, 1_100, strand)
        tss = 1_000 + 30 if strand == "+" else 1_099 - 30
        for shift_bp in (-20, 0, 13):
            for is_reversed in (False, True):
                moved, offset = move_window(window, 30, shift_bp, is_reversed)
                assert (moved.start + offset if moved.strand == "+" else moved.end - 1 - offset) == tss


def test_draws_depend_on_seed_epoch_and_gene_only() -> None:
    augmentation = Augmentation(0.5, 100, 5, seed=1)
    draws = {(e, i): augmentation.draw(e, i) for e in range(20) for i in range(50)}
    assert draws == {(e, i): Augmentation(0.5, 100, 5, seed=1).draw(e, i) for e, i in reversed(draws)}
    shifts = np.array([shift for shift, _ in draws.values()])
    assert set(shifts) == set(range(-100, 101, 5))
    assert abs(shifts.mean()) < 6
    assert 0.45 < np.mean([turn for _, turn in draws.values()]) < 0.55
    assert len({augmentation.draw(0, i) for i in range(50)}) > 30
    assert [augmentation.draw(0, i) for i in range(9)] != [augmentation.draw(1, i) for i in range(9)]


def test_an_integer_key_is_epoch_zero(opened) -> None:
    rows = dataset(opened, Interval("chr2", 5_000, 5_256, "+"), Augmentation(0.5, 64, 8))
    assert torch.equal(rows[0].codes, rows[Draw(0, 0)].codes)
    assert len({rows[Draw(0, epoch)].tss_bp.item() for epoch in range(20)}) > 5


@pytest.mark.parametrize(
    "settings",
    [
        {"reverse_complement": 1.5},
        {"max_shift_bp": -1},
        {"shift_multiple_bp": 0},
        {"max_shift_bp": 3, "shift_multiple_bp": 8},
    ],
)
def test_impossible_settings(settings: dict) -> None:
    with pytest.raises(ConfigError):
        Augmentation(**settings)
