"""Windows of a FASTA against plain slicing of the text it was written from."""

from __future__ import annotations

import numpy as np
import pytest
from Bio import bgzf

from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import Reference

LETTERS = "ACGTacgtNnRYSWKMBDHVryswkmbdhv"
WEIGHTS = np.array([20] * 4 + [8] * 4 + [4, 4] + [0.5] * (len(LETTERS) - 10))
PAIRS = {"A": "T", "C": "G", "G": "C", "T": "A", "R": "Y", "Y": "R", "K": "M", "M": "K"}
PAIRS |= {"B": "V", "V": "B", "D": "H", "H": "D"}
# 59, 60, 61: one line less a base, one line, one line and a base; 130,000 spans three bgzip blocks.
SIZES = {"chr1": 130_000, "chr2": 59, "chr3": 60, "chr4": 61, "chrX": 7_321, "chrM": 1}
KINDS = ("plain", "bgzip", "windows_line_ends")
CODES = {letter: code for code, letter in enumerate("ACGT")}


@pytest.fixture(scope="module")
def genome() -> dict[str, str]:
    rng = np.random.default_rng(7)
    weights = WEIGHTS / WEIGHTS.sum()
    return {chrom: "".join(rng.choice(list(LETTERS), size, p=weights)) for chrom, size in SIZES.items()}


@pytest.fixture(scope="module")
def references(genome: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    folder = tmp_path_factory.mktemp("fasta")
    end = {"plain": "\n", "bgzip": "\n", "windows_line_ends": "\r\n"}
    found = {}
    for kind in KINDS:
        lines = []
        for chrom, text in genome.items():
            lines += [f">{chrom} some description", *(text[i : i + 60] for i in range(0, len(text), 60))]
        content = (end[kind].join(lines) + end[kind]).encode()
        path = folder / f"{kind}.fa{'.gz' if kind == 'bgzip' else ''}"
        if kind == "bgzip":
            with bgzf.BgzfWriter(str(path), "wb") as handle:
                handle.write(content)
        else:
            path.write_bytes(content)
        found[kind] = Reference(path)
    return found


def sliced(genome: dict[str, str], interval: Interval) -> str:
    """The independent answer: pad the whole chromosome with N, slice, complement letter by letter."""
    pad = 2_000
    text = "N" * pad + genome[interval.chrom].upper() + "N" * pad
    low = min(max(interval.start + pad, 0), len(text))
    text = text[low : max(interval.end + pad, low)]
    text = "N" * max(0, -interval.start - pad) + text
    text = (text + "N" * interval.width)[: interval.width]
    if interval.strand == "-":
        text = "".join(PAIRS.get(letter, letter) for letter in reversed(text))
    return text


def random_intervals(rng: np.random.Generator, number: int) -> list[Interval]:
    """Both strands, all chromosomes, many across an end and some wholly outside."""
    found = []
    for _ in range(number):
        chrom = str(rng.choice(list(SIZES), p=[0.6, 0.08, 0.08, 0.08, 0.11, 0.05]))
        width = int(rng.choice([0, 1, 2, 59, 60, 61, 500, int(rng.integers(1, 3_000))]))
        anchor = rng.integers(4)
        centre = [0, SIZES[chrom], int(rng.integers(SIZES[chrom] + 1)), int(rng.integers(SIZES[chrom] + 1))][anchor]
        start = centre - int(rng.integers(-100, width + 100))
        found.append(Interval(chrom, start, start + width, str(rng.choice(["+", "-", "."]))))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_sequence_and_codes_equal_slicing(kind: str, genome: dict[str, str], references: dict[str, Reference]) -> None:
    reference = references[kind]
    assert reference.chrom_sizes == SIZES
    for interval in random_intervals(np.random.default_rng(11), 4_000):
        expected = sliced(genome, interval)
        assert reference.sequence(interval) == expected, interval
        codes = reference.codes(interval)
        assert codes.dtype == np.uint8
        assert codes.flags.writeable
        assert codes.tolist() == [CODES.get(letter, 4) for letter in expected], interval


@pytest.mark.parametrize("kind", ["plain", "bgzip"])
def test_whole_chromosome_and_long_window(kind: str, genome: dict[str, str], references: dict[str, Reference]) -> None:
    interval = Interval("chr1", -70_000, 200_000, "-")
    padded = "N" * 70_000 + genome["chr1"].upper() + "N" * 70_000
    expected = "".join(PAIRS.get(letter, letter) for letter in reversed(padded))
    assert references[kind].sequence(interval) == expected
