"""Elements and peaks brought to the same windows, names and budget, then compared: one convention for all commands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from seqexp.core.errors import DataError
from seqexp.dna.elements.gene_names import unversioned
from seqexp.dna.elements.places import Places, asked_places, tiles
from seqexp.dna.evaluation.compare import Overlap, compare, disjoint, in_windows, overlap_bounds, trim_to_budget
from seqexp.dna.genome.names import resolve_names
from seqexp.dna.peaks.tables import read_peaks
from seqexp.objectives.bootstrap import Bound


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
        See :func:`seqexp.dna.evaluation.compare.compare`.
    bounds : dict
        Precision, recall and jaccard with their intervals over genes.
    places : Places
        The windows compared in.
    told : tuple of str
        What was left out.
    """

    budget_bp: int
    offered_bp: tuple[int, int]
    pooled: Overlap
    per_gene: pd.DataFrame
    bounds: dict[str, Bound]
    places: Places
    told: tuple[str, ...] = ()


def elements_in_places(elements: pd.DataFrame, places: Places) -> pd.DataFrame:
    """Elements cut to the windows, best first, one row per gene and element.

    Elements that are named by genes of the windows count in the window of their own gene only, and those of other
    genes nowhere. Where no name is a gene of the windows, or elements were united over genes (``GENE,OTHER``), they
    count in every window they reach into, as peaks do.

    Parameters
    ----------
    elements : DataFrame
        chrom, start, end, score, summit_bp and possibly name, on chromosomes of the windows.
    places : Places

    Returns
    -------
    DataFrame
        chrom, start, end, gene_id, score, summit_bp.
    """
    windows, gene_ids = places.windows, places.gene_ids
    place = dict(zip(unversioned(pd.Series(gene_ids, dtype=str)), zip(windows, gene_ids)))
    genes = unversioned(elements["name"]) if "name" in elements else pd.Series(".", elements.index)
    if not genes.isin(place).any() or genes.str.contains(",").any():
        return _ranked(in_windows(elements, windows, gene_ids))
    own = elements.groupby(genes.to_numpy(), sort=False)
    parts = [in_windows(part, *([one] for one in place[str(gene)])) for gene, part in own if gene in place]
    return _ranked(pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True))


def match_tables(
    elements: pd.DataFrame,
    peaks: pd.DataFrame,
    places: Places,
    *,
    budget_bp: int | None = None,
    num_permutations: int = 500,
    seed: int = 0,
) -> Matched | None:
    """Compare elements with peaks within windows, the best of each up to one budget.

    Parameters
    ----------
    elements : DataFrame
        Of :func:`elements_in_places`, or elements of genes cut to their windows.
    peaks : DataFrame
        chrom, start, end, score, summit_bp, on the chromosomes of the windows.
    places : Places
        Where both sides were looked for; a base in two windows counts twice.
    budget_bp : int, optional
        For each side, over all windows. Without it, what the smaller side offers.
    num_permutations, seed : int
        See :func:`seqexp.dna.evaluation.compare.compare`.

    Returns
    -------
    Matched or None
        None where one side has nothing in the windows.
    """
    windows, gene_ids = places.windows, places.gene_ids
    sides = [disjoint(_ranked(elements)), disjoint(elements_in_places(peaks, places))]
    offered = [int((side["end"] - side["start"]).sum()) for side in sides]
    if min(offered) == 0:
        return None
    budget = min(offered) if budget_bp is None else budget_bp
    trimmed = [trim_to_budget(side, budget) for side in sides]
    pooled, per_gene = compare(trimmed[0], trimmed[1], windows, gene_ids, num_permutations=num_permutations, seed=seed)
    bounds = overlap_bounds(per_gene, seed=seed)
    return Matched(budget, (offered[0], offered[1]), pooled, per_gene, bounds=bounds, places=places)


def compare_files(
    elements_path: str | Path,
    peaks_path: str | Path,
    places: Places | None = None,
    *,
    budget_bp: int | None = None,
    num_permutations: int = 500,
    seed: int = 0,
) -> Matched:
    """Compare elements with peaks within the windows that both were looked for in.

    Parameters
    ----------
    elements_path, peaks_path : path
        BED or narrowPeak; see :func:`elements_in_places` for genes.
    places : Places, optional
        Where to compare, at most: a side that says where it was looked for is compared there only. Without it,
        there; where neither side says, in :func:`seqexp.dna.elements.places.tiles`.
    budget_bp, num_permutations, seed
        See :func:`match_tables`.

    Raises
    ------
    DataError
        No chromosome name matches, or one side has nothing within the windows.
    """
    elements, peaks = read_peaks(elements_path), read_peaks(peaks_path)
    for path, table in ((elements_path, elements), (peaks_path, peaks)):
        if table.empty:
            raise DataError("no intervals", where=path, expected="at least one element and one peak")
    asked = [found for path in (elements_path, peaks_path) if (found := asked_places(path)) is not None]
    if places is None:
        resolve_names(elements, peaks["chrom"].unique(), elements_path, peaks_path)  # nothing in common is an error
        places, *asked = asked or [tiles(elements, peaks)]
    elif not asked and "name" in elements:
        places = places.of_named_splits(elements["name"])
    for side in asked:  # either may be elements of a run: of two runs, or with the sides exchanged
        places = places.within(side)
    own = resolve_names(elements, places.chroms, elements_path, "the windows")
    other = resolve_names(peaks, places.chroms, peaks_path, "the windows")
    matched = match_tables(
        elements_in_places(own.table, places),
        other.table,
        places,
        budget_bp=budget_bp,
        num_permutations=num_permutations,
        seed=seed,
    )
    if matched is None:
        is_empty = elements_in_places(own.table, places).empty
        raise DataError(
            "nothing lies in the windows",
            where=f"{elements_path if is_empty else peaks_path}; windows: {places.told}",
            expected="intervals that reach into a window",
        )
    told = [*(side.told for side in (own, other) if side.told), *_without_peaks(other.table, places)]
    return replace(matched, told=tuple(told))


def _without_peaks(peaks: pd.DataFrame, places: Places) -> list[str]:
    """Windows on chromosomes that have no peak at all, which may not have been looked at for peaks."""
    bare = [window.chrom for window in places.windows if window.chrom not in set(peaks["chrom"])]
    if not bare:
        return []
    listed = ", ".join(list(dict.fromkeys(bare))[:4])
    return [f"{len(bare)} windows are on chromosomes without any peak ({listed}): elements there count as missed"]


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Best first; of equal scores by place, so that a file and a table in memory give one order."""
    by = ["score", "chrom", "start", "end", "gene_id"]
    return table.sort_values(by, ascending=[False, True, True, True, True], kind="stable", ignore_index=True)
