"""Legacy Spatial Transcriptomics: a table of counts with rows named "{x}x{y}", and one of spot positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from seqexp.core.errors import DataError
from seqexp.core.tables import numbers, read_csv
from seqexp.histology.slides.joining import RawSpots, sum_columns
from seqexp.histology.slides.panel import GenePanel
from seqexp.histology.slides.spots import JoinReport

_POSITION_COLUMNS = ("x", "y", "pixel_x", "pixel_y")


def read_st(counts: Path, spots: Path) -> RawSpots:
    """Read one section as her2st, STNet and cSCC store it.

    Parameters
    ----------
    counts : Path
        Tab-separated, spots x genes, raw; first column "{x}x{y}" without a heading, other headings are gene symbols.
    spots : Path
        Tab-separated with columns x, y (grid), pixel_x, pixel_y (full-resolution image) and, where spots were looked at
        by eye, selected (1: under tissue).

    Returns
    -------
    RawSpots
        Grid x becomes the column, y the row. Genes named twice are summed.

    Raises
    ------
    DataError
        A table cannot be read, lacks a column, or holds something that is no number.
    """
    table = _counts(counts)
    try:
        values = sparse.csr_matrix(table.to_numpy(dtype=np.float64))
    except ValueError as error:
        raise DataError(f"a count is not a number: {error}", where=counts, expected="spots x genes, raw") from error
    report = JoinReport(0)
    positions = read_csv(spots, sep="\t")
    absent = [name for name in _POSITION_COLUMNS if name not in positions]
    if absent:
        raise DataError(f"no column {absent[0]!r}", where=spots, expected=", ".join(_POSITION_COLUMNS))
    names = positions["x"] + "x" + positions["y"]
    for column in _POSITION_COLUMNS:
        positions[column] = numbers(positions, column, spots)
    if "selected" in positions:
        is_off = (numbers(positions, "selected", spots) != 1).to_numpy()
        report = report.with_dropped("position not selected as tissue", names[is_off])
        positions, names = positions[~is_off], names[~is_off]
    merged, symbols, num_merged = sum_columns(values, table.columns)
    if num_merged:
        report = report.with_dropped("genes named twice, summed", table.columns[table.columns.duplicated()])
    frame = pd.DataFrame(
        {
            "barcode": names.to_numpy(),
            "x_px": positions["pixel_x"].to_numpy(),
            "y_px": positions["pixel_y"].to_numpy(),
            "row": positions["y"].to_numpy(),
            "column": positions["x"].to_numpy(),
        }
    )
    return RawSpots(frame, pd.Index(table.index.astype(str)), merged, GenePanel(symbols), report)


def _counts(path: Path) -> pd.DataFrame:
    """Table with row names; pandas would rename a heading that occurs twice, and the first one may be absent."""
    header = read_csv(path, sep="\t", header=None, nrows=1)
    frame = read_csv(path, sep="\t", index_col=0, dtype=None, keep_default_na=True, low_memory=False)
    if not frame.shape[1]:
        raise DataError("the table of counts is empty", where=path, expected="spots x genes, raw")
    frame.columns = pd.Index(header.iloc[0].tolist()[-frame.shape[1] :])
    return frame
