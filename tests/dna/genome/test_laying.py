"""Where windows are laid, against arithmetic by hand, and sequences in memory against the same in a FASTA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.core.errors import DataError
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.laying import lay_on_intervals, lay_on_records
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.sequences import Sequences

AROUND = (6, 4)  # TSS at offset 6 of windows of 10 bp


@pytest.fixture
def reference(tmp_path: Path) -> Reference:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ACGTacgtNRY"), 60)) for _ in range(2)]
    (tmp_path / "g.fa").write_text("".join(f">chr{n}\n{text}\n" for n, text in enumerate(texts, start=1)))
    return Reference(tmp_path / "g.fa")


def laid(reference: Reference, *rows: tuple, names: bool = False) -> list[tuple[int, int]]:
    columns = ["chrom", "start", "end", "strand", "name"][: len(rows[0])]
    frame = lay_on_intervals(pd.DataFrame(list(rows), columns=columns), "t.bed", reference, AROUND).frame
    return frame["id"].tolist() if names else list(zip(frame["start"], frame["end"]))


def test_anchors(reference: Reference) -> None:
    # forward: base 20 at offset 6; reverse: base 24 is the first along the strand, and 6 bases lie before it, above
    assert laid(reference, ("1", 20, 25, "+"), ("1", 20, 25, "-")) == [(14, 24), (21, 31)]
    # without strand base 22 of 20..24 and base 22 of 20..23 are the centres
    assert laid(reference, ("1", 20, 25), ("1", 20, 24)) == [(16, 26), (16, 26)]
    # as long as the window: itself, on either strand, also where it begins before the chromosome
    assert laid(reference, ("1", 20, 30, "+"), ("1", 20, 30, "-"), ("1", -4, 6, "+")) == [(20, 30), (20, 30), (-4, 6)]


def test_ids_are_told_apart(reference: Reference) -> None:
    rows = [("1", 1, 2, "+", name) for name in ("a", "a", "a_2", ".", "", "a_2")]
    assert laid(reference, *rows, names=True) == ["a", "a_2", "a_2_2", "chr1:1-2:+", "chr1:1-2:+_2", "a_2_3"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("1", 5, 5), "1 of 1 intervals have no base"),
        (("1", -2, 6), "bases beyond the end of their chromosome"),
        (("1", 55, 61), "bases beyond the end of their chromosome"),
        (("1", 60, 70), "bases beyond the end of their chromosome"),
        (("9", 5, 6), "no chromosome name of t.bed occurs in g.fa"),
    ],
)
def test_intervals_that_have_no_place(reference: Reference, row: tuple, message: str) -> None:
    with pytest.raises(DataError, match=message):
        laid(reference, row)


def test_records_are_cut_and_filled() -> None:
    sizes = {"whole": 10, "long": 15, "short": 7}
    frame = lay_on_records(sizes, "s.fa", AROUND).frame
    assert list(zip(frame["start"], frame["end"])) == [(0, 10), (2, 12), (-2, 8)]
    at = lay_on_records(sizes, "s.fa", AROUND, 5)
    assert at.frame["start"].tolist() == [-1, -1, -1]
    assert len(at.notes) == 2
    with pytest.raises(DataError, match="1 of 3 sequences have no base 8"):
        lay_on_records(sizes, "s.fa", AROUND, 8)
    with pytest.raises(DataError, match="1 of 1 sequences have no base"):
        lay_on_records({"empty": 0}, "s.fa", AROUND)


def test_text_in_memory_reads_as_a_fasta_does(reference: Reference) -> None:
    whole = {name: reference.sequence(Interval(name, 0, size)) for name, size in reference.chrom_sizes.items()}
    texts = Sequences(whole)
    assert texts.chrom_sizes == reference.chrom_sizes
    for start, end in ((0, 60), (-5, 7), (50, 71), (70, 80), (-20, -10)):
        for strand in "+-.":
            interval = Interval("chr2", start, end, strand)
            assert np.array_equal(texts.codes(interval), reference.codes(interval)), interval
    with pytest.raises(DataError, match="'U' in sequence rna stands for no base"):
        Sequences({"rna": "ACGU"})
