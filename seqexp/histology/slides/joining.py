"""From files to spots: what the readers of all layouts have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from seqexp.core.errors import DataError
from seqexp.histology.slides.graph import spot_graph
from seqexp.histology.slides.panel import GenePanel
from seqexp.histology.slides.platforms import platform_of
from seqexp.histology.slides.spots import JoinReport, SpotTable

_PITCH_TOLERANCE = 0.25


@dataclass(frozen=True)
class Origin:
    """Where the spots of one slide come from.

    Parameters
    ----------
    slide, section, patient, study, platform : str
        Written beside every spot.
    mpp : float
        Microns per pixel of the image whose pixels the positions count.
    """

    slide: str
    section: str
    patient: str
    mpp: float
    study: str = ""
    platform: str = "other"


@dataclass(frozen=True)
class RawSpots:
    """What a reader found in the files of one slide.

    Parameters
    ----------
    positions : DataFrame
        barcode, x_px, y_px, row, column; one row per spot with a position.
    barcodes : sequence of str
        Spots with counts (S,).
    counts : sparse matrix (S, G)
    panel : GenePanel
    report : JoinReport
        What the reader itself left out.
    """

    positions: pd.DataFrame
    barcodes: pd.Index
    counts: Any
    panel: GenePanel
    report: JoinReport = field(default_factory=lambda: JoinReport(0))


def join(raw: RawSpots, origin: Origin, where: str | Path) -> SpotTable:
    """Spots that have counts and a position, in the order of the counts; the others are reported.

    Raises
    ------
    DataError
        A barcode occurs twice, counts are negative or not whole, a position is no number, or nothing is left.
    """
    platform_of(origin.platform)
    for names, what in ((raw.barcodes, "counts"), (pd.Index(raw.positions["barcode"]), "positions")):
        _require_once(names, what, where)
    counts = whole_counts(raw.counts, where)
    rows = pd.Index(raw.positions["barcode"]).get_indexer(raw.barcodes)
    is_placed = rows >= 0
    frame = raw.positions.iloc[rows[is_placed]].reset_index(drop=True)
    unseen = raw.positions["barcode"][~raw.positions["barcode"].isin(raw.barcodes)]
    report = JoinReport(int(is_placed.sum()), raw.report.dropped, raw.report.examples)
    report = report.with_dropped("counts without a position", raw.barcodes[~is_placed])
    report = report.with_dropped("position without counts", unseen)
    if not report.num_kept:
        raise DataError(
            f"no spot has both counts and a position: {', '.join(raw.barcodes[:3])} … and {', '.join(unseen[:3])} …",
            where=where,
            expected="the same names of spots in both files",
        )
    positions_px = frame[["x_px", "y_px"]].astype(np.float64)
    if not np.isfinite(positions_px.to_numpy()).all():
        raise DataError("a position is not a number", where=where, expected="x and y of every spot in pixels")
    frame[["x_px", "y_px"]] = positions_px
    frame[["x_um", "y_um"]] = positions_px * origin.mpp
    frame[["row", "column"]] = frame[["row", "column"]].astype(np.int64)
    for name in ("slide", "section", "patient", "study", "platform"):
        frame[name] = getattr(origin, name)
    kept = counts[np.flatnonzero(is_placed)]
    frame["total_counts"] = np.asarray(kept.sum(axis=1)).ravel().astype(np.int64)
    return SpotTable(frame, kept, raw.panel, {origin.slide: report})


def whole_counts(counts: Any, where: str | Path) -> sparse.csr_matrix:
    """Counts as CSR int32 (S, G).

    Raises
    ------
    DataError
        A count is negative, not finite or not whole.
    """
    matrix = sparse.csr_matrix(counts)
    values = matrix.data
    is_bad = ~np.isfinite(values) | (values < 0) | (values != np.floor(values))
    if is_bad.any():
        examples = ", ".join(f"{value:g}" for value in values[is_bad][:3])
        kind = "negative" if np.nanmin(values) < 0 else "not whole numbers"
        raise DataError(
            f"{int(is_bad.sum())} counts are {kind}: {examples}",
            where=where,
            expected="raw counts: whole numbers of at least 0",
            fix="give the raw counts, not normalised or log-transformed values",
        )
    matrix.eliminate_zeros()
    return matrix.astype(np.int32)


def sum_columns(counts: sparse.spmatrix, symbols: Iterable[str]) -> tuple[sparse.csr_matrix, tuple[str, ...], int]:
    """Counts with the columns of one symbol summed, the symbols in order of appearance, and how many columns went."""
    codes, unique = pd.factorize(pd.Index(symbols))
    if len(unique) == len(codes):
        return sparse.csr_matrix(counts), tuple(unique), 0
    merge = sparse.csr_matrix((np.ones(len(codes), np.int64), (np.arange(len(codes)), codes)))
    return sparse.csr_matrix(counts @ merge), tuple(unique), len(codes) - len(unique)


def require_inside(table: SpotTable, width_px: int, height_px: int, where: str | Path) -> None:
    """Check that every centre lies on the image.

    Raises
    ------
    DataError
        One does not: x and y are swapped, or the positions count pixels of another image, most often.
    """
    x, y = table.frame["x_px"].to_numpy(), table.frame["y_px"].to_numpy()
    is_out = (x < 0) | (y < 0) | (x >= width_px) | (y >= height_px)
    if is_out.any():
        first = table.frame[is_out].iloc[0]
        raise DataError(
            f"{int(is_out.sum())} of {len(table)} spots lie outside the image of {width_px} x {height_px} px: "
            f"{first['barcode']} at x {first['x_px']:.0f}, y {first['y_px']:.0f}",
            where=where,
            expected="centres in pixels of this image, x to the right and y down",
            fix="give the full-resolution image the positions belong to, or the scale factor between the two",
        )


def measured_pitch_um(frame: pd.DataFrame) -> float | None:
    """Median distance of neighbours along the grid of one slide; None without a grid or neighbours.

    It tells how wide a pixel is where the pitch of the platform is known.
    """
    grid = platform_of(frame["platform"].iloc[0]).grid
    if grid == "none" or (frame["row"] < 0).any():
        return None
    graph = spot_graph(frame, grid)
    places = frame[["row", "column"]].to_numpy()
    step = np.abs(places[graph.sources] - places[graph.indices]).sum(axis=1)
    distance = graph.distance_um[step == (1 if grid == "square" else 2)]  # not the diagonals of a square
    return float(np.median(distance)) if len(distance) else None


def require_pitch(table: SpotTable, where: str | Path) -> None:
    """Check that neighbouring spots are as far apart as the platform makes them.

    Raises
    ------
    DataError
        They are not, by more than a quarter: mpp is wrong, or it belongs to an image of another size.
    """
    expected, found = platform_of(table.frame["platform"].iloc[0]).pitch_um, measured_pitch_um(table.frame)
    if expected is not None and found is not None and abs(found / expected - 1) > _PITCH_TOLERANCE:
        mpp = float((table.frame["x_um"] / table.frame["x_px"]).median())
        raise DataError(
            f"neighbouring spots are {found:.0f} um apart at {mpp:.4g} microns per pixel",
            where=where,
            expected=f"about {expected:g} um, as on every {table.frame['platform'].iloc[0]} slide",
            fix=f"mpp: {mpp * expected / found:.4g}, or another platform",
        )


def _require_once(names: pd.Index, what: str, where: str | Path) -> None:
    is_twice = names.duplicated()
    if is_twice.any():
        raise DataError(
            f"{int(is_twice.sum())} barcodes occur twice in the {what}: {', '.join(map(str, names[is_twice][:5]))}",
            where=where,
            expected="every barcode once per slide",
            fix="remove the repeated rows",
        )
