"""Spots of an AnnData table: names, grid, tissue, raw counts and genes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.histology.slides.counts import sum_columns, whole_counts
from seqexp.histology.slides.flags import read_flags
from seqexp.histology.slides.joining import RawSpots
from seqexp.histology.slides.panel import GenePanel, known_ids
from seqexp.histology.slides.spots import NO_GRID, JoinReport

RAW = "raw"
_ROW_NAMES, _COLUMN_NAMES = ("array_row", "row"), ("array_col", "column", "col")
_ID_NAMES = ("gene_ids", "gene_id", "ensembl_id", "ensembl", "feature_id")


def spots_of(
    data: Any, positions: NDArray[np.float64], path: Path, *, layer: str | None = None, only_tissue: bool = True
) -> RawSpots:
    """The spots of a table with their pixel positions (S, 2).

    Raises
    ------
    DataError
        The layer is not there, its counts are not raw, or in_tissue says neither yes nor no.
    """
    counts, genes = _raw_counts(data, layer, path)
    names = pd.Index(data.obs_names.astype(str))
    rows, columns, notes = _grid(data.obs)
    frame = pd.DataFrame(
        {"barcode": names, "x_px": positions[:, 0], "y_px": positions[:, 1], "row": rows, "column": columns}
    )
    report = JoinReport(0, notes=notes)
    if only_tissue and "in_tissue" in data.obs:
        is_tissue, is_unknown = read_flags(data.obs["in_tissue"], "obs['in_tissue']", path)
        report = report.with_dropped("position whose in_tissue is unknown", names[is_unknown])
        report = report.with_dropped("position not under tissue", names[~is_tissue & ~is_unknown])
        frame, counts, names = frame[is_tissue], counts[np.flatnonzero(is_tissue)], names[is_tissue]
    counts, panel, summed = _one_column_per_gene(counts, genes)
    report = report.with_dropped("genes named twice, summed", summed)
    return RawSpots(frame.reset_index(drop=True), names, counts, panel, report=report)


def _raw_counts(data: Any, layer: str | None, path: Path) -> tuple[Any, pd.DataFrame]:
    """Counts (S, G) and the table of their genes, proved to be whole numbers."""
    choices = _matrices(data)
    name = "X" if layer is None else layer
    if name not in choices:
        raise DataError(
            "X is empty" if layer is None else f"no layer {layer!r}",
            where=path,
            expected="raw counts in X, in a layer or in raw",
            fix="; ".join(f"layer: {other}" for other in choices if other != "X") or None,
        )
    matrix, genes = choices[name]
    try:
        return whole_counts(matrix, f"{path}, {name}"), genes
    except DataError as error:
        raw = [other for other in choices if other != name and _is_raw(choices[other][0], path)]
        if not raw:
            raise
        fix = "; ".join("leave out layer" if other == "X" else f"layer: {other}" for other in raw)
        raise DataError(
            error.found, where=error.where, expected=error.expected, fix=f"{fix} holds raw counts"
        ) from error


def _matrices(data: Any) -> dict[str, tuple[Any, pd.DataFrame]]:
    """What may hold counts: X, the layers, and raw under that name."""
    found = {} if data.X is None else {"X": (data.X, data.var)}
    if data.raw is not None:
        found[RAW] = (data.raw.X, data.raw.var)
    return {**found, **{str(name): (data.layers[name], data.var) for name in data.layers}}


def _is_raw(matrix: Any, path: Path) -> bool:
    try:
        whole_counts(matrix, path)
    except DataError:
        return False
    return True


def _one_column_per_gene(counts: Any, genes: pd.DataFrame) -> tuple[Any, GenePanel, Sequence[str]]:
    """Genes of one name are told apart by their ids where they have some, and summed otherwise."""
    symbols = pd.Series(genes.index.astype(str), dtype=object)
    key = next((name for name in _ID_NAMES if name in genes), None)
    ids = pd.Series(("",) * len(symbols) if key is None else known_ids(genes[key]), dtype=object)
    symbols = symbols.where(symbols.str.strip() != "", ids)
    is_again = symbols.duplicated()
    symbols = symbols.where(~is_again | (ids == ""), symbols + "_" + ids)
    summed = list(symbols[symbols.duplicated()])
    if not summed:
        return counts, GenePanel(tuple(symbols), tuple(ids)), summed
    merged, names, _ = sum_columns(counts, symbols)
    return merged, GenePanel(names, tuple(ids[~symbols.duplicated()])), summed


def _grid(obs: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    """Array rows and columns, NO_GRID for all where one is missing, and what there is to tell about it."""
    none = np.full(len(obs), NO_GRID, dtype=np.int64)
    found = [next((name for name in names if name in obs), None) for names in (_ROW_NAMES, _COLUMN_NAMES)]
    if None in found:
        return none, none, ()
    places = obs[found].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    is_whole = (places >= 0) & (places < 2**31) & (places == np.floor(places))
    if not is_whole.all():
        num = int((~is_whole).any(axis=1).sum())
        return none, none, (f"no grid: {found[0]} or {found[1]} of {num} spots is no whole number",)
    return places[:, 0].astype(np.int64), places[:, 1].astype(np.int64), ()
