"""Legacy Spatial Transcriptomics: a table of counts with rows named "{x}x{y}", and one of spot positions."""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from seqexp.core.errors import DataError
from seqexp.core.tables import read_csv
from seqexp.histology.slides.counts import sum_columns
from seqexp.histology.slides.flags import read_flags
from seqexp.histology.slides.joining import LEAST_SEPARATION, RawSpots, separation
from seqexp.histology.slides.panel import GenePanel
from seqexp.histology.slides.places import require_columns, with_places
from seqexp.histology.slides.spots import JoinReport

_MISMATCH = 0.1  # spots of its own in either file: sections have none to speak of, or one file lists all places
_POSITION_COLUMNS = ("x", "y", "pixel_x", "pixel_y")
# What stands above names of spots; where it does, a header has as many cells as the rows.
_HEADINGS = ("", "spot", "spots", "spot_id", "barcode", "barcodes", "index", "id", "name", "names", "unnamed: 0")


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
        A table cannot be read, lacks a column, has rows of another length than its header, or holds something that is
        no number; or the two are not of one section, or name spots the other way round.
    """
    names, symbols, values = _counts(counts)
    positions = _positions(spots)
    barcodes = positions["x"].astype(str) + "x" + positions["y"].astype(str)
    report = JoinReport(0)
    if "selected" in positions:
        is_on, is_unknown = read_flags(positions["selected"], "selected", spots)
        report = report.with_dropped("position whose selected is unknown", barcodes[is_unknown])
        report = report.with_dropped("position not selected as tissue", barcodes[~is_on & ~is_unknown])
        positions, barcodes = positions[is_on], barcodes[is_on]
    _require_same_section(names, values.sum(axis=1), positions, counts)
    merged, unique, num_merged = sum_columns(sparse.csr_matrix(values), symbols)
    if num_merged:
        report = report.with_dropped("genes named twice, summed", symbols[symbols.duplicated()])
    frame = pd.DataFrame(
        {
            "barcode": barcodes.to_numpy(),
            "x_px": positions["pixel_x"].to_numpy(),
            "y_px": positions["pixel_y"].to_numpy(),
            "row": positions["y"].to_numpy(),
            "column": positions["x"].to_numpy(),
        }
    )
    return RawSpots(frame, names, merged, GenePanel(unique), report=report)


def _require_same_section(names: pd.Index, sums: NDArray[np.float64], positions: pd.DataFrame, path: Path) -> None:
    """Names of spots such as 10x12 are much the same on every section, and so are those that mean y before x.

    Where the table has spots that are not tissue too, all names are found either way, and depth tells.
    """
    straight, exchanged = (
        positions[first].astype(str) + "x" + positions[then].astype(str) for first, then in (("x", "y"), ("y", "x"))
    )
    found = int(straight.isin(names).sum())
    absent, extra = len(straight) - found, len(names) - found
    if not found:
        return  # told where they are joined
    found_exchanged = int(exchanged.isin(names).sum())
    is_exchanged = found_exchanged > max(found, (1 - _MISMATCH) * min(len(straight), len(names)))
    if found == found_exchanged:
        as_named, otherwise = (separation(sums, names.isin(order)) for order in (straight, exchanged))
        is_exchanged = as_named < LEAST_SEPARATION <= otherwise
    if is_exchanged:
        raise DataError(
            f"spots named {names[0]} … fit the positions better as y before x",
            where=path,
            expected="spots named {x}x{y}, by the columns x and y of the positions",
            fix="exchange the two numbers of the names, or the columns x and y",
        )
    if min(absent / len(straight), extra / len(names)) > _MISMATCH:
        raise DataError(
            f"{extra} of {len(names)} spots with counts have no position, and {absent} of {len(straight)} positions no "
            "counts",
            where=path,
            expected="counts and positions of one section",
            fix="give both files of one section; leave out the spots that the other file lacks if they are",
        )


def _positions(path: Path) -> pd.DataFrame:
    """The table of positions: x and y int64, pixels float64, the rest text."""
    rows = read_csv(path, sep="\t", header=None)
    if len(rows) < 2:
        raise DataError("the table is empty", where=path, expected=", ".join(_POSITION_COLUMNS))
    frame = rows.iloc[1:].set_axis([str(cell).strip() for cell in rows.iloc[0]], axis="columns").reset_index(drop=True)
    require_columns(frame, _POSITION_COLUMNS, path)
    return with_places(frame, _POSITION_COLUMNS[:2], _POSITION_COLUMNS[2:], path)


def _counts(path: Path) -> tuple[pd.Index, pd.Index, NDArray[np.float64]]:
    """Names of the spots (S,), of the genes (G,), and counts (S, G).

    The header is read on its own: pandas would take one cell too many in front of the rows for a name without a
    heading, and move every count under its neighbour's gene.
    """
    symbols = _header(path)
    frame = read_csv(path, sep="\t", header=None, skiprows=1, dtype={0: str}, low_memory=False)
    if not symbols or not len(frame) or frame.shape[1] < 2:
        raise DataError("the table of counts is empty", where=path, expected="spots x genes, raw")
    num = frame.shape[1]
    if len(symbols) == num:
        symbols = symbols[1:]
    elif len(symbols) != num - 1 or symbols[0].strip().lower() in _HEADINGS:
        raise DataError(
            f"the rows have {num} cells and the header has {len(symbols)}: {', '.join(symbols[:3])} …",
            where=path,
            expected="a gene above every count; above the names of the spots nothing, or one heading",
            fix="write the table again: it is not known which genes the counts belong to",
        )
    nameless = [place for place, symbol in enumerate(symbols) if not symbol.strip()]
    if nameless:
        raise DataError(
            f"column {nameless[0] + 2} has no gene above it", where=path, expected="a gene above every count"
        )
    return pd.Index(frame[0]), pd.Index(symbols), _values(frame.iloc[:, 1:], symbols, path)


def _header(path: Path) -> list[str]:
    """Cells of the first line; a table of one line and 15,000 columns costs pandas more than all the counts."""
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig") as handle:
            return next(csv.reader(handle, delimiter="\t"), [])
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, fix="check the path") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"the table cannot be read: {error}", where=path, expected="a complete text table") from error


def _values(frame: pd.DataFrame, symbols: list[str], path: Path) -> NDArray[np.float64]:
    for place, kind in enumerate(frame.dtypes):
        if kind.kind not in "iuf":
            column = frame.iloc[:, place]
            row = int(np.argmax(pd.to_numeric(column, errors="coerce").isna().to_numpy()))
            raise DataError(
                f"a count is not a number: {str(column.iloc[row])!r}",
                where=f"{path}, line {row + 2}, gene {symbols[place]}",
                expected="spots x genes, raw, every row as long as the header",
            )
    return frame.to_numpy(dtype=np.float64)
