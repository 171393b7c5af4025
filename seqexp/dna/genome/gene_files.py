"""The file formats of genes; each gives gene_id, gene_name, chrom, tss, strand and the other columns it has."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.tables import count_header_lines, is_missing, read_csv, read_table, require_column, whole_numbers
from seqexp.dna.genome.regions import read_bed

# A dot and a number are a version in Ensembl and RefSeq ids only; Y74C9A.3 is a gene of its own.
_VERSIONED = re.compile(r"^(ENS[A-Z]*\d{11}|[NX][MRP]_\d+)\.\d+(_PAR_Y)?$")
_ATTRIBUTE = re.compile(r'(\S+)\s+(?:"([^"]*)"|([^;\s]+))\s*(?:;|$)')


@dataclass(frozen=True)
class GeneColumns:
    """Names of the columns of a gene table; a BED has its own, and a GTF uses only ``gene_id`` and ``gene_name``.

    Parameters
    ----------
    gene_id, gene_name, chrom, strand : str
        Column names. A table without ``gene_name`` column uses the gene id as name.
    tss : str or None
        Column with the position of the first transcribed base. None: by strand from ``start`` and ``end``.
    start, end : str
        Half-open gene body, read only when ``tss`` is None.
    base : int
        0 if positions count from 0, 1 if from 1 (then ``start`` and ``tss`` are lowered by 1). Ignored for GTF and BED.
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


def strip_version(gene_id: str) -> str:
    """Ensembl or RefSeq id without its version: ``ENSG00000141510.18`` to ``ENSG00000141510``; other ids unchanged."""
    match = _VERSIONED.match(gene_id)
    return gene_id if match is None else match[1] + (match[2] or "")


def read_rows(path: Path, columns: GeneColumns) -> pd.DataFrame:
    """Rows of a gene file, not yet checked: gene_id (no version), gene_name, chrom, tss (0-based), strand, others.

    Raises
    ------
    DataError
        The file cannot be read or lacks a column.
    """
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".gtf", ".gff")):
        frame = _from_gtf(path, columns)
    elif name.endswith(".bed"):
        frame = _from_bed(path)
    elif name.endswith((".tsv", ".txt", ".csv")):
        frame = _from_table(path, columns)
    else:
        raise DataError(
            f"unknown kind of gene file: {path.name}", where=path, expected=".gtf, .bed, .tsv, .txt or .csv (or .gz)"
        )
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
    return frame


def _from_table(path: Path, columns: GeneColumns) -> pd.DataFrame:
    table = read_table(path)
    positions = [columns.tss] if columns.tss else [columns.start, columns.end]
    for key, column in (("gene_id", columns.gene_id), ("chrom", columns.chrom), ("strand", columns.strand)):
        require_column(table, column, path, f"genes.{key}")
    for column in positions:
        require_column(table, column, path, "genes.tss" if columns.tss else "genes.start and genes.end")
        table[column] = whole_numbers(table, column, path)
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


def _from_gtf(path: Path, columns: GeneColumns) -> pd.DataFrame:
    names = ["chrom", "source", "feature", "start", "end", "score", "strand", "frame", "attributes"]
    skip = count_header_lines(path)
    rows = read_csv(
        path,
        sep="\t",
        header=None,
        names=names,
        skiprows=skip,
        quoting=csv.QUOTE_NONE,
        dtype={"chrom": str, "attributes": str},
    )
    rows = rows[~rows["chrom"].str.startswith("#")] if len(rows) else rows.reindex(columns=names)
    features = rows["feature"].unique()
    feature = next((wanted for wanted in ("gene", "transcript", "exon") if wanted in features), None)
    if feature is None:
        raise DataError("the GTF has no gene, transcript or exon lines", where=path, expected="GTF with gene_id")
    rows = rows[rows["feature"] == feature].reset_index(drop=True)
    found = [{key: quoted or plain for key, quoted, plain in _ATTRIBUTE.findall(text)} for text in rows["attributes"]]
    attributes = pd.DataFrame(found)
    require_column(attributes, columns.gene_id, path, "genes.gene_id")
    for column in ("start", "end"):
        rows[column] = whole_numbers(rows, column, path)
    gene_ids = attributes[columns.gene_id]
    names_of = attributes.get(columns.gene_name, gene_ids)
    other = attributes.drop(columns=[c for c in (*names, "gene_id", "gene_name", "tss") if c in attributes])
    fixed = rows[["chrom", "start", "end", "strand"]].assign(gene_id=gene_ids, gene_name=names_of)
    frame = pd.concat([fixed, other], axis=1)
    if feature != "gene":  # a gene spans its transcripts; per chromosome, since some ids sit on chrX and chrY
        keys = ["gene_id", "chrom", "strand"]
        spans = frame.groupby(keys, sort=False).agg(start=("start", "min"), end=("end", "max")).reset_index()
        frame = spans.merge(frame.drop(columns=["start", "end"]).drop_duplicates(keys), on=keys)
    # GTF counts from 1 and includes the end, so the last base is end - 1 from 0.
    return frame.assign(tss=np.where(frame["strand"] == "-", frame["end"] - 1, frame["start"] - 1))
