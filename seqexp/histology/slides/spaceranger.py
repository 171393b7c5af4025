"""Output folders of 10x Space Ranger: a feature-barcode matrix and the positions of the spots."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import io, sparse

from seqexp.core.errors import DataError
from seqexp.histology.slides.joining import RawSpots
from seqexp.histology.slides.panel import GenePanel
from seqexp.histology.slides.spots import JoinReport

_POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
_MATRICES = ("filtered_feature_bc_matrix", "raw_feature_bc_matrix")
_COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
_SCALES = {"hires": "tissue_hires_scalef", "lowres": "tissue_lowres_scalef"}
_BROKEN = (OSError, ValueError, KeyError, IndexError, EOFError, zlib.error, pd.errors.ParserError)


def read_spaceranger(folder: Path, image: Path | None = None, only_tissue: bool = True) -> RawSpots:
    """Read the ``outs`` folder of one section.

    Parameters
    ----------
    folder : Path
        ``outs``, or the folder that holds it.
    image : Path, optional
        Image of the slide. If it is one of the downscaled ones (``tissue_hires_image.png``, …), positions are scaled to
        its pixels by ``scalefactors_json.json``.
    only_tissue : bool
        Leave out spots that Space Ranger did not find under tissue.

    Raises
    ------
    DataError
        A file is missing or damaged, or there is no gene expression in the matrix.
    """
    folder = folder / "outs" if (folder / "outs").is_dir() else folder
    matrix = _matrix_of(folder)
    try:
        barcodes, counts, panel, kinds = _read_h5(matrix) if matrix.suffix == ".h5" else _read_mtx(matrix)
    except _BROKEN as error:
        raise DataError(f"the matrix cannot be read: {error}", where=matrix, expected="a whole 10x matrix") from error
    positions = _positions(folder)
    report = JoinReport(0).with_dropped("features that are not gene expression", kinds)
    if only_tissue:
        is_off = (positions["in_tissue"] != 1).to_numpy()
        report = report.with_dropped("position not under tissue", positions["barcode"][is_off])
        positions = positions[~is_off]
    scale = _scale_of(image, folder)
    frame = pd.DataFrame(
        {
            "barcode": positions["barcode"],
            "x_px": positions["pxl_col_in_fullres"] * scale,
            "y_px": positions["pxl_row_in_fullres"] * scale,
            "row": positions["array_row"],
            "column": positions["array_col"],
        }
    ).reset_index(drop=True)
    return RawSpots(frame, barcodes, counts, panel, report)


def _matrix_of(folder: Path) -> Path:
    for name in _MATRICES:
        for path in (folder / f"{name}.h5", folder / name):
            if path.exists():
                return path
    raise DataError("no feature-barcode matrix", where=folder, expected=" or ".join(f"{m}(.h5)" for m in _MATRICES))


def _positions(folder: Path) -> pd.DataFrame:
    for name in _POSITIONS:
        path = folder / "spatial" / name
        if not path.exists():
            continue
        try:
            if path.suffix == ".parquet":
                return pd.read_parquet(path)
            has_header = name == "tissue_positions.csv"  # Space Ranger 2 names its columns, earlier ones do not
            frame = pd.read_csv(path, header=0 if has_header else None, names=None if has_header else _COLUMNS)
            return frame[_COLUMNS].astype(dict.fromkeys(_COLUMNS[1:], float))
        except _BROKEN as error:
            raise DataError(
                f"the positions cannot be read: {error}", where=path, expected=", ".join(_COLUMNS)
            ) from error
    raise DataError("no positions of spots", where=folder / "spatial", expected="one of: " + ", ".join(_POSITIONS))


def _scale_of(image: Path | None, folder: Path) -> float:
    """Pixels of the image per pixel of the full-resolution one."""
    found = [key for word, key in _SCALES.items() if image is not None and f"tissue_{word}_image" in image.name]
    if not found:
        return 1.0
    path = folder / "spatial" / "scalefactors_json.json"
    try:
        return float(json.loads(path.read_text())[found[0]])
    except _BROKEN as error:
        raise DataError(f"no scale factor {found[0]}", where=path, fix="give the full-resolution image") from error


def _read_mtx(folder: Path) -> tuple[pd.Index, Any, GenePanel, list[str]]:
    features = pd.read_csv(_one_of(folder, "features.tsv"), sep="\t", header=None, dtype=str)
    barcodes = pd.read_csv(_one_of(folder, "barcodes.tsv"), sep="\t", header=None, dtype=str)[0]
    path = _one_of(folder, "matrix.mtx")
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as handle:  # type: ignore[attr-defined]
        counts = sparse.csr_matrix(io.mmread(handle).T)
    return _genes(pd.Index(barcodes), counts, features[0], features[1], kinds=features.get(2))


def _read_h5(path: Path) -> tuple[pd.Index, Any, GenePanel, list[str]]:
    import h5py

    with h5py.File(path) as file:
        group = file["matrix"]
        shape = tuple(int(n) for n in group["shape"][:])  # genes x barcodes, stored by columns
        counts = sparse.csc_matrix((group["data"][:], group["indices"][:], group["indptr"][:]), shape).T.tocsr()
        ids, names, kinds = (pd.Series(group[f"features/{k}"].asstr()[:]) for k in ("id", "name", "feature_type"))
        return _genes(pd.Index(group["barcodes"].asstr()[:]), counts, ids, names, kinds=kinds)


def _genes(
    barcodes: pd.Index, counts: Any, ids: pd.Series, names: pd.Series, *, kinds: pd.Series | None
) -> tuple[pd.Index, Any, GenePanel, list[str]]:
    """Only gene expression; a symbol that stands for several genes is followed by the id from its second time on."""
    is_gene = (kinds == "Gene Expression").to_numpy() if kinds is not None else [True] * len(ids)
    others = list(names[~pd.Series(is_gene)])
    ids, names = ids[is_gene].reset_index(drop=True), names[is_gene].reset_index(drop=True)
    names = names.where(~names.duplicated(), names + "_" + ids)
    ensembl = tuple(i if i.startswith("ENS") else "" for i in ids)
    return barcodes, counts[:, is_gene], GenePanel(tuple(names), ensembl), others


def _one_of(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.exists():
            return path
    raise OSError(f"{name} is missing")
