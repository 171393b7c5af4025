"""A whole signal track in memory, and the cutoff at which its peaks hold a wanted number of base pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

from seqexp.core.errors import DataError
from seqexp.dna.genome.bigwig import open_bigwig
from seqexp.dna.genome.names import match_names
from seqexp.dna.genome.regions import read_bed

Extent = Mapping[str, list[tuple[int, int]]]
_BLOCK_BP = 5_000_000


def read_track(track: Path, extent: Extent | None = None) -> pd.DataFrame:
    """Intervals of a bigWig or bedGraph, told apart by content.

    Parameters
    ----------
    track : Path
    extent : mapping, optional
        Stretches to look at, per chromosome; everything by default. They may overlap. Names are matched by alias, and
        the result has the names of the extent.

    Returns
    -------
    DataFrame
        chrom (categorical), start, end, value (float32); sorted, disjoint; bases without a value are left out.

    Raises
    ------
    DataError
        The file cannot be read, is no bedGraph, holds overlapping intervals or infinite values, or has no chromosome or
        no value of the extent.
    """
    parts = list(_bigwig_parts(track, extent)) if _is_bigwig(track) else [_bedgraph(track, extent)]
    parts = [part for part in parts if len(part)]
    if not parts:
        raise DataError("no signal in the track", where=track, expected="values on the chromosomes looked at")
    chrom = union_categoricals([part["chrom"].astype("category") for part in parts], sort_categories=True)
    signal = pd.concat(parts, ignore_index=True).assign(chrom=chrom)
    signal = signal.sort_values(["chrom", "start"], kind="stable", ignore_index=True)
    is_finite = np.isfinite(signal["value"].to_numpy())
    if not is_finite.all():
        bad = signal.iloc[int(np.argmin(is_finite))]
        raise DataError(
            f"{int((~is_finite).sum())} values are infinite",
            where=f"{track}: {bad['chrom']}:{bad['start']}",
            expected="finite values, or none where nothing is known",
        )
    codes = signal["chrom"].cat.codes.to_numpy()
    is_wrong = (codes[1:] == codes[:-1]) & (signal["start"].to_numpy()[1:] < signal["end"].to_numpy()[:-1])
    if is_wrong.any():
        bad = signal.iloc[int(np.argmax(is_wrong)) + 1]
        raise DataError("intervals overlap", where=f"{track}: {bad['chrom']}:{bad['start']}", expected="a signal track")
    return signal


def without_gaps(signal: pd.DataFrame) -> pd.DataFrame:
    """The track with 0 in the gaps between its intervals, sorted.

    MACS3 keeps only where each interval of a bedGraph ends, so that it reads a gap as part of the interval behind it.
    """
    chrom, start, end = signal["chrom"], signal["start"].to_numpy(), signal["end"].to_numpy()
    is_gap = (chrom.iloc[1:].to_numpy() == chrom.iloc[:-1].to_numpy()) & (start[1:] > end[:-1])
    rows = np.flatnonzero(is_gap)
    gaps = signal.iloc[rows].assign(start=end[rows], end=start[rows + 1], value=np.float32(0))
    filled = pd.concat([signal, gaps], ignore_index=True)
    return filled.sort_values(["chrom", "start"], kind="stable", ignore_index=True)


def choose_cutoff(signal: pd.DataFrame, target_bp: int, min_length_bp: int = 0, max_gap_bp: int = 0) -> float:
    """Highest cutoff whose peaks hold at least ``target_bp`` base pairs.

    Every value that occurs in the track is a candidate, whatever its range, and peaks are counted as bdgpeakcall
    counts them: stretches of at least the cutoff, joined over short gaps, short ones dropped. Their total grows as
    the cutoff falls, so bisection finds it.

    Returns
    -------
    float
        Halfway between the value that is needed and the next lower one, so that no rounding can lose it; where the
        whole track is not enough, below its lowest positive value.
    """
    values = signal["value"].to_numpy(np.float64)
    levels = np.unique(values[values > 0])[::-1]
    if not len(levels):
        raise DataError("the track is nowhere above 0", expected="a signal to call peaks on")
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high) // 2
        if peaks_bp(signal, float(levels[middle]), min_length_bp, max_gap_bp) >= target_bp:
            high = middle
        else:
            low = middle + 1
    below = levels[low + 1] if low + 1 < len(levels) else 0.0
    return float((levels[low] + below) / 2)


def peaks_bp(signal: pd.DataFrame, cutoff: float, min_length_bp: int, max_gap_bp: int) -> int:
    """Base pairs in stretches of at least the cutoff, joined over gaps and without the short ones."""
    is_high = signal["value"].to_numpy() >= cutoff
    start, end = signal["start"].to_numpy()[is_high], signal["end"].to_numpy()[is_high]
    if not len(start):
        return 0
    chrom = signal["chrom"].cat.codes.to_numpy()[is_high]
    is_first = np.concatenate([[True], (chrom[1:] != chrom[:-1]) | (start[1:] - end[:-1] > max_gap_bp)])
    lengths = end[np.concatenate([is_first[1:], [True]])] - start[is_first]
    return int(lengths[lengths >= min_length_bp].sum())


def highest_value(signal: pd.DataFrame, peaks: pd.DataFrame) -> NDArray[np.float64]:
    """Largest value of the track within each interval (n,); 0 where it has none."""
    result = np.zeros(len(peaks))
    rows_of = signal.groupby("chrom", observed=True).indices
    start, end = peaks["start"].to_numpy(), peaks["end"].to_numpy()
    for chrom, rows in peaks.groupby("chrom").indices.items():
        own = signal.iloc[rows_of.get(chrom, np.zeros(0, np.int64))]
        values = np.append(own["value"].to_numpy(np.float64), 0.0)
        first = np.searchsorted(own["end"].to_numpy(), start[rows], side="right")
        last = np.searchsorted(own["start"].to_numpy(), end[rows], side="left")
        # reduceat takes pairs of edges; every second result is the stretch between two peaks.
        edges = np.stack([first, np.maximum(last, first + 1)], axis=1).ravel()
        largest = np.maximum.reduceat(values, np.minimum(edges, len(values) - 1))[::2]
        result[rows] = np.where(last > first, largest, 0.0)
    return result


def _is_bigwig(track: Path) -> bool:
    """By the magic number; a file that is none is known by its suffix, for the message of the bigWig reader."""
    if not track.is_file():
        return track.name.lower().endswith((".bw", ".bigwig"))
    with open(track, "rb") as handle:
        is_magic = handle.read(4) in (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")
    return is_magic or track.name.lower().endswith((".bw", ".bigwig"))


def _stretches(extent: Extent | None, sizes: Mapping[str, int], track: Path) -> Iterator[tuple[str, str, int, int]]:
    """Name in the track, name to use, start and end of every stretch to read; those of a chromosome are disjoint."""
    if extent is None:
        yield from ((chrom, chrom, 0, size) for chrom, size in sizes.items())
        return
    for chrom, partner in match_names(extent, sizes, "the stretches asked for", track).items():
        yield from ((partner, chrom, low, high) for low, high in _joined(extent[chrom], sizes[partner]))


def _bigwig_parts(track: Path, extent: Extent | None) -> Iterator[pd.DataFrame]:
    """Intervals block by block: a whole chromosome as Python tuples would not fit into memory."""
    handle = open_bigwig(track)
    try:
        for chrom, name, start, end in _stretches(extent, handle.chroms(), track):
            for low in range(start, end, _BLOCK_BP):
                high = min(low + _BLOCK_BP, end)
                yield _frame(name, np.column_stack(handle.intervals(chrom, low, high)), low, high)
    finally:
        handle.close()


def _frame(chrom: str, found: NDArray[np.float64], low: int, high: int) -> pd.DataFrame:
    found = found[~np.isnan(found[:, 2])]
    start, end = np.maximum(found[:, 0], low).astype(np.int64), np.minimum(found[:, 1], high).astype(np.int64)
    names = pd.Categorical.from_codes(np.zeros(len(found), np.int8), [chrom])
    return pd.DataFrame({"chrom": names, "start": start, "end": end, "value": found[:, 2].astype(np.float32)})


def _bedgraph(track: Path, extent: Extent | None) -> pd.DataFrame:
    frame = read_bed(track)
    if "name" not in frame:
        raise DataError("found 3 columns", where=track, expected="a bedGraph: chrom, start, end, value")
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused by read_track
        value = pd.to_numeric(frame["name"], errors="coerce").to_numpy(np.float32)
    if np.isnan(value).any():
        row = int(np.argmax(np.isnan(value)))
        raise DataError(
            f"{frame['name'].iloc[row]!r} is no value",
            where=f"{track}, data row {row + 1}",
            expected="a bedGraph: chrom, start, end, value",
        )
    signal = frame[["chrom", "start", "end"]].assign(value=value)
    if extent is None:
        return signal
    sizes = {str(chrom): int(end) for chrom, end in signal.groupby("chrom")["end"].max().items()}
    parts = [signal.iloc[:0]]
    for chrom, name, low, high in _stretches(extent, sizes, track):
        hit = signal[(signal["chrom"] == chrom) & (signal["end"] > low) & (signal["start"] < high)]
        parts.append(hit.assign(chrom=name, start=hit["start"].clip(lower=low), end=hit["end"].clip(upper=high)))
    return pd.concat(parts, ignore_index=True)


def _joined(spans: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Sorted, disjoint, within the chromosome."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted((max(0, s), min(e, size)) for s, e in spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > start:
            joined.append((start, end))
    return joined
