"""Expression behind the recipe steps: TPM from read counts and the lengths of an annotation's genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.files import inside
from seqexp.core.optional import require
from seqexp.core.tables import numbers, read_table
from seqexp.dna.genome.annotation import read_annotation
from seqexp.dna.genome.annotation_lines import Sequences, read_features
from seqexp.dna.genome.prepare_sequence import new_name
from seqexp.dna.genome.prepare_tables import write_table
from seqexp.recipes.runner import StepResult

_TYPES = ("gene_biotype", "gene_type")


def counts_to_tpm(
    folder: Path,
    counts: str,
    gtf: str,
    output: str,
    *,
    samples: Sequence[str],
    column: str,
    names: Mapping[str, str] | None = None,
) -> StepResult:
    """Write a gene table with the mean TPM of some samples: transcripts per million of all annotated genes.

    Parameters
    ----------
    folder : Path
        Dataset folder; paths are relative to it.
    counts : str
        Reads per gene, a row per gene whose id comes first: a tab-separated table, or an R data frame or matrix (.RDS).
    gtf : str
        Annotation of the genes; the length of a gene is the number of bases that its exons cover.
    output : str
        Table to write: gene_id, gene_name, chrom, start (0-based), end, strand, biotype, exon_len, ``column``, and
        tss_annot, the first base of the gene in its orientation (0-based).
    samples : sequence of str
        Columns of the counts: the TPM of each is computed, then their mean is taken.
    column : str
        Name of the column of TPM.
    names : mapping, optional
        Name of a chromosome in the annotation -> name to write.

    Raises
    ------
    DataError
        A file cannot be read, a sample is missing, or no gene is counted.
    MissingExtraError
        The counts are an RDS and pyreadr is not installed.

    Source
    ------
    TPM: Wagner, Kin and Lynch 2012, Theory Biosci. 131, 281-285.
    """
    path = inside(folder, counts)
    genes = _read_genes(inside(folder, gtf), names)
    table = _read_counts(path)
    missing = [sample for sample in samples if sample not in table]
    if missing:
        raise DataError(f"no sample {missing[0]!r}", where=path, expected="one of: " + ", ".join(map(str, table)))
    notes = [f"{len(table)} genes counted in {path.name}"]
    is_annotated = table.index.isin(genes.index)
    if not is_annotated.all():
        notes.append(f"{int((~is_annotated).sum())} dropped: gene_id not in the annotation")
    genes = genes[genes.index.isin(table.index)]
    if genes.empty:
        raise DataError("no gene of the counts is in the annotation", where=path, expected=f"gene ids of {gtf}")
    values = pd.DataFrame({name: numbers(table, name, path) for name in samples}, index=table.index)
    per_base = values.loc[genes.index].div(genes["exon_len"], axis=0)
    tpm = per_base / per_base.sum() * 1e6
    genes = genes.assign(**{column: tpm.mean(axis=1)})
    genes["tss_annot"] = np.where(genes["strand"] == "+", genes["start"], genes["end"] - 1)
    write_table(genes.reset_index(), inside(folder, output))
    return StepResult((output,), (*notes, f"{len(genes)} genes with the mean TPM of {len(samples)} samples"))


def _read_genes(path: Path, names: Mapping[str, str] | None) -> pd.DataFrame:
    """Genes by id: gene_name, chrom, start, end, strand, biotype and exon_len."""
    found = read_annotation(path).frame.set_index("gene_id")
    kind = next((column for column in _TYPES if column in found), None)
    found["biotype"] = "" if kind is None else found[kind]
    if names is not None:
        found["chrom"] = [new_name(chrom, names, path) for chrom in found["chrom"]]
    exons: dict[str, list[tuple[int, int]]] = {}
    for feature in read_features(path, Sequences()):
        if feature.kind == "exon":
            exons.setdefault(feature.parsed().get("gene_id", ""), []).append((feature.start, feature.end))
    found = found[found.index.isin(exons)]
    found["exon_len"] = [_union_bp(exons[gene_id]) for gene_id in found.index]
    return found[["gene_name", "chrom", "start", "end", "strand", "biotype", "exon_len"]]


def _union_bp(exons: list[tuple[int, int]]) -> int:
    """Bases covered by exons [start, end), each counted once."""
    total, reached = 0, 0
    for start, end in sorted(exons):
        total += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return total


def _read_counts(path: Path) -> pd.DataFrame:
    """Counts by gene id, a column per sample."""
    if path.suffix.lower() != ".rds":
        table = read_table(path, "\t")
        return table.set_index(table.columns[0])
    reader: Any = require("pyreadr", "recipes")
    try:
        frame: pd.DataFrame = reader.read_r(str(path))[None]
    except (reader.PyreadrError, reader.LibrdataError) as error:
        raise DataError(
            f"cannot read the R object: {error}", where=path, expected="a data frame or a matrix"
        ) from error
    if not pd.api.types.is_numeric_dtype(frame.iloc[:, 0]):  # ids are the first column, not names of rows
        frame = frame.set_index(frame.columns[0])
    return frame.astype(str)
