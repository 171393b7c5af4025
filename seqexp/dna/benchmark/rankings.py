"""Rankings of bins that need no training: what a selector must beat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import MissingExtraError
from seqexp.dna.benchmark.frame import Frame
from seqexp.dna.evaluation.signal_rules import RULE, track_rankings, tracks_of
from seqexp.dna.evaluation.truth import peak_scores
from seqexp.dna.genome.alignments import AlignmentSpec
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.loaders.windows import CONTACT
from seqexp.dna.peaks.peak_sets import above_threshold, called_on_reads, from_file
from seqexp.dna.peaks.tables import read_peaks

NEAR_BP = 1_000.0  # ABC counts nearer bins as this far
POWER = 0.87  # of the fall of contact with distance that ABC assumes (Fulco et al., Nature Genetics 2019)

Scores = NDArray[np.float32]


def plain_rankings(frame: Frame, seed: int = 0) -> dict[str, Scores]:
    """Score (R, N) of each bin by distance, by each signal, by the fixed rule, by activity x contact, and by chance.

    Signal rankings are left out where the data have no tracks.
    """
    shape = frame.masks.values.shape
    scores: dict[str, Scores] = {"random": np.random.default_rng(seed).random(shape, dtype=np.float32)}
    near = np.broadcast_to(-np.abs(frame.distance_bp), shape)
    scores["distance"] = (near - near.min() + 1).astype(np.float32)
    by_track = track_rankings(frame.signals, frame.data.statistics)
    scores |= {name if name == RULE else f"top {name}": found for name, found in by_track.items()}
    return {**scores, "activity x contact": activity_by_contact(frame)} if by_track else scores


def activity_by_contact(frame: Frame) -> Scores:
    """Activity-by-contact (R, N): geometric mean of the tracks times contact, as a share of the gene's sum.

    Contact is the Hi-C channel where there is one, else a power law of the distance.

    Notes
    -----
    Source: Fulco et al., Nature Genetics 2019, on bins in place of candidate elements.
    """
    tracks = tracks_of(frame.track_names)
    high = frame.data.statistics.high_quantile()[tracks]
    relative = frame.signals[..., tracks].astype(np.float64) / np.maximum(high, 1e-6)
    activity = np.exp(np.log(np.maximum(relative, 1e-6)).mean(axis=-1))
    if CONTACT in frame.track_names:
        contact = np.expm1(frame.signals[..., frame.track_names.index(CONTACT)].astype(np.float64) * np.log(10))
    else:
        contact = np.maximum(np.abs(frame.distance_bp), NEAR_BP)[None] ** -POWER
    product = activity * contact
    return (product / np.maximum(product.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)


def peak_rankings(
    frame: Frame,
    folder: Path,
    q_values: Sequence[float],
    alignments: AlignmentSpec | None = None,
    *,
    budget: float = 0.1,
    peak_track: str | None = None,
) -> tuple[dict[str, Scores], str]:
    """Scores (R, N) of bins by peaks at several stringencies, and where the peaks come from.

    Called by MACS3 on ``alignments``, or those of the dataset; otherwise the peaks of the dataset, filtered by their
    q-values where they have any; otherwise what lies above a threshold on ``peak_track``, by default the first one, at
    cutoffs that give half, all and twice the budget (a track has no q-values); where a sparse track gives the same
    again, it is left out. Without MACS3 the dict is empty and the text says how to get it.
    """
    spec = frame.data.spec
    folder.mkdir(parents=True, exist_ok=True)
    reads = alignments or next(iter(spec.alignments.values()), None)
    try:
        if reads is not None:
            peaks, origin = _on_reads(spec, reads, folder, q_values)
        elif spec.peaks:
            peaks, origin = _given(spec, next(iter(spec.peaks.values())), folder, q_values)
        elif spec.tracks:
            peaks, origin = _above_thresholds(spec, peak_track or next(iter(spec.tracks)), folder, budget)
        else:
            return {}, "no track to call peaks on"
    except MissingExtraError as error:
        return {}, f"MACS3 is missing: {error.found}; {error.fix}"
    return {name: peak_scores(table, frame.masks) for name, table in peaks.items()}, origin


def _on_reads(
    spec: DatasetSpec, reads: AlignmentSpec, folder: Path, q_values: Sequence[float]
) -> tuple[dict[str, pd.DataFrame], str]:
    peaks = {}
    for q in q_values:
        path = folder / f"q{q:g}.narrowPeak"
        if not path.is_file():
            called_on_reads(spec, reads, path, q_value=q)
        peaks[f"MACS3 q < {q:g}"] = read_peaks(path)
    return peaks, f"macs3 callpeak on {', '.join(path.name for path in reads.paths)}"


def _given(
    spec: DatasetSpec, path: Path, folder: Path, q_values: Sequence[float]
) -> tuple[dict[str, pd.DataFrame], str]:
    given = from_file(spec, path, folder / "given.narrowPeak")
    table = given.table
    if "q_value" not in table or not (table["q_value"] > 0).any():
        return {given.label: table}, f"{given.label}, which has no q-values"
    return {f"{given.label} q < {q:g}": table[table["q_value"] >= -np.log10(q)] for q in q_values}, given.label


def _above_thresholds(
    spec: DatasetSpec, track: str, folder: Path, budget: float
) -> tuple[dict[str, pd.DataFrame], str]:
    spec.open_tracks([track])  # a wrong name is one clear error
    genome_bp = sum(spec.open_reference().chrom_sizes.values())
    peaks: dict[str, pd.DataFrame] = {}
    for factor in (1.0, 0.5, 2.0):
        path = folder / f"{track}_budget{factor:g}.narrowPeak"
        if not path.is_file():
            above_threshold(spec, track, path, target_bp=int(factor * budget * genome_bp))
        found = read_peaks(path)
        if not any(found.equals(known) for known in peaks.values()):
            peaks[f"threshold on {track} at {factor:g} x budget"] = found
    return peaks, f"thresholds on the track {track}, without reads"
