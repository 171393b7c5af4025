"""Whoever has looked at a dataset leaves none of its files open."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from seqexp.core.errors import DataError
from seqexp.dna.genome.bigwig import BigWig
from seqexp.dna.genome.check import check_dataset
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.opening import open_files


def look(path: Path) -> None:
    check_dataset(load_dataset(path), 300, 300)


def open_and_read(path: Path) -> None:
    reference, tracks, genes = open_files(load_dataset(path))
    reference.codes(genes.window(0, 100, 100))
    tracks.values(genes.window(0, 100, 100))


def ask_for_the_chromosomes(path: Path) -> None:
    spec = load_dataset(path)
    chrom = next(iter(spec.open_reference().chrom_sizes))
    assert spec.open_reference().codes(Interval(chrom, 0, 5, "+")).size == 5


def meet_damage(path: Path) -> None:
    track = next(iter(load_dataset(path).tracks.values()))
    content = track.read_bytes()
    for damaged in (content[:-4], content[:8] + bytes([255] * 56) + content[64:]):
        track.write_bytes(damaged)
        with pytest.raises(DataError):
            BigWig(track)


@pytest.mark.parametrize("use", [look, open_and_read, ask_for_the_chromosomes, meet_damage])
def test_no_file_stays_open(use: Callable[[Path], None], tiny_dataset: Path) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        use(tiny_dataset)
        gc.collect()
    assert not [str(warning.message) for warning in seen if "tiny" in str(warning.message)]
