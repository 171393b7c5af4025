"""Predictions of a histology run as AnnData, for scanpy and squidpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.files import atomic_path
from seqexp.core.optional import require
from seqexp.histology.evaluation.metrics import Predicted


def write_h5ad(path: Path, predicted: Predicted) -> None:
    """AnnData that scanpy and squidpy open: X is the prediction, layer ``measured``, ``obsm["spatial"]`` in pixels."""
    anndata = require("anndata", "histology")
    frame = predicted.data.fold.spots.frame
    rows = np.flatnonzero(np.isfinite(predicted.values).all(1))
    obs = frame.iloc[rows].assign(split=predicted.data.fold.labels[rows].astype(str))
    names = [f"{slide}_{barcode}" for slide, barcode in zip(obs["slide"], obs["barcode"])]
    # plain Python strings: files with pandas' own string type cannot be opened by older versions of anndata
    obs = obs.astype({column: object for column in obs if not pd.api.types.is_numeric_dtype(obs[column])})
    obs.index = pd.Index(names, dtype=object)
    symbols = pd.Index(list(predicted.data.fold.panel), dtype=object)
    var = pd.DataFrame({"test_pcc": predicted.test.per_gene}, index=symbols)
    table = anndata.AnnData(predicted.values[rows].astype(np.float32), obs=obs, var=var)
    table.layers["measured"] = predicted.data.values[rows]
    table.obsm["spatial"] = obs[["x_px", "y_px"]].to_numpy(np.float64)
    table.uns["unit"] = predicted.data.transform.unit
    with atomic_path(path) as temporary:
        table.write_h5ad(temporary)
