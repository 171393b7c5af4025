"""Genes in a window: bodies, exons and other chromosome names, from every kind of gene file."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqexp.dna.genome.gene_files import GeneColumns
from seqexp.dna.genome.gene_models import GeneModel, genes_in
from seqexp.dna.genome.interval import Interval

WINDOWS = [Interval("chr1", 1_000, 2_000, "-"), Interval("chr2", 0, 500, "+")]
GTF = """\
1\tx\tgene\t901\t1200\t.\t+\t.\tgene_id "ENSG00000000001.4"; gene_name "LEFT";
1\tx\texon\t901\t1050\t.\t+\t.\tgene_id "ENSG00000000001.4";
1\tx\texon\t901\t950\t.\t+\t.\tgene_id "ENSG00000000001.4";
1\tx\tCDS\t1101\t1200\t.\t+\t.\tgene_id "ENSG00000000001.4";
1\tx\tgene\t1501\t2500\t.\t-\t.\tgene_id "B"; gene_name "RIGHT";
1\tx\tgene\t2001\t2500\t.\t-\t.\tgene_id "C";
2\tx\tgene\t600\t700\t.\t+\t.\tgene_id "D";
"""


def test_annotation_gives_bodies_and_exons(tmp_path: Path) -> None:
    path = tmp_path / "a.gtf"
    path.write_text(GTF)
    first, second = genes_in(path, GeneColumns(), WINDOWS)
    left = GeneModel("ENSG00000000001", "LEFT", "+", 900, 900, 1_200, ((900, 1_050), (1_100, 1_200)))
    assert first == (left, GeneModel("B", "RIGHT", "-", 2_499, 1_500, 2_500))
    assert second == ()


@pytest.mark.parametrize(
    ("columns", "body"),
    [
        (GeneColumns(tss="tss"), (1_300, 1_301)),  # no body is known
        (GeneColumns(tss=None, start="from", end="to"), (1_100, 1_301)),
        (GeneColumns(tss="tss", start="from", end="to"), (1_100, 1_301)),
        (GeneColumns(tss="tss", start="window_start", end="to"), (1_300, 1_301)),  # does not hold the TSS
    ],
)
def test_tables_give_what_they_know(columns: GeneColumns, body: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "genes.tsv"
    path.write_text("gene_id\tchrom\ttss\tstrand\tfrom\tto\twindow_start\nA\tchr1\t1300\t-\t1100\t1301\t1301\n")
    (found,), other = genes_in(path, columns, WINDOWS)
    assert (found.gene_id, found.name, found.strand, found.tss) == ("A", "A", "-", 1_300)
    assert (found.start, found.end) == body
    assert other == ()


def test_bed_rows_are_bodies(tmp_path: Path) -> None:
    path = tmp_path / "genes.bed"
    path.write_text("chr1\t100\t1001\tA\t0\t-\nchr1\t100\t1000\tB\t0\t-\nchr2\t499\t900\tC\t0\t+\n")
    first, second = genes_in(path, GeneColumns(), WINDOWS)
    assert [gene.gene_id for gene in first] == ["A"]
    assert [(gene.gene_id, gene.tss) for gene in second] == [("C", 499)]
