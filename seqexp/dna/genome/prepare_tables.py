"""Tables behind the recipe steps: write, join with an annotation."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.files import atomic_path
from seqexp.dna.genome.gene_files import GeneColumns, read_rows
from seqexp.dna.genome.regions import read_bed


def write_table(frame: pd.DataFrame, path: Path, header: bool = True) -> None:
    """Write tab-separated text atomically; gzipped with a fixed time stamp, so that equal tables are equal files."""
    text = frame.to_csv(sep="\t", index=False, header=header).encode()
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)


def covered_rows(genes: pd.DataFrame, bed: Path, flank_bp: int) -> np.ndarray:
    """Which genes have TSS +- flank (0-based, [tss - flank, tss + flank)) wholly inside one interval of a BED.

    Returns
    -------
    numpy.ndarray
        Boolean (G,).
    """
    is_covered = np.zeros(len(genes), dtype=bool)
    tss, chrom = genes["tss"].to_numpy(), genes["chrom"].to_numpy()
    for name, start, end in read_bed(bed)[["chrom", "start", "end"]].itertuples(index=False):
        is_covered |= (chrom == name) & (tss - flank_bp >= start) & (tss + flank_bp <= end)
    return is_covered


def plain_id(gene_id: str) -> str:
    """Ensembl gene id without version and without the mark of its copy on chrY."""
    return gene_id.partition(".")[0].removesuffix("_PAR_Y")


def read_annotated(path: Path, notes: list[str]) -> pd.DataFrame:
    """Genes of a GTF or GFF3 as gene_id (plain), gene_name, chrom, tss (0-based 5' end), strand.

    Raises
    ------
    DataError
        The file cannot be read or has no gene.
    """
    rows = read_rows(path, GeneColumns())
    notes += [f"{len(ids)} {reason}" for reason, ids in rows.noted.items() if ids]
    notes += [f"{number} {reason}" for reason, number in rows.ignored.items()]
    frame = rows.frame[["gene_id", "gene_name", "chrom", "tss", "strand"]]
    return frame.assign(gene_id=frame["gene_id"].map(plain_id))


def join_annotation(values: pd.DataFrame, genes: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Genes of ``values`` that the annotation knows, with their position; the others are counted in ``notes``.

    An id annotated twice (the pseudoautosomal regions, on X and Y) is taken at its first line.
    """
    num_twice = int(genes["gene_id"].duplicated().sum())
    if num_twice:
        notes.append(f"{num_twice} annotation lines ignored: gene_id seen before (pseudoautosomal copies)")
    joined = genes[~genes["gene_id"].duplicated()].merge(values, on="gene_id", how="inner", validate="one_to_one")
    num_unknown = len(values) - len(joined)
    if num_unknown:
        notes.append(f"{num_unknown} dropped: gene_id not in the annotation")
    return joined
