"""Threshold peaks: ``macs3 bdgpeakcall`` on a signal track, which knows neither reads nor statistics."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from seqexp.core.errors import ConfigError
from seqexp.dna.genome.regions import read_bed
from seqexp.dna.peaks.macs3 import LIMIT_MINUTES, find_macs3, run_macs3, work_folder
from seqexp.dna.peaks.signal_track import Extent, choose_cutoff, highest_value, read_track, without_gaps
from seqexp.dna.peaks.tables import named, write_peaks


def call_on_track(
    track: Path,
    output: Path,
    *,
    cutoff: float | None = None,
    target_bp: int | None = None,
    min_length_bp: int = 100,
    max_gap_bp: int = 30,
    extent: Extent | None = None,
    limit_minutes: float = LIMIT_MINUTES,
) -> pd.DataFrame:
    """Threshold peaks: ``macs3 bdgpeakcall`` on a bigWig or bedGraph.

    Parameters
    ----------
    track : Path
        bigWig or bedGraph, told apart by content.
    output : Path
        narrowPeak to write; its first line holds mode and cutoff.
    cutoff : float, optional
        Signal a peak must reach.
    target_bp : int, optional
        Instead of a cutoff: the highest one whose peaks hold at least this many base pairs, found by a scan over the
        values that occur in the track.
    min_length_bp, max_gap_bp : int
        ``-l`` and ``-g`` of MACS3.
    extent : mapping, optional
        Stretches to look at per chromosome; everything by default.
    limit_minutes : float
        MACS3 is stopped after so long.

    Returns
    -------
    DataFrame
        See :func:`seqexp.dna.peaks.tables.read_peaks`. MACS3 writes the summit's value as whole tenths, too coarse
        to rank peaks by, and leaves signalValue at 0; the file written here holds the largest value of the track as
        signalValue.

    Raises
    ------
    MissingExtraError
        MACS3 is not installed.
    ConfigError
        Neither or both of cutoff and target, or a number that cannot be.
    DataError
        The track cannot be read or is empty, or MACS3 failed.
    """
    find_macs3()
    if (cutoff is None) == (target_bp is None):
        raise ConfigError("give either a cutoff or a target in bp", expected="one of the two")
    for name, value, least in (
        ("cutoff", 0.0 if cutoff is None else cutoff, -math.inf),
        ("target_bp", 1 if target_bp is None else target_bp, 1),
        ("min_length_bp", min_length_bp, 0),
        ("max_gap_bp", max_gap_bp, 0),
    ):
        if not (math.isfinite(value) and value >= least):
            raise ConfigError(f"{name}: {value}", expected="a finite number" + (f" of at least {least}" * (least >= 0)))
    signal = read_track(track, extent)
    chosen = cutoff
    if chosen is None:
        chosen = choose_cutoff(signal, int(target_bp or 0), min_length_bp, max_gap_bp)
    with work_folder(output) as folder:
        bedgraph, made = folder / "track.bedGraph", folder / "peaks.narrowPeak"
        without_gaps(signal).to_csv(bedgraph, sep="\t", header=False, index=False, float_format="%.9g")
        arguments = ["bdgpeakcall", "-i", str(bedgraph), "-c", f"{chosen:.9g}", "-l", str(min_length_bp)]
        arguments += ["-g", str(max_gap_bp), "--no-trackline", "--outdir", str(folder), "-o", made.name]
        warned = run_macs3(arguments, made, limit_minutes)
        peaks = named(read_bed(made))
    top = highest_value(signal, peaks)
    peaks = peaks.assign(signal_value=top, score=1000 * top / top.max(initial=1e-300), p_value=-1.0, q_value=-1.0)
    how = "given" if cutoff is not None else f"chosen for {target_bp} bp"
    mode = f"mode=threshold macs3 bdgpeakcall track={track.name} cutoff={chosen:.9g} ({how})"
    mode += f" min_length={min_length_bp} max_gap={max_gap_bp}"
    return write_peaks(peaks, output, "\n".join([mode, *(f"macs3 warned: {words}" for words in warned)]))
