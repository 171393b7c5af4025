"""The file formats of genes; each gives gene_id, gene_name, chrom, tss, strand and the other columns it has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.tables import is_missing, read_table, require_column, whole_numbers
from seqexp.dna.genome.annotation import read_annotation
from seqexp.dna.genome.annotation_lines import Sequences
from seqexp.dna.genome.regions import read_bed

# A dot and a number are a version in Ensembl and RefSeq ids only; Y74C9A.3 is a gene of its own.
# Behind it may stand the copy on chrY, or the mapping version of an annotation lifted to another assembly.
_VERSIONED = re.compile(r"^(ENS[A-Z]*\d{11}|[NX][MRP]_\d+)\.\d+(?:_\d+)?(_PAR_Y)?$")
_ANNOTATIONS = (".gtf", ".gff", ".gff2", ".gff3")
TABLES = (".tsv", ".txt", ".csv")
SUFFIXES = (*_ANNOTATIONS, ".bed", *TABLES)  # each also with .gz


@dataclass(frozen=True)
class GeneColumns:
    """Names of the columns of a gene table; a BED has its own, and GTF and GFF3 use only ``gene_id`` and ``gene_name``.

    Parameters
    ----------
    gene_id, gene_name, chrom, strand : str
        Column names. A table without ``gene_name`` column uses the gene id as name.
    tss : str or None
        Column with the position of the first transcribed base. None: by strand from ``start`` and ``end``.
    start, end : str
        Half-open gene body, read only when ``tss`` is None.
    base : int
        0 if positions count from 0, 1 if from 1 (then ``start`` and ``tss`` are lowered by 1). Not for GTF, GFF3, BED.
    keep : mapping
        Column to the values a row must have, such as ``{gene_biotype: [protein_coding]}``.
    expression_gene_id : str or None
        Id column of a separate expression table; None: as ``gene_id``.
    """

    gene_id: str = "gene_id"
    gene_name: str = "gene_name"
    chrom: str = "chrom"
    tss: str | None = "tss"
    strand: str = "strand"
    start: str = "start"
    end: str = "end"
    base: int = 0
    keep: Mapping[str, Sequence[str]] = field(default_factory=dict)
    expression_gene_id: str | None = None


def is_annotation(path: Path) -> bool:
    """Whether a file is a GTF or GFF3, by its name."""
    return path.name.lower().removesuffix(".gz").endswith(_ANNOTATIONS)


def is_table(path: Path) -> bool:
    """Whether a file is a table with a header, by its name."""
    return path.name.lower().removesuffix(".gz").endswith(TABLES)


def strip_version(gene_id: str) -> str:
    """Ensembl or RefSeq id without its version: ``ENSG00000141510.18`` to ``ENSG00000141510``; other ids unchanged."""
    match = _VERSIONED.match(gene_id)
    return gene_id if match is None else match[1] + (match[2] or "")


@dataclass(frozen=True)
class GeneRows:
    """Rows of a gene file, not yet checked.

    Parameters
    ----------
    frame : DataFrame
        gene_id (no version), gene_name, chrom, tss (0-based), strand and the other columns of the file, as text.
    noted : mapping
        What else is to be told of genes: reason to gene ids.
    ignored : mapping
        Lines that could not be read as genes, by reason.
    sequences : Sequences
        Lengths and other names of chromosomes, where the file states them.
    is_strand_optional : bool
        Genes without a strand (``.`` or ``?``) are common in such files, and left out.
    """

    frame: pd.DataFrame
    noted: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    sequences: Sequences = field(default_factory=Sequences)
    is_strand_optional: bool = False


def read_rows(path: Path, columns: GeneColumns) -> GeneRows:
    """Rows of a gene file; the kind of file follows from its name, GTF and GFF3 from each other by their lines.

    Raises
    ------
    DataError
        The file cannot be read or lacks a column.
    """
    name = path.name.lower().removesuffix(".gz")
    if is_annotation(path):
        rows = _from_annotation(path, columns)
    elif name.endswith(".bed"):
        rows = GeneRows(_from_bed(path))
    elif is_table(path):
        rows = GeneRows(_from_table(path, columns))
    else:
        raise DataError(
            f"unknown kind of gene file: {path.name}",
            where=path,
            expected=f"one of {', '.join(SUFFIXES)} (or with .gz)",
        )
    frame = rows.frame
    for column in ("gene_id", "chrom"):
        is_empty = is_missing(frame[column])
        if is_empty.any():
            raise DataError(
                f"{int(is_empty.sum())} rows have no {column}",
                where=f"{path}, first in data row {int(np.argmax(is_empty)) + 1}",
                expected=f"a {column} in every row",
            )
    frame["gene_id"] = frame["gene_id"].map(strip_version)
    frame["gene_name"] = frame["gene_name"].where(~is_missing(frame["gene_name"]), frame["gene_id"])
    return rows


def _from_table(path: Path, columns: GeneColumns) -> pd.DataFrame:
    table = read_table(path)
    positions = [columns.tss] if columns.tss else [columns.start, columns.end]
    for key, column in (("gene_id", columns.gene_id), ("chrom", columns.chrom), ("strand", columns.strand)):
        require_column(table, column, path, f"genes.{key}")
    for column in positions:
        require_column(table, column, path, "genes.tss" if columns.tss else "genes.start and genes.end")
        table[column] = whole_numbers(table, column, path)
    if not columns.tss:
        is_turned = (table[columns.start] - columns.base >= table[columns.end]).to_numpy()
        if is_turned.any():
            row = int(np.argmax(is_turned))
            raise DataError(
                f"{int(is_turned.sum())} genes are empty or turned round",
                where=f"{path}, data row {row + 1}: {table[columns.start].iloc[row]} to {table[columns.end].iloc[row]}",
                expected="the start before the end on both strands",
                fix="correct the rows; for 1-based positions set genes.base: 1",
            )
    if columns.tss:
        tss = table[columns.tss] - columns.base
    else:
        is_reverse = table[columns.strand].isin(["-", "-1"])
        tss = pd.Series(np.where(is_reverse, table[columns.end] - 1, table[columns.start] - columns.base), table.index)
    names = table.get(columns.gene_name, table[columns.gene_id])
    fixed = {
        "gene_id": table[columns.gene_id],
        "gene_name": names,
        "chrom": table[columns.chrom],
        "tss": tss.astype(np.int64),
        "strand": table[columns.strand],
    }
    return pd.concat([pd.DataFrame(fixed), table.drop(columns=[c for c in fixed if c in table])], axis=1)


def _from_bed(path: Path) -> pd.DataFrame:
    bed = read_bed(path)
    if "name" not in bed or "strand" not in bed:
        raise DataError(
            "the BED file of genes has no name and strand",
            where=path,
            expected="at least 6 columns: chrom, start, end, name, score, strand",
        )
    tss = np.where(bed["strand"] == "-", bed["end"] - 1, bed["start"])
    return bed.assign(gene_id=bed["name"], gene_name=bed["name"], tss=tss)


def _from_annotation(path: Path, columns: GeneColumns) -> GeneRows:
    found = read_annotation(path, columns.gene_id, columns.gene_name)
    frame = found.frame
    tss = np.where(frame["strand"] == "-", frame["end"] - 1, frame["start"])
    noted = {"built from transcripts or exons, without a gene line": found.built}
    lines = {f"{kind} lines that name no gene": number for kind, number in found.nameless.items()}
    return GeneRows(frame.assign(tss=tss), noted, lines, found.sequences, is_strand_optional=True)
