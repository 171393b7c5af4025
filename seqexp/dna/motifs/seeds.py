"""Motifs enriched in open stretches of training windows, to start motif filters from instead of from noise.

From noise, gradient descent needs far more windows than a genome of hundreds of genes has before a filter meets a
motif. Counting does not: short words that are more frequent in open bins than elsewhere are found in seconds, and the
sites around each of them give a position weight matrix that gradient descent then only has to polish.

1. Count words of ``word_bp`` bases on both strands in open and in other positions. A word must exceed what the other
   positions predict and what an order-1 chain fitted to the open positions predicts, so that base composition alone
   (GC-rich promoters) gives no motif.
2. Take the most enriched word, collect its sites, subtract what the closed positions give, and get a matrix; rescan
   and repeat.
3. Remove the matrix's sites and start over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
MAX_POSITIONS = 400_000
MIN_SITES = 15
ERASE_MARGIN = 1.5  # nats below the threshold that still count as sites of a motif already found


@dataclass(frozen=True)
class MotifSeed:
    """A motif found by counting.

    Attributes
    ----------
    log_odds : float32 (W, 4)
        Natural log of base probability over background probability, forward strand.
    threshold : float
        Score at which sites stand out most from the background.
    z : float
        Standard deviations between the number of sites in open stretches and the number expected there.
    """

    log_odds: NDArray[np.float32]
    threshold: float
    z: float


@dataclass
class _Pool:
    """Windows of W bases around positions of one kind, with their place in the flattened genome."""

    bases: NDArray[np.uint8]  # (P, W)
    place: NDArray[np.int64]  # (P,)
    weight: float  # real positions per kept position

    def scores(self, log_odds: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Score (P,) of the better strand and whether that is the forward one."""
        table = np.vstack([log_odds.T, np.full(len(log_odds), -1.0)]).astype(np.float32)
        flipped = table[COMPLEMENT][:, ::-1]
        forward = np.zeros(len(self.bases), dtype=np.float32)
        backward = np.zeros_like(forward)
        for column in range(len(log_odds)):
            forward += table[:, column][self.bases[:, column]]
            backward += flipped[:, column][self.bases[:, column]]
        return np.maximum(forward, backward), forward >= backward

    def counts(self, rows: NDArray[np.intp], is_forward: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Base counts (W, 4) of some windows, those of the reverse strand turned."""
        sites = np.where(is_forward[:, None], self.bases[rows], COMPLEMENT[self.bases[rows][:, ::-1]])
        return self.weight * np.stack([(sites == base).sum(axis=0) for base in range(4)], axis=1)


def find_motifs(
    codes: NDArray[np.uint8],
    is_open: NDArray[np.bool_],
    num_motifs: int,
    width_bp: int = 15,
    *,
    word_bp: int = 7,
    min_z: float = 5.0,
    seed: int = 0,
) -> list[MotifSeed]:
    """Motifs enriched in open positions, strongest word first; fewer than ``num_motifs`` where there are no more.

    Parameters
    ----------
    codes : uint8 (W, L)
        Bases of training windows, 4 for unknown.
    is_open : bool (W, L)
        Positions to find motifs in.
    num_motifs : int
        At most so many.
    width_bp, word_bp : int
        Odd; width of the matrices and of the words that start them.
    min_z : float
        Motifs of lower ``z`` are dropped.
    seed : int
        Of the choice of positions, where there are more than :data:`MAX_POSITIONS`.
    """
    rng = np.random.default_rng(seed)
    opened = _pool(codes, is_open, width_bp, rng)
    closed = _pool(codes, ~is_open, width_bp, rng)
    if min(len(opened.place), len(closed.place)) < 1000:
        return []
    base = np.bincount(closed.bases[:, 0], minlength=5)[:4] + 1.0
    base = base / base.sum()
    first = (width_bp - word_bp) // 2
    words, is_forward = _words(opened.bases[:, first : first + word_bp])
    other_words = _words(closed.bases[:, first : first + word_bp])[0]
    elsewhere = np.bincount(other_words[other_words >= 0], minlength=4**word_bp)
    is_free = words >= 0
    seeds: list[MotifSeed] = []
    for _ in range(2 * num_motifs):
        counts = np.bincount(words[is_free], minlength=4**word_bp)
        word, word_z = _best_word(counts, elsewhere, word_bp)
        if len(seeds) == num_motifs or word_z < 4.0:
            break
        rows = np.flatnonzero(is_free & (words == word))
        motif = _refine(opened, closed, opened.counts(rows, is_forward[rows]) / opened.weight, base)
        is_free &= words != word
        if motif is None:
            continue
        if motif.z >= min_z:
            seeds.append(motif)
        hits = opened.place[opened.scores(motif.log_odds)[0] > motif.threshold - ERASE_MARGIN]
        is_free &= ~_is_near(opened.place, hits, width_bp // 2)
    return seeds


def _pool(codes: NDArray[np.uint8], is_chosen: NDArray[np.bool_], width_bp: int, rng: np.random.Generator) -> _Pool:
    half, length = width_bp // 2, codes.shape[1]
    inner = is_chosen.copy()
    inner[:, :half] = inner[:, length - half :] = False
    place = np.flatnonzero(inner)
    weight = max(1.0, len(place) / MAX_POSITIONS)
    if weight > 1:
        place = np.sort(rng.choice(place, MAX_POSITIONS, replace=False))
    return _Pool(codes.reshape(-1)[place[:, None] + np.arange(-half, half + 1)], place, weight)


def _words(bases: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Number (P,) of the word or its reverse complement, the lower of them, or -1; and whether it was the word."""
    powers = 4 ** np.arange(bases.shape[1])[::-1]
    known = np.minimum(bases, 3).astype(np.int64)
    forward, backward = known @ powers, (3 - known[:, ::-1]) @ powers
    words = np.where((bases < 4).all(axis=1), np.minimum(forward, backward), -1)
    return words, forward <= backward


def _best_word(counts: NDArray[np.int64], elsewhere: NDArray[np.int64], word_bp: int) -> tuple[int, float]:
    """Most enriched word and its z, against the closed positions and against the composition of the open ones."""
    total = counts.sum()
    from_closed = (elsewhere + 1.0) * total / (elsewhere.sum() + len(elsewhere))
    expected = np.maximum(from_closed, _composition(counts, word_bp) * total)
    z = (counts - expected) / np.sqrt(expected + 1.0)
    best = int(np.argmax(z))
    return best, float(z[best])


def _composition(counts: NDArray[np.int64], word_bp: int) -> NDArray[np.float64]:
    """Probability (4**k,) of the canonical words under an order-1 chain with the dinucleotides of both strands."""
    digits = (np.arange(4**word_bp)[:, None] // 4 ** np.arange(word_bp)[::-1]) % 4
    turned = (3 - digits[:, ::-1]) @ (4 ** np.arange(word_bp)[::-1])
    pairs = np.ones((4, 4))
    for column in range(word_bp - 1):
        np.add.at(pairs, (digits[:, column], digits[:, column + 1]), counts)
    pairs = pairs + pairs[::-1, ::-1].T  # the other strand
    step = pairs / pairs.sum(axis=1, keepdims=True)
    chance = (pairs.sum(axis=1) / pairs.sum())[digits[:, 0]]
    for column in range(word_bp - 1):
        chance = chance * step[digits[:, column], digits[:, column + 1]]
    identity = np.arange(4**word_bp)
    both = np.where(turned == identity, chance, chance + chance[turned])
    return np.where(identity <= turned, both, 0.0)


def _refine(
    opened: _Pool, closed: _Pool, counts: NDArray[np.float64], base: NDArray[np.float64], *, num_rounds: int = 3
) -> MotifSeed | None:
    """Sharpen a matrix: rescan, take the sites above the best threshold, subtract the closed positions' share."""
    log_odds = _log_odds(counts, base)
    ratio = len(opened.place) * opened.weight / (len(closed.place) * closed.weight)
    motif = None
    for _ in range(num_rounds):
        of_open, forward_open = opened.scores(log_odds)
        of_closed, forward_closed = closed.scores(log_odds)
        levels = np.linspace(3.0, 12.0, 19)
        found = opened.weight * (of_open[:, None] > levels).sum(axis=0)
        expected = closed.weight * (of_closed[:, None] > levels).sum(axis=0) * ratio
        z = (found - expected) / np.sqrt(expected + 5.0)
        # Signal over the noise of both counts: the z above would keep the perfect sites only.
        best = int(np.argmax((found - expected) / np.sqrt(found + expected + 5.0)))
        if found[best] < MIN_SITES:
            break
        motif = MotifSeed(log_odds, float(levels[best]), float(z[best]))
        hits, misses = np.flatnonzero(of_open > levels[best]), np.flatnonzero(of_closed > levels[best])
        sites = opened.counts(hits, forward_open[hits]) - ratio * closed.counts(misses, forward_closed[misses])
        log_odds = _log_odds(np.maximum(sites, 0.0), base)
    return motif


def _log_odds(counts: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float32]:
    padded = counts + 3.0 * base
    return np.log(padded / padded.sum(axis=1, keepdims=True) / base).astype(np.float32)


def _is_near(place: NDArray[np.int64], hits: NDArray[np.int64], reach: int) -> NDArray[np.bool_]:
    """Whether a sorted place (P,) lies within ``reach`` of a sorted hit (H,)."""
    if not len(hits):
        return np.zeros(len(place), dtype=bool)
    after = np.searchsorted(hits, place)
    right = hits[np.minimum(after, len(hits) - 1)] - place
    left = place - hits[np.maximum(after - 1, 0)]
    return np.minimum(np.abs(left), np.abs(right)) <= reach
