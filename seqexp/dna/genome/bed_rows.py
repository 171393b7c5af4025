"""Rows of text files of intervals: BED and its kin, whatever their compression, line ends, comments and separators."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.tables import refuse_cells

MAX_BP = 1 << 36  # the longest chromosomes known have some 5e9 bp
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_BIGBED = (b"\xeb\xf2\x89\x87", b"\x87\x89\xf2\xeb")
_NO_NUMBER = ("", ".", "nan", "na")
_READING = (OSError, EOFError, UnicodeDecodeError, zlib.error, lzma.LZMAError, pd.errors.ParserError)


def read_rows(path: Path, header: Iterable[str] = ()) -> pd.DataFrame:
    """Cells of a text file as text, without comments, ``track`` and ``browser`` lines wherever they stand.

    Parameters
    ----------
    path : Path
        Plain, gzip, bzip2 or xz by its content. Columns are separated by tabs, or by spaces where the first row of
        data has no tab.
    header : iterable of str
        Names, in lower case, of which the second and third cell of a header line may be; such a line names the columns.

    Returns
    -------
    DataFrame
        Numbered columns, or named ones below a header line; an empty cell is ``""``. Empty for a file without data.

    Raises
    ------
    DataError
        The file is missing, damaged, no text, or its rows differ in their number of cells.
    """
    try:
        with _open(path) as raw:
            if raw.read(4) in _BIGBED:
                raise DataError("this is a bigBed", where=path, expected="a text file", fix="bigBedToBed IN OUT")
            raw.seek(0)
            with io.TextIOWrapper(raw, encoding="utf-8-sig", newline=None) as handle:
                return _parsed(handle, frozenset(header))
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, fix="check the path") from error
    except _READING as error:
        raise DataError(f"the file cannot be read: {error}", where=path, expected="a complete text file") from error


def whole_positions(rows: pd.DataFrame, column: str, path: Path, *, least: int = 0) -> pd.Series:
    """A column of text as int64.

    Raises
    ------
    DataError
        A cell is no whole number from ``least`` to :data:`MAX_BP`.
    """
    values = pd.to_numeric(rows[column], errors="coerce")
    is_bad = (~(values >= least) | (values % 1 != 0) | (values > MAX_BP)).to_numpy()
    expected = f"whole numbers from {least}, such as 100, up to the length of a chromosome"
    refuse_cells(rows[column], is_bad, path, found=f"in column {column!r} is not a position", expected=expected)
    return values.astype(np.int64)


def finite_numbers(rows: pd.DataFrame, column: str, path: Path) -> pd.Series:
    """A column of text as float64, NaN where it is empty, a dot, nan or NA.

    Raises
    ------
    DataError
        A cell is no finite number.
    """
    values = pd.to_numeric(rows[column], errors="coerce").astype(np.float64)
    is_bad = ~np.isfinite(values.to_numpy())
    is_bad[is_bad] = ~rows[column][is_bad].str.lower().isin(_NO_NUMBER).to_numpy()
    expected = "finite numbers, or a dot for none"
    refuse_cells(rows[column], is_bad, path, found=f"is not a number in column {column!r}", expected=expected)
    return values


def _open(path: Path) -> IO[bytes]:
    if path.exists() and not path.is_file():  # a pipe could wait for ever
        raise DataError("this is no regular file", where=path, expected="a text file")
    with open(path, "rb") as probe:
        opener = _OPENERS.get(probe.read(2), open)
    return opener(path, "rb")  # type: ignore[operator, no-any-return]


def _parsed(handle: IO[str], header: frozenset[str]) -> pd.DataFrame:
    first = next((line for line in handle if line.strip() and not _is_comment(line)), "")
    if not first:
        return pd.DataFrame()
    separator = "\t" if "\t" in first else r"\s+"
    cells = first.rstrip("\n").split("\t") if "\t" in first else first.split()
    is_header = len(cells) > 2 and {cells[1].strip().lower(), cells[2].strip().lower()} <= header
    rest = handle if is_header else _Prepended(first, handle)
    try:
        rows = pd.read_csv(
            rest, sep=separator, header=None, dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE
        ).fillna("")
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    is_data = {cell: bool(cell.strip()) and not _is_comment(cell) for cell in rows[0].unique()}
    rows = rows[rows[0].map(is_data).astype(bool)].reset_index(drop=True)
    rows[0] = rows[0].map({cell: cell.strip() for cell in is_data})
    while rows.shape[1] > 3 and (rows[rows.columns[-1]] == "").all():
        rows = rows.iloc[:, :-1]
    if is_header:
        rows.columns = pd.Index([*cells, *map(str, range(len(cells), rows.shape[1]))][: rows.shape[1]])
    return rows


def _is_comment(line: str) -> bool:
    return line.startswith("#") or line.split(None, 1)[0] in ("track", "browser")


class _Prepended(io.TextIOBase):
    """A text stream with one line put back in front of it, which works for streams that cannot seek, too."""

    def __init__(self, line: str, rest: IO[str]) -> None:
        self._line, self._rest = line, rest

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1) -> str:
        """Next characters; what was put back first."""
        line, self._line = self._line, ""
        return line or self._rest.read(-1 if size is None else size)
