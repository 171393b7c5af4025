"""Pairs of a silenced element and a measured gene, in the table format of EngreitzLab/CRISPR_comparison (ENCODE)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.tables import is_missing, numbers, read_table, whole_numbers
from seqexp.dna.elements.gene_names import unversioned
from seqexp.dna.genome.regions import check_intervals

_REQUIRED = ("chrom", "chromStart", "chromEnd", "measuredGeneSymbol", "startTSS", "endTSS", "Regulated")
_VERDICTS = {**dict.fromkeys(("true", "t", "1"), True), **dict.fromkeys(("false", "f", "0"), False)}
_NO_VERDICT = ("", "na", "n/a", "nan", "none", "null", ".")


def read_pairs(path: str | Path) -> pd.DataFrame:
    """Pairs of a benchmark file.

    Returns
    -------
    DataFrame
        chrom, start, end, symbol, ensembl, is_positive, distance_bp (element centre to TSS, as the file states it where
        it does), and ``DHS``, ``H3K27ac`` (reads per million; H3K27ac of the wider region, since nucleosomes flank an
        enhancer; NaN where the file has none). ``attrs["num_dropped"]``: rows left out, without a TSS or a verdict.

    Raises
    ------
    DataError
        The table cannot be read, lacks a column, has a cell that is no number or no verdict (TRUE, FALSE or NA in
        ``Regulated``), or holds no positive or no negative pair.
    """
    table = read_table(path)
    absent = [name for name in _REQUIRED if name not in table]
    if absent:
        raise DataError(f"no column {absent[0]!r}", where=path, expected=", ".join(_REQUIRED))
    is_positive, is_judged = _verdicts(table, path)
    tss = (_finite(table, "startTSS", path) + _finite(table, "endTSS", path)) / 2
    start, end = (whole_numbers(table, column, path) for column in ("chromStart", "chromEnd"))
    measured = ((start + end) / 2 - tss).abs()
    stated = _finite(table, "distanceToTSS", path) if "distanceToTSS" in table else measured
    wider = "H3K27ac.RPM.expandedRegion"
    pairs = pd.DataFrame(
        {
            "chrom": table["chrom"],
            "start": start,
            "end": end,
            "symbol": table["measuredGeneSymbol"],
            "ensembl": unversioned(table.get("measuredGeneEnsemblId", pd.Series("", index=table.index))),
            "is_positive": is_positive,
            "distance_bp": stated.fillna(measured).abs(),
            "DHS": _activity(table, "DHS.RPM", path),
            "H3K27ac": _activity(table, wider if wider in table else "H3K27ac.RPM", path),
        }
    )
    _require_names(check_intervals(pairs, path), path)
    pairs = pairs[is_judged & tss.notna()].reset_index(drop=True)
    pairs.attrs["num_dropped"] = len(table) - len(pairs)
    if pairs["is_positive"].nunique() != 2:
        raise DataError(
            f"{len(pairs)} pairs with a TSS, {int(pairs['is_positive'].sum())} of them regulated",
            where=path,
            expected="regulated and unregulated pairs",
        )
    return pairs


def _verdicts(table: pd.DataFrame, path: str | Path) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairs are regulated, and which have a verdict at all, (n,) each."""
    words = table["Regulated"].astype(str).str.strip().str.lower()
    is_judged = ~words.isin(_NO_VERDICT).to_numpy()
    is_bad = is_judged & ~words.isin(list(_VERDICTS)).to_numpy()
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise DataError(
            f"{table['Regulated'].iloc[row]!r} in column 'Regulated' is no verdict",
            where=f"{path}, data row {row + 1}; {int(is_bad.sum())} such rows",
            expected="TRUE or FALSE; NA where a pair was not judged",
        )
    return words.map(_VERDICTS).eq(True).to_numpy(), is_judged


def _finite(table: pd.DataFrame, column: str, path: str | Path) -> pd.Series:
    """A column as finite float64, NaN where it is missing."""
    values = numbers(table, column, path)
    is_bad = np.isinf(values.to_numpy())
    if is_bad.any():
        raise DataError(
            f"{int(is_bad.sum())} infinite values in column {column!r}",
            where=f"{path}, data row {int(np.argmax(is_bad)) + 1}",
            expected="finite numbers; empty or NA where unknown",
        )
    return values


def _activity(table: pd.DataFrame, column: str, path: str | Path) -> pd.Series:
    """Reads per million; NaN where the file has none."""
    if column not in table:
        return pd.Series(np.nan, index=table.index)
    values = _finite(table, column, path)
    is_bad = (values < 0).to_numpy()
    if is_bad.any():
        where = f"{path}, data row {int(np.argmax(is_bad)) + 1}"
        raise DataError(f"negative values in column {column!r}", where=where, expected="reads per million, at least 0")
    return values


def _require_names(pairs: pd.DataFrame, path: str | Path) -> None:
    """Every pair has a chromosome and a gene."""
    for column, is_bad in (
        ("chrom", is_missing(pairs["chrom"])),
        ("measuredGeneSymbol", is_missing(pairs["symbol"]) & is_missing(pairs["ensembl"])),
    ):
        if is_bad.any():
            where = f"{path}, data row {int(np.argmax(is_bad)) + 1}; {int(is_bad.sum())} such rows"
            raise DataError(f"no name in column {column!r}", where=where, expected="a name in every row")
