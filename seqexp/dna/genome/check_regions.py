"""The part of :mod:`seqexp.dna.genome.check` that looks at lists of intervals: blacklist, peaks, features, truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from seqexp.core.check import Asker
from seqexp.core.errors import DataError
from seqexp.core.tables import require_column
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.names import resolve_names
from seqexp.dna.genome.peak_files import read_peak_file
from seqexp.dna.genome.regions import covered_bp, read_intervals


def check_regions(ask: Asker, spec: DatasetSpec, sizes: Mapping[str, int] | None, genes: GeneTable | None) -> None:
    """Read every list of intervals and compare it with the chromosomes.

    Parameters
    ----------
    ask : Asker
    spec : DatasetSpec
    sizes : mapping, optional
        Lengths of the chromosomes of the FASTA; None if it cannot be read.
    genes : GeneTable, optional
        None if they cannot be read.
    """
    if spec.blacklist is not None:
        _check_intervals(ask, spec, spec.blacklist, "blacklist", sizes=sizes)
    for name, path in spec.peaks.items():
        _check_intervals(ask, spec, path, f"peaks {name}", sizes=sizes, read=read_peak_file)
    for name, path in spec.features.items():
        _check_intervals(ask, spec, path, f"feature {name}", sizes=sizes)
    if spec.truth is not None:
        _check_intervals(ask, spec, spec.truth, "truth", sizes=sizes)
        if genes is not None:
            with ask(spec.truth.name, "planted elements") as tell:
                tell(_truth(spec, genes))


def _check_intervals(
    ask: Asker,
    spec: DatasetSpec,
    path: Path,
    what: str,
    *,
    sizes: Mapping[str, int] | None,
    read: Callable[[Path], pd.DataFrame] = read_intervals,
) -> None:
    frame = None
    with ask(path.name, what) as tell:
        frame = read(path)
        tell((f"{len(frame):,} intervals, {covered_bp(frame):,} bp", len(frame) > 0))
    if sizes is not None and frame is not None and len(frame):
        with ask(path.name, "inside chromosomes") as tell:
            tell(_bounds(frame, path, sizes, spec.fasta))


def _bounds(frame: pd.DataFrame, path: Path, sizes: Mapping[str, int], fasta: Path) -> tuple[str, bool]:
    frame = frame.assign(row=range(1, len(frame) + 1))
    resolved = resolve_names(frame, sizes, path, fasta)
    frame, limits = resolved.table, resolved.table["chrom"].map(dict(sizes))
    is_outside = (frame["start"] >= limits).to_numpy()
    if is_outside.any():
        row = int(is_outside.argmax())
        first, limit = frame.iloc[row], int(limits.iloc[row])
        raise DataError(
            f"{int(is_outside.sum())} intervals lie beyond the end of their chromosome",
            where=f"{path}, data row {first['row']}: {first['chrom']}:{first['start']}-{first['end']}",
            expected=f"positions inside the sequences of {fasta}, here below {limit}",
            fix="use the file made on the same assembly",
        )
    num_past = int((frame["end"] > limits).sum())
    told = f"{len(frame):,} on chromosomes of the FASTA"
    told += f", {num_past} end past their chromosome" if num_past else ""
    return told + (f"; {resolved.told}" if resolved.lost else ""), num_past == 0 and not resolved.lost


def _truth(spec: DatasetSpec, genes: GeneTable) -> tuple[str, bool]:
    truth = spec.read_truth()
    assert truth is not None  # only asked when the dataset names one
    for column in ("gene_id", "effect"):
        require_column(truth, column, spec.truth or "", "truth")
    num_known = int(truth["gene_id"].isin(genes.frame["gene_id"]).sum())
    return f"{num_known} of {len(truth)} belong to a gene of the table", num_known == len(truth)
