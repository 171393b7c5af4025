"""Positions of spots and bins as Space Ranger writes them: text without or with a header, gzip, or Parquet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.core.tables import read_csv
from seqexp.histology.slides.places import require_columns, with_places

COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
NAMES = (
    "tissue_positions.parquet",
    *(f"{name}.csv{end}" for name in ("tissue_positions", "tissue_positions_list") for end in ("", ".gz")),
)


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
    require_columns(frame, COLUMNS, path)
    frame = frame[list(COLUMNS)].reset_index(drop=True)
    frame["barcode"] = frame["barcode"].astype(str)
    return with_places(frame, COLUMNS[2:4], COLUMNS[4:], path)


def _read_text(path: Path) -> pd.DataFrame:
    rows = read_csv(path, sep=",", header=None)
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
