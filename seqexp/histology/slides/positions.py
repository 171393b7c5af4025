"""Positions of spots and bins as Space Ranger writes them: text without or with a header, gzip, or Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.core.tables import read_csv

COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
NAMES = (
    "tissue_positions.parquet",
    *(f"{name}.csv{end}" for name in ("tissue_positions", "tissue_positions_list") for end in ("", ".gz")),
)
_WHOLE, _NUMBERS = COLUMNS[2:4], COLUMNS[4:]


def read_positions(path: Path) -> pd.DataFrame:
    """Read a file of positions, whatever its name says about a header.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`: barcode as text, ``in_tissue`` as it stands, array places int64, pixels float64.

    Raises
    ------
    DataError
        The file is damaged, a column is missing, or a place is no number.
    """
    frame = _read_parquet(path) if path.suffix == ".parquet" else _read_text(path)
    absent = [name for name in COLUMNS if name not in frame]
    if absent or not frame.columns.is_unique:
        raise DataError(
            f"no column {absent[0]!r}" if absent else "a column is named twice",
            where=path,
            expected=", ".join(COLUMNS),
            fix=f"found: {', '.join(map(str, frame.columns))[:200]}",
        )
    frame = frame[list(COLUMNS)].reset_index(drop=True)
    frame["barcode"] = frame["barcode"].astype(str)
    for name in (*_WHOLE, *_NUMBERS):
        values = pd.to_numeric(frame[name], errors="coerce").astype(np.float64)
        is_bad = ~np.isfinite(values.to_numpy())
        if name in _WHOLE:
            is_bad |= (values % 1 != 0).to_numpy() | (values < 0).to_numpy() | (values > 2**31).to_numpy()
        if is_bad.any():
            row = int(np.argmax(is_bad))
            raise DataError(
                f"{frame[name].iloc[row]!r} in column {name!r} is not a place",
                where=f"{path}, barcode {frame['barcode'].iloc[row]}; {int(is_bad.sum())} such rows",
                expected="whole numbers from 0" if name in _WHOLE else "pixels of the full-resolution image",
            )
        frame[name] = values.astype(np.int64) if name in _WHOLE else values
    return frame


def _read_text(path: Path) -> pd.DataFrame:
    rows = read_csv(path, sep=",", header=None, dtype=str, keep_default_na=False)
    if not len(rows):
        raise DataError("the file is empty", where=path, expected=", ".join(COLUMNS))
    first = [str(cell).strip().removeprefix("\ufeff") for cell in rows.iloc[0]]
    if "barcode" in first:  # Space Ranger 2 names its columns, earlier ones do not
        return rows.iloc[1:].set_axis(first, axis="columns")
    if rows.shape[1] != len(COLUMNS):
        raise DataError(
            f"{rows.shape[1]} columns without a header", where=path, expected=f"{len(COLUMNS)}: {', '.join(COLUMNS)}"
        )
    return rows.set_axis(list(COLUMNS), axis="columns")


def _read_parquet(path: Path) -> pd.DataFrame:
    parquet = require("pyarrow.parquet", "histology")
    try:
        frame: pd.DataFrame = parquet.read_table(path).to_pandas()
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, MemoryError) as error:
        raise DataError(
            f"the positions cannot be read: {error}", where=path, expected="a whole Parquet file: " + ", ".join(COLUMNS)
        ) from error
    return frame if "barcode" in frame else frame.reset_index()
