"""Tables of legacy Spatial Transcriptomics: whose counts are whose, and names that stay as they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqexp.core.errors import DataError
from seqexp.histology.slides.st_files import read_st

ROWS = "1x1\t1\t2\t3\n2x1\t4\t5\t6\n"
WANTED = [[1, 2, 3], [4, 5, 6]]
SPOTS = "x\ty\tpixel_x\tpixel_y\tselected\n1\t1\t10\t20\t1\n2\t1\t30\t20\t1\n"


def write(folder: Path, counts: str, spots: str = SPOTS) -> tuple[Path, Path]:
    paths = folder / "counts.tsv", folder / "spots.tsv"
    for path, text in zip(paths, (counts, spots), strict=True):
        path.write_text(text)
    return paths


@pytest.mark.parametrize(
    "header", ["\tA\tB\tC", "A\tB\tC", "spot\tA\tB\tC", "anything\tA\tB\tC", "\ufeffA\tB\tC", '""\t"A"\t"B"\t"C"']
)
def test_a_header_with_and_without_a_heading(tmp_path: Path, header: str) -> None:
    raw = read_st(*write(tmp_path, f"{header}\n{ROWS}"))
    assert raw.panel.symbols == ("A", "B", "C")
    np.testing.assert_array_equal(raw.counts.toarray(), WANTED)
    assert raw.barcodes.tolist() == ["1x1", "2x1"]
    np.testing.assert_array_equal(raw.positions["x_px"], [10, 30])


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("\tA\tB", "rows have 4 cells and the header has 3"),
        ("spot\tA\tB", "rows have 4 cells and the header has 3"),
        ("Barcode\tA\tB", "rows have 4 cells and the header has 3"),
        ("A\tB", "rows have 4 cells and the header has 2"),
        ("\tA\tB\tC\tD", "rows have 4 cells and the header has 5"),
        ("A\tB\tC\t", "column 4 has no gene above it"),
        ("\tA\t\tC", "column 3 has no gene above it"),
    ],
)
def test_a_header_that_does_not_fit_its_rows_never_shifts_genes(tmp_path: Path, header: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_st(*write(tmp_path, f"{header}\n{ROWS}"))


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("1x1\t1\t2\t3\n2x1\t4\t5\n", "line 3, gene C"),
        ("1x1\t1\t2\t3\n2x1\t4\t5\t6\t7\n", "line 3 has 5 cells"),
        ("1x1\t1\tNA\t3\n2x1\t4\t5\t6\n", "a count is not a number: 'NA'"),
        ("1x1\t1\t\t3\n2x1\t4\t5\t6\n", "a count is not a number: ''"),
        ("1x1\t1\ttwo\t3\n2x1\t4\t5\t6\n", "line 2, gene B"),
        ("1x1\tTrue\t2\t3\n2x1\tFalse\t5\t6\n", "a count is not a number: 'True'"),
        ("", "empty"),
    ],
)
def test_a_count_that_is_none_is_named(tmp_path: Path, rows: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_st(*write(tmp_path, f"\tA\tB\tC\n{rows}"))


def test_names_of_genes_stay_text_and_only_equal_ones_are_summed(tmp_path: Path) -> None:
    names = ["NA", "nan", "None", "0012", "12", "1e5", "A", "A"]
    text = "\t" + "\t".join(names) + "\n1x1\t" + "\t".join("12345678") + "\n2x1\t" + "\t".join("87654321") + "\n"
    raw = read_st(*write(tmp_path, text))
    assert raw.panel.symbols == tuple(names[:-1])
    np.testing.assert_array_equal(raw.counts.toarray()[0], [1, 2, 3, 4, 5, 6, 15])
    assert raw.report.dropped == {"genes named twice, summed": 1}


@pytest.mark.parametrize(
    ("spots", "told"),
    [
        (SPOTS.replace("2\t1\t30", "\t1\t30"), "'' in column 'x'"),
        (SPOTS.replace("2\t1\t30", "2.5\t1\t30"), "'2.5' in column 'x'"),
        (SPOTS.replace("30", "NaN"), "'NaN' in column 'pixel_x'"),
        (SPOTS.replace("30", "left"), "'left' in column 'pixel_x'"),
        (SPOTS.replace("20\t1\n2", "20\t7\n2"), "neither yes nor no: '7'"),
        (SPOTS.replace("1\t1\t10", "a\t1\t1\t10"), "line 2 has"),
        (SPOTS.replace("pixel_x", "pixel_y"), "pixel_x"),
        ("", "empty"),
    ],
)
def test_a_position_that_is_none_is_named(tmp_path: Path, spots: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_st(*write(tmp_path, f"\tA\tB\tC\n{ROWS}", spots))


def test_places_written_as_fractions_and_flags_as_words(tmp_path: Path) -> None:
    spots = SPOTS.replace("2\t1\t30", "2.0\t1.0\t30").replace("20\t1\n2", "20\tTRUE\n2")
    assert read_st(*write(tmp_path, f"\tA\tB\tC\n{ROWS}", spots)).positions["barcode"].tolist() == ["1x1", "2x1"]
