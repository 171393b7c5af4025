"""Columns of tables that say where a spot is: whole numbers on the array, pixels in the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.tables import parse_numbers

_MOST_PLACES = 2**31


def require_columns(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    """Check that a table has some columns, each once.

    Raises
    ------
    DataError
        One is missing or named twice.
    """
    absent = [name for name in columns if name not in frame]
    if absent or not frame.columns.is_unique:
        raise DataError(
            f"no column {absent[0]!r}" if absent else "a column is named twice",
            where=path,
            expected=", ".join(columns),
            fix=f"found: {', '.join(map(str, frame.columns))[:200]}",
        )


def with_places(frame: pd.DataFrame, whole: Sequence[str], pixels: Sequence[str], path: Path) -> pd.DataFrame:
    """The table with array places as int64 and pixels as float64.

    Raises
    ------
    DataError
        A cell is empty or no such number.
    """
    columns = {}
    for name in (*whole, *pixels):
        values, _ = parse_numbers(frame[name])
        found = values.to_numpy()
        is_bad = ~np.isfinite(found)
        if name in whole:
            is_bad |= (found % 1 != 0) | (found < 0) | (found > _MOST_PLACES)
        if is_bad.any():
            row = int(np.argmax(is_bad))
            raise DataError(
                f"{frame[name].iloc[row]!r} in column {name!r} is not a place",
                where=f"{path}, data row {row + 1}; {int(is_bad.sum())} such rows",
                expected="whole numbers from 0" if name in whole else "pixels of the image",
            )
        columns[name] = found.astype(np.int64) if name in whole else found
    return frame.assign(**columns)
