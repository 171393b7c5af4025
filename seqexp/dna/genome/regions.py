"""Lists of intervals: reading BED and narrowPeak, merging, overlap and coverage, all in arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.tables import read_table, require_column, whole_numbers
from seqexp.dna.genome.bed_rows import finite_numbers, read_rows, whole_positions
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap

BED = ("chrom", "start", "end", "name", "score", "strand")
NARROW_PEAK = (*BED, "signal_value", "p_value", "q_value", "summit_bp")


def read_bed(path: str | Path) -> pd.DataFrame:
    """Read BED3 to BED6 or narrowPeak, plain or compressed; peaks of every other format: :mod:`peak_files`.

    Returns
    -------
    DataFrame
        chrom, start, end (0-based, half-open), then as many of name, score, strand as the file has; a narrowPeak, known
        by its name, adds signal_value, p_value, q_value and summit_bp (offset of the summit from start, -1 if unknown);
        further columns of other BED files are named column_7 and so on. An empty file gives an empty table.

    Raises
    ------
    DataError
        The file is missing or damaged, a position is no whole number, or an interval is empty, negative or turned
        round.
    """
    path = Path(path)
    rows = read_rows(path)
    if rows.empty:
        return no_intervals()
    is_peaks = rows.shape[1] == 10 and path.name.lower().removesuffix(".gz").endswith("narrowpeak")
    return bed_table(rows, NARROW_PEAK if is_peaks else BED, path)


def bed_table(rows: pd.DataFrame, names: Sequence[str], path: Path) -> pd.DataFrame:
    """Rows of text under their names, numbers as numbers; cells beyond the names become column_7 and so on.

    Raises
    ------
    DataError
        As :func:`read_bed`.
    """
    if rows.shape[1] < 3:
        raise DataError(f"found {rows.shape[1]} columns", where=path, expected="chrom, start, end, separated by tabs")
    further = [f"column_{n}" for n in range(len(names) + 1, rows.shape[1] + 1)]
    table = rows.set_axis([*names, *further][: rows.shape[1]], axis=1)
    for column in ("start", "end"):
        table[column] = whole_positions(table, column, path)
    if "summit_bp" in table:
        table["summit_bp"] = whole_positions(table, "summit_bp", path, least=-1)
    for column in ("score", "signal_value", "p_value", "q_value"):
        if column in table:
            table[column] = finite_numbers(table, column, path)
    return check_intervals(table, path)


def no_intervals() -> pd.DataFrame:
    """A table without any rows."""
    return pd.DataFrame({"chrom": pd.Series(dtype=str), "start": np.empty(0, int), "end": np.empty(0, int)})


def read_intervals(path: str | Path) -> pd.DataFrame:
    """Read intervals from a table whose header names chrom, start and end, as ``truth.tsv`` does, or from BED.

    Further columns of a table stay text.

    Raises
    ------
    DataError
        As :func:`read_bed`.
    """
    path = Path(path)
    if path.name.lower().removesuffix(".gz").endswith((".bed", "narrowpeak")):
        return read_bed(path)
    frame = read_table(path)
    for column in ("chrom", "start", "end"):
        require_column(frame, column, path, "the table")
    whole = {column: whole_numbers(frame, column, path) for column in ("start", "end")}
    return check_intervals(frame.assign(**whole), path)


def check_intervals(frame: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """Return the table, or raise a DataError naming the first row that is empty, negative or turned round."""
    is_bad = ((frame["start"] < 0) | (frame["end"] <= frame["start"])).to_numpy()
    if is_bad.any():
        row = int(np.argmax(is_bad))
        bad = frame.iloc[row]
        raise DataError(
            f"{int(is_bad.sum())} intervals are empty, negative or turned round",
            where=f"{path}, data row {row + 1}: {bad['chrom']}:{bad['start']}-{bad['end']}",
            expected="0 <= start < end",
        )
    return frame


def merge(frame: pd.DataFrame) -> pd.DataFrame:
    """Union of intervals: sorted, overlapping and touching ones joined; columns chrom, start, end."""
    index = IntervalIndex(frame)
    parts = [pd.DataFrame({"chrom": chrom, "start": s, "end": e}) for chrom, (s, e) in index.merged.items()]
    if not parts:
        return frame[["chrom", "start", "end"]].iloc[:0].copy()
    return pd.concat(parts, ignore_index=True)


def covered_bp(frame: pd.DataFrame) -> int:
    """Bases covered at least once."""
    return sum(int((ends - starts).sum()) for starts, ends in IntervalIndex(frame).merged.values())


class IntervalIndex:
    """The union of a list of intervals, ready for many questions about overlap.

    Parameters
    ----------
    frame : DataFrame
        Columns chrom, start, end.
    names : iterable of str, optional
        Chromosome names to translate to, by alias; intervals elsewhere keep their name.

    Attributes
    ----------
    merged : dict
        Chromosome to sorted, disjoint (starts, ends), int64 arrays.
    """

    def __init__(self, frame: pd.DataFrame, names: Iterable[str] | None = None) -> None:
        known = NameMap(names or ())
        self.merged: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        chroms = frame["chrom"].astype(str)
        chroms = chroms.map({chrom: known.find(chrom) or chrom for chrom in chroms.unique()})
        for chrom, part in frame.groupby(chroms.to_numpy(), sort=True):
            self.merged[str(chrom)] = _union(part["start"].to_numpy(np.int64), part["end"].to_numpy(np.int64))
        self._cumulative = {c: np.concatenate([[0], np.cumsum(e - s)]) for c, (s, e) in self.merged.items()}
        self._names = NameMap(self.merged)

    def covered(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """Bases of each interval of ``frame`` that the union covers, (n,)."""
        result = np.zeros(len(frame), dtype=np.int64)
        starts, ends = frame["start"].to_numpy(np.int64), frame["end"].to_numpy(np.int64)
        for chrom, rows in frame.groupby(frame["chrom"].to_numpy()).indices.items():
            name = self._names.find(str(chrom))
            if name is not None:
                result[rows] = self._below(name, ends[rows]) - self._below(name, starts[rows])
        return result

    def overlaps(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Which intervals of ``frame`` share at least one base with the union, (n,)."""
        return self.covered(frame) > 0

    def bins(self, interval: Interval, bin_bp: int) -> NDArray[np.int64]:
        """Bases of each bin of a window that the union covers, (N,); turned round on the minus strand."""
        num_bins = interval.width // bin_bp
        name = self._names.find(interval.chrom)
        if name is None:
            return np.zeros(num_bins, dtype=np.int64)
        edges = interval.start + bin_bp * np.arange(num_bins + 1, dtype=np.int64)
        counts = np.diff(self._below(name, edges))
        return counts[::-1].copy() if interval.is_reverse else counts

    def bins_of(self, windows: Sequence[Interval], bin_bp: int) -> NDArray[np.int64]:
        """:meth:`bins` of many windows of one width at once, (R, N)."""
        num_bins = windows[0].width // bin_bp if windows else 0
        starts = np.array([window.start for window in windows], dtype=np.int64)
        counts = np.zeros((len(windows), num_bins), dtype=np.int64)
        chroms = np.array([window.chrom for window in windows], dtype=object)
        for chrom in dict.fromkeys(chroms):
            name = self._names.find(str(chrom))
            if name is not None:
                own = np.flatnonzero(chroms == chrom)
                edges = starts[own, None] + bin_bp * np.arange(num_bins + 1, dtype=np.int64)
                counts[own] = np.diff(self._below(name, edges), axis=1)
        is_reverse = np.array([window.is_reverse for window in windows], dtype=bool)
        counts[is_reverse] = counts[is_reverse, ::-1]
        return counts

    def mask(self, interval: Interval, bin_bp: int = 1) -> NDArray[np.bool_]:
        """Which bins of a window the union touches, (N,)."""
        return self.bins(interval, bin_bp) > 0

    def _below(self, chrom: str, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Covered bases of the chromosome before each position."""
        starts, ends = self.merged[chrom]
        last = np.searchsorted(starts, positions, side="right") - 1
        inside = np.where(last >= 0, np.minimum(positions, ends[last]) - starts[last], 0)
        return self._cumulative[chrom][np.maximum(last, 0)] + inside


def _union(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    is_first = np.concatenate([[True], starts[1:] > reach[:-1]])
    is_last = np.concatenate([is_first[1:], [True]])
    return starts[is_first], reach[is_last]
