"""A whole signal track as a table of intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.dna.genome.names import match_names
from seqexp.dna.genome.regions import merge, read_bed
from seqexp.dna.genome.tracks import open_bigwig

Extent = Mapping[str, list[tuple[int, int]]]
_COLUMNS = ["chrom", "start", "end", "value"]
_PIECE_BP = 5_000_000


def read_track(track: Path, extent: Extent | None = None) -> pd.DataFrame:
    """Intervals of a bigWig or bedGraph.

    Parameters
    ----------
    track : Path
        bigWig by its suffix .bw or .bigwig, else bedGraph, plain or gzip.
    extent : mapping, optional
        Stretches to look at per chromosome; intervals are cut to them. Names are matched by alias, and the result
        has the names of the extent.

    Returns
    -------
    DataFrame
        chrom, start, end, value; sorted within each chromosome, without overlaps; missing values left out.

    Raises
    ------
    DataError
        The track is unreadable, overlaps itself, has no chromosome of the extent, or no value there.
    """
    is_bigwig = track.name.lower().endswith((".bw", ".bigwig"))
    frame = _bigwig(track, extent) if is_bigwig else _bedgraph(track, extent)
    frame = frame[frame["value"].notna()].reset_index(drop=True)
    if frame.empty:
        raise DataError("no signal in the track", where=track, expected="values on the chromosomes looked at")
    return frame


def _spans(extent: Extent, names: list[str], track: Path) -> Iterator[tuple[str, str, int, int]]:
    """Name in the track, name in the extent, start and end of every stretch; overlapping stretches united."""
    partner = match_names(extent, names, "the stretches asked for", track)
    rows = [(chrom, max(0, start), end) for chrom in partner for start, end in extent[chrom] if end > max(0, start)]
    for span in merge(pd.DataFrame(rows, columns=_COLUMNS[:3])).itertuples():
        yield partner[str(span.chrom)], str(span.chrom), int(span.start), int(span.end)


def _bigwig(track: Path, extent: Extent | None) -> pd.DataFrame:
    parts = []
    handle = open_bigwig(track)
    try:
        sizes = handle.chroms()
        wanted = {name: [(0, size)] for name, size in sizes.items()} if extent is None else extent
        for own, chrom, start, end in _spans(wanted, list(sizes), track):
            # In pieces: pyBigWig gives one Python tuple per interval.
            for low in range(start, min(end, sizes[own]), _PIECE_BP):
                high = min(low + _PIECE_BP, end, sizes[own])
                found = np.array(handle.intervals(own, low, high) or [], dtype=np.float64).reshape(-1, 3)
                first, last = np.maximum(found[:, 0], low), np.minimum(found[:, 1], high)
                part = {"chrom": chrom, "start": first.astype(int), "end": last.astype(int), "value": found[:, 2]}
                parts.append(pd.DataFrame(part))
    except RuntimeError as error:
        raise DataError(f"the track cannot be read: {error}", where=track, expected="a complete bigWig") from error
    finally:
        handle.close()
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)


def _bedgraph(track: Path, extent: Extent | None) -> pd.DataFrame:
    frame = read_bed(track)
    if frame.empty:
        return pd.DataFrame(columns=_COLUMNS)
    if frame.shape[1] != 4:
        raise DataError(f"found {frame.shape[1]} columns", where=track, expected="a bedGraph: chrom, start, end, value")
    value = pd.to_numeric(frame["name"], errors="coerce")
    is_bad = value.isna() & frame["name"].notna() & (frame["name"].str.lower() != "nan")
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise DataError(f"{frame['name'].iloc[row]!r} is not a number", where=f"{track}, data row {row + 1}")
    frame = frame[_COLUMNS[:3]].assign(value=value.astype(float))
    frame = frame.sort_values(["chrom", "start"], kind="stable", ignore_index=True)
    is_overlap = (frame["chrom"] == frame["chrom"].shift()) & (frame["start"] < frame["end"].shift())
    if is_overlap.any():
        bad = frame[is_overlap].iloc[0]
        raise DataError(
            "intervals overlap", where=f"{track}: {bad['chrom']}:{bad['start']}", expected="one value a base"
        )
    if extent is None:
        return frame
    by_chrom = {str(chrom): part for chrom, part in frame.groupby("chrom", sort=False)}
    parts = []
    for own, chrom, start, end in _spans(extent, list(by_chrom), track):
        hit = by_chrom[own][lambda part, low=start, high=end: (part["start"] < high) & (part["end"] > low)]
        parts.append(hit.assign(chrom=chrom, start=hit["start"].clip(lower=start), end=hit["end"].clip(upper=end)))
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else frame.iloc[:0]
