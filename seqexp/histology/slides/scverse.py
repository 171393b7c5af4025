"""AnnData (.h5ad) and SpatialData (.zarr), HEST-1k among them: counts, grid and pixel positions of spots."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError, SeqexpError
from seqexp.core.optional import require
from seqexp.histology.slides.annotated_table import spots_of
from seqexp.histology.slides.joining import RawSpots
from seqexp.histology.slides.sections import only_section

# Pairs of columns that hold x and y, whatever their order in the table.
_XY = (
    *(("pxl_col_in_fullres", "pxl_row_in_fullres"), ("imagecol", "imagerow"), ("pixel_x", "pixel_y")),
    *(("x_px", "y_px"), ("x", "y"), ("X", "Y"), (0, 1), ("0", "1")),
)


def read_h5ad(
    path: Path,
    layer: str | None = None,
    library: str | None = None,
    *,
    library_key: str = "library_id",
    only_tissue: bool = True,
) -> RawSpots:
    """Read one section from an .h5ad file, such as those of scanpy, squidpy and HEST-1k.

    Parameters
    ----------
    path : Path
        Raw counts in X, a layer or raw; ``obsm['spatial']``: x and y in full-resolution pixels, in this order unless
        it is a table that names them; ``obs``: array_row, array_col (without them the spots have no grid), in_tissue.
    layer : str, optional
        Layer with the raw counts, or ``raw``; X if not given.
    library, library_key : str, optional
        Take the spots whose ``obs[library_key]`` is ``library``, where a file holds several sections; ``all``: they
        are of one section, whatever the file calls them.
    only_tissue : bool
        Leave out spots with in_tissue 0.

    Raises
    ------
    DataError
        The file is damaged, or lacks positions, the layer or the library; no library is named and there are several;
        the counts are not raw.
    """
    anndata = require("anndata", "histology")
    if not path.is_file():
        raise DataError("no such file", where=path, fix="check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of anndata, about names; what matters is checked here
            data = only_section(anndata.read_h5ad(path), library, library_key, path)
            positions = _positions(data, path)
            return spots_of(data, positions, path, layer=layer, only_tissue=only_tissue)
    except SeqexpError:
        raise
    except Exception as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"the file cannot be read: {told}", where=path, expected="a whole .h5ad file") from error


def read_spatialdata(
    folder: Path,
    table: str | None = None,
    layer: str | None = None,
    *,
    only_tissue: bool = True,
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
        Layer with the raw counts, or ``raw``; X if not given.
    only_tissue : bool
        Leave out spots with in_tissue 0.
    coordinate_system : str
        Coordinate system whose unit is a pixel of the full-resolution image.

    Raises
    ------
    DataError
        The store is damaged, or lacks the table, its shapes or the coordinate system; the counts are not raw.
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
            positions = centres.loc[data.obs[instance], ["x", "y"]].to_numpy(np.float64)
            return spots_of(data, positions, folder, layer=layer, only_tissue=only_tissue)
    except SeqexpError:
        raise
    except Exception as error:
        raise DataError(
            f"the store cannot be read: {error}", where=folder, expected="a table that annotates shapes"
        ) from error


def _positions(data: Any, path: Path) -> NDArray[np.float64]:
    """x and y of every spot (S, 2), by the names of the columns where they have some."""
    expected = "x and y in full-resolution pixels (S, 2)"
    if "spatial" not in data.obsm:
        raise DataError("no positions: obsm has no 'spatial'", where=path, expected=expected)
    found = data.obsm["spatial"]
    if isinstance(found, pd.DataFrame):
        named = next((list(pair) for pair in _XY if set(pair) <= set(found.columns)), None)
        if named is None:
            raise DataError(
                f"obsm['spatial'] has the columns {', '.join(map(str, found.columns))}",
                where=path,
                expected="one of: " + "; ".join(f"{x}, {y}" for x, y in _XY if isinstance(x, str)),
                fix="name the columns so: it is not known which of them is x",
            )
        found = found[named]
    found = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
    if found.ndim != 2 or found.shape[1] != 2 or found.dtype.kind not in "iuf":
        raise DataError(
            f"obsm['spatial'] has the shape {found.shape} and the type {found.dtype}", where=path, expected=expected
        )
    return found.astype(np.float64)


def _only(names: list[str], folder: Path) -> str:
    if len(names) != 1:
        raise DataError(f"{len(names)} to choose from: {', '.join(names)}", where=folder, fix="name one (table: NAME)")
    return names[0]
