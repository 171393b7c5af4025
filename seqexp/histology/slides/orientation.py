"""How the array lies in the image: turned, stretched, mirrored, or with spots that are not where the array has them.

The distance between neighbours does not see whether x and y were exchanged. The sign of the map from array (column,
row) to pixels (x, y) does: turning an image keeps it, a mirror or an exchange of the two axes changes it. What cannot
be known from positions alone: how far an image was turned, and two exchanges that undo each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.histology.slides.platforms import platform_of
from seqexp.histology.slides.spots import SpotTable

_MOST_STRETCH = 1.5
_FARTHEST_STEPS = 2.0
_STEPS = {"square": 1.0, "hex": 1 / np.sqrt(3)}  # length of one array column in array rows
_DIRECTIONS = ("to the right", "down", "to the left", "up")


@dataclass(frozen=True)
class ArrayLayout:
    """Linear map from the array to the pixels of the image.

    Parameters
    ----------
    column_px, row_px : float array (2,)
        x and y in pixels of one step along the columns, and along the rows.
    off_steps : float array (S,)
        Distance of every spot from its place on that array, in steps between neighbours.
    neighbour_px : float
        Such a step.
    """

    column_px: NDArray[np.float64]
    row_px: NDArray[np.float64]
    off_steps: NDArray[np.float64]

    neighbour_px: float

    @property
    def is_mirrored(self) -> bool:
        """Whether the image shows the array as in a mirror."""
        return bool(self.column_px[0] * self.row_px[1] - self.column_px[1] * self.row_px[0] < 0)

    @property
    def is_upright(self) -> bool:
        """Whether columns run to the right and rows down."""
        return _direction(self.column_px) == 0 and _direction(self.row_px) == 1

    def render(self) -> str:
        """Where columns and rows run."""
        return f"columns run {_DIRECTIONS[_direction(self.column_px)]}, rows {_DIRECTIONS[_direction(self.row_px)]}"


def array_layout(frame: pd.DataFrame) -> ArrayLayout | None:
    """Least squares over the spots of one slide; None without a grid, or with all spots on one line of it."""
    platform = platform_of(frame["platform"].iloc[0])
    places = frame[["column", "row"]].to_numpy(np.float64)
    if platform.grid == "none" or (places < 0).any():
        return None
    centred = places - places.mean(axis=0)
    if np.linalg.matrix_rank(centred) < 2:
        return None
    pixels = frame[["x_px", "y_px"]].to_numpy(np.float64)
    pixels = pixels - pixels.mean(axis=0)
    steps, *_ = np.linalg.lstsq(centred, pixels, rcond=None)
    off = np.hypot(*(pixels - centred @ steps).T)
    row_px = float(np.hypot(*steps[1]))
    neighbour_px = row_px * (1.0 if platform.grid == "square" else 2 / np.sqrt(3))
    off_steps = off / neighbour_px if neighbour_px else np.full(len(off), np.inf)
    return ArrayLayout(steps[0], steps[1], off_steps, neighbour_px)


def require_orientation(table: SpotTable, where: str | Path, is_mirrored: bool = False) -> None:
    """Check that the spots of one slide lie in the image as they do on the array of their platform.

    Parameters
    ----------
    table : SpotTable
        One slide.
    where : str or Path
    is_mirrored : bool
        The image is known to be a mirror image.

    Raises
    ------
    DataError
        Rows and columns were exchanged, the image is a mirror image without being called so, or spots are far from
        their places.
    """
    layout = array_layout(table.frame)
    if layout is None:
        return
    platform = platform_of(table.frame["platform"].iloc[0])
    _require_places(table.frame, layout, where)
    if platform.is_mirrored is not None and layout.is_mirrored != (platform.is_mirrored != is_mirrored):
        raise _wrong_hand(layout, platform.name, is_mirrored, where)


def require_proportions(table: SpotTable, where: str | Path) -> None:
    """Check that array rows and columns are as far apart as those of the platform, one compared with the other.

    Raises
    ------
    DataError
        They are not: array rows and columns were exchanged, or are not counted as the platform does.
    """
    layout, platform = array_layout(table.frame), platform_of(table.frame["platform"].iloc[0])
    if layout is None:
        return
    column, row = (float(np.hypot(*step)) for step in (layout.column_px, layout.row_px))
    stretch = column / (row * _STEPS[platform.grid]) if row else np.inf
    if not 1 / _MOST_STRETCH < stretch < _MOST_STRETCH:
        raise DataError(
            f"one array column is {column:.4g} px wide and one array row {row:.4g} px high",
            where=where,
            expected=f"a column of {_STEPS[platform.grid]:.3g} times a row, as on every {platform.name} slide",
            fix="exchange array rows and columns, or count them as the platform does; or give another platform",
        )


def _require_places(frame: pd.DataFrame, layout: ArrayLayout, where: str | Path) -> None:
    is_off = layout.off_steps > _FARTHEST_STEPS
    if is_off.any():
        worst = int(np.argmax(layout.off_steps))
        raise DataError(
            f"{int(is_off.sum())} of {len(frame)} spots lie more than {_FARTHEST_STEPS:g} steps of the array from the "
            f"place that their row and column give them: {frame['barcode'].iloc[worst]}, {layout.off_steps[worst]:.0f} "
            "steps",
            where=where,
            expected="pixel positions that follow the array",
            fix="take pixels, rows and columns of each barcode from one file of this section",
        )


def _wrong_hand(layout: ArrayLayout, platform: str, is_mirrored: bool, where: str | Path) -> DataError:
    if is_mirrored:
        return DataError(
            f"mirrored: true, and the image is no mirror image: {layout.render()}", where=where, fix="mirrored: false"
        )
    found, fix = "the positions are mirrored", "turn the pixel columns round"
    if _direction(layout.column_px) % 2 == 1:
        found = "x and y of the positions, or array rows and columns, are exchanged"
        fix = "exchange the two that are"
    return DataError(
        f"{found}, or the image is a mirror image: {layout.render()}",
        where=where,
        expected=f"columns to the right and rows down, as on every {platform} slide, or both turned the same way",
        fix=f"{fix}; if the image itself was taken through a mirror, add mirrored: true to the slide",
    )


def _direction(step: NDArray[np.float64]) -> int:
    """Quarter turns from the x axis, clockwise as the image is seen."""
    return int(np.round(np.arctan2(step[1], step[0]) / (np.pi / 2))) % 4
