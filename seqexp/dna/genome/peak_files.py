"""Files of peaks in any of the formats peak callers write, told apart by their content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.dna.genome.bed_rows import finite_numbers, read_rows, whole_positions
from seqexp.dna.genome.regions import BED, NARROW_PEAK, bed_table, check_intervals, no_intervals

_VALUES = ("signal_value", "p_value", "q_value")
_BROAD_PEAK = (*BED, *_VALUES)
_GAPPED_PEAK = (*BED, *(f"column_{n}" for n in range(7, 13)), *_VALUES)
# Header lines, as tools and people write them, to the names used here.
_HEADER = {
    **dict.fromkeys(("chrom", "chr", "chromosome", "seqnames", "seqname"), "chrom"),
    **dict.fromkeys(("start", "chromstart", "chrom_start"), "start"),
    **dict.fromkeys(("end", "stop", "chromend", "chrom_end"), "end"),
    **dict.fromkeys(("name", "id", "peak_id", "gene_id"), "name"),
    "score": "score",
    "strand": "strand",
    "peak": "summit_bp",
    "summit": "summit_bp",
    "summit_bp": "summit_bp",
    **dict.fromkeys(("signalvalue", "signal_value", "signal", "fold_enrichment"), "signal_value"),
    **dict.fromkeys(("pvalue", "p_value", "-log10(pvalue)"), "p_value"),
    **dict.fromkeys(("qvalue", "q_value", "-log10(qvalue)"), "q_value"),
}
_TARGET_GENES = ("targetgene", "target_gene")
_POSITIONS = ("start", "chromstart", "chrom_start", "end", "stop", "chromend", "chrom_end")


def read_peak_file(path: str | Path) -> pd.DataFrame:
    """Peaks of a narrowPeak, broadPeak, gappedPeak, regionPeak, BED or MACS table (``_peaks.xls``), by its content.

    What most rows look like decides. A name with narrowPeak, regionPeak or broadPeak is a hint where that leaves a
    choice.

    Returns
    -------
    DataFrame
        chrom, start, end (0-based, half-open; a table of MACS counts from 1 and is shifted), then what there is of
        name, score, strand, signal_value, p_value and q_value (-log10) and summit_bp (offset from start, -1 if
        unknown). An empty file gives an empty table.

    Raises
    ------
    DataError
        The file is missing or damaged, a position is no whole number, a value no finite one, or an interval is empty,
        negative or turned round.
    """
    path = Path(path)
    rows = read_rows(path, _POSITIONS)
    if rows.empty:
        return no_intervals()
    if isinstance(rows.columns[0], str):
        return _with_header(rows, path)
    return bed_table(rows, _names(rows, path), path)


def _names(rows: pd.DataFrame, path: Path) -> tuple[str, ...]:
    """Names of the columns of a file without a header line; most rows decide, and the others are then refused."""
    num, hint = rows.shape[1], path.name.lower()
    if num >= 12 and _mostly(_has_blocks(rows)):
        return _GAPPED_PEAK if num == 15 and all(map(_is_numeric, (rows[12], rows[13], rows[14]))) else BED
    is_valued = num >= 9 and all(map(_is_numeric, (rows[6], rows[7], rows[8])))
    if num >= 10 and ("narrowpeak" in hint or "regionpeak" in hint or (is_valued and _mostly(_has_summit(rows)))):
        return NARROW_PEAK
    if num == 9 and ("broadpeak" in hint or (is_valued and not _mostly(_has_thick_part(rows)))):
        return _BROAD_PEAK
    return BED


def _mostly(is_so: NDArray[np.bool_] | pd.Series) -> bool:
    return bool(np.mean(is_so) > 0.5)


def _is_numeric(column: pd.Series) -> bool:
    return _mostly(pd.to_numeric(column, errors="coerce").notna())


def _has_blocks(rows: pd.DataFrame) -> pd.Series:
    """Rows whose column 10 counts the sizes in column 11 and the starts in column 12, as in BED12."""
    count = pd.to_numeric(rows[9], errors="coerce")
    lists = [rows[column].str.rstrip(",").str.count(",") + 1 for column in (10, 11)]
    return (lists[0] == count) & (lists[1] == count) & rows[10].str.contains(r"^[\d,]+$")


def _has_summit(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose column 10 is an offset inside the interval, or -1."""
    start, end, summit = (pd.to_numeric(rows[n], errors="coerce").to_numpy(float) for n in (1, 2, 9))
    return np.asarray((summit >= -1) & (summit % 1 == 0) & (summit < end - start))


def _has_thick_part(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose columns 7 and 8 are whole numbers inside the interval, as the thick part of a BED is."""
    start, end, low, high = (pd.to_numeric(rows[n], errors="coerce").to_numpy(float) for n in (1, 2, 6, 7))
    is_whole = (rows[6].str.isdigit() & rows[7].str.isdigit()).to_numpy()
    return np.asarray(is_whole & (start <= low) & (low <= high) & (high <= end))


def _with_header(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A table with a header line; of MACS, whose positions count from 1, by its columns."""
    known = {column: _HEADER[column.strip().lower()] for column in rows if column.strip().lower() in _HEADER}
    known |= _of_predictions(rows, known, path)
    is_macs = {"length", "fold_enrichment"} <= {column.strip().lower() for column in rows}
    table = rows[list(known)].rename(columns=known)
    table = table.loc[:, ~table.columns.duplicated()].copy()
    for column in ("chrom", "start", "end"):
        if column not in table:
            raise DataError(f"no column for {column}", where=path, expected="a header line with chrom, start and end")
    for column in ("start", "end"):
        table[column] = whole_positions(table, column, path, least=1 if is_macs else 0)
    for column in (*_VALUES, "score"):
        if column in table:
            table[column] = finite_numbers(table, column, path)
    if is_macs:
        table = _from_macs(table, rows.rename(columns=str.lower), path)
    elif "summit_bp" in table:
        table["summit_bp"] = whole_positions(table, "summit_bp", path, least=-1)
    return check_intervals(table, path)


def _of_predictions(rows: pd.DataFrame, known: Mapping[str, str], path: Path) -> dict[str, str]:
    """Columns of a table of enhancers and their target genes (ABC and its kin): the gene, and the one score.

    Without them every element would count alike and for every gene, which is a wrong answer and no missing one.
    """
    gene = next((column for column in rows if column.strip().lower() in _TARGET_GENES), None)
    if gene is None:
        return {}
    found = dict.fromkeys((column for column, name in known.items() if name == "name"), "other_name") | {gene: "name"}
    scores = [column for column in rows if column.strip().lower().endswith("score")]
    is_scored = bool({"score", "signal_value"} & set(known.values()))
    if len(scores) != 1 and not is_scored:
        raise DataError(
            f"{len(scores)} columns could be the score of the predictions: {', '.join(scores) or 'none'}",
            where=path,
            expected="one column whose name ends with score",
            fix="name the column to be used 'score'",
        )
    return found if is_scored else found | {scores[0]: "score"}


def _from_macs(table: pd.DataFrame, rows: Mapping[str, pd.Series], path: Path) -> pd.DataFrame:
    """Positions from 0, the summit as an offset, and the score as in MACS's narrowPeak."""
    table["start"] -= 1
    if "abs_summit" in rows:
        summits = pd.DataFrame({"abs_summit": rows["abs_summit"]})
        table["summit_bp"] = whole_positions(summits, "abs_summit", path, least=1) - 1 - table["start"]
    elif "summit_bp" in table:  # MACS 1.4 writes an offset from 1
        table["summit_bp"] = whole_positions(table, "summit_bp", path, least=1) - 1
    if "-10*log10(pvalue)" in rows:
        tenfold = pd.DataFrame({"-10*log10(pvalue)": rows["-10*log10(pvalue)"]})
        table["p_value"] = finite_numbers(tenfold, "-10*log10(pvalue)", path) / 10
    best = next((table[name] for name in ("q_value", "p_value") if name in table), None)
    return table if best is None else table.assign(score=(10 * best).clip(0, 1000).fillna(0.0).astype(int))
