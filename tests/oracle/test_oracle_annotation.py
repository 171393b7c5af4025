"""Genes of annotations against gffutils, which builds the tree of every feature in a database."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_annotations import ENSEMBL_GFF3, FLYBASE_GFF3, GENCODE_GFF3, GFFREAD_GFF3, NCBI_GFF3, gtf

from seqexp.dna.genome.annotation import read_annotation

gffutils = pytest.importorskip("gffutils")

Span = tuple[str, int, int, str]


def spans_of(path: Path) -> set[Span]:
    frame = read_annotation(path).frame
    return set(zip(frame["chrom"], frame["start"], frame["end"], frame["strand"], strict=True))


@pytest.mark.parametrize(
    "text",
    [ENSEMBL_GFF3, NCBI_GFF3, GENCODE_GFF3, FLYBASE_GFF3, GFFREAD_GFF3],
    ids=["ensembl", "ncbi", "gencode", "flybase", "gffread"],
)
def test_gff3(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.gff3").write_text(text)
    database = gffutils.create_db(text, ":memory:", from_string=True, merge_strategy="create_unique")
    expected: dict[str, Span] = {}
    for feature in database.all_features():
        is_gene = feature.featuretype.endswith("gene")
        if is_gene and not any(p.featuretype.endswith("gene") for p in database.parents(feature)):
            expected[feature.id] = (feature.chrom, feature.start - 1, feature.end, feature.strand)
        elif feature.featuretype == "transcript" and "geneID" in feature.attributes:
            name = feature["geneID"][0]
            known = expected.get(name, (feature.chrom, feature.start - 1, feature.end, feature.strand))
            expected[name] = (known[0], min(known[1], feature.start - 1), max(known[2], feature.end), known[3])
    assert spans_of(tmp_path / "a.gff3") == set(expected.values())


def test_gtf_of_exons_alone_in_any_order(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    rows = []
    for number in range(30):
        strand = "+-"[number % 2]
        for _ in range(random.integers(1, 5)):
            start = int(random.integers(1000 * number + 1, 1000 * number + 500))
            rows.append((f"chr{number % 3}", "exon", start, start + int(random.integers(1, 400)), strand, f"G{number}"))
    rows = [rows[place] for place in random.permutation(len(rows))]
    text = gtf(*rows).replace('gene_name "', 'transcript_id "t')
    (tmp_path / "a.gtf").write_text(text)
    database = gffutils.create_db(text, ":memory:", from_string=True, disable_infer_transcripts=True)
    inferred = {(g.chrom, g.start - 1, g.end, g.strand) for g in database.features_of_type("gene")}
    assert len(inferred) == 30
    assert spans_of(tmp_path / "a.gtf") == inferred
