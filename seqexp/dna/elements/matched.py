"""Elements and peaks from files, brought to the same windows, names and budget, then compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seqexp.core.errors import DataError
from seqexp.dna.elements.compare import Overlap, compare, cover, disjoint, in_windows, trim_to_budget
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import match_names
from seqexp.dna.genome.regions import read_bed

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
    num_outside : tuple of int
        Elements and peaks that reach into no window.
    pooled : Overlap
    per_gene : DataFrame
        See :func:`seqexp.dna.elements.compare.compare`.
    """

    budget_bp: int
    offered_bp: tuple[int, int]
    num_outside: tuple[int, int]
    pooled: Overlap
    per_gene: pd.DataFrame


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


def tiles(*tables: pd.DataFrame) -> tuple[list[Interval], list[str]]:
    """Windows of 1 Mb from the start of every chromosome to the last interval on it."""
    ends = pd.concat([table[["chrom", "end"]] for table in tables]).groupby("chrom")["end"].max()
    windows = [
        Interval(str(chrom), start, min(start + _TILE_BP, int(end)))
        for chrom, end in ends.items()
        for start in range(0, int(end), _TILE_BP)
    ]
    return windows, [str(window) for window in windows]


def compare_matched(
    elements: pd.DataFrame,
    peaks: pd.DataFrame,
    windows: Sequence[Interval],
    gene_ids: Sequence[str],
    budget_bp: int | None = None,
    num_permutations: int = 500,
    seed: int = 0,
) -> Matched:
    """Compare elements with peaks within windows, the best of each up to one budget.

    Parameters
    ----------
    elements, peaks : DataFrame
        Tables of :func:`seqexp.dna.elements.peaks.read_peaks`. Elements whose names are all gene ids count in the
        window of their own gene only, others in every window they reach into, as peaks do.
    windows, gene_ids : sequences
        Where to compare; a base in two windows counts twice.
    budget_bp : int, optional
        For each side, over all windows. Without it, what the smaller side offers.
    num_permutations, seed : int
        See :func:`seqexp.dna.elements.compare.compare`.

    Raises
    ------
    DataError
        No chromosome name matches, or one side has nothing within the windows.
    """
    own_only = "name" in elements and set(elements["name"].astype(str)) <= set(gene_ids)
    local, offered, outside = [], [], []
    for table, what in ((elements, "elements"), (peaks, "peaks")):
        partner = match_names(table["chrom"].unique(), {w.chrom for w in windows}, what, "the windows")
        named = table.assign(chrom=table["chrom"].map(partner))[table["chrom"].isin(list(partner))]
        cut = in_windows(named.assign(row=named.index), windows, gene_ids, keep=("row",))
        if what == "elements" and own_only:
            cut = cut[cut["gene_id"].to_numpy() == table["name"].astype(str).loc[cut["row"]].to_numpy()]
        cut = disjoint(cut.reset_index(drop=True))
        local.append(cut)
        offered.append(int((cut["end"] - cut["start"]).sum()))
        outside.append(len(table) - cut["row"].nunique())
        if cut.empty:
            raise DataError(f"no {what} lie in the windows", expected=f"{what} and windows of the same genes")
    budget = min(offered) if budget_bp is None else budget_bp
    trimmed = [trim_to_budget(cut, budget) for cut in local]
    pooled, per_gene = compare(trimmed[0], trimmed[1], windows, gene_ids, num_permutations, seed)
    return Matched(budget, (offered[0], offered[1]), (outside[0], outside[1]), pooled, per_gene)
