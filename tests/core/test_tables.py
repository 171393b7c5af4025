"""Text stays text in every table and every description; numbers are read where a reader asks for them."""

from __future__ import annotations

import ast
import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp import core
from seqexp.core.errors import ConfigError, DataError
from seqexp.core.tables import is_missing, numbers, parse_numbers, read_csv, read_table, whole_numbers
from seqexp.core.yaml import load_yaml
from seqexp.core.yaml_fields import name_list

NAMES = ["NA", "nan", "None", "null", "NaN", "0012", "1e5", "02", "1", "True", "1.10", "inf", "N/A", "-", ".", "1_0"]


def write(folder: Path, text: str, name: str = "t.tsv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["t.tsv", "t.csv", "t.tsv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cells_are_what_stands_in_the_file(name: str, end: str, tmp_path: Path) -> None:
    separator = "," if "csv" in name else "\t"
    text = end.join([separator.join(("gene", "value")), *(separator.join((gene, "")) for gene in NAMES)]) + end
    path = write(tmp_path, "\ufeff" + text, name)
    frame = read_table(path)
    opener = gzip.open if name.endswith("gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as handle:
        assert frame.to_numpy().tolist() == list(csv.reader(handle, delimiter=separator))[1:]
    assert not is_missing(frame["gene"]).any()
    assert is_missing(frame["value"]).all()


def test_names_in_a_table_without_header(tmp_path: Path) -> None:
    frame = read_csv(write(tmp_path, "".join(f"{name}\t1\n" for name in NAMES)), sep="\t", header=None)
    assert frame[0].tolist() == NAMES


def test_numbers_are_exact_and_know_what_is_missing(tmp_path: Path) -> None:
    cells = ["", ".", "NA", "nan", "None", "null", "N/A", "0.1", "1e-3", "123456789.12345678", "5.", "-0", "inf"]
    values = numbers(pd.DataFrame({"v": cells}), "v", "t.tsv").tolist()
    assert np.isnan(values[:7]).all()
    assert values[7:] == [float(cell) for cell in cells[7:]]


@pytest.mark.parametrize("cell", ["high", "1,5", "1_0", "0x10", "True", "1 2", "\u0661", "--5", "1e"])
def test_text_is_no_number(cell: str) -> None:
    frame = pd.DataFrame({"v": ["1", cell, "2"]})
    assert parse_numbers(frame["v"])[1].tolist() == [False, True, False]
    with pytest.raises(DataError, match=r"is not a number in column 'v'(.|\n)*t\.tsv, data row 2; 1 such rows"):
        numbers(frame, "v", "t.tsv")


@pytest.mark.parametrize("cell", ["", "NA", "100.5", str(2**62), "-4611686018427387904", "inf", "x", "1e300"])
def test_positions_are_whole_and_possible(cell: str) -> None:
    with pytest.raises(DataError, match="is not a position"):
        whole_numbers(pd.DataFrame({"start": ["1", cell]}), "start", "t.tsv")


@pytest.mark.parametrize("cell", ["1.25E+05", "1.0E+07", " -1.23E+8"])
def test_positions_that_a_spreadsheet_has_rounded(cell: str) -> None:
    with pytest.raises(DataError, match=r"is a rounded position(.|\n)*data row 2; 1 such rows(.|\n)*spreadsheet"):
        whole_numbers(pd.DataFrame({"start": ["1", cell]}), "start", "t.tsv")


def test_whole_numbers_in_other_spellings() -> None:
    frame = pd.DataFrame({"start": ["7", "1e+05", "3.0", " 8 "]})  # R writes 100000 as 1e+05
    assert whole_numbers(frame, "start", "t.tsv").tolist() == [7, 100_000, 3, 8]


def test_a_row_longer_than_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2 has 3 cells where the lines before have 2(.|\n)*as its header"):
        read_table(write(tmp_path, "TPM\tcount\nG1\t5\t6\n"))


def test_quotation_marks_swallow_no_rows(tmp_path: Path) -> None:
    """5' and 3" ends, names with inches: an open quote would take all rows up to the next one."""
    notes = ["plain", '"5 end', 'it is 3" long', '"', '""', '"quoted"', '"say ""no"""', 'end"', '"a" and "b']
    text = "gene\tnote\tTPM\n" + "".join(f"G{i}\t{note}\t{i}\n" for i, note in enumerate(notes))
    frame = read_table(write(tmp_path, text))
    assert frame["gene"].tolist() == [f"G{i}" for i in range(len(notes))]
    assert frame["TPM"].tolist() == [str(i) for i in range(len(notes))]
    assert frame["note"].tolist() == [*notes[:4], "", "quoted", 'say "no"', *notes[7:]]


@pytest.mark.parametrize("name", ["t.tsv", "t.tsv.gz", "t.csv.bgz"])
@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_packed_or_not_by_content(name: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(pack(b"gene\nA\n"))
    assert read_table(tmp_path / name)["gene"].tolist() == ["A"]


def test_tables_as_r_writes_them(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, '"gene"\t"TPM"\n"NA"\t1.5\n"G""1"\t2\n'))
    assert frame.to_dict("list") == {"gene": ["NA", 'G"1'], "TPM": ["1.5", "2"]}


def test_quotes_in_csv_protect_commas_and_never_ends_of_lines(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, 'gene,note\nA,"one, two"\nB,3" end\n', "t.csv"))
    assert frame["note"].tolist() == ["one, two", '3" end']
    with pytest.raises(DataError, match=r"a cell of row 2 goes on over several lines(.|\n)*quotation mark"):
        read_table(write(tmp_path, 'gene,note\nA,"5 end\nB,x\nC,"y\n', "t.csv"))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"# made by a counter\ngene\tTPM\nA\t1\n", "line 2 has 2 cells"),
        ("gene\tTPM\nA\t1\n".encode("utf-16"), "not UTF-8"),
        ("gene\tTPM\n\u00e9\t1\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_once_and_in_words(raw: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=told) as refusal:
        read_table(path)
    assert "\n\n" not in str(refusal.value)


def test_words_in_yaml_stay_words(tmp_path: Path) -> None:
    words = [
        "NO",
        "no",
        "on",
        "off",
        "Y",
        "02",
        "007",
        "1e5",
        "1_000",
        "12:30",
        "2024-01-02",
        "0x1F",
        "+4",
        "nan",
        "NA",
    ]
    assert load_yaml(write(tmp_path, f"a: [{', '.join(words)}]\n", "t.yaml"))["a"] == words
    kinds = load_yaml(write(tmp_path, "a: [true, FALSE, 1, -3, 0, 1.5, 2.5e-3, .inf, null, ~]\nb:\nNO: 1\n", "t.yaml"))
    assert kinds == {"a": [True, False, 1, -3, 0, 1.5, 0.0025, float("inf"), None, None], "b": None, "NO": 1}


def test_names_of_a_list_are_as_written_or_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a: [02, 1, X, NO, 'true', \"1.10\"]\nb: 02\nc: [1.10]\nd: true\ne: [[x]]\n", "t.yaml")
    content = load_yaml(path)
    assert name_list(content["a"], path, "a") == ("02", "1", "X", "NO", "true", "1.10")
    assert name_list(content["b"], path, "b") == ("02",)
    for key in "cde":
        with pytest.raises(ConfigError, match=rf"{key}: (.|\n)*t\.yaml(.|\n)*quotes"):
            name_list(content[key], path, key)


def test_no_module_lets_pandas_guess() -> None:
    """Where the one reader is not used, the words that pandas takes for missing are switched off by name."""
    root = Path(core.__file__).parent.parent
    guessing = []
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            is_reader = ast.unparse(node.func) in ("pd.read_csv", "pd.read_table", "np.loadtxt", "np.genfromtxt")
            if is_reader and not {"keep_default_na", None} & {keyword.arg for keyword in node.keywords}:
                guessing.append(f"{path.relative_to(root)}:{node.lineno}")
    assert not guessing
