"""Windows per second from file to float batch, against the usual ways. Run with ``pytest -m benchmark -s``.

Counted, the same for everybody: reading windows of random places on both strands, batching, moving between processes,
and the float32 one-hot (B, L, 4) and float32 signals (B, L, 3) per base on the device of the network, here the CPU.
Not counted: opening files, starting workers (one pass beforehand warms both up and fills the page cache).
In one process it is processor time, in which other programs on the machine do not show; with workers it is wall time.
The naive loop is written with care: numpy values from pyBigWig, one-hot by table, no Python loop over bases.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyBigWig
import pyfaidx
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.interval import Interval
from seqexp.dna.loaders.batch import collate
from seqexp.dna.loaders.sources import FileSource
from seqexp.dna.loaders.store import StoreSource
from seqexp.dna.loaders.store_writer import prepare_store
from seqexp.dna.loaders.windows import WindowDataset

pytestmark = pytest.mark.benchmark

CHROM_BP, CHROMS, TRACKS = 3_000_000, ("chr1", "chr2"), ("DHS", "H3K27ac", "ATAC")
STEP_BP = 20  # mean length of a stretch of equal signal; fold-change tracks have 10 to 40
CASES = {2_000: (512, 16), 200_000: (24, 4)}  # window bp -> windows per pass, batch size
REPEATS = 9
LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)


@dataclass(frozen=True)
class Genome:
    folder: Path
    dataset: Path

    @property
    def bigwigs(self) -> list[str]:
        return [str(self.folder / f"{name}.bw") for name in TRACKS]


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    """Two chromosomes of 3 Mb with three dense tracks, and the same as float32 one-hot and signals."""
    folder = tmp_path_factory.mktemp("bench")
    rng = np.random.default_rng(0)
    bases = {chrom: rng.integers(0, 4, CHROM_BP) for chrom in CHROMS}
    with open(folder / "genome.fa", "w") as handle:
        for chrom, codes in bases.items():
            text = LETTERS[codes].tobytes().decode()
            handle.write(f">{chrom}\n" + "\n".join(text[i : i + 60] for i in range(0, CHROM_BP, 60)) + "\n")
    one_hot = np.lib.format.open_memmap(folder / "one_hot.npy", "w+", np.float32, (len(CHROMS), CHROM_BP, 4))
    signals = np.lib.format.open_memmap(folder / "signals.npy", "w+", np.float32, (len(CHROMS), CHROM_BP, 3))
    for number, chrom in enumerate(CHROMS):
        one_hot[number] = np.eye(4, dtype=np.float32)[bases[chrom]]
    for track, name in enumerate(TRACKS):
        _write_track(folder / f"{name}.bw", signals[:, :, track], rng)
    genes = "gene_id\tchrom\ttss\tstrand\tTPM\n" + "".join(
        f"G{n}\t{CHROMS[n % 2]}\t{1000 * (n + 1)}\t+\t{n}\n" for n in range(9)
    )
    (folder / "genes.tsv").write_text(genes)
    content = {
        "name": "bench",
        "fasta": "genome.fa",
        "tracks": {name: f"{name}.bw" for name in TRACKS},
        "genes": {"path": "genes.tsv"},
        "expression": {"column": "TPM"},
        "splits": {"by": "chromosome", "train": ["chr1"], "val": ["chr2"], "test": ["chr3"]},
    }
    (folder / "dataset.yaml").write_text(json.dumps(content))  # JSON is YAML
    prepare_store(load_dataset(folder), folder / "store")
    return Genome(folder, folder / "dataset.yaml")


def _write_track(path: Path, values: np.ndarray, rng: np.random.Generator) -> None:
    handle = pyBigWig.open(str(path), "w")
    handle.addHeader([(chrom, CHROM_BP) for chrom in CHROMS])
    for number, chrom in enumerate(CHROMS):
        lengths = rng.geometric(1 / STEP_BP, CHROM_BP // STEP_BP * 2)
        edges = np.concatenate([[0], np.cumsum(lengths)])
        edges = np.append(edges[edges < CHROM_BP], CHROM_BP)
        heights = rng.gamma(0.5, 2.0, len(edges) - 1).astype(np.float32)
        values[number] = np.repeat(heights, np.diff(edges))
        starts, ends = edges[:-1].tolist(), edges[1:].tolist()
        handle.addEntries([chrom] * len(starts), starts, ends=ends, values=heights.astype(float).tolist())
    handle.close()


class Naive(Dataset):
    """What one writes first: pyfaidx, a table of one-hot rows, pyBigWig with numpy, one window at a time."""

    def __init__(self, genome: Genome, windows: list[Interval]) -> None:
        self.genome, self.windows, self.files = genome, windows, None
        self.table = np.zeros((256, 4), dtype=np.float32)
        self.table[LETTERS] = np.eye(4)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        if self.files is None:
            fasta = pyfaidx.Fasta(str(self.genome.folder / "genome.fa"), as_raw=True, sequence_always_upper=True)
            self.files = (fasta, [pyBigWig.open(path) for path in self.genome.bigwigs])
        fasta, tracks = self.files
        w = self.windows[row]
        sequence = fasta[w.chrom][w.start : w.end]
        one_hot = self.table[np.frombuffer(sequence.encode(), dtype=np.uint8)]
        values = [np.nan_to_num(track.values(w.chrom, w.start, w.end, numpy=True)) for track in tracks]
        signals = np.stack(values, axis=1)
        if w.is_reverse:
            one_hot, signals = one_hot[::-1, ::-1].copy(), signals[::-1].copy()
        return torch.from_numpy(one_hot), torch.from_numpy(signals)


class FloatMemmap(Dataset):
    """The usual limit: everything as float32 on disk."""

    def __init__(self, genome: Genome, windows: list[Interval]) -> None:
        self.genome, self.windows, self.arrays = genome, windows, None

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        if self.arrays is None:
            self.arrays = [np.load(self.genome.folder / f"{n}.npy", mmap_mode="r") for n in ("one_hot", "signals")]
        w = self.windows[row]
        parts = [array[CHROMS.index(w.chrom), w.start : w.end] for array in self.arrays]
        if w.is_reverse:
            parts = [parts[0][::-1, ::-1], parts[1][::-1]]
        return tuple(torch.from_numpy(part.copy()) for part in parts)


class GenVarLoaderBatches:
    """GenVarLoader's own loader over a dataset it wrote, its letters turned into one-hot here.

    Only timed: version 0.43.1 returns several tracks in another order than asked for when a batch has several windows.
    It brings threads of its own and stands still in forked workers, so it runs in one process in every column.
    """

    def __init__(self, genome: Genome, windows: list[Interval], batch_size: int) -> None:
        import genvarloader
        import polars

        width = windows[0].width
        path = genome.folder / f"genvarloader_{width}"
        columns = {"chrom": "chrom", "chromStart": "start", "chromEnd": "end", "strand": "strand"}
        regions = polars.DataFrame({name: [getattr(w, field) for w in windows] for name, field in columns.items()})
        tracks = [
            genvarloader.BigWigs(name, {"sample": path}) for name, path in zip(TRACKS, genome.bigwigs, strict=True)
        ]
        genvarloader.write(path, regions, tracks=tracks, overwrite=True)
        dataset = genvarloader.Dataset.open(path, reference=str(genome.folder / "genome.fa"))
        dataset = dataset.with_seqs("reference").with_tracks(list(TRACKS)).with_len(width)
        self.loader = dataset.to_dataloader(batch_size=batch_size)
        self.table = torch.zeros(256, 4)
        self.table[torch.from_numpy(LETTERS.astype(np.int64))] = torch.eye(4)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for letters, signals in self.loader:
            yield self.table[torch.from_numpy(letters.view(np.uint8)).long()], signals.transpose(1, 2).contiguous()


def _ours(source: Any, windows: list[Interval]) -> WindowDataset:
    return WindowDataset(source, windows, np.arange(len(windows)), 0, target=np.zeros((len(windows), 1)))


def _contenders(genome: Genome, windows: list[Interval]) -> dict[str, Dataset]:
    spec = load_dataset(genome.dataset)
    return {
        "pyfaidx + pyBigWig, naive": Naive(genome, windows),
        "seqexp, from the files": _ours(FileSource(spec.open_reference(), spec.open_tracks()), windows),
        "seqexp, from the store": _ours(StoreSource(genome.folder / "store"), windows),
        "float32 memmap": FloatMemmap(genome, windows),
    }


def _windows(width: int, number: int) -> list[Interval]:
    rng = np.random.default_rng(width)
    starts = rng.integers(0, CHROM_BP - width, number)
    return [Interval(CHROMS[n % 2], int(s), int(s) + width, "+-"[n // 2 % 2]) for n, s in enumerate(starts)]


def _one_pass(loader: Any) -> None:
    for batch in loader:
        if isinstance(batch, (list, tuple)):
            one_hot, signals = batch
        else:
            one_hot, signals = batch.one_hot(), batch.signal_values()
        assert one_hot.dtype == signals.dtype == torch.float32


def _seconds(run: Callable[[], None], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start


def _rates(genome: Genome, width: int, num_workers: int) -> dict[str, float]:
    """Windows per second, best of several passes taken in turn so that a busy machine is busy for all."""
    number, batch_size = CASES[width]
    windows = _windows(width, number)
    loaders: dict[str, Any] = {}
    for name, dataset in _contenders(genome, windows).items():
        function = collate if isinstance(dataset, WindowDataset) else None
        loaders[name] = DataLoader(
            dataset, batch_size, num_workers=num_workers, collate_fn=function, persistent_workers=num_workers > 0
        )
    return _timed(loaders, number, num_workers)


def _rates_of_genvarloader(genome: Genome, width: int, num_workers: int) -> float:
    """Its own turn, after all others: once it is imported, numpy and torch are a quarter slower in the same process."""
    number, batch_size = CASES[width]
    loader = GenVarLoaderBatches(genome, _windows(width, number), batch_size)
    return _timed({"GenVarLoader": loader}, number, num_workers)["GenVarLoader"]


def _timed(loaders: dict[str, Any], number: int, num_workers: int) -> dict[str, float]:
    for loader in loaders.values():
        _one_pass(loader)
    clock = time.perf_counter if num_workers else time.process_time
    times: dict[str, list[float]] = {name: [] for name in loaders}
    for _ in range(REPEATS):
        for name, loader in loaders.items():
            times[name].append(_seconds(partial(_one_pass, loader), clock))
    return {name: number / min(values) for name, values in times.items()}


def test_windows_agree(genome: Genome) -> None:
    """A race counts only if everybody delivers the same thing."""
    windows = _windows(2_000, 32)
    batches = {}
    for name, dataset in _contenders(genome, windows).items():
        function = collate if isinstance(dataset, WindowDataset) else None
        batch = next(iter(DataLoader(dataset, 32, collate_fn=function)))
        batches[name] = batch if isinstance(batch, (list, tuple)) else (batch.one_hot(), batch.signal_values())
    first = batches.pop("pyfaidx + pyBigWig, naive")
    for name, (one_hot, signals) in batches.items():
        assert torch.equal(one_hot, first[0]), name
        assert torch.allclose(signals, first[1], rtol=2**-11, atol=2**-25), name


def test_windows_per_second(genome: Genome) -> None:
    torch.set_num_threads(1)
    table = {(width, workers): _rates(genome, width, workers) for width in CASES for workers in (0, 2)}
    columns = list(table)
    if importlib.util.find_spec("genvarloader") is not None:
        for column in columns:
            table[column]["GenVarLoader"] = _rates_of_genvarloader(genome, *column)
    print(f"\nwindows per second (times the naive loop of the same column), {len(TRACKS)} tracks, per-base float32")
    print(f"{'':28}" + "".join(f"{f'{width // 1000} kb, {workers} workers':>24}" for width, workers in columns))
    for name in table[columns[0]]:
        cells = ((table[c][name], table[c][name] / table[c]["pyfaidx + pyBigWig, naive"]) for c in columns)
        print(f"{name:28}" + "".join(f"{f'{rate:.1f} ({ratio:.2f}x)':>24}" for rate, ratio in cells))
    if importlib.util.find_spec("genvarloader") is None:
        print("GenVarLoader is not installed here: not timed")
    ratio = {c: {n: r / table[c]["pyfaidx + pyBigWig, naive"] for n, r in table[c].items()} for c in columns}
    for column in columns:
        least = 0.9 if column[1] else 1.0  # wall time with workers is noisy
        assert ratio[column]["seqexp, from the files"] >= least, column
    assert ratio[200_000, 0]["seqexp, from the store"] >= 6
    assert ratio[200_000, 2]["seqexp, from the store"] >= 2.5
