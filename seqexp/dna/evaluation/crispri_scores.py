"""One score per CRISPRi pair: by elements, by masks, by a track. What touches no pair is an error, never a score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.gene_names import genes_of, unversioned
from seqexp.dna.evaluation.truth import above_zero
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import match_names, resolve_names
from seqexp.dna.genome.tracks import TrackSet
from seqexp.dna.peaks.tables import read_peaks

Scores = NDArray[np.float64]
Scored = tuple[Scores, NDArray[np.bool_]]


def read_elements(path: str | Path, pairs: pd.DataFrame) -> pd.DataFrame:
    """Elements of a BED or narrowPeak, under the chromosome names of the pairs.

    Names that are genes of the pairs or Ensembl ids say which genes an element belongs to, also several, joined by
    commas, and numbered (``GENE_1``), as the files of ``seqexp elements`` have them. Elements of other names, or of
    none, count for every gene.

    Returns
    -------
    DataFrame
        chrom, start, end, score and, where elements belong to genes, gene; one row per element and gene.
        ``attrs["told"]``: what was left out because no pair is on its chromosome.

    Raises
    ------
    DataError
        The file cannot be read or is empty, or no pair is on a chromosome of it.
    """
    peaks = read_peaks(path)
    if peaks.empty:
        raise DataError("no intervals", where=path, expected="at least one element")
    resolved = resolve_names(peaks, pairs["chrom"].unique(), path, "the pairs")
    elements = resolved.table[["chrom", "start", "end", "score"]]
    if "name" in peaks:
        known = {*pairs["symbol"], *pairs["ensembl"]} - {""}
        genes = genes_of(resolved.table["name"], known)
        if genes.isin(known).any() or genes.str.match(r"ENS[A-Z]*G\d").any():
            elements = elements.loc[genes.index].assign(gene=genes.to_numpy()).reset_index(drop=True)
    elements.attrs["told"] = resolved.told
    return elements


def element_scores(pairs: pd.DataFrame, elements: pd.DataFrame, what: str = "the elements") -> Scored:
    """Best score of the elements that overlap each pair's element, 0 without one; and which pairs are covered.

    Where an element has a score of 0 or below, all are raised by the same number: any element ranks above none.

    Parameters
    ----------
    pairs : DataFrame
        Of :func:`read_pairs`.
    elements : DataFrame
        chrom, start, end, score and, where elements belong to genes, ``gene`` (symbol or Ensembl id).
    what : str
        What they are called in messages.

    Returns
    -------
    scores : float array (P,)
    is_covered : bool array (P,)
        Pairs on whose chromosome there is any element; where elements belong to genes, one of the pair's gene.

    Raises
    ------
    DataError
        No chromosome of the elements has a pair, no gene has one, no element overlaps one, or all pairs score the same.
    """
    elements = resolve_names(elements, pairs["chrom"].unique(), what, "the pairs").table
    elements = elements.assign(score=above_zero(elements["score"].to_numpy(np.float64)))
    scores, is_covered = np.zeros(len(pairs)), np.zeros(len(pairs), dtype=bool)
    if "gene" not in elements:
        is_covered = pairs["chrom"].isin(elements["chrom"].unique()).to_numpy()
        _best_overlap(pairs, np.arange(len(pairs)), elements, scores)
    else:
        own = dict(tuple(elements.groupby(unversioned(elements["gene"]))))
        for (symbol, ensembl), rows in pairs.groupby(["symbol", "ensembl"]).indices.items():
            found = own.get(ensembl, own.get(symbol))
            if found is not None:
                is_covered[rows] = pairs["chrom"].iloc[rows].isin(found["chrom"].unique())
                _best_overlap(pairs, rows, found, scores)
    _require_order(scores, is_covered, what)
    return scores, is_covered


def _best_overlap(pairs: pd.DataFrame, rows: NDArray[np.intp], elements: pd.DataFrame, scores: Scores) -> None:
    """Write the best score over each of some pairs."""
    for chrom, own in elements.groupby("chrom"):
        own = own.sort_values("start")
        starts, ends, values = (own[name].to_numpy() for name in ("start", "end", "score"))
        reach = np.maximum.accumulate(ends)  # elements may overlap: where to begin looking
        here = rows[(pairs["chrom"].to_numpy()[rows] == chrom)]
        for row in here:
            start, end = pairs["start"].iat[row], pairs["end"].iat[row]
            first, last = np.searchsorted(reach, start, side="right"), np.searchsorted(starts, end)
            hit = ends[first:last] > start
            if hit.any():
                scores[row] = values[first:last][hit].max()


def mask_scores(pairs: pd.DataFrame, masks: BinScores, what: str = "the masks") -> Scored:
    """Highest mask of the pair's gene over the pair's element; covered are elements inside the gene's window.

    Raises
    ------
    DataError
        No pair is on a chromosome of the masks, no gene of a pair has a mask, no pair's element lies in the window of
        its gene, or all pairs score the same.
    """
    scores, is_covered = np.zeros(len(pairs)), np.zeros(len(pairs), dtype=bool)
    partner = match_names(pairs["chrom"].unique(), masks.chrom_sizes, "the pairs", what)
    starts, row_of = masks.starts(), {name: row for row, name in enumerate(unversioned(pd.Series(masks.gene_ids)))}
    row_of.pop("", None)
    for pair, (chrom, start, end, symbol, ensembl) in enumerate(
        zip(*(pairs[name] for name in ("chrom", "start", "end", "symbol", "ensembl")), strict=True)
    ):
        row = row_of.get(ensembl, row_of.get(symbol))
        if row is None:
            continue
        window = masks.windows[row]
        if window.chrom != partner.get(chrom) or end <= window.start or start >= window.end:
            continue
        is_covered[pair] = True
        scores[pair] = masks.values[row][(starts[row] < end) & (starts[row] + masks.bin_bp > start)].max()
    _require_order(scores, is_covered, what)
    return scores, is_covered


def track_scores(pairs: pd.DataFrame, path: str | Path) -> Scored:
    """Mean absolute value of a bigWig, such as an attribution, over the pair's element; the same for every gene.

    Covered are elements with a value at any base; bases without one do not count.

    Raises
    ------
    DataError
        The track has no chromosome or no value of a pair, or the same for all.
    """
    track = TrackSet({"track": path}, missing="nan")
    partner = match_names(pairs["chrom"].unique(), track.chrom_sizes, "the pairs", path)
    scores, is_covered = np.zeros(len(pairs)), np.zeros(len(pairs), dtype=bool)
    for (chrom, start, end), rows in pairs.groupby(["chrom", "start", "end"]).indices.items():
        known = partner.get(str(chrom))
        if known is None:
            continue
        values = np.abs(track.values(Interval(known, int(start), int(end)))[:, 0])
        if not np.isnan(values).all():
            scores[rows], is_covered[rows] = float(np.nanmean(values)), True
    _require_order(scores, is_covered, str(path))
    return scores, is_covered


def _require_order(scores: Scores, is_covered: NDArray[np.bool_], what: str) -> None:
    """Scores without any order would have an area all the same, that of chance."""
    if not is_covered.any():
        raise DataError(
            f"{what} cover none of the {len(scores)} pairs",
            expected="elements, windows or values where the pairs are, and genes (symbol or Ensembl id) of the pairs",
            fix="check that both are of the same assembly and of the same genes",
        )
    if len(scores) and np.ptp(scores) == 0:
        why = "no element of theirs reaches a pair" if scores[0] == 0 else f"every pair scores {scores[0]:g}"
        raise DataError(
            f"{what} do not order the {len(scores)} pairs: {why}",
            expected="scores that differ between pairs, or elements over some of them only",
            fix="check that both are of the same assembly; give scores in column 5 of a BED",
        )
