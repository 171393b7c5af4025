"""Reading text tables, plain or gzip, with one clear error when they are not what they should be."""

from __future__ import annotations

import gzip
import zlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError

_UNREADABLE = (pd.errors.ParserError, UnicodeDecodeError, OSError, EOFError, zlib.error, ValueError)


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """``pandas.read_csv`` whose failures are DataErrors; a file without content gives an empty table."""
    try:
        frame: pd.DataFrame = pd.read_csv(path, **options)
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, fix="check the path") from error
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except _UNREADABLE as error:
        raise DataError(f"the table cannot be read: {error}", where=path, expected="a complete text table") from error
    return frame


def read_table(path: str | Path) -> pd.DataFrame:
    """Table with a header line; commas in ``.csv``, tabs otherwise; empty, NA and NaN cells are missing.

    Raises
    ------
    DataError
        The file is missing, damaged, empty, or names a column twice.
    """
    path = Path(path)
    separator = "," if path.name.lower().removesuffix(".gz").endswith(".csv") else "\t"
    first = read_csv(path, sep=separator, header=None, nrows=1, dtype=str)
    header = [str(name) for name in first.iloc[0]] if len(first) else []
    if not header:
        raise DataError("the table is empty", where=path, expected="a header line and rows")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"columns named twice: {', '.join(twice)}", where=path, expected="one column per name")
    return read_csv(path, sep=separator, low_memory=False)


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


def whole_numbers(frame: pd.DataFrame, column: str, path: str | Path) -> pd.Series:
    """A column as int64.

    Raises
    ------
    DataError
        A cell is empty or no whole number.
    """
    values = pd.to_numeric(frame[column], errors="coerce")
    is_bad = (values.isna() | (values % 1 != 0)).to_numpy()
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise DataError(
            f"{frame[column].iloc[row]!r} in column {column!r} is not a position",
            where=f"{path}, data row {row + 1}; {int(is_bad.sum())} such rows",
            expected="whole numbers in every row",
        )
    return values.astype(np.int64)
