"""Reading text tables, plain or gzip: every cell is text until a reader asks for the numbers of a column.

A library that guesses the kind of a column turns the gene ``NA`` into a missing value, ``0012`` into 12 and ``1e5``
into 100000. Here nothing is guessed: :func:`read_table` and :func:`read_csv` give text as it stands (an empty cell is
``""``), :func:`numbers` and :func:`whole_numbers` turn a column into numbers and know what a missing number looks like,
and :func:`is_missing` finds empty names. Every table of both wings is read through this module.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError

MAX_POSITION_BP = 2**40  # no chromosome comes near; beyond it sums of positions would overflow or lose bases

_ROUNDED = re.compile(r"^\s*-?\d\.\d+E\+?\d+\s*$")  # as Excel saves 124931; R writes 1e+05, and exact numbers alone
_UNREADABLE = (pd.errors.ParserError, UnicodeDecodeError, OSError, EOFError, zlib.error, ValueError)
_NO_NUMBER = frozenset(("", ".", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "none", "null"))  # in lower case


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """``pandas.read_csv`` that gives text (``dtype`` names columns of numbers) and whose failures are DataErrors.

    A file without content gives an empty table; an empty cell, and one that a short row lacks, is ``""``. Between tabs
    a quotation mark is a letter like others, because an open one would swallow rows up to the next; cells that are
    quoted as a whole, as R writes them, lose theirs. In ``.csv`` quotes protect commas, never ends of lines.
    """
    is_tabbed = options.get("sep") == "\t"
    quoting = csv.QUOTE_NONE if is_tabbed else csv.QUOTE_MINIMAL
    given: dict[str, Any] = {"dtype": str, "keep_default_na": False, "quoting": quoting, **options}
    try:
        frame: pd.DataFrame = pd.read_csv(path, **{"compression": _compression(path), **given})
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, fix="check the path") from error
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    for column in frame.columns[[pd.api.types.is_string_dtype(kind) for kind in frame.dtypes]]:
        frame[column] = _without_quotes(frame[column]) if is_tabbed else _one_line(frame[column], path)
    return frame


def _compression(path: Path) -> str | None:
    """By content, where the name says otherwise: downloads are often unpacked, or packed, under the old name."""
    with open(path, "rb") as probe:
        if probe.read(2) == b"\x1f\x8b":
            return "gzip"
    return None if path.name.lower().endswith((".gz", ".bgz")) else "infer"


def _unreadable(path: Path, error: Exception) -> DataError:
    ragged = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if ragged:
        return DataError(
            f"line {ragged[2]} has {ragged[3]} cells where the lines before have {ragged[1]}",
            where=path,
            expected="a text table, its rows as long as its header: commas between cells in .csv, tabs in other files",
            fix="remove lines above the header; give a column of row names (R writes none) a name; a point in decimals",
        )
    if isinstance(error, UnicodeDecodeError):
        return DataError(
            f"the table is not UTF-8: {error.reason} at byte {error.start}",
            where=path,
            expected="text in UTF-8",
            fix="save it again as UTF-8 (Excel: CSV UTF-8), or convert it with iconv -t utf-8",
        )
    return DataError(
        f"the table cannot be read: {str(error).strip()}",
        where=path,
        expected="a complete text table, its rows as long as its header",
    )


def _without_quotes(cells: pd.Series) -> pd.Series:
    """Cells, those quoted as a whole without their quotes."""
    is_quoted = (cells.str.len() > 1) & cells.str.startswith('"', na=False) & cells.str.endswith('"', na=False)
    if not is_quoted.any():
        return cells
    return cells.where(~is_quoted, cells.str[1:-1].str.replace('""', '"', regex=False))


def _one_line(cells: pd.Series, path: Path) -> pd.Series:
    is_long = cells.str.contains("[\r\n]", regex=True, na=False).to_numpy()
    if is_long.any():
        row = int(np.argmax(is_long))
        raise DataError(
            f"a cell of row {row + 1} goes on over several lines: {cells.iloc[row][:40]!r}",
            where=path,
            expected="every row on a line of its own",
            fix="close the quotation mark that is left open, or take the line break out of the cell",
        )
    return cells


def read_table(path: str | Path, separator: str | None = None) -> pd.DataFrame:
    """Table with a header line, all cells as text; commas in ``.csv`` and tabs otherwise, unless told.

    Raises
    ------
    DataError
        The file is missing, damaged, empty, names a column twice, or has rows longer than its header.
    """
    path = Path(path)
    if separator is None:
        separator = "," if path.name.lower().removesuffix(".gz").endswith(".csv") else "\t"
    # The header is read as a row: pandas would take a row longer than it for one with a name in front, and move every
    # value under its neighbour's name.
    rows = read_csv(path, sep=separator, header=None)
    header = [str(name) for name in rows.iloc[0]] if len(rows) else []
    if not header:
        raise DataError("the table is empty", where=path, expected="a header line and rows")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"columns named twice: {', '.join(twice)}", where=path, expected="one column per name")
    return rows.iloc[1:].reset_index(drop=True).set_axis(header, axis="columns")


def is_missing(values: pd.Series) -> NDArray[np.bool_]:
    """Which names of a column are empty (n,); ``NA`` and ``nan`` are names like others."""
    return (values.isna() | (values.astype(str).str.strip() == "")).to_numpy()


def parse_numbers(values: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    """Numbers of a column of text as float64, and which cells are neither a number nor missing (n,).

    Missing are the empty cell, ``.``, ``NA``, ``N/A``, ``NaN``, ``None`` and ``null`` in any case, given as NaN.
    """
    if pd.api.types.is_numeric_dtype(values):
        return values.astype(np.float64), np.zeros(len(values), dtype=bool)
    cells = values.astype(str).str.strip()
    is_absent = (values.isna() | cells.str.lower().isin(_NO_NUMBER)).to_numpy()
    is_number = pd.to_numeric(cells, errors="coerce").notna().to_numpy() & ~is_absent
    found = np.full(len(cells), np.nan)
    found[is_number] = cells.to_numpy()[is_number].astype(np.float64)  # pandas' own parser is off by a last digit
    return pd.Series(found, index=values.index), ~is_number & ~is_absent


def numbers(frame: pd.DataFrame, column: str, path: str | Path) -> pd.Series:
    """A column as float64, NaN where the number is missing.

    Raises
    ------
    DataError
        A cell holds something that is no number.
    """
    values, is_bad = parse_numbers(frame[column])
    found, expected = f"is not a number in column {column!r}", "numbers; empty or NA where unknown"
    refuse_cells(frame[column], is_bad, path, found=found, expected=expected)
    return values


def refuse_cells(
    cells: pd.Series, is_bad: NDArray[np.bool_], path: str | Path, *, found: str, expected: str, fix: str | None = None
) -> None:
    """Name the first bad cell of a column, its row, and how many there are.

    Raises
    ------
    DataError
        There is a bad cell.
    """
    if not is_bad.any():
        return
    row = int(np.argmax(is_bad))
    raise DataError(
        f"{cells.iloc[row]!r} {found}",
        where=f"{path}, data row {row + 1}; {int(is_bad.sum())} such rows",
        expected=expected,
        fix=fix,
    )


def count_header_lines(path: Path, marks: tuple[str, ...] = ("#",)) -> int:
    """Leading lines that are blank or start with one of ``marks``."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    count = 0
    try:
        with opener(path, "rt") as handle:
            for line in handle:
                if line.strip() and not line.startswith(marks):
                    break
                count += 1
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, fix="check the path") from error
    except _UNREADABLE as error:
        raise DataError(f"the file cannot be read: {error}", where=path, expected="a complete text file") from error
    return count


def require_column(frame: pd.DataFrame, column: str, path: str | Path, key: str) -> None:
    """Check that a column is there.

    Raises
    ------
    DataError
        It is not; the message lists the columns there are, the most similar first, and names the setting ``key``.
    """
    if column in frame.columns:
        return
    available = [str(name) for name in frame.columns]
    near = get_close_matches(column, available, n=3, cutoff=0.5)
    raise DataError(
        f"no column {column!r}",
        where=path,
        expected="one of: " + ", ".join(near + [name for name in available if name not in near]),
        fix=f"set {key} in dataset.yaml to a column that exists" + (f" (did you mean {near[0]}?)" if near else ""),
    )


def whole_numbers(frame: pd.DataFrame, column: str | int, path: str | Path) -> pd.Series:
    """A column of positions as int64.

    Raises
    ------
    DataError
        A cell is empty, no whole number, beyond ``MAX_POSITION_BP``, or rounded by a spreadsheet.
    """
    refuse_cells(
        frame[column],
        frame[column].astype(str).str.match(_ROUNDED).to_numpy(),
        path,
        found=f"in column {column!r} is a rounded position",
        expected="every digit of a position",
        fix="a spreadsheet shows and saves large numbers so; export the table again from its source",
    )
    values, _ = parse_numbers(frame[column])
    is_bad = ~(values.abs() <= MAX_POSITION_BP).to_numpy() | (values % 1 != 0).to_numpy()
    expected = f"whole numbers up to {MAX_POSITION_BP} in every row"
    refuse_cells(frame[column], is_bad, path, found=f"in column {column!r} is not a position", expected=expected)
    return values.astype(np.int64)
