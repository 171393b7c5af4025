"""BED and narrowPeak files. The arithmetic is checked in tests/oracle."""

from __future__ import annotations

import bz2
import gzip
import lzma
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


@pytest.mark.parametrize(
    "text",
    [
        "chr1\t5\t9\tNA\nNA\t7\t8\t\n",
        "chr1\t5\t9\tNA\r\nNA\t7\t8\t\r\n",
        "\ufeffchr1\t5\t9\tNA\nNA\t7\t8\t",
        "browser position chr1\ntrack name=x\n\nchr1\t5\t9\tNA\n#more\ntrack name=y\n\nNA\t7\t8\t\n",
        " chr1\t5\t9\tNA\nNA\t7\t8\t\n",
        "chr1\t5.0\t9e0\tNA\t\nNA\t7\t8\t\t\n",
    ],
)
def test_line_ends_comments_and_texts_that_look_missing(text: str, tmp_path: Path) -> None:
    frame = read_bed(write(tmp_path, text))
    assert frame.to_numpy().tolist() == [["chr1", 5, 9, "NA"], ["NA", 7, 8, ""]]


def test_spaces_quotes_and_compression_by_content(tmp_path: Path) -> None:
    assert read_bed(write(tmp_path, "chr1 5 9\nchr2   7 8\n")).to_numpy().tolist() == [["chr1", 5, 9], ["chr2", 7, 8]]
    quoted = read_bed(write(tmp_path, 'chr1\t5\t9\ta"b\nchr1\t7\t8\tc "d\n'))
    assert quoted["name"].tolist() == ['a"b', 'c "d']
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        (tmp_path / "x.bed").write_bytes(pack(b"chr1\t5\t9\n"))
        assert len(read_bed(tmp_path / "x.bed")) == 1
    (tmp_path / "x.bed.gz").write_bytes(b"chr1\t5\t9\n")  # named gzip, plain
    assert len(read_bed(tmp_path / "x.bed.gz")) == 1
    (tmp_path / "x.bb").write_bytes(b"\xeb\xf2\x89\x87\0\0")
    with pytest.raises(DataError, match="bigBedToBed"):
        read_bed(tmp_path / "x.bb")


def test_empty_file(tmp_path: Path) -> None:
    for text in ("", "# nothing\n"):
        frame = read_bed(write(tmp_path, text))
        assert list(frame) == ["chrom", "start", "end"]
        assert len(merge(frame)) == covered_bp(frame) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t10\n", "found 2 columns"),
        ("chr1 10\n", "found 2 columns"),
        ("chr1:10-20\n", "found 1 columns"),
        ("chr1\t10\t20\nchr1\tx\t30\n", r"'x' in column 'start' is not a position(.|\n)*data row 2; 1 such rows"),
        ("chr1\t10\t20\nchr1\t100.5\t300\n", "'100.5' in column 'start' is not a position"),
        ("chr1\t10\t\n", "'' in column 'end' is not a position"),
        (f"chr1\t10\t{2**62}\n", f"'{2**62}' in column 'end' is not a position"),
        ("chr1\t10\tinf\n", "'inf' in column 'end' is not a position"),
        ("chr1\t-1\t20\n", "'-1' in column 'start' is not a position"),
        ("chr1\t10\t20\nchr1\t30\t30\n", r"1 intervals are empty(.|\n)*data row 2: chr1:30-30"),
        ("chr1\t20\t10\n", "empty, negative or turned round"),
        ("chr1\t1\t10\tn\thigh\n", "'high' is not a number in column 'score'"),
        ("chr1\t1\t10\tn\tinf\n", "'inf' is not a number in column 'score'"),
        ("chr1\t1\t10\nchr1\t1\t10\tn\n", "cannot be read"),
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
