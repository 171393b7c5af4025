"""Windows of both sources against plain slicing of the FASTA text and pyBigWig, over thousands of random intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.interval import Interval
from seqexp.dna.loaders.batch import collate
from seqexp.dna.loaders.sources import FileSource
from seqexp.dna.loaders.store import StoreSource
from seqexp.dna.loaders.store_writer import prepare_store
from seqexp.dna.loaders.windows import WindowDataset

NUM_INTERVALS = 2_000
COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}
FLOAT16 = {"rtol": 2**-11, "atol": 2**-25}


@dataclass
class Plain:
    """The same data read without seqexp: chromosomes as text, bigWigs by pyBigWig."""

    text: dict[str, str]
    tracks: list

    def codes(self, w: Interval) -> list[int]:
        text = self.text[w.chrom]
        letters = [text[p].upper() if 0 <= p < len(text) else "N" for p in range(w.start, w.end)]
        if w.strand == "-":
            letters = [COMPLEMENT[letter] for letter in reversed(letters)]
        return ["ACGTN".index(letter) for letter in letters]

    def signals(self, w: Interval, bin_bp: int) -> np.ndarray:
        result = np.zeros((w.width, len(self.tracks)))
        size = len(self.text[w.chrom])
        start, end = max(w.start, 0), min(w.end, size)
        for track, handle in enumerate(self.tracks):
            if start < end:
                values = np.nan_to_num(np.array(handle.values(w.chrom, start, end)))
                result[start - w.start : end - w.start, track] = values
        means = result.reshape(w.width // bin_bp, bin_bp, -1).mean(axis=1)
        return means[::-1] if w.strand == "-" else means


@pytest.fixture(scope="module")
def plain(shared_tiny_dataset: Path) -> Plain:
    folder = shared_tiny_dataset.parent
    text: dict[str, str] = {}
    for block in (folder / "genome.fa").read_text().split(">")[1:]:
        name, _, lines = block.partition("\n")
        text[name] = lines.replace("\n", "")
    return Plain(text, [pyBigWig.open(str(folder / name)) for name in ("atac.bw", "h3k27ac.bw")])


@pytest.fixture(scope="module")
def store(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    prepare_store(load_dataset(shared_tiny_dataset), folder)
    return folder


def random_intervals(plain: Plain, bin_bp: int) -> list[Interval]:
    """A fifth each: across the left end, across the right end; a few entirely outside; the rest anywhere."""
    rng = np.random.default_rng(bin_bp)
    intervals = []
    for number in range(NUM_INTERVALS):
        chrom = str(rng.choice(list(plain.text)))
        size, width = len(plain.text[chrom]), int(rng.integers(1, 30)) * bin_bp
        start = int(rng.integers(0, size - width))
        if number % 5 == 0:
            start = int(rng.integers(-width, 1))
        elif number % 5 == 1:
            start = size - int(rng.integers(0, width + 1))
        elif number % 100 == 2:
            start = int(rng.choice([-3 * width, size + width]))
        intervals.append(Interval(chrom, start, start + width, str(rng.choice(["+", "-", "."]))))
    return intervals


def make_source(kind: str, dataset: Path, store: Path, bin_bp: int) -> FileSource | StoreSource:
    spec = load_dataset(dataset)
    if kind == "files":
        return FileSource(spec.open_reference(), spec.open_tracks(), bin_bp)
    return StoreSource(store, bin_bp=bin_bp)


@pytest.mark.parametrize("bin_bp", [1, 16])
@pytest.mark.parametrize("kind", ["files", "store"])
def test_random_windows(kind: str, bin_bp: int, plain: Plain, shared_tiny_dataset: Path, store: Path) -> None:
    source = make_source(kind, shared_tiny_dataset, store, bin_bp)
    for interval in random_intervals(plain, bin_bp):
        dataset = WindowDataset(source, [interval], np.zeros(1, dtype=int), 0, target=np.zeros((1, 1)))
        batch = dataset[0]
        assert batch.codes[0].tolist() == plain.codes(interval), interval
        expected = plain.signals(interval, bin_bp)
        tolerance = FLOAT16 if kind == "store" else {"rtol": 1e-6, "atol": 0}
        np.testing.assert_allclose(batch.signal_values()[0].numpy(), expected, err_msg=str(interval), **tolerance)


def test_whole_batches(plain: Plain, shared_tiny_dataset: Path, store: Path) -> None:
    """Rows of a batch do not disturb each other, and both sources agree row by row."""
    width = 480
    windows = [Interval(w.chrom, w.start, w.start + width, w.strand) for w in random_intervals(plain, 16)[:200]]
    sources = [make_source(kind, shared_tiny_dataset, store, 1) for kind in ("files", "store")]
    files, stored = (
        collate(WindowDataset(s, windows, np.arange(200), 0, target=np.zeros((200, 1))).__getitems__(range(200)))
        for s in sources
    )
    assert stored.signals.dtype.itemsize == 2
    np.testing.assert_array_equal(files.codes.numpy(), stored.codes.numpy())
    # Stored values are the float16 nearest to those of the file, bit for bit.
    np.testing.assert_array_equal(files.signals.numpy().astype(np.float16), stored.signals.numpy())
    one_hot = files.one_hot().numpy()
    for row, window in enumerate(windows):
        expected = np.eye(5, 4)[plain.codes(window)]
        np.testing.assert_array_equal(one_hot[row], expected)
