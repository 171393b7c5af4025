"""Contacts as the last signal: the gene's own TSS under shifts and turns, from files and from the store."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.loaders.augment import move_window
from seqexp.dna.loaders.data import SequenceData
from seqexp.dna.loaders.windows import tss_of
from seqexp.loading.sampling import Draw

BIN_BP, CHROM_BP = 500, 40_000
CHROMS = tuple(f"chr{n}" for n in range(1, 7))


def counts(chrom: str) -> np.ndarray:
    """Symmetric counts (K, K) of a chromosome, every pair within 12 bins."""
    num_bins = CHROM_BP // BIN_BP
    rng = np.random.default_rng(int(chrom[3:]))
    full = np.tril(np.triu(rng.integers(1, 50, (num_bins, num_bins)).astype(float)), 12)
    return np.maximum(full, full.T)


@pytest.fixture
def dataset(tiny_dataset: Path) -> Path:
    for chrom in CHROMS:
        matrix = np.triu(counts(chrom))
        text = "".join(f"{i * BIN_BP}\t{j * BIN_BP}\t{matrix[i, j]}\n" for i, j in zip(*np.nonzero(matrix)))
        (tiny_dataset.parent / f"{chrom}.gz").write_bytes(gzip.compress(text.encode()))
    named = ", ".join(f"{chrom}: {chrom}.gz" for chrom in CHROMS)
    with open(tiny_dataset, "a") as handle:
        handle.write(f"contacts: {{paths: {{{named}}}, bin_bp: {BIN_BP}, normalise: none}}\n")
    return tiny_dataset


def ready(dataset: Path, **settings: object) -> SequenceData:
    data = SequenceData(
        dataset, **{"upstream_bp": 2_000, "downstream_bp": 2_000, "signal_bin_bp": 16, "contacts": True, **settings}
    )
    data.setup()
    return data


def expected(data: SequenceData, index: int, first_bp: int, is_turned: bool, bin_bp: int = 16) -> np.ndarray:
    """Contacts with the gene's TSS, base by base from ``first_bp`` before or behind it in gene orientation."""
    gene = data.genes.frame.iloc[index]
    step = 1 if gene["strand"] == "+" else -1
    row = counts(gene["chrom"])[gene["tss"] // BIN_BP]
    bases = [gene["tss"] + step * (first_bp + number) for number in range(data.window_bp)]
    levels = [np.log10(1 + row[base // BIN_BP]) if 0 <= base < CHROM_BP else 0.0 for base in bases]
    return np.array(levels[::-1] if is_turned else levels).reshape(-1, bin_bp).mean(axis=1)


def test_the_contact_is_the_last_signal(dataset: Path) -> None:
    data = ready(dataset)
    plain = ready(dataset, contacts=False)
    assert data.statistics.track_names == ("ATAC", "H3K27ac", "contact")
    assert plain.statistics.track_names == ("ATAC", "H3K27ac")
    assert data.statistics.signal_quantiles.shape == (3, len(data.statistics.levels))
    np.testing.assert_array_equal(data.statistics.signal_quantiles[:2], plain.statistics.signal_quantiles)
    assert data.statistics.signal_quantiles[2, -1] > 1
    for batch, without in zip(data.predict_dataloader(), plain.predict_dataloader(), strict=True):
        assert batch.signals.shape == (len(batch), 250, 3)
        assert torch.equal(batch.signals[..., :2], without.signals)
        for row, index in enumerate(batch.index.tolist()):  # chr1 to chr6, windows beyond both ends among them
            wanted = expected(data, index, -2_000, False)
            np.testing.assert_allclose(batch.signals[row, :, 2].numpy(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("source", ["files", "store"])
def test_shifted_and_turned_windows_keep_the_tss_of_the_gene(dataset: Path, source: str) -> None:
    data = ready(dataset, source=source, reverse_complement=0.5, max_shift_bp=640, shift_multiple_bp=4)
    rows = data.dataset("train", is_augmented=True)
    seen = set()
    for row in range(len(rows)):
        for epoch in range(3):
            batch = rows[Draw(row, epoch)]
            index, is_turned = int(batch.index[0]), bool(batch.is_reversed[0])
            offset = int(batch.tss_bp[0])
            first_bp = -(data.window_bp - 1 - offset if is_turned else offset)
            wanted = expected(data, index, first_bp, is_turned)
            np.testing.assert_allclose(batch.signals[0, :, 2].numpy(), wanted, rtol=1e-5, atol=1e-6)
            seen.add((first_bp, is_turned))
    assert len(seen) > 50


def test_the_tss_is_found_to_the_base(shared_tiny_dataset: Path) -> None:
    """Contact bins are too wide to show an error of one base."""
    data = ready(shared_tiny_dataset, contacts=False)
    for index, tss in enumerate(data.genes.frame["tss"]):
        for shift_bp in (-3, 0, 200):
            for is_turned in (False, True):
                assert tss_of(*move_window(data.interval(index), data.upstream_bp, shift_bp, is_turned)) == tss


@pytest.mark.parametrize("bin_bp", [1, 16])
def test_the_store_serves_the_same(dataset: Path, bin_bp: int) -> None:
    stored, files = (ready(dataset, source=source, signal_bin_bp=bin_bp) for source in ("store", "files"))
    for first, second in zip(stored.test_dataloader(), files.test_dataloader(), strict=True):
        torch.testing.assert_close(first.signal_values(), second.signal_values(), rtol=2**-11, atol=2**-25)
    alone = ready(dataset, source="store", tracks=[], signal_bin_bp=bin_bp)
    assert alone.statistics.track_names == ("contact",)
    assert next(iter(alone.test_dataloader())).signals.shape == (10, 4_000 // bin_bp, 1)


def test_workers_read_the_same(dataset: Path) -> None:
    alone, helped = (ready(dataset, num_workers=workers) for workers in (0, 1))
    for first, second in zip(alone.val_dataloader(), helped.val_dataloader(), strict=True):
        assert torch.equal(first.signals, second.signals)


def test_datasets_that_cannot_give_contacts(shared_tiny_dataset: Path, dataset: Path) -> None:
    with pytest.raises(ConfigError, match=r"the dataset has no contacts(.|\n)*contacts: false"):
        ready(shared_tiny_dataset)
    text = dataset.read_text()
    dataset.write_text(text.replace("chr3: chr3.gz, ", ""))
    with pytest.raises(DataError, match="no contacts of chr3"):
        ready(dataset)
    # Chromosomes without a gene in a split need none.
    dataset.write_text(text.replace("chr3: chr3.gz, ", "").replace("train: rest", "train: [chr1, chr2, chr4]"))
    assert len(ready(dataset).dataset("predict")) == 50
    dataset.write_text(text.replace("H3K27ac: h3k27ac.bw", "contact: h3k27ac.bw"))
    with pytest.raises(ConfigError, match="a track is named contact"):
        ready(dataset)
    assert len(ready(dataset, contacts=False).statistics.track_names) == 2
