"""Pairs of a silenced element and a measured gene, in the table format of EngreitzLab/CRISPR_comparison (ENCODE)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.tables import is_missing, numbers, read_table, refuse_cells, whole_numbers
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
        enhancer; NaN where the file has none). ``attrs["num_dropped"]``: rows left out, without a TSS or a verdict, or
        no valid connection; ``attrs["told"]``: sentences on what a reader should know of the pairs.

    Raises
    ------
    DataError
        The table cannot be read, lacks a column, has a cell that is no number or no verdict (TRUE, FALSE or NA in
        ``Regulated``), holds a pair twice, or no positive or no negative pair.
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
    is_valid = _is_valid(table)
    is_used = is_judged & tss.notna().to_numpy() & is_valid
    cells = table["CellType"] if "CellType" in table else pd.Series("", index=table.index)
    _require_once(pairs.assign(cell=cells)[is_used], path)
    pairs = pairs[is_used].reset_index(drop=True)
    pairs.attrs["num_dropped"] = len(table) - len(pairs)
    pairs.attrs["told"] = _told(table, is_judged & tss.notna().to_numpy(), is_valid)
    if pairs["is_positive"].nunique() != 2:
        raise DataError(
            f"{len(pairs)} pairs with a TSS, {int(pairs['is_positive'].sum())} of them regulated",
            where=path,
            expected="regulated and unregulated pairs",
        )
    return pairs


def _is_valid(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Pairs that test an enhancer (n,); others, such as promoters, carry the reason in ``ValidConnection``."""
    if "ValidConnection" not in table:
        return np.ones(len(table), dtype=bool)
    words = table["ValidConnection"].str.strip().str.lower()
    return words.isin(["true", "t", "1", *_NO_VERDICT]).to_numpy()


def _told(table: pd.DataFrame, has_answer: NDArray[np.bool_], is_valid: NDArray[np.bool_]) -> tuple[str, ...]:
    told = []
    for found, words in (
        (int((~has_answer).sum()), "rows without a TSS or a verdict were left out"),
        (int((has_answer & ~is_valid).sum()), "rows were left out as no valid connection"),
    ):
        if found:
            told.append(f"{found:,} {words}")
    if not is_valid.all():
        reasons = table.loc[has_answer & ~is_valid, "ValidConnection"].value_counts()
        told[-1] += ": " + "; ".join(f"{reason} {count:,}" for reason, count in reasons.head(4).items())
    if "CellType" in table:
        cells = table.loc[has_answer & is_valid, "CellType"].value_counts()
        if len(cells) > 1:
            listed = ", ".join(f"{cell} {count:,}" for cell, count in cells.head(6).items())
            told.append(
                f"the pairs are of {len(cells)} cell types: {listed}; scores of one of them say little of others"
            )
    return tuple(told)


def _require_once(pairs: pd.DataFrame, path: str | Path) -> None:
    """Pairs that stand in the file twice would weigh twice, or contradict each other."""
    is_again = pairs.duplicated(["cell", "chrom", "start", "end", "symbol", "ensembl"]).to_numpy()
    if is_again.any():
        first = pairs[is_again].iloc[0]
        raise DataError(
            f"{int(is_again.sum())} pairs come twice",
            where=f"{path}, first {first['chrom']}:{first['start']}-{first['end']} with {first['symbol']}",
            expected="each element and gene once per cell type",
            fix="keep one row of each; of experiments that were put together, the one to be trusted",
        )


def _verdicts(table: pd.DataFrame, path: str | Path) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairs are regulated, and which have a verdict at all, (n,) each."""
    words = table["Regulated"].astype(str).str.strip().str.lower()
    is_judged = ~words.isin(_NO_VERDICT).to_numpy()
    is_bad = is_judged & ~words.isin(list(_VERDICTS)).to_numpy()
    expected = "TRUE or FALSE; NA where a pair was not judged"
    refuse_cells(table["Regulated"], is_bad, path, found="in column 'Regulated' is no verdict", expected=expected)
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
