"""From files to spots: what the readers of all layouts have in common."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import rankdata

from seqexp.core.errors import DataError
from seqexp.histology.slides.counts import whole_counts
from seqexp.histology.slides.graph import spot_graph
from seqexp.histology.slides.orientation import array_layout
from seqexp.histology.slides.panel import GenePanel
from seqexp.histology.slides.platforms import platform_of
from seqexp.histology.slides.spots import JoinReport, SpotTable

_PITCH_TOLERANCE = 0.25
_AS_MICRONS = 0.05
# Spots under tissue have more counts than those beside it in 96 of 100 pairs and more; on the wrong places in 50 to 86.
LEAST_SEPARATION = 0.9
_FEWEST_TO_SEPARATE = 20


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
    if not report.num_kept:
        raise _nothing_joined(raw, where)
    report = report.with_dropped("counts without a position", raw.barcodes[~is_placed])
    report = report.with_dropped("position without counts", unseen)
    sums = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    if (found := separation(sums, is_placed)) < LEAST_SEPARATION:
        told = (
            f"spots with counts and no place under tissue have more counts than {1 - found:.0%} of those under tissue"
        )
        report = report.with_note(f"{told}: are the positions of this section?")
    positions_px = frame[["x_px", "y_px"]].astype(np.float64)
    _require_numbers(frame["barcode"], positions_px.to_numpy(), where)
    frame[["x_px", "y_px"]] = positions_px
    frame[["x_um", "y_um"]] = positions_px * origin.mpp
    frame[["row", "column"]] = frame[["row", "column"]].astype(np.int64)
    for name in ("slide", "section", "patient", "study", "platform"):
        frame[name] = getattr(origin, name)
    kept = counts[np.flatnonzero(is_placed)]
    frame["total_counts"] = np.asarray(kept.sum(axis=1)).ravel().astype(np.int64)
    return SpotTable(frame, kept, raw.panel, {origin.slide: report})


def separation(sums: NDArray[np.float64], is_in: NDArray[np.bool_]) -> float:
    """Share of pairs of spots, one in and one out, of which the one in has more counts; 1 with few of either."""
    num_in, num_out = int(is_in.sum()), int((~is_in).sum())
    if min(num_in, num_out) < _FEWEST_TO_SEPARATE:
        return 1.0
    ranks = rankdata(sums)
    return float((ranks[is_in].sum() - num_in * (num_in + 1) / 2) / (num_in * num_out))


def _nothing_joined(raw: RawSpots, where: str | Path) -> DataError:
    placed = raw.positions["barcode"]
    if not len(placed) and raw.report.dropped:
        reasons = ", ".join(f"{num} {reason}" for reason, num in raw.report.dropped.items())
        return DataError(f"no spot is left: {reasons}", where=where, expected="spots under tissue, with counts")
    shown = ", ".join(map(str, raw.barcodes[:3])) or "none at all"
    return DataError(
        f"no spot has both counts and a position: {shown} … and {', '.join(map(str, placed[:3]))} …",
        where=where,
        expected="the same names of spots in both files",
    )


def _require_numbers(barcodes: pd.Series, places: NDArray[np.float64], where: str | Path) -> None:
    is_bad = ~np.isfinite(places).all(axis=1)
    if is_bad.any():
        raise DataError(
            f"the positions of {int(is_bad.sum())} of {len(places)} spots are no numbers: "
            + ", ".join(barcodes[is_bad].astype(str)[:5]),
            where=where,
            expected="x and y of every spot in pixels",
            fix="leave these spots out, or give their positions",
        )


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
            fix="give the full-resolution image they belong to, or multiply them by the scale between the two",
        )


def measured_pitch_um(frame: pd.DataFrame) -> float | None:
    """Median distance of neighbours on one slide; None without a grid where the platform has no pitch either.

    Along the grid where there is one, also where no two spots are neighbours, else to the nearest spot. It tells how
    wide a pixel is where the pitch of the platform is known.
    """
    platform = platform_of(frame["platform"].iloc[0])
    if platform.grid == "none" or (frame["row"] < 0).any():
        return None if platform.pitch_um is None else _nearest_um(frame)
    layout = array_layout(frame)
    if platform.grid == "hex" and layout is not None:
        return layout.neighbour_px * _mpp_of(frame)
    graph = spot_graph(frame, platform.grid)
    places = frame[["row", "column"]].to_numpy()
    step = np.abs(places[graph.sources] - places[graph.indices]).sum(axis=1)
    distance = graph.distance_um[step == 1]  # not the diagonals of a square
    if len(distance):
        return float(np.median(distance))
    # Few spots, none beside another; or an array that has only every second place, as a chessboard has black ones.
    is_chessboard = len(set((places.sum(axis=1) % 2).tolist())) < 2
    return None if layout is None or is_chessboard else layout.neighbour_px * _mpp_of(frame)


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
        mpp = _mpp_of(table.frame)
        is_micron = abs(found / mpp / expected - 1) < _AS_MICRONS
        has_grid = bool((table.frame["row"] >= 0).all())
        raise DataError(
            f"neighbouring spots are {found:.3g} um apart at {mpp:.4g} microns per pixel",
            where=where,
            expected=f"about {expected:g} um, as on every {table.frame['platform'].iloc[0]} slide",
            fix=(f"mpp: {mpp * expected / found:.4g}, or another platform" if found else "another platform")
            + ("; if the positions are microns, divide them by mpp" if is_micron else "")
            + ("" if has_grid else "; or there are two sections in the file"),
        )


def _mpp_of(frame: pd.DataFrame) -> float:
    """Microns per pixel of one slide, from its two columns of places."""
    return float(frame[["x_um", "y_um"]].to_numpy().sum() / frame[["x_px", "y_px"]].to_numpy().sum())


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
