"""Elements and masks as files that genome browsers and other tools read: BED6, narrowPeak, bedGraph, bigWig."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path
from seqexp.dna.genome.bigwig_writer import open_writer


@dataclass(frozen=True)
class Written:
    """What a file holds.

    Attributes
    ----------
    path : Path
    num : int
        Intervals written.
    num_clipped : int
        Of these, intervals cut at a chromosome end.
    num_outside : int
        Intervals left out because they lie wholly outside their chromosome.
    """

    path: Path
    num: int
    num_clipped: int
    num_outside: int

    def __str__(self) -> str:
        notes = [f"{self.num:,} intervals"]
        notes += [f"{self.num_clipped} cut at chromosome ends"] * (self.num_clipped > 0)
        notes += [f"{self.num_outside} outside left out"] * (self.num_outside > 0)
        return f"{self.path} ({', '.join(notes)})"


def write_bed(
    elements: pd.DataFrame,
    path: str | Path,
    chrom_sizes: Mapping[str, int],
    track_name: str | None = None,
    *,
    comments: Iterable[str] = (),
) -> Written:
    """Write BED6: name is the gene, score the mean mask times 1000.

    Parameters
    ----------
    elements : DataFrame
        chrom, start, end, gene_id, strand, score in [0, 1]; any order.
    path : path
    chrom_sizes : mapping
        Length of each chromosome in bp.
    track_name : str, optional
        Adds a ``track`` line for genome browsers.
    comments : iterable of str
        Lines written at the top behind ``# ``.

    Raises
    ------
    DataError
        A chromosome has no known length, or the file cannot be written.
    """
    kept, num_clipped = _clipped(elements, chrom_sizes, path)
    header = "".join(f"# {line}\n" for line in comments) + _track_line(None, track_name)
    _write_text(_bed6(kept, kept["gene_id"]), Path(path), header)
    return Written(Path(path), len(kept), num_clipped, len(elements) - len(kept))


def write_narrowpeak(
    elements: pd.DataFrame,
    path: str | Path,
    chrom_sizes: Mapping[str, int],
    track_name: str | None = None,
    *,
    comments: Iterable[str] = (),
    is_numbered: bool = True,
) -> Written:
    """Write narrowPeak (BED6+4): signalValue is the score, peak the offset of the summit.

    Parameters
    ----------
    elements : DataFrame
        As in :func:`write_bed`, with summit_bp; p_value and q_value as -log10 where known, else written as -1.
    path, chrom_sizes, track_name
        As in :func:`write_bed`.
    comments : iterable of str
        Lines written at the top behind ``# ``.
    is_numbered : bool
        Names are gene and number (``GENE_1``), not the gene alone.
    """
    kept, num_clipped = _clipped(elements, chrom_sizes, path)
    numbers = "_" + (kept.groupby("gene_id", sort=False).cumcount() + 1).astype(str)
    table = _bed6(kept, kept["gene_id"] + numbers if is_numbered else kept["gene_id"]).assign(
        signal=_digits(kept["score"], 9),  # as many as tell two masks apart: files are ranked as masks are
        p_value=_digits(kept["p_value"]) if "p_value" in kept else "-1",
        q_value=_digits(kept["q_value"]) if "q_value" in kept else "-1",
        summit=kept["summit_bp"].astype(np.int64),
    )
    header = "".join(f"# {line}\n" for line in comments) + _track_line("narrowPeak", track_name)
    _write_text(table, Path(path), header)
    return Written(Path(path), len(kept), num_clipped, len(elements) - len(kept))


def write_bedgraph(
    track: pd.DataFrame, path: str | Path, chrom_sizes: Mapping[str, int], track_name: str | None = None
) -> Written:
    """Write a bedGraph from chrom, start, end, value; intervals must not overlap.

    Raises
    ------
    DataError
        Intervals overlap, a chromosome has no known length, or the file cannot be written.
    """
    kept, num_clipped = _disjoint(track, chrom_sizes, path)
    table = kept[["chrom", "start", "end"]].assign(value=_digits(kept["value"]))
    _write_text(table, Path(path), _track_line("bedGraph", track_name))
    return Written(Path(path), len(kept), num_clipped, len(track) - len(kept))


def write_bigwig(track: pd.DataFrame, path: str | Path, chrom_sizes: Mapping[str, int]) -> Written:
    """Write a bigWig from chrom, start, end, value; all chromosomes are in its header.

    Raises
    ------
    DataError
        Intervals overlap, a chromosome has no known length, or the file cannot be written whole.
    """
    kept, num_clipped = _disjoint(track, chrom_sizes, path)
    with open_writer(path, dict(sorted(chrom_sizes.items()))) as writer:
        for chrom, part in kept.groupby("chrom", sort=True):
            starts, ends, values = (part[name].to_numpy() for name in ("start", "end", "value"))
            writer.add(str(chrom), starts, ends, values)
    return Written(Path(path), len(kept), num_clipped, len(track) - len(kept))


def _clipped(frame: pd.DataFrame, chrom_sizes: Mapping[str, int], path: str | Path) -> tuple[pd.DataFrame, int]:
    """Intervals cut at the ends of their chromosomes, sorted by name and position, and how many were cut."""
    unknown = sorted(set(frame["chrom"].astype(str)) - set(chrom_sizes))
    if unknown:
        raise DataError(f"chromosome {unknown[0]!r} has no known length", where=path, expected="names of the FASTA")
    sizes = frame["chrom"].map(dict(chrom_sizes)).to_numpy(dtype=np.int64)
    low, high = frame["start"].to_numpy(dtype=np.int64), frame["end"].to_numpy(dtype=np.int64)
    start, end = np.clip(low, 0, sizes), np.clip(high, 0, sizes)
    is_inside = end > start
    num_clipped = int((is_inside & ((start != low) | (end != high))).sum())
    kept = frame.assign(start=start, end=end)
    if "summit_bp" in frame:
        moved = frame["summit_bp"].to_numpy(dtype=np.int64) + low - start
        kept["summit_bp"] = np.clip(moved, 0, np.maximum(end - start - 1, 0))
    kept = kept[is_inside].sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)
    return kept, num_clipped


def _disjoint(track: pd.DataFrame, chrom_sizes: Mapping[str, int], path: str | Path) -> tuple[pd.DataFrame, int]:
    kept, num_clipped = _clipped(track, chrom_sizes, path)
    is_wrong = ((kept["chrom"] == kept["chrom"].shift()) & (kept["start"] < kept["end"].shift())).to_numpy()
    if is_wrong.any():
        bad = kept[is_wrong].iloc[0]
        raise DataError("intervals overlap", where=f"{path}: {bad['chrom']}:{bad['start']}", expected="a merged track")
    return kept, num_clipped


def _bed6(kept: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    score = np.rint(1000 * kept["score"].fillna(0.0).to_numpy(np.float64).clip(0, 1)).astype(np.int64)
    spaceless = names.astype(str).str.replace(r"\s+", "_", regex=True)
    return kept[["chrom", "start", "end"]].assign(name=spaceless, score=score, strand=kept["strand"])


def _digits(values: pd.Series, num: int = 6) -> list[str]:
    return [f"{value:.{num}g}" for value in values.astype(float)]


def _track_line(kind: str | None, name: str | None) -> str:
    if name is None:
        return ""
    safe = name.replace('"', "'")
    return f'track {f"type={kind} " if kind else ""}name="{safe}" description="{safe}"\n'


def _write_text(table: pd.DataFrame, path: Path, header: str) -> None:
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        handle.write(header)
        table.to_csv(handle, sep="\t", header=False, index=False)
