"""Which spots are neighbours: on the square or hexagonal grid of the platform, or the k nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.slides.platforms import platform_of

Kind = Literal["grid", "square", "hex", "knn"]
# (row, column) steps; on a hexagonal grid the columns of one row differ by 2, as in the 10x files.
_STEPS = {
    "square": [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0)],
    "hex": [(0, -2), (0, 2), (-1, -1), (-1, 1), (1, -1), (1, 1)],
}


@dataclass(frozen=True)
class SpotGraph:
    """Neighbours of S spots, never across slides, a spot not among its own.

    Parameters
    ----------
    indptr : int array (S + 1,)
        Spot i has the neighbours ``indices[indptr[i]:indptr[i + 1]]``.
    indices : int array (E,)
        Rows of the table, nearest first.
    distance_um : float array (E,)
        Distance of the centres.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    distance_um: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def sources(self) -> NDArray[np.int64]:
        """Row of the spot whose neighbour each of ``indices`` is (E,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def neighbours(self, row: int) -> NDArray[np.int64]:
        """Neighbours of one spot."""
        return self.indices[self.indptr[row] : self.indptr[row + 1]]

    def adjacency(self) -> sparse.csr_matrix:
        """The graph as a matrix (S, S) of ones."""
        return sparse.csr_matrix((np.ones(len(self.indices)), self.indices, self.indptr), shape=(len(self), len(self)))


def spot_graph(frame: pd.DataFrame, kind: Kind = "grid", k: int = 6) -> SpotGraph:
    """Neighbours of every spot on its own slide.

    Parameters
    ----------
    frame : DataFrame
        ``SpotTable.frame`` (S rows).
    kind : {"grid", "square", "hex", "knn"}
        ``square``: the eight around; ``hex``: the six around; ``grid``: whichever of them the platform of the slide
        has; ``knn``: the ``k`` nearest centres.
    k : int
        Neighbours of ``knn``; fewer on a slide with fewer spots.

    Raises
    ------
    ConfigError
        The kind is unknown, or ``k`` is not positive.
    DataError
        Grid neighbours of spots without a grid, or two spots of a slide in one place of the grid.
    """
    if kind not in ("grid", "square", "hex", "knn"):
        raise ConfigError(f"spot graph {kind!r}", expected="grid, square, hex or knn")
    if kind == "knn" and k < 1:
        raise ConfigError(f"k = {k} neighbours", expected="at least 1")
    pairs = []
    for rows in frame.groupby("slide", sort=False).indices.values():
        part = frame.iloc[rows]
        steps = _STEPS.get(_grid_of(part) if kind == "grid" else kind)
        near = _nearest(part, k) if kind == "knn" else _around(part, steps or [])
        pairs.append(rows[near])
    ends = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    points = frame[["x_um", "y_um"]].to_numpy()
    distance = np.hypot(*(points[ends[:, 0]] - points[ends[:, 1]]).T)
    order = np.lexsort((ends[:, 1], distance, ends[:, 0]))
    indptr = np.searchsorted(ends[order, 0], np.arange(len(frame) + 1))
    return SpotGraph(indptr, ends[order, 1], distance[order])


def grid_window(frame: pd.DataFrame, size: int) -> NDArray[np.int64]:
    """Rows of the ``size`` x ``size`` block of grid places round every spot of a square grid.

    Returns
    -------
    int array (S, size * size)
        Row-major, the spot itself in the middle, -1 where no spot is.

    Raises
    ------
    ConfigError
        ``size`` is even.
    """
    if size % 2 != 1 or size < 1:
        raise ConfigError(f"a block of {size} x {size} spots has no middle", expected="an odd size")
    reach = range(-(size // 2), size // 2 + 1)
    steps = [(r, c) for r in reach for c in reach]
    out = np.full((len(frame), len(steps)), -1, dtype=np.int64)
    for rows in frame.groupby("slide", sort=False).indices.values():
        found = _look_up(frame.iloc[rows], steps)
        out[rows] = np.where(found >= 0, rows[found], -1)
    return out


def _around(part: pd.DataFrame, steps: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    found = _look_up(part, steps)
    start, which = np.nonzero(found >= 0)
    return np.stack([start, found[start, which]], axis=1)


def _look_up(part: pd.DataFrame, steps: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Position in ``part`` of the spot at each step from each spot (n, steps), -1 where there is none."""
    places = pd.MultiIndex.from_frame(part[["row", "column"]])
    slide = part["slide"].iloc[0]
    if (part[["row", "column"]] < 0).any(axis=None):
        raise DataError(
            f"the spots of slide {slide} have no grid", expected="array rows and columns", fix="use a knn graph"
        )
    if places.has_duplicates:
        raise DataError(
            f"two spots of slide {slide} have row and column {places[places.duplicated()][0]}", expected="one per place"
        )
    row, column = part["row"].to_numpy(), part["column"].to_numpy()
    wanted = [pd.MultiIndex.from_arrays([row + r, column + c]) for r, c in steps]
    return np.stack([places.get_indexer(index) for index in wanted], axis=1).astype(np.int64)


def _nearest(part: pd.DataFrame, k: int) -> NDArray[np.int64]:
    points = part[["x_um", "y_um"]].to_numpy()
    k = min(k, len(points) - 1)
    if k == 0:
        return np.empty((0, 2), np.int64)
    near = cKDTree(points).query(points, k=k + 1)[1]
    start = np.repeat(np.arange(len(points)), k + 1)
    is_other = near.ravel() != start
    ends = np.stack([start[is_other], near.ravel()[is_other]], axis=1)
    # where centres coincide a spot may not find itself among its nearest: then one neighbour too many is left
    place = np.arange(len(ends)) - np.searchsorted(ends[:, 0], ends[:, 0])
    return ends[place < k]


def _grid_of(part: pd.DataFrame) -> str:
    names = part["platform"].unique()
    grid = platform_of(names[0]).grid
    if grid == "none":
        raise DataError(
            f"platform {names[0]} has no grid",
            where=f"slide {part['slide'].iloc[0]}",
            expected="ST, Visium or VisiumHD",
            fix="use a knn graph",
        )
    return grid
