"""Elements and masks as files that genome browsers and other tools read: BED6, narrowPeak, bedGraph, bigWig."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path


def _clipped(frame: pd.DataFrame, chrom_sizes: Mapping[str, int], path: str | Path) -> tuple[pd.DataFrame, int]:
    """Intervals inside their chromosomes, in the order of the sizes, and how many had to be cut or dropped."""
    unknown = sorted(set(frame["chrom"]) - set(chrom_sizes))
    if unknown:
        raise DataError(f"chromosome {unknown[0]!r} has no known length", where=path, expected="names of the FASTA")
    order = {name: number for number, name in enumerate(chrom_sizes)}
    sizes = frame["chrom"].map(chrom_sizes).to_numpy(dtype=np.int64)
    start = np.maximum(frame["start"].to_numpy(dtype=np.int64), 0)
    end = np.minimum(frame["end"].to_numpy(dtype=np.int64), sizes)
    changed = (start != frame["start"].to_numpy()) | (end != frame["end"].to_numpy())
    kept = frame.assign(start=start, end=end)
    if "summit_bp" in frame:
        moved = frame["summit_bp"].to_numpy(dtype=np.int64) - (start - frame["start"].to_numpy(dtype=np.int64))
        kept["summit_bp"] = np.clip(moved, 0, np.maximum(end - start - 1, 0))
    kept = kept[start < end]
    place = pd.DataFrame({"c": kept["chrom"].map(order), "s": kept["start"], "e": kept["end"]})
    return kept.loc[place.sort_values(["c", "s", "e"]).index].reset_index(drop=True), int(changed.sum())


def _bed_score(score: pd.Series) -> pd.Series:
    return (score.clip(0, 1) * 1000).round().astype(int)


def write_bed(elements: pd.DataFrame, path: str | Path, chrom_sizes: Mapping[str, int]) -> int:
    """Write BED6: name is the gene, score the mean mask times 1000.

    Returns
    -------
    int
        Intervals cut at chromosome ends or dropped beyond them.
    """
    kept, num_clipped = _clipped(elements, chrom_sizes, path)
    table = kept[["chrom", "start", "end"]].assign(
        name=kept["gene_id"], score=_bed_score(kept["score"]), strand=kept["strand"]
    )
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", header=False, index=False)
    return num_clipped


def write_narrowpeak(elements: pd.DataFrame, path: str | Path, chrom_sizes: Mapping[str, int]) -> int:
    """Write narrowPeak: signalValue is the mean mask, pValue and qValue are -1 (not assigned), peak the summit.

    Returns
    -------
    int
        Intervals cut at chromosome ends or dropped beyond them.
    """
    kept, num_clipped = _clipped(elements, chrom_sizes, path)
    table = kept[["chrom", "start", "end"]].assign(
        name=[f"{gene}_{number}" for number, gene in enumerate(kept["gene_id"], 1)],
        score=_bed_score(kept["score"]),
        strand=kept["strand"],
        signal=kept["score"].map("{:.6g}".format),
        p_value=-1,
        q_value=-1,
        summit=kept["summit_bp"].astype(int),
    )
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", header=False, index=False)
    return num_clipped


def write_bedgraph(track: pd.DataFrame, path: str | Path, chrom_sizes: Mapping[str, int]) -> int:
    """Write a bedGraph from chrom, start, end, value; intervals must not overlap.

    Returns
    -------
    int
        Intervals cut at chromosome ends or dropped beyond them.
    """
    kept, num_clipped = _clipped(track, chrom_sizes, path)
    with atomic_path(path) as temporary:
        columns = ["chrom", "start", "end", "value"]
        kept[columns].to_csv(temporary, sep="\t", header=False, index=False, float_format="%.6g")
    return num_clipped


def write_bigwig(track: pd.DataFrame, path: str | Path, chrom_sizes: Mapping[str, int]) -> int:
    """Write a bigWig from chrom, start, end, value; all chromosomes are in its header.

    Returns
    -------
    int
        Intervals cut at chromosome ends or dropped beyond them.

    Raises
    ------
    DataError
        Intervals overlap, or the file cannot be written.
    """
    import pyBigWig

    kept, num_clipped = _clipped(track, chrom_sizes, path)
    overlap = (kept["chrom"] == kept["chrom"].shift()) & (kept["start"] < kept["end"].shift())
    if overlap.any():
        bad = kept[overlap].iloc[0]
        raise DataError("intervals overlap", where=f"{path}: {bad['chrom']}:{bad['start']}", expected="a merged track")
    with atomic_path(path) as temporary:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = pyBigWig.open(str(temporary), "w")
        except RuntimeError as error:
            raise DataError(f"cannot write: {error}", where=path, fix="choose a writable folder") from error
        try:
            handle.addHeader([(name, int(size)) for name, size in chrom_sizes.items()])
            if len(kept):
                handle.addEntries(
                    kept["chrom"].tolist(),
                    kept["start"].astype(int).tolist(),
                    ends=kept["end"].astype(int).tolist(),
                    values=kept["value"].astype(float).tolist(),
                )
        finally:
            handle.close()
    return num_clipped
