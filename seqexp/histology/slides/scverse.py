"""AnnData (.h5ad) and SpatialData (.zarr), HEST-1k among them: counts, grid and pixel positions of spots."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.histology.slides.joining import RawSpots, sum_columns
from seqexp.histology.slides.panel import GenePanel
from seqexp.histology.slides.spots import NO_GRID, JoinReport

_ROW_NAMES, _COLUMN_NAMES = ("array_row", "row"), ("array_col", "column", "col")
_ENSEMBL_NAMES = ("gene_ids", "gene_id", "ensembl_id", "ensembl")
_BROKEN = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError)


def read_h5ad(
    path: Path,
    layer: str | None = None,
    library: str | None = None,
    library_key: str = "library_id",
    *,
    only_tissue: bool = True,
) -> RawSpots:
    """Read one section from an .h5ad file, such as those of scanpy, squidpy and HEST-1k.

    Parameters
    ----------
    path : Path
        Raw counts in X or a layer; ``obsm['spatial']``: x and y in full-resolution pixels; ``obs``: array_row,
        array_col (without them the spots have no grid), in_tissue.
    layer : str, optional
        Layer with the raw counts; X if not given.
    library, library_key : str, optional
        Take the spots whose ``obs[library_key]`` is ``library``, where a file holds several sections.
    only_tissue : bool
        Leave out spots with in_tissue 0.

    Raises
    ------
    DataError
        The file is damaged, or lacks positions, the layer or the library.
    """
    anndata = require("anndata", "histology")
    if not path.is_file():
        raise DataError("no such file", where=path, fix="check the path")
    try:
        data = anndata.read_h5ad(path)
    except _BROKEN as error:
        raise DataError(f"the file cannot be read: {error}", where=path, expected="a whole .h5ad file") from error
    report = JoinReport(0)
    if library is not None:
        if library_key not in data.obs or not (is_in := (data.obs[library_key] == library).to_numpy()).any():
            raise DataError(f"no spot with {library_key} {library!r}", where=path, expected="a library of the file")
        data = data[is_in]
    if "spatial" not in data.obsm:
        raise DataError("no positions: obsm has no 'spatial'", where=path, expected="x and y in full-resolution pixels")
    return _spots_of(
        data, np.asarray(data.obsm["spatial"], dtype=np.float64), path, layer, only_tissue=only_tissue, report=report
    )


def read_spatialdata(
    folder: Path,
    table: str | None = None,
    layer: str | None = None,
    only_tissue: bool = True,
    *,
    coordinate_system: str = "global",
) -> RawSpots:
    """Read one section from a SpatialData store.

    Parameters
    ----------
    folder : Path
        The .zarr store; its table annotates one element of shapes, whose centres are the spots.
    table : str, optional
        Name of the table; may be left out where there is one.
    layer : str, optional
        Layer with the raw counts; X if not given.
    only_tissue : bool
        Leave out spots with in_tissue 0.
    coordinate_system : str
        Coordinate system whose unit is a pixel of the full-resolution image.

    Raises
    ------
    DataError
        The store is damaged, or lacks the table, its shapes or the coordinate system.
    """
    spatialdata = require("spatialdata", "spatialdata")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of dask and ome-zarr, about versions
            store = spatialdata.read_zarr(folder, selection=("tables", "shapes"))
            name = table if table is not None else _only(list(store.tables), folder)
            data = store.tables[name]
            attributes = data.uns["spatialdata_attrs"]
            region, instance = attributes["region"], attributes["instance_key"]
            region = region if isinstance(region, str) else _only(list(region), folder)
            centres = spatialdata.get_centroids(store.shapes[region], coordinate_system).compute()
    except _BROKEN as error:
        raise DataError(
            f"the store cannot be read: {error}", where=folder, expected="a table that annotates shapes"
        ) from error
    positions = centres.loc[data.obs[instance], ["x", "y"]].to_numpy(np.float64)
    return _spots_of(data, positions, folder, layer, only_tissue=only_tissue, report=JoinReport(0))


def _only(names: list[str], folder: Path) -> str:
    if len(names) != 1:
        raise DataError(f"{len(names)} to choose from: {', '.join(names)}", where=folder, fix="name one (table: NAME)")
    return names[0]


def _spots_of(
    data: Any, positions: np.ndarray, path: Path, layer: str | None, *, only_tissue: bool, report: JoinReport
) -> RawSpots:
    if layer is not None and layer not in data.layers:
        raise DataError(f"no layer {layer!r}", where=path, expected="one of: " + ", ".join(data.layers))
    names = pd.Index(data.obs_names.astype(str))
    frame = pd.DataFrame(
        {
            "barcode": names,
            "x_px": positions[:, 0],
            "y_px": positions[:, 1],
            "row": _whole(data.obs, _ROW_NAMES),
            "column": _whole(data.obs, _COLUMN_NAMES),
        }
    )
    if only_tissue and "in_tissue" in data.obs:
        is_off = (data.obs["in_tissue"].astype(int) != 1).to_numpy()
        report = report.with_dropped("position not under tissue", names[is_off])
        frame, data, names = frame[~is_off], data[~is_off], names[~is_off]
    counts, symbols, num_merged = sum_columns(
        data.X if layer is None else data.layers[layer], data.var_names.astype(str)
    )
    key = next((name for name in _ENSEMBL_NAMES if name in data.var), None)
    ensembl = None if key is None or num_merged else tuple(data.var[key].astype(str))
    return RawSpots(frame, names, counts, GenePanel(symbols, ensembl), report)


def _whole(obs: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """The first of some columns as whole numbers, NO_GRID where there is none."""
    for name in names:
        if name in obs:
            values = pd.to_numeric(obs[name], errors="coerce").to_numpy(np.float64)
            if np.isfinite(values).all() and (values == np.floor(values)).all():
                return values.astype(np.int64)
    return np.full(len(obs), NO_GRID, dtype=np.int64)
