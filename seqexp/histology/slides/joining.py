"""From files to spots: what the readers of all layouts have in common."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from seqexp.core.errors import DataError
from seqexp.histology.slides.counts import whole_counts
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
    pitch_um : float or None
        Distance between neighbours where the files tell it.
    """

    positions: pd.DataFrame
    barcodes: pd.Index
    counts: Any
    panel: GenePanel
    report: JoinReport = field(default_factory=lambda: JoinReport(0))
    pitch_um: float | None = None


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
    report = replace(raw.report, num_kept=int(is_placed.sum()))
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
    """Median distance of neighbours on one slide; None without a grid where the platform has no pitch either.

    Along the grid where there is one, else to the nearest spot. It tells how wide a pixel is where the pitch of the
    platform is known.
    """
    platform = platform_of(frame["platform"].iloc[0])
    if platform.grid == "none" or (frame["row"] < 0).any():
        return None if platform.pitch_um is None else _nearest_um(frame)
    graph = spot_graph(frame, platform.grid)
    places = frame[["row", "column"]].to_numpy()
    step = np.abs(places[graph.sources] - places[graph.indices]).sum(axis=1)
    distance = graph.distance_um[step == (1 if platform.grid == "square" else 2)]  # not the diagonals of a square
    return float(np.median(distance)) if len(distance) else None


def _nearest_um(frame: pd.DataFrame) -> float | None:
    if len(frame) < 2:
        return None
    distance, _ = cKDTree(frame[["x_um", "y_um"]].to_numpy()).query(frame[["x_um", "y_um"]].to_numpy(), 2)
    return float(np.median(distance[:, 1]))


def require_pitch(table: SpotTable, where: str | Path, stated_um: float | None = None) -> None:
    """Check that neighbouring spots are as far apart as the platform makes them, or as the files state.

    Raises
    ------
    DataError
        They are not, by more than a quarter: mpp is wrong, or it belongs to an image of another size.
    """
    expected, found = expected_pitch_um(table, stated_um), measured_pitch_um(table.frame)
    if expected is not None and found is not None and abs(found / expected - 1) > _PITCH_TOLERANCE:
        mpp = float((table.frame["x_um"] / table.frame["x_px"]).median())
        has_grid = bool((table.frame["row"] >= 0).all())
        raise DataError(
            f"neighbouring spots are {found:.3g} um apart at {mpp:.4g} microns per pixel",
            where=where,
            expected=f"about {expected:g} um, as on every {table.frame['platform'].iloc[0]} slide",
            fix=(f"mpp: {mpp * expected / found:.4g}, or another platform" if found else "another platform")
            + ("" if has_grid else "; or there are two sections in the file"),
        )


def expected_pitch_um(table: SpotTable, stated_um: float | None = None) -> float | None:
    """Distance of neighbours that the files state, or the platform; None where neither does."""
    return stated_um if stated_um is not None else platform_of(table.frame["platform"].iloc[0]).pitch_um


def _require_once(names: pd.Index, what: str, where: str | Path) -> None:
    is_twice = names.duplicated()
    if is_twice.any():
        raise DataError(
            f"{int(is_twice.sum())} barcodes occur twice in the {what}: {', '.join(map(str, names[is_twice][:5]))}",
            where=where,
            expected="every barcode once per slide",
            fix="remove the repeated rows",
        )
