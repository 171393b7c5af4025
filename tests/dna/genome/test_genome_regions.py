"""BED and narrowPeak files. The arithmetic is checked in tests/oracle."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from seqexp.core.errors import DataError
from seqexp.dna.genome.regions import IntervalIndex, covered_bp, merge, read_bed, read_intervals

PEAK = "chr1\t10\t50\tpeak_1\t53\t.\t2.9\t5.3\t3.3\t12\n"


def write(folder: Path, text: str, name: str = "x.bed") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("num_columns", [3, 4, 5, 6, 8])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bed(num_columns: int, suffix: str, tmp_path: Path) -> None:
    line = "\t".join(["1", "10", "50", "name#1", "7.5", "-", "10", "50"][:num_columns])
    frame = read_bed(write(tmp_path, f"# made by hand\ntrack name=x\n\n{line}\n{line}\n", "x.bed" + suffix))
    names = ["chrom", "start", "end", "name", "score", "strand", "column_7", "column_8"]
    assert list(frame) == names[:num_columns]
    assert frame[["chrom", "start", "end"]].to_numpy().tolist() == [["1", 10, 50]] * 2
    if num_columns > 5:
        assert frame.loc[0, ["name", "score", "strand"]].tolist() == ["name#1", 7.5, "-"]


def test_narrow_peak(tmp_path: Path) -> None:
    frame = read_bed(write(tmp_path, PEAK, "x.narrowPeak.gz"))
    assert frame.loc[0, ["signal_value", "p_value", "q_value", "summit_bp"]].tolist() == [2.9, 5.3, 3.3, 12]


def test_empty_file(tmp_path: Path) -> None:
    for text in ("", "# nothing\n"):
        frame = read_bed(write(tmp_path, text))
        assert list(frame) == ["chrom", "start", "end"]
        assert len(merge(frame)) == covered_bp(frame) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t10\n", "found 2 columns"),
        ("chr1 10 20\n", "found 1 columns"),
        ("chr1\t10\t20\nchr1\tx\t30\n", r"'x' in column 'start' is not a position(.|\n)*data row 2"),
        ("chr1\t10\t20\nchr1\t30\t30\n", r"1 intervals are empty(.|\n)*data row 2: chr1:30-30"),
        ("chr1\t-1\t20\n", "empty, negative or turned round"),
        ("chr1\t20\t10\n", "empty, negative or turned round"),
        ("chr1\t1\t10\tn\thigh\n", "'high' is not a number in column 'score'"),
    ],
)
def test_wrong_beds(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_bed(write(tmp_path, text))


def test_damaged_and_missing(tmp_path: Path) -> None:
    path = write(tmp_path, PEAK * 5_000, "x.narrowPeak.gz")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="cannot be read"):
        read_bed(path)
    with pytest.raises(DataError, match="no such file"):
        read_bed(tmp_path / "none.bed")


def test_table_of_intervals(tmp_path: Path) -> None:
    path = write(tmp_path, "chrom\tstart\tend\teffect\n1\t5\t9\t-0.5\n", "truth.tsv")
    assert read_intervals(path).to_numpy().tolist() == [["1", 5, 9, "-0.5"]]
    assert len(read_intervals(write(tmp_path, PEAK, "x.narrowPeak"))) == 1
    with pytest.raises(DataError, match="no column 'end'"):
        read_intervals(write(tmp_path, "chrom\tstart\n1\t5\n", "truth.tsv"))
    with pytest.raises(DataError, match="'a' in column 'end'"):
        read_intervals(write(tmp_path, "chrom\tstart\tend\n1\t5\ta\n", "truth.tsv"))


def test_index_translates_names() -> None:
    frame = pd.DataFrame({"chrom": ["1", "1", "GL1"], "start": [5, 9, 0], "end": [9, 12, 4]})
    index = IntervalIndex(frame, ["chr1", "chr2"])
    assert {chrom: (s.tolist(), e.tolist()) for chrom, (s, e) in index.merged.items()} == {
        "chr1": ([5], [12]),
        "GL1": ([0], [4]),
    }
