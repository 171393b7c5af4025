"""Scores of elements against CRISPRi enhancer-gene pairs, beside the baselines that anyone can have.

A pair is an element that was silenced and a gene that was measured; it is positive where the gene went down. Table
format of the ENCODE benchmark (EngreitzLab/CRISPR_comparison); the protocol of overlap, aggregation and a score of 0
for what is missed is that of the same project.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from seqexp.core.errors import DataError
from seqexp.core.tables import is_missing, numbers, read_table, whole_numbers
from seqexp.dna.elements.masks import MaskSet
from seqexp.dna.elements.peaks import read_peaks
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap
from seqexp.dna.genome.tracks import TrackSet
from seqexp.objectives.bootstrap import bootstrap_interval
from seqexp.objectives.metrics import average_precision

STRATA_BP = ((0, 10_000), (10_000, 100_000), (100_000, None))
_REQUIRED = ("chrom", "chromStart", "chromEnd", "measuredGeneSymbol", "startTSS", "endTSS", "Regulated")
_NUMBERS = ("startTSS", "endTSS", "distanceToTSS", "DHS.RPM", "H3K27ac.RPM", "H3K27ac.RPM.expandedRegion")
_NEAR_BP = 1_000  # nearer elements count as this far in distance-weighted scores

Scores = NDArray[np.float64]


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
        The table cannot be read, lacks a column, or holds no positive or no negative pair.
    """
    table = read_table(path)
    absent = [name for name in _REQUIRED if name not in table]
    if absent:
        raise DataError(f"no column {absent[0]!r}", where=path, expected=", ".join(_REQUIRED))
    for column in _NUMBERS:
        if column in table:
            table[column] = numbers(table, column, path)
    is_judged = ~is_missing(table["Regulated"]) & (table["Regulated"] != "NA").to_numpy()
    valid = table[table[["startTSS", "endTSS"]].notna().all(axis=1).to_numpy() & is_judged]
    start, end = (whole_numbers(valid, column, path) for column in ("chromStart", "chromEnd"))
    centre = (start + end) / 2
    measured = (centre - (valid["startTSS"] + valid["endTSS"]) / 2).abs()
    unknown, missing = pd.Series("", index=valid.index), pd.Series(np.nan, index=valid.index)
    pairs = pd.DataFrame(
        {
            "chrom": valid["chrom"],
            "start": start,
            "end": end,
            "symbol": valid["measuredGeneSymbol"],
            "ensembl": _unversioned(valid.get("measuredGeneEnsemblId", unknown)),
            "is_positive": valid["Regulated"].str.upper().eq("TRUE"),
            "distance_bp": valid.get("distanceToTSS", measured).abs().astype(np.float64),
            "DHS": valid.get("DHS.RPM", missing),
            "H3K27ac": valid.get("H3K27ac.RPM.expandedRegion", valid.get("H3K27ac.RPM", missing)),
        }
    ).reset_index(drop=True)
    pairs.attrs["num_dropped"] = len(table) - len(valid)
    if pairs["is_positive"].nunique() != 2:
        raise DataError(
            f"{len(pairs)} pairs with a TSS, {int(pairs['is_positive'].sum())} of them regulated",
            where=path,
            expected="regulated and unregulated pairs",
        )
    return pairs


def _unversioned(ids: pd.Series) -> pd.Series:
    """Gene ids without the version of Ensembl; symbols may hold dots (``RP11-1.2``) and stay whole."""
    return ids.str.replace(r"^(ENS[A-Z]*G\d+)\.\d+$", r"\1", regex=True)


def baseline_scores(pairs: pd.DataFrame) -> dict[str, tuple[Scores, NDArray[np.bool_]]]:
    """Scores (P,) that need no model, of all pairs: distance, activity, both (ABC without contacts)."""
    distance = pairs["distance_bp"].to_numpy()
    far = np.maximum(distance, _NEAR_BP)
    scores = {"1 / distance": 1 / np.maximum(distance, 1)}
    if pairs["DHS"].notna().all():
        activity = pairs["DHS"].to_numpy(np.float64)
        scores |= {"DHS": activity, "DHS / distance": activity / far}
        if pairs["H3K27ac"].notna().all():
            scores["sqrt(DHS x H3K27ac) / distance"] = np.sqrt(activity * pairs["H3K27ac"].to_numpy()) / far
    return {name: (values, np.ones(len(pairs), dtype=bool)) for name, values in scores.items()}


def element_scores(pairs: pd.DataFrame, elements: pd.DataFrame) -> tuple[Scores, NDArray[np.bool_]]:
    """Best score of the elements that overlap each pair's element, 0 without one; and which pairs are covered.

    Parameters
    ----------
    pairs : DataFrame
        Of :func:`read_pairs`.
    elements : DataFrame
        chrom, start, end, score and, where elements belong to genes, ``gene`` (symbol or Ensembl id).

    Returns
    -------
    scores : float array (P,)
    is_covered : bool array (P,)
        Pairs whose gene has any element; all of them where elements belong to no gene.
    """
    scores, is_covered = np.zeros(len(pairs)), np.ones(len(pairs), dtype=bool)
    if "gene" not in elements:
        _best_overlap(pairs, np.arange(len(pairs)), elements, scores)
        return scores, is_covered
    own = dict(tuple(elements.groupby(_unversioned(elements["gene"]))))
    for (symbol, ensembl), rows in pairs.groupby(["symbol", "ensembl"]).indices.items():
        found = own.get(ensembl, own.get(symbol))
        is_covered[rows] = found is not None
        if found is not None:
            _best_overlap(pairs, rows, found, scores)
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


def read_elements(path: str | Path, pairs: pd.DataFrame) -> pd.DataFrame:
    """Elements of a BED or narrowPeak; where names are genes of the pairs or Ensembl ids, they belong to genes."""
    elements = read_peaks(path)[["chrom", "start", "end", "name", "score"]]
    genes = _unversioned(elements["name"])
    if genes.isin({*pairs["symbol"], *pairs["ensembl"]}).any() or genes.str.startswith("ENSG").any():
        elements = elements.assign(gene=genes)
    return elements


def mask_scores(pairs: pd.DataFrame, masks: MaskSet) -> tuple[Scores, NDArray[np.bool_]]:
    """Highest mask of the pair's gene over the pair's element; covered are elements inside the gene's window."""
    scores, is_covered = np.zeros(len(pairs)), np.zeros(len(pairs), dtype=bool)
    row_of = {gene_id: row for row, gene_id in enumerate(_unversioned(pd.Series(masks.gene_ids)))}
    for pair, (chrom, start, end, symbol, ensembl) in enumerate(
        zip(*(pairs[name] for name in ("chrom", "start", "end", "symbol", "ensembl")), strict=True)
    ):
        row = row_of.get(ensembl, row_of.get(symbol))
        if row is None:
            continue
        window = masks.windows[row]
        if window.chrom != chrom or end <= window.start or start >= window.end:
            continue
        values = masks.values[row][::-1] if window.is_reverse else masks.values[row]
        first, last = (max(start, window.start) - window.start), (min(end, window.end) - window.start)
        is_covered[pair] = True
        scores[pair] = values[first // masks.bin_bp : -(-last // masks.bin_bp)].max()
    return scores, is_covered


def track_scores(pairs: pd.DataFrame, path: str | Path) -> tuple[Scores, NDArray[np.bool_]]:
    """Mean absolute value of a bigWig, such as an attribution, over the pair's element; the same for every gene.

    Covered are elements with a value at any base; bases without one do not count.
    """
    track = TrackSet({"track": path}, missing="nan")
    names = NameMap(track.chrom_sizes)
    scores, is_covered = np.zeros(len(pairs)), np.zeros(len(pairs), dtype=bool)
    for (chrom, start, end), rows in pairs.groupby(["chrom", "start", "end"]).indices.items():
        known = names.find(str(chrom))
        if known is None:
            continue
        values = np.abs(track.values(Interval(known, int(start), int(end)))[:, 0])
        if not np.isnan(values).all():
            scores[rows], is_covered[rows] = float(np.nanmean(values)), True
    return scores, is_covered


def score_table(
    pairs: pd.DataFrame, scores: dict[str, tuple[Scores, NDArray[np.bool_]]], num_resamples: int = 200
) -> pd.DataFrame:
    """One row per score and set of pairs: all, those covered, and by distance.

    Returns
    -------
    DataFrame
        score, pairs (name of the set), num_pairs, num_positive, coverage, prevalence, auprc with ``_low`` and ``_high``
        (95 %, whole genes resampled), auroc. Ties are taken together.
    """
    rows = []
    distance = pairs["distance_bp"].to_numpy()
    for name, (values, is_covered) in scores.items():
        sets = {"all": np.ones(len(pairs), dtype=bool)}
        if not is_covered.all():
            sets["covered"] = is_covered
        for low, high in STRATA_BP:
            label = f"{low // 1000}-{high // 1000} kb" if high else f"over {low // 1000} kb"
            sets[label] = (distance > low if low else distance >= 0) & (distance <= (high or np.inf))
        for label, used in sets.items():
            rows.append(
                _row(
                    name,
                    label,
                    pairs[used],
                    values[used],
                    coverage=float(is_covered[used].mean()),
                    num_resamples=num_resamples,
                )
            )
    return pd.DataFrame(rows)


def _row(
    name: str, label: str, pairs: pd.DataFrame, values: Scores, *, coverage: float, num_resamples: int
) -> dict[str, object]:
    positive = pairs["is_positive"].to_numpy()
    times = num_resamples if label in ("all", "covered") else 0
    area = bootstrap_interval(average_precision, values, positive, groups=pairs["symbol"], num_resamples=times)
    is_defined = 0 < positive.sum() < len(positive)
    return {
        "score": name,
        "pairs": label,
        "num_pairs": len(pairs),
        "num_positive": int(positive.sum()),
        "coverage": coverage,
        "prevalence": float(positive.mean()) if len(positive) else float("nan"),
        "auprc": area.value,
        "auprc_low": area.low,
        "auprc_high": area.high,
        "auroc": float(roc_auc_score(positive, values)) if is_defined else float("nan"),
    }
