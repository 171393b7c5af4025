"""Elements and peaks from files, brought to the same windows, names and budget, then compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seqexp.core.errors import DataError
from seqexp.dna.elements.compare import Overlap, compare, disjoint, in_windows, overlap_bounds, trim_to_budget
from seqexp.dna.elements.peaks import read_peaks
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap, match_names
from seqexp.dna.genome.regions import read_bed
from seqexp.objectives.bootstrap import Bound

_TILE_BP = 1_000_000


@dataclass(frozen=True)
class Matched:
    """A comparison at equal budgets.

    Attributes
    ----------
    budget_bp : int
        Asked for, or the smaller of the two sides.
    offered_bp : tuple of int
        Base pairs of elements and of peaks within the windows before trimming.
    pooled : Overlap
    per_gene : DataFrame
        See :func:`seqexp.dna.elements.compare.compare`.
    bounds : dict
        Precision, recall and jaccard with their intervals over genes.
    """

    budget_bp: int
    offered_bp: tuple[int, int]
    pooled: Overlap
    per_gene: pd.DataFrame
    bounds: dict[str, Bound]


def read_windows(path: str | Path) -> tuple[list[Interval], list[str]]:
    """Windows of a BED file and their gene ids: the names, or ``chrom:start-end`` where there are none.

    Raises
    ------
    DataError
        The file is unreadable or empty, or a name comes twice.
    """
    frame = read_bed(path)
    windows = [Interval(str(c), int(s), int(e)) for c, s, e in zip(frame["chrom"], frame["start"], frame["end"])]
    names = [str(window) for window in windows] if "name" not in frame else frame["name"].astype(str).tolist()
    if not names or len(set(names)) != len(names):
        twice = next((name for name in names if names.count(name) > 1), "")
        found = f"window {twice!r} comes twice" if names else "no windows"
        raise DataError(found, where=path, expected="at least one window, each with a name of its own")
    return windows, names


def tiles(elements: pd.DataFrame, peaks: pd.DataFrame) -> tuple[list[Interval], list[str]]:
    """Windows of 1 Mb on every chromosome that both sides have, from its start to the last interval on it.

    A chromosome of one side only was most likely not looked at on the other; it would eat up the budget. Names are
    those of the elements, peaks may use aliases.
    """
    partner = NameMap(peaks["chrom"].astype(str).unique())
    last = peaks.groupby("chrom")["end"].max()
    windows = []
    for chrom, end in elements.groupby("chrom")["end"].max().items():
        other = partner.find(str(chrom))
        if other is not None:
            stop = int(max(end, last[other]))
            steps = range(0, stop, _TILE_BP)
            windows += [Interval(str(chrom), start, min(start + _TILE_BP, stop)) for start in steps]
    return windows, [str(window) for window in windows]


def elements_in_windows(path: str | Path, windows: Sequence[Interval], gene_ids: Sequence[str]) -> pd.DataFrame:
    """Elements of a BED or narrowPeak file, cut to the windows, best first, one row per gene and element.

    Elements whose names are all gene ids count in the window of their own gene only; others are read as peaks are, and
    count in every window they reach into.

    Returns
    -------
    DataFrame
        chrom, start, end, gene_id, score, summit_bp.
    """
    frame = read_bed(path)
    place = {gene_id: window for window, gene_id in zip(windows, gene_ids)}
    if "name" not in frame or not set(frame["name"]) <= set(place):
        return in_windows(_renamed(read_peaks(path), windows, path), windows, gene_ids)
    score = frame["signal_value"] if "signal_value" in frame else frame.get("score", pd.Series(1.0, frame.index))
    middle = (frame["end"] - frame["start"]) // 2
    summit = frame["summit_bp"].where(frame["summit_bp"] >= 0, middle) if "summit_bp" in frame else middle
    table = _renamed(frame.assign(score=score.fillna(0.0), summit_bp=summit), windows, path)
    own = [in_windows(part, [place[str(name)]], [str(name)]) for name, part in table.groupby("name", sort=False)]
    cut = pd.concat(own, ignore_index=True) if own else in_windows(table, [], [])
    return cut.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def _renamed(table: pd.DataFrame, windows: Sequence[Interval], path: str | Path) -> pd.DataFrame:
    """Intervals on chromosomes of the windows, under the names these have there."""
    partner = match_names(table["chrom"].unique(), {window.chrom for window in windows}, path, "the windows")
    return table[table["chrom"].isin(list(partner))].assign(chrom=lambda kept: kept["chrom"].map(partner))


def compare_files(
    elements_path: str | Path,
    peaks_path: str | Path,
    windows: Sequence[Interval] | None = None,
    gene_ids: Sequence[str] = (),
    *,
    budget_bp: int | None = None,
    num_permutations: int = 500,
    seed: int = 0,
) -> Matched:
    """Compare elements with peaks within windows, the best of each up to one budget.

    Parameters
    ----------
    elements_path, peaks_path : path
        BED or narrowPeak; see :func:`elements_in_windows` for genes.
    windows, gene_ids : sequences, optional
        Where to compare; a base in two windows counts twice. Without them, :func:`tiles`.
    budget_bp : int, optional
        For each side, over all windows. Without it, what the smaller side offers.
    num_permutations, seed : int
        See :func:`seqexp.dna.elements.compare.compare`.

    Raises
    ------
    DataError
        No chromosome name matches, or one side has nothing within the windows.
    """
    peaks = read_peaks(peaks_path)
    for path, is_empty in ((elements_path, read_bed(elements_path).empty), (peaks_path, peaks.empty)):
        if is_empty:
            raise DataError("no intervals", where=path, expected="at least one element and one peak")
    if windows is None:
        elements = read_bed(elements_path)
        match_names(elements["chrom"].unique(), peaks["chrom"].unique(), elements_path, peaks_path)
        windows, gene_ids = tiles(elements, peaks)
    cut = elements_in_windows(elements_path, windows, gene_ids)
    local = [disjoint(t) for t in (cut, in_windows(_renamed(peaks, windows, peaks_path), windows, gene_ids))]
    for table, path in zip(local, (elements_path, peaks_path)):
        if table.empty:
            raise DataError("nothing lies in the windows", where=path, expected="intervals that reach into a window")
    offered = [int((table["end"] - table["start"]).sum()) for table in local]
    budget = min(offered) if budget_bp is None else budget_bp
    trimmed = [trim_to_budget(table, budget) for table in local]
    pooled, per_gene = compare(trimmed[0], trimmed[1], windows, gene_ids, num_permutations=num_permutations, seed=seed)
    return Matched(budget, (offered[0], offered[1]), pooled, per_gene, overlap_bounds(per_gene, seed=seed))
