"""Tracks of fragments behind the recipe steps: cut sites and coverage of ATAC-seq, counted per base."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.files import inside
from seqexp.dna.genome.bed_rows import read_rows, whole_positions
from seqexp.dna.genome.bigwig_writer import open_writer
from seqexp.dna.genome.prepare_sequence import new_name
from seqexp.dna.genome.reference import Reference
from seqexp.recipes.runner import StepResult


def fragment_tracks(
    folder: Path,
    fragments: str,
    fasta: str,
    *,
    cuts: str,
    coverage: str,
    names: Mapping[str, str] | None = None,
) -> StepResult:
    """Count cut sites and coverage of fragments per base, as two bigWigs that hold no zeros.

    Parameters
    ----------
    folder : Path
        Dataset folder; paths are relative to it.
    fragments : str
        BEDPE as MACS writes it, or any BED: chrom, start (0-based), end (exclusive) of each fragment.
    fasta : str
        FASTA whose chromosomes the tracks get, in its order.
    cuts, coverage : str
        bigWigs to write. A fragment [start, end) has its two cuts at the bases ``start`` and ``end - 1``, and covers
        every base between.
    names : mapping, optional
        Name of a chromosome in the fragments -> its name in the FASTA.

    Raises
    ------
    DataError
        The file cannot be read, names a chromosome that the FASTA lacks, or a fragment is empty or reaches over an end.
    """
    path = inside(folder, fragments)
    table = _read_fragments(path, names)
    sizes = Reference(inside(folder, fasta)).chrom_sizes
    unknown = sorted(set(table["chrom"]) - set(sizes))
    if unknown:
        raise DataError(f"chromosome {unknown[0]!r} is not in {fasta}", where=path, expected=", ".join(sizes))
    with (
        open_writer(inside(folder, cuts), sizes) as cut_writer,
        open_writer(inside(folder, coverage), sizes) as coverage_writer,
    ):
        for chrom, size in sizes.items():
            part = table[table["chrom"] == chrom]
            start, end = part["start"].to_numpy(), part["end"].to_numpy()
            if len(end) and end.max() > size:
                raise DataError(f"a fragment ends at {end.max()} of {chrom}", where=path, expected=f"at most {size}")
            begun, ended = np.bincount(start, minlength=size + 1), np.bincount(end, minlength=size + 1)
            cut_writer.add(chrom, *_runs(begun[:-1] + ended[1:]))
            coverage_writer.add(chrom, *_runs(np.cumsum(begun - ended)[:-1]))
    return StepResult((cuts, coverage), (f"{len(table)} fragments in {Path(fragments).name}",))


def _read_fragments(path: Path, names: Mapping[str, str] | None) -> pd.DataFrame:
    rows = read_rows(path)
    if rows.shape[1] < 3:
        raise DataError(f"{rows.shape[1]} columns", where=path, expected="chrom, start and end, with tabs between")
    rows = rows.rename(columns={0: "chrom", 1: "start", 2: "end"})
    new_names = {name: name if names is None else new_name(name, names, path) for name in rows["chrom"].unique()}
    start, end = (whole_positions(rows, column, path) for column in ("start", "end"))
    if (start >= end).any():
        row = int(np.argmax(start >= end))
        raise DataError(f"end {end[row]} not behind start {start[row]}", where=f"{path}, data row {row + 1}")
    return pd.DataFrame({"chrom": rows["chrom"].map(new_names), "start": start, "end": end})


def _runs(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Starts, ends and values of the stretches of equal values (L,), without those of zero."""
    starts = np.flatnonzero(np.diff(values, prepend=values[:1] - 1))
    ends = np.append(starts[1:], len(values))
    is_kept = values[starts] != 0
    return starts[is_kept], ends[is_kept], values[starts][is_kept].astype(np.float64)
