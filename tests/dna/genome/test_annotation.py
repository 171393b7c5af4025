"""Genes of GTF and GFF3: a span from what there is, whatever is missing, in any order, under any name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tiny_annotations import (
    ENSEMBL_GFF3,
    FLYBASE_GFF3,
    GENCODE_GFF3,
    GFFREAD_GFF3,
    NCBI_GFF3,
    ORPHANS_GFF3,
    PROKKA_GFF3,
    gtf,
)

from seqexp.core.errors import DataError
from seqexp.dna.genome.annotation import read_annotation
from seqexp.dna.genome.gene_files import GeneColumns, strip_version
from seqexp.dna.genome.genes import GeneTable

G1 = [("chr1", kind, 101, 900, "+", "G1") for kind in ("gene", "transcript", "exon")]
Rows = list[list[object]]


def write(folder: Path, text: str, name: str = "a.gtf") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def genes_of(path: Path, columns: GeneColumns | None = None) -> Rows:
    frame = GeneTable.read(path, columns).frame
    rows: Rows = frame[["gene_id", "chrom", "tss", "strand"]].to_numpy().tolist()
    return rows


@pytest.mark.parametrize(
    "more",
    [
        [("chrE", "exon", 1, 720, "+", "EGFP")],
        [("chrE", "transcript", 1, 720, "+", "EGFP"), ("chrE", "exon", 1, 720, "+", "EGFP")],
        [("chrE", "CDS", 301, 720, "+", "EGFP"), ("chrE", "CDS", 1, 90, "+", "EGFP")],
        [("chrE", "five_prime_utr", 1, 90, "+", "EGFP"), ("chrE", "start_codon", 91, 93, "+", "EGFP")],
        [("chrE", "ncRNA_gene", 1, 720, "+", "EGFP")],
        [("chrE", "pseudogene", 1, 720, "+", "EGFP"), ("chrE", "exon", 5, 700, "+", "EGFP")],
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_gene_without_a_line_of_the_usual_kind(
    more: list[tuple[str, str, int, int, str, str]], is_first: bool, tmp_path: Path
) -> None:
    path = write(tmp_path, gtf(*more, *G1) if is_first else gtf(*G1, *more))
    expected = [["G1", "chr1", 100, "+"], ["EGFP", "chrE", 0, "+"]]
    assert sorted(genes_of(path)) == sorted(expected)
    told = GeneTable.read(path).report.render()
    assert ("1 built from transcripts or exons, without a gene line: EGFP" in told) == ("gene" not in more[0][1])


@pytest.mark.parametrize("name", ["a.gtf", "a.gff", "a.gff3.gz", "a.gtf.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_form_follows_from_the_lines(name: str, end: str, tmp_path: Path) -> None:
    as_gtf = "# by hand\n\n" + gtf(*G1, ("chr2", "exon", 1, 50, "-", "G2"))
    assert genes_of(write(tmp_path, as_gtf.replace("\n", end), name)) == [
        ["G1", "chr1", 100, "+"],
        ["G2", "chr2", 49, "-"],
    ]
    assert len(genes_of(write(tmp_path, ENSEMBL_GFF3.replace("\n", end), name))) == 3
    both = ENSEMBL_GFF3 + gtf(("chrE", "exon", 1, 720, "+", "EGFP"))  # a transgene appended to what was there
    assert genes_of(write(tmp_path, both, name))[-1] == ["EGFP", "chrE", 0, "+"]


ENSEMBL_GENES = [
    ["ENSG00000000001", "1", 100, "+"],
    ["ENSG00000000002", "1", 1299, "-"],
    ["ENSG00000000003", "1", 2499, "-"],
]
NCBI_GENES = [
    ["DDX11L1", "NC_000001.11", 10, "+"],
    ["WASH7P", "NC_000001.11", 899, "-"],
    ["TRNF", "NC_012920.1", 300, "+"],
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ENSEMBL_GFF3, ENSEMBL_GENES),
        (NCBI_GFF3, NCBI_GENES),
        (GENCODE_GFF3, [["ENSG00000000001", "chrX", 100, "+"], ["ENSG00000000001_PAR_Y", "chrY", 10, "+"]]),
        (GFFREAD_GFF3, [["MSTRG.1", "chr1", 1799, "-"], ["MSTRG.2", "chr2", 10, "+"]]),
        (PROKKA_GFF3, [["PRK_00001", "contig_1", 100, "+"], ["PRK_00002", "contig_1", 579, "-"]]),
        (FLYBASE_GFF3, [["FBgn0000001", "2L", 100, "+"], ["FBgn0000002", "2L", 1000, "+"]]),
        (ORPHANS_GFF3, [["G1", "chr1", 100, "+"], ["G2", "chr1", 1899, "-"]]),
    ],
    ids=["ensembl", "ncbi", "gencode", "gffread", "prokka", "flybase", "orphans"],
)
def test_gff3_of_every_maker(text: str, expected: Rows, tmp_path: Path) -> None:
    assert genes_of(write(tmp_path, text, "a.gff3")) == expected


def test_names_and_attributes(tmp_path: Path) -> None:
    assert GeneTable.read(write(tmp_path, ENSEMBL_GFF3, "a.gff3")).frame["gene_name"].tolist() == [
        "AAA",
        "ENSG00000000002",
        "CCC,1",
    ]
    path = write(tmp_path, NCBI_GFF3, "b.gff3")
    assert [row[0] for row in genes_of(path, GeneColumns(gene_id="GeneID"))] == ["100287102", "653635", "4558"]
    assert genes_of(path, GeneColumns(keep={"gene_biotype": ["lncRNA"]})) == [["WASH7P", "NC_000001.11", 899, "-"]]
    assert len(genes_of(path, GeneColumns(keep={"feature": ["pseudogene"]}))) == 1
    with pytest.raises(DataError, match=r"no column 'locus'(.|\n)*genes\.gene_id"):
        genes_of(path, GeneColumns(gene_id="locus"))


def test_what_the_file_says_about_its_sequences(tmp_path: Path) -> None:
    found = read_annotation(write(tmp_path, NCBI_GFF3, "a.gff3")).sequences
    assert found.lengths == {"NC_000001.11": 5000, "NC_012920.1": 900}
    assert found.bounds == {"NC_000001.11": 5000}
    assert found.aliases == {"NC_000001.11": ("1",), "NC_012920.1": ("MT",)}
    aliases = read_annotation(write(tmp_path, ENSEMBL_GFF3, "a.gff3")).sequences.aliases
    assert aliases == {"1": ("CM000663.2", "chr1", "NC_000001.11")}


def test_a_gene_at_two_places_is_taken_at_the_first_and_told(tmp_path: Path) -> None:
    twice = [
        ("chrX", "exon", 101, 200, "+", "P"),
        ("chrY", "exon", 11, 90, "+", "P"),
        ("chrY", "exon", 301, 390, "-", "P"),
    ]
    genes = GeneTable.read(write(tmp_path, gtf(*twice)))
    assert genes.frame["chrom"].tolist() == ["chrX"]
    assert genes.report.dropped == {"duplicate gene id": 2}


def test_lines_without_a_gene_or_strand_are_counted(tmp_path: Path) -> None:
    rows = [
        *G1,
        ("chr1", "transcript", 5, 9, "+", ""),
        ("chr1", "gene", 5, 9, "+", ""),
        ("chr1", "exon", 3, 9, ".", "N"),
    ]
    report = GeneTable.read(write(tmp_path, gtf(*rows))).report
    assert report.ignored == {"transcript lines that name no gene": 1, "gene lines that name no gene": 1}
    assert report.dropped == {"no strand": 1}
    assert "1 no strand: N" in report.render()
    with pytest.raises(DataError, match=r"no column 'gene_id'(.|\n)*tag"):
        GeneTable.read(write(tmp_path, gtf(("chr1", "exon", 5, 9, "+", ""))))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("200", "100"),
        ("0", "10"),
        ("-5", "10"),
        ("100.5", "200"),
        ("1", str(2**62)),
        ("x", "9"),
        ("", "9"),
        ("9" * 5000, "9"),
    ],
)
@pytest.mark.parametrize("kind", ["gene", "exon", "repeat"])
def test_positions_that_are_none(start: str, end: str, kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, gtf(*G1) + f'chr1\tx\t{kind}\t{start}\t{end}\t.\t+\t.\tgene_id "G2";\n')
    with pytest.raises(DataError, match=r"no stretch(.|\n)*a\.gtf, line 4(.|\n)*whole numbers"):
        GeneTable.read(path)


@pytest.mark.parametrize("text", ["chr1 x gene 1 9 . + . gene_id\n", "chr1\tx\tgene\t1\t9\n", "\x00\n"])
def test_lines_that_are_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found \d columns(.|\n)*line 4(.|\n)*tabs"):
        GeneTable.read(write(tmp_path, gtf(*G1) + text))


def test_damaged_and_empty_annotations(tmp_path: Path) -> None:
    path = write(tmp_path, gtf(*G1) * 100, "a.gff3.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        GeneTable.read(path)
    for text in ("", "##gff-version 3\n", ">chr1\nACGT\n", gtf(("chr1", "repeat", 1, 9, "+", "R"))):
        with pytest.raises(DataError, match="no gene, transcript, exon or CDS lines"):
            GeneTable.read(write(tmp_path, text, "b.gff3"))
    with pytest.raises(DataError, match="no such file"):
        GeneTable.read(tmp_path / "none.gff3")


def test_both_sides_of_a_join_are_counted(tmp_path: Path) -> None:
    rows = [("chr1", "gene", 101, 900, "+", f"ENSG0000000000{n}.{n}") for n in range(1, 5)]
    values = write(
        tmp_path, "gene_id\tTPM\nENSG00000000001.9\t5\nENSG00000000002\t6\nENSG00000000009\t7\nNA\t1\n", "e.tsv"
    )
    genes = GeneTable.read(write(tmp_path, gtf(*rows)), expression="TPM", expression_path=values)
    assert genes.frame["TPM"].tolist() == [5, 6]
    assert genes.report.dropped == {"not in the expression table": 2}
    assert genes.report.noted == {"measured, but not in the annotation": 2}
    assert "2 measured, but not in the annotation: ENSG00000000009, NA" in genes.report.render()


@pytest.mark.parametrize("full", ["ENSG00000223972.5_2", "ENSMUSG00000000001.4"])
def test_versions_of_lifted_annotations(full: str) -> None:
    assert strip_version(full) == full.partition(".")[0]
