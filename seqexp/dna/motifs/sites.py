"""Sites of known motifs in a genome: log-odds on both strands, cut off at an exact p-value.

Scores are whole thousandths of a nat. So the distribution of a motif's score over random sequence is found exactly by
adding one position after the other, and the scan adds the very same whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from seqexp.core.errors import ConfigError
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import UNKNOWN, Reference
from seqexp.dna.genome.regions import IntervalIndex, merge
from seqexp.dna.motifs.meme import PositionMatrix

PER_NAT = 1000
_BLOCK, _RADIX = 6, 5  # bases looked up at once; letters A, C, G, T and unknown
_FORBIDDEN = -(1 << 24)  # score of an unknown base: no site with one reaches a threshold
_BATCH_BP = 1 << 22

Ints = NDArray[np.int64]


def base_composition(reference: Reference) -> NDArray[np.float64]:
    """Share of A, C, G, T in a genome, the same for both strands, (C,)."""
    counts = np.zeros(_RADIX, dtype=np.int64)
    for chrom, size in reference.chrom_sizes.items():
        for start in range(0, size, _BATCH_BP):
            piece = reference.codes(Interval(chrom, start, min(start + _BATCH_BP, size)))
            counts += np.bincount(piece, minlength=_RADIX)
    known = counts[:UNKNOWN] + 1.0  # a base that never occurs must not make a log-odds infinite
    both = known + known[::-1]
    return np.asarray(both / both.sum(), dtype=np.float64)


def score_matrix(motif: PositionMatrix, background: ArrayLike, pseudocount: float = 0.1) -> Ints:
    """Log-odds of each base at each position in thousandths of a nat, rounded, (W, C).

    Notes
    -----
    Source: the pseudocount is that of FIMO (Grant et al. 2011): 0.1 sites in all, shared out as the background is.
    """
    expected = np.asarray(background, dtype=np.float64)
    shares = (motif.probabilities * motif.num_sites + pseudocount * expected) / (motif.num_sites + pseudocount)
    return np.rint(PER_NAT * np.log(shares / expected)).astype(np.int64)


def score_tail(scores: Ints, background: ArrayLike) -> tuple[int, NDArray[np.float64]]:
    """Lowest score of a motif, and P(score >= lowest + k) over random bases for k = 0, 1, … up to the highest.

    Parameters
    ----------
    scores : int array (W, C)
        Of :func:`score_matrix`.
    background : array (C,)
        Chance of each base.
    """
    expected = np.asarray(background, dtype=np.float64)
    chance = np.ones(1)
    for row in scores - scores.min(axis=1, keepdims=True):
        longer = np.zeros(len(chance) + int(row.max()))
        for base, step in enumerate(row.tolist()):
            longer[step : step + len(chance)] += expected[base] * chance
        chance = longer
    return int(scores.min(axis=1).sum()), np.cumsum(chance[::-1])[::-1]


def score_threshold(scores: Ints, background: ArrayLike, max_p: float) -> int:
    """Lowest number whose p-value as a score is at most ``max_p``; above the highest score where none is that rare."""
    lowest, tail = score_tail(scores, background)
    # Rounding errors of the sum must not decide where a p-value is met exactly.
    return lowest + int(np.searchsorted(-tail, -max_p * (1 + 1e-9), side="left"))


def motif_sites(
    reference: Reference,
    motifs: Mapping[str, PositionMatrix],
    max_p: float = 1e-4,
    within: pd.DataFrame | None = None,
    *,
    background: ArrayLike | None = None,
) -> dict[str, pd.DataFrame]:
    """Sites of every motif on both strands.

    Parameters
    ----------
    reference : Reference
    motifs : mapping
        Of :func:`seqexp.dna.motifs.meme.read_meme`.
    max_p : float
        Highest p-value of a site: the chance that random bases of the background score as high at one position of one
        strand. Motifs too short to be that rare have no sites.
    within : DataFrame, optional
        chrom, start, end, may overlap and reach beyond chromosomes: only sites that touch one of them, which is faster.
    background : array (C,), optional
        Chance of each base; :func:`base_composition` of the genome by default.

    Returns
    -------
    dict
        Motif name to DataFrame chrom, start, end, strand, score (nat), p_value, by position. Where both strands have a
        site at one place, only the better one, so a palindrome counts once.

    Raises
    ------
    ConfigError
        ``max_p`` is out of range.
    DataError
        A chromosome of ``within`` is not in the reference.
    """
    if not 0 < max_p < 1:
        raise ConfigError(f"p-value {max_p}", expected="above 0 and below 1")
    if not motifs:
        return {}
    expected = base_composition(reference) if background is None else np.asarray(background, dtype=np.float64)
    matrices = {name: score_matrix(motif, expected) for name, motif in motifs.items()}
    lowest = {name: score_threshold(scores, expected, max_p) for name, scores in matrices.items()}
    widest = max(motif.width for motif in motifs.values())
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in motifs}
    for chrom, codes, positions in _batches(reference, within, widest):
        words = _words(codes, widest)
        for name, scores in matrices.items():
            found[name].append(_hits(chrom, words, positions, scores, lowest=lowest[name]))
    inside = None if within is None else IntervalIndex(within, reference.chrom_sizes)
    return {name: _finish(parts, matrices[name], expected, inside) for name, parts in found.items()}


def _batches(
    reference: Reference, within: pd.DataFrame | None, widest: int
) -> Iterator[tuple[str, NDArray[np.uint8], Ints]]:
    """Chromosome, bases (L,) and positions (L,) of stretches set end to end with one unknown base between them.

    Position -1 marks where no site may start: between stretches, and in the margin that lets sites of a stretch run on.
    """
    sizes = reference.chrom_sizes
    if within is None:
        stretches = pd.DataFrame({"chrom": list(sizes), "start": 0, "end": list(sizes.values())})
    else:
        chrom = within["chrom"].astype(str)
        chrom = chrom.map({name: reference.find(name) for name in chrom.unique()})
        start, end = (within["start"] - widest + 1).clip(lower=0), np.minimum(within["end"], chrom.map(sizes))
        stretches = pd.DataFrame({"chrom": chrom, "start": start, "end": end})
        stretches = merge(stretches[stretches["start"] < stretches["end"]])
    for name, own in stretches.groupby("chrom", sort=False):
        bases: list[NDArray[np.uint8]] = []
        places: list[Ints] = []
        for start, end in zip(own["start"].tolist(), own["end"].tolist()):
            for first in range(start, end, _BATCH_BP):
                last = min(first + _BATCH_BP, end)
                piece = reference.codes(Interval(str(name), first, min(last + widest - 1, sizes[str(name)])))
                at = np.arange(first, first + len(piece) + 1)
                at[last - first :] = -1
                bases += [piece, np.full(1, UNKNOWN, dtype=np.uint8)]
                places.append(at)
                if sum(map(len, places)) >= _BATCH_BP:
                    yield str(name), np.concatenate(bases), np.concatenate(places)
                    bases, places = [], []
        if bases:
            yield str(name), np.concatenate(bases), np.concatenate(places)


def _words(codes: NDArray[np.uint8], widest: int) -> Ints:
    """The bases from each position on as one number, first base highest; unknown bases follow the end, (L + W,)."""
    padded = np.concatenate([codes, np.full(widest + _BLOCK - 1, UNKNOWN, dtype=np.uint8)]).astype(np.int64)
    words = np.zeros(len(codes) + widest, dtype=np.int64)
    for offset in range(_BLOCK):
        words = words * _RADIX + padded[offset : offset + len(words)]
    return words


def _scan(words: Ints, scores: Ints, count: int) -> NDArray[np.int32]:
    """Score of the site that starts at each of the first ``count`` positions; six positions per look-up."""
    total = np.zeros(count, dtype=np.int32)
    table = np.concatenate([scores, np.full((len(scores), 1), _FORBIDDEN)], axis=1).astype(np.int32)
    for offset in range(0, len(table), _BLOCK):
        rows = table[offset : offset + _BLOCK]
        lookup = np.zeros(1, dtype=np.int32)
        for row in rows:
            lookup = (lookup[:, None] + row).ravel()
        lookup = np.repeat(lookup, _RADIX ** (_BLOCK - len(rows)))  # whatever follows the motif
        total += lookup[words[offset : offset + count]]
    return total


def _hits(chrom: str, words: Ints, positions: Ints, scores: Ints, *, lowest: int) -> pd.DataFrame:
    """Sites of one motif in one batch."""
    forward = _scan(words, scores, len(positions))
    reverse = _scan(words, scores[::-1, ::-1], len(positions))  # A C G T backwards is T G C A
    at = np.flatnonzero(np.maximum(forward, reverse) >= lowest)
    at = at[positions[at] >= 0]
    is_reverse = reverse[at] > forward[at]
    score = np.where(is_reverse, reverse[at], forward[at]).astype(np.int64)
    start, strand = positions[at], np.where(is_reverse, "-", "+")
    return pd.DataFrame({"chrom": chrom, "start": start, "end": start + len(scores), "strand": strand, "score": score})


def _finish(
    parts: list[pd.DataFrame], scores: Ints, background: NDArray[np.float64], inside: IntervalIndex | None
) -> pd.DataFrame:
    """Sites of all batches that lie where they were asked for, scores in nat, with p-values."""
    columns = {"chrom": str, "start": np.int64, "end": np.int64, "strand": str, "score": np.int64}
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    kept = [part for part in parts if len(part)]
    sites = pd.concat(kept, ignore_index=True) if kept else empty
    if inside is not None:
        sites = sites[inside.overlaps(sites)].reset_index(drop=True)
    first, tail = score_tail(scores, background)
    p_value = tail[sites["score"].to_numpy(np.int64) - first]
    return sites.assign(score=sites["score"] / PER_NAT, p_value=p_value)
