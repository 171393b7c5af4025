"""Genes of an annotation in GTF or GFF3; which of the two a line is follows from itself, not from the file's name.

A gene spans its gene line. One without a gene line (a transgene with exons alone, a novel gene of StringTie, a CDS of
Prokka) spans the lines that belong to it, by chromosome and strand, wherever in the file they stand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.tables import require_column
from seqexp.dna.genome.annotation_lines import Feature, Sequences, read_features

GENE_ID = "gene_id"  # where it is not renamed, other attributes may stand in for it
_FALLBACKS = ("locus_tag", "ID")
_FALLBACKS_OF_PARTS = ("geneID", "locus_tag", "gene", "ID")
_NAMES = ("Name", "gene")
_FIXED = ("gene_id", "gene_name", "chrom", "start", "end", "strand", "feature", "tss", "line")

_PART = re.compile(r"(rna|transcript|gene_segment|exon|cds|utr|codon)$", re.IGNORECASE)
_LEAF = re.compile(r"(exon|cds|utr|codon)$", re.IGNORECASE)
_PREFIX = re.compile(r"^(gene|transcript|rna|cds|exon)[:-](?=.)", re.IGNORECASE)  # gene:ENSG…, gene-BRCA1
_ID = re.compile(r"(?:^|;)\s*ID=([^;]+)")
_PARENT = re.compile(r"(?:^|;)\s*Parent=([^;,]+)")


@dataclass(frozen=True)
class Annotation:
    """The genes of a file.

    Attributes
    ----------
    frame : DataFrame
        gene_id, gene_name, chrom, start (0-based), end (exclusive), strand, feature, then the attributes of gene lines;
        in the order of the file, a gene once per place it is annotated at.
    built : tuple of str
        Ids of genes that have no gene line.
    nameless : mapping
        Lines that name no gene, by feature.
    sequences : Sequences
        Lengths and other names of the sequences.
    """

    frame: pd.DataFrame
    built: tuple[str, ...]
    nameless: Mapping[str, int]
    sequences: Sequences


def read_annotation(path: Path, gene_id: str = GENE_ID, gene_name: str = "gene_name") -> Annotation:
    """Read the genes of a GTF or GFF3, plain or gzip.

    Parameters
    ----------
    path : Path
        The file.
    gene_id, gene_name : str
        Attributes with id and name. Under their default names, a GFF3 without them is read by ``locus_tag`` or ``ID``
        (without ``gene:`` or ``gene-`` before it), and by ``Name`` or ``gene``.

    Raises
    ------
    DataError
        The file cannot be read, holds no gene and no part of one, or no gene has the attribute.
    """
    sequences = Sequences()
    genes = _Genes(gene_id)
    for feature in read_features(path, sequences):
        genes.add(feature)
    if not genes.is_annotation:
        raise DataError("no gene, transcript, exon or CDS lines", where=path, expected="an annotation in GTF or GFF3")
    rows = genes.rows(gene_name)
    if not rows:
        seen = pd.DataFrame([genes.example])
        require_column(seen.drop(columns=gene_id, errors="ignore"), gene_id, path, "genes.gene_id")
    frame = pd.DataFrame(rows).sort_values("line", kind="stable").reset_index(drop=True)
    built = tuple(dict.fromkeys(frame.loc[frame["is_built"], "gene_id"]))
    return Annotation(frame.drop(columns=["line", "is_built"]), built, dict(genes.nameless), sequences)


@dataclass
class _Span:
    """Lines of one gene on one chromosome and strand, taken together."""

    first: Feature
    start: int
    end: int


@dataclass
class _Genes:
    """What has been seen of the genes of a file: gene lines, and spans of all other lines by what they belong to."""

    gene_id: str
    lines: list[tuple[Feature, dict[str, str]]] = field(default_factory=list)
    spans: dict[tuple[str, bool, str, str], _Span] = field(default_factory=dict)  # owner, by Parent?, chrom, strand
    parents: dict[str, str] = field(default_factory=dict)  # of GFF3: ID -> Parent
    tops: dict[str, Feature] = field(default_factory=dict)  # of GFF3: ID -> a part without a parent
    nameless: Counter[str] = field(default_factory=Counter)
    example: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._own_id = re.compile(rf'(?:^|;)\s*{re.escape(self.gene_id)}(?:\s*=\s*|\s+)"?([^";]*)')

    @property
    def is_annotation(self) -> bool:
        """A line of a gene or of a part of one was seen."""
        return bool(self.lines or self.spans or self.nameless)

    def add(self, feature: Feature) -> None:
        """Take in one line."""
        if feature.kind.lower().endswith("gene"):
            told = feature.parsed()
            self.lines.append((feature, told))
            if "ID" in told and "Parent" in told:
                self.parents[told["ID"]] = told["Parent"].partition(",")[0]
        elif _PART.search(feature.kind):
            self._add_part(feature)

    def _add_part(self, feature: Feature) -> None:
        is_gff3 = feature.is_gff3
        owner = self._owner(feature) if is_gff3 else _first(self._own_id.search(feature.attributes))
        if not owner:
            self.nameless[feature.kind] += 1
            self.example = self.example or feature.parsed()
            return
        key = (owner, is_gff3, feature.chrom, feature.strand)
        span = self.spans.get(key)
        if span is None:
            self.spans[key] = _Span(feature, feature.start, feature.end)
        else:
            span.start, span.end = min(span.start, feature.start), max(span.end, feature.end)

    def _owner(self, feature: Feature) -> str:
        """Parent of a line of a GFF3, or its own id where it has none."""
        parent, own = _first(_PARENT.search(feature.attributes)), _first(_ID.search(feature.attributes))
        if not parent:
            own = own or f"line {feature.line}"
            self.tops.setdefault(own, feature)
        elif own and not _LEAF.search(feature.kind):
            self.parents[own] = parent
        return parent or own

    def rows(self, gene_name: str) -> list[dict[str, object]]:
        """A row per gene and place; lines without the id are counted as nameless."""
        ids = {told.get("ID", "") for _, told in self.lines} - {""}
        rows, places = [], set()
        for feature, told in self.lines:
            if any(above in ids for above in self._above(told.get("ID", ""))[1:]):
                continue  # FlyBase calls some transcripts pseudogene, under their gene
            gene = self._named(told, _FALLBACKS)
            if not gene:
                self.nameless[feature.kind] += 1
                self.example = self.example or told
                continue
            places.add((gene, feature.chrom))
            rows.append(_row(feature, gene, told, gene_name=gene_name, span=_Span(feature, feature.start, feature.end)))
        built: dict[tuple[str, str, str], _Span] = {}
        for (owner, is_gff3, chrom, strand), span in self.spans.items():
            above = self._above(owner) if is_gff3 else [owner]
            if is_gff3 and any(name in ids for name in above):
                continue
            gene = self._named_by_part(span.first, above[-1]) if is_gff3 else owner
            if not gene:
                self.nameless[span.first.kind] += 1
                self.example = self.example or span.first.parsed()
            elif (gene, chrom) not in places:
                known = built.setdefault((gene, chrom, strand), _Span(span.first, span.start, span.end))
                known.start, known.end = min(known.start, span.start), max(known.end, span.end)
        for (gene, *_), span in built.items():
            told = self.tops.get(gene, span.first).parsed()
            rows.append({**_row(span.first, gene, told, gene_name=gene_name, span=span), "is_built": True})
        return rows

    def _above(self, name: str) -> list[str]:
        """An id, its parent, the parent of that, and so on."""
        chain = [name]
        while (parent := self.parents.get(chain[-1])) is not None and parent not in chain:
            chain.append(parent)
        return chain

    def _named(self, told: Mapping[str, str], fallbacks: tuple[str, ...]) -> str:
        keys = (self.gene_id, *fallbacks) if self.gene_id == GENE_ID else (self.gene_id,)
        found = next(((key, told[key]) for key in keys if told.get(key)), ("", ""))
        return _PREFIX.sub("", found[1]) if found[0] == "ID" else found[1]

    def _named_by_part(self, part: Feature, top: str) -> str:
        """Gene of a GFF3 line whose gene has no line: told by the topmost line there is, or by the missing parent."""
        if top in self.tops:
            return self._named(self.tops[top].parsed(), _FALLBACKS_OF_PARTS)
        return self._named(part.parsed(), ()) or (_PREFIX.sub("", top) if self.gene_id == GENE_ID else "")


def _row(feature: Feature, gene: str, told: Mapping[str, str], *, gene_name: str, span: _Span) -> dict[str, object]:
    names = (gene_name, *_NAMES) if gene_name == "gene_name" else (gene_name,)
    name = next((told[key] for key in names if told.get(key)), gene)
    fixed = {"gene_id": gene, "gene_name": name, "chrom": feature.chrom, "start": span.start, "end": span.end}
    fixed |= {"strand": feature.strand, "feature": feature.kind, "line": feature.line, "is_built": False}
    return fixed | {key: value for key, value in told.items() if key not in _FIXED}


def _first(match: re.Match[str] | None) -> str:
    return match[1].strip() if match else ""
