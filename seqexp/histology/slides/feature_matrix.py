"""Feature-barcode matrices of 10x, HDF5 or Matrix Market: barcodes, counts and genes, each checked for its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.core.tables import read_csv
from seqexp.histology.slides.counts import sound
from seqexp.histology.slides.matrix_market import read_matrix_market
from seqexp.histology.slides.panel import GenePanel, known_ids

_GENES = "Gene Expression"
_LISTS = (("features.tsv", "genes.tsv"), ("barcodes.tsv",), ("matrix.mtx",))
_BROKEN = (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class FeatureMatrix:
    """Gene expression of one section.

    Parameters
    ----------
    barcodes : Index (S,)
    counts : CSR matrix (S, G)
    panel : GenePanel
        A symbol that stands for several genes is followed by the id from its second time on.
    others : tuple of str
        Features that are not gene expression; they were left out.
    """

    barcodes: pd.Index
    counts: sparse.csr_matrix
    panel: GenePanel
    others: tuple[str, ...]


def read_feature_matrix(path: Path) -> FeatureMatrix:
    """Read ``…_feature_bc_matrix.h5`` or the folder of that name.

    Raises
    ------
    DataError
        A file is missing or damaged, or there is no gene expression in it.
    """
    if path.suffix != ".h5":
        return _read_folder(path)
    try:
        barcodes, counts, columns = _read_h5(path)
    except _BROKEN as error:
        raise DataError(
            f"the matrix cannot be read: {error}", where=path, expected="a whole feature-barcode matrix of Space Ranger"
        ) from error
    return _gene_expression(barcodes, sound(counts, path).T.tocsr(), columns, path)


def _read_folder(folder: Path) -> FeatureMatrix:
    features, barcodes, matrix = (_one_of(folder, names) for names in _LISTS)
    named = read_csv(features, sep="\t", header=None, quoting=3)
    listed = read_csv(barcodes, sep="\t", header=None, quoting=3)
    if named.shape[1] < 2 or not listed.shape[1]:
        raise DataError(
            "a list is empty or has one column", where=folder, expected="features: id, name, kind; barcodes"
        )
    counts = read_matrix_market(matrix, (len(named), len(listed)))
    columns = [named[column].tolist() for column in range(min(named.shape[1], 3))]
    return _gene_expression(pd.Index(listed[0]), counts.T.tocsr(), columns, features)


def _read_h5(path: Path) -> tuple[pd.Index, Any, list[list[str]]]:
    """Barcodes, counts (features x barcodes) and the columns id, name, kind of the features."""
    h5py = require("h5py", "histology")
    with h5py.File(path) as file:
        group = file["matrix"]
        shape = tuple(int(n) for n in group["shape"][:])  # features x barcodes, stored by columns
        values, indices, starts = (group[name][:] for name in ("data", "indices", "indptr"))
        if indices.dtype.kind not in "iu" or starts.dtype.kind not in "iu":
            raise ValueError("indices are not whole numbers")
        counts = sparse.csc_matrix((values, indices, starts), shape)
        columns = [_texts(group[f"features/{name}"]) for name in ("id", "name", "feature_type")]
        barcodes = _texts(group["barcodes"])
    if shape != (len(columns[0]), len(barcodes)) or len({len(column) for column in columns}) > 1:
        raise ValueError(f"{shape[0]} x {shape[1]} counts for {len(columns[0])} features and {len(barcodes)} barcodes")
    return pd.Index(barcodes), counts, columns


def _texts(dataset: Any) -> list[str]:
    return [str(name) for name in dataset.asstr()[:]]


def _gene_expression(
    barcodes: pd.Index, counts: sparse.csr_matrix, columns: list[list[str]], path: Path
) -> FeatureMatrix:
    ids, names = pd.Series(columns[0], dtype=object), pd.Series(columns[1], dtype=object)
    is_gene = np.array([kind == _GENES for kind in columns[2]]) if len(columns) > 2 else np.ones(len(ids), bool)
    if not is_gene.any():
        found = ", ".join(sorted(set(columns[2])))[:120] if len(columns) > 2 else "nothing"
        raise DataError(f"no gene expression: {found}", where=path, expected=f"features of the kind {_GENES}")
    others = tuple(names[~is_gene])
    ids, names = ids[is_gene].reset_index(drop=True), names[is_gene].reset_index(drop=True)
    names = names.where(names.str.strip() != "", ids)
    names = names.where(~names.duplicated(), names + "_" + ids)
    return FeatureMatrix(barcodes, counts[:, is_gene], GenePanel(tuple(names), known_ids(ids)), others)


def _one_of(folder: Path, names: Sequence[str]) -> Path:
    for name in names:
        for path in (folder / f"{name}.gz", folder / name):
            if path.is_file():
                return path
    raise DataError(f"{names[0]} is missing", where=folder, expected=", ".join(n[0] + "(.gz)" for n in _LISTS))
