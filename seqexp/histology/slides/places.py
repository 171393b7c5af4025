"""Columns of tables that say where a spot is: whole numbers on the array, pixels in the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.tables import parse_numbers, refuse_cells

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
        expected = "whole numbers from 0" if name in whole else "pixels of the image"
        refuse_cells(frame[name], is_bad, path, found=f"in column {name!r} is not a place", expected=expected)
        columns[name] = found.astype(np.int64) if name in whole else found
    return frame.assign(**columns)
