"""The steps of recipes, on tables and tracks small enough to check by hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.prepare import cage_genes, copy_corrected, decompress, gene_table, restrict_bed
from seqexp.dna.genome.prepare_features import nucleosome_depleted
from seqexp.dna.genome.prepare_tracks import parse_segment

TABLE = """id\tname\tchr\tstart\tend\tstrand\ttype\ttpm
g1\tA\tchr1\t100\t200\t+\tcoding\t1.5
g2\tB\tchr1\t100\t200\t-\tcoding\t0
g3\tC\tchr1\t900\t990\t-\tcoding\t2
g4\tD\tchr1\t300\t400\t+\ttRNA\t3
g5\tE\tchrM\t300\t400\t+\tcoding\t3
g6\tF\tchr1\t300\t400\t+\tcoding\t
g1\tA2\tchr1\t150\t180\t+\tcoding\t9
"""
COLUMNS = {"gene_id": "id", "gene_name": "name", "chrom": "chr", "TPM": "tpm"}


def test_gene_table_counts_every_row_it_leaves_out(tmp_path):
    (tmp_path / "in.tsv").write_text(TABLE)
    (tmp_path / "covered.bed").write_text("chr1\t50\t250\nchr1\t250\t600\n")
    result = gene_table(
        tmp_path, "in.tsv", "out.tsv.gz", COLUMNS, tss_from=("start", "end"), keep={"type": ["coding"]},
        drop={"chr": ["chrM"]}, require=["tpm"], covered={"bed": "covered.bed", "flank_bp": 50},
    )  # fmt: skip
    genes = pd.read_csv(tmp_path / "out.tsv.gz", sep="\t")
    assert genes[["gene_id", "tss", "strand"]].to_numpy().tolist() == [["g1", 100, "+"], ["g2", 199, "-"]]
    assert result.outputs == ("out.tsv.gz",)
    assert result.notes == (
        "7 genes in in.tsv",
        "1 dropped: type is not coding",
        "1 dropped: chr is chrM",
        "1 dropped: no number in tpm",
        "1 dropped: sequence missing within 50 bp of the TSS",
        "1 dropped: a gene_id seen before",
        "2 genes kept",
    )


def test_equal_tables_are_equal_files(tmp_path):
    (tmp_path / "in.tsv").write_text(TABLE)
    files = []
    for _ in range(2):
        gene_table(tmp_path, "in.tsv", "out.tsv.gz", {**COLUMNS, "tss": "start"})
        files.append((tmp_path / "out.tsv.gz").read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {**COLUMNS, "TPM": "fpkm"}}, "no column 'fpkm'"),
        ({"keep": {"type": ["snRNA"]}}, "no gene is left"),
        ({"table": "absent.tsv"}, "no such file"),
        ({"table": "broken.tsv.gz"}, "the table cannot be read"),
    ],
)
def test_gene_table_mistakes(tmp_path, changes, message):
    (tmp_path / "in.tsv").write_text(TABLE)
    (tmp_path / "broken.tsv.gz").write_bytes(gzip.compress(TABLE.encode() * 50)[:-30])
    given = {"table": "in.tsv", "output": "out.tsv", "columns": {**COLUMNS, "tss": "start"}, **changes}
    with pytest.raises(DataError, match=message):
        gene_table(tmp_path, **given)
    assert not (tmp_path / "out.tsv").exists()


GTF = """#description: tiny
chr1\tX\tgene\t101\t200\t.\t+\t.\tgene_id "ENSG01.4"; gene_name "A";
chr1\tX\ttranscript\t101\t200\t.\t+\t.\tgene_id "ENSG01.4"; gene_name "A";
chrX\tX\tgene\t11\t50\t.\t-\t.\tgene_id "ENSG02.1"; gene_name "B";
chrY\tX\tgene\t11\t50\t.\t-\t.\tgene_id "ENSG02.1_PAR_Y"; gene_name "B";
chr3\tX\tgene\t11\t50\t.\t-\t.\tgene_id "ENSG05.1"; gene_name "E";
"""


def test_cage_genes_are_joined_without_versions(tmp_path):
    (tmp_path / "e.csv").write_text('ENSID,cage,"x"\nENSG01,7,0\nENSG02.3,8,0\nENSG03,9,0\nENSG04,,0\nENSG05,1,0\n')
    (tmp_path / "a.gtf").write_text(GTF)
    (tmp_path / "folds.csv").write_text("ENSID,fold_11\nENSG01,train\nENSG02,test\n")
    folds = {"table": "folds.csv", "gene_id": "ENSID", "column": "fold_11"}
    result = cage_genes(tmp_path, "e.csv", "a.gtf", "g.tsv", gene_id="ENSID", expression={"CAGE": "cage"}, folds=folds)
    genes = pd.read_csv(tmp_path / "g.tsv", sep="\t")
    assert genes.drop(columns="gene_name").to_numpy().tolist() == [
        ["ENSG01", "chr1", 100, "+", 7.0, "train"],
        ["ENSG02", "chrX", 49, "-", 8.0, "test"],
    ]
    assert result.notes == (
        "5 genes in e.csv",
        "1 dropped: no number for the expression",
        "1 annotation lines ignored: gene_id seen before (pseudoautosomal copies)",
        "1 dropped: gene_id not in the annotation",
        "1 dropped: no fold",
        "fold test: chrX",
        "2 genes kept",
    )


def test_an_annotation_without_genes(tmp_path):
    (tmp_path / "e.csv").write_text("ENSID,cage\nENSG01,7\n")
    (tmp_path / "a.gtf").write_text("#nothing\n")
    with pytest.raises(DataError, match="no gene, transcript, exon or CDS lines"):
        cage_genes(tmp_path, "e.csv", "a.gtf", "g.tsv", gene_id="ENSID", expression={"CAGE": "cage"})


@pytest.fixture
def amplified(tmp_path):
    """Two tracks with four times the signal in chr1:1000-2000, and three genes."""
    for name, unit in (("a", 1.0), ("b", 10.0)):
        with pyBigWig.open(str(tmp_path / f"{name}.bw"), "w") as track:
            track.addHeader([("chr1", 4000), ("chr2", 100)])
            starts = [100, 900, 1100, 1500, 1900, 2500]
            values = [unit, unit, 4 * unit, 4 * unit, 4 * unit, unit]
            track.addEntries(["chr1"] * 6, starts, ends=[s + 200 for s in starts], values=values)
    (tmp_path / "genes.tsv").write_text(
        "gene_id\tchrom\ttss\tTPM\ng1\tchr1\t999\t8\ng2\tchr1\t1000\t8\ng3\tchr2\t50\t8\n"
    )
    return tmp_path


def correct(folder, **changes):
    given = {
        "tracks": {"a": "a.bw", "b": "b.bw"}, "outputs": {"a": "A.bw", "b": "B.bw"}, "amplified": "chr1:1000-2000",
        "reference": ["chr1:0-800", "chr1:2300-4000"], "estimate_from": ["a", "b"], "genes": "genes.tsv",
        "genes_output": "out.tsv", "expression": "TPM", "corrected": "per_copy",
    }  # fmt: skip
    return copy_corrected(folder, **{**given, **changes})


def test_tracks_and_expression_are_divided_by_the_same_ratio(amplified):
    result = correct(amplified)
    with pyBigWig.open(str(amplified / "B.bw")) as track:
        assert track.chroms() == {"chr1": 4000, "chr2": 100}
        # the interval 900-1100 is centred on 1000, inside; 1900-2100 on 2000, outside
        assert [round(v, 5) for _, _, v in track.intervals("chr1")] == [10, 2.5, 10, 10, 40, 10]
    genes = pd.read_csv(amplified / "out.tsv", sep="\t")
    assert genes["per_copy"].tolist() == [8, 2, 8]
    assert genes["TPM"].tolist() == [8, 8, 8]
    assert set(result.outputs) == {"A.bw", "B.bw", "out.tsv"}
    assert "4.00 times" in result.notes[0]


def test_values_outside_the_segment_do_not_change_at_all(amplified):
    correct(amplified)
    with pyBigWig.open(str(amplified / "a.bw")) as before, pyBigWig.open(str(amplified / "A.bw")) as after:
        np.testing.assert_array_equal(before.values("chr1", 2000, 4000), after.values("chr1", 2000, 4000))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": ["chr1:3000-3500"]}, "no signal in chr1:3000-3500"),
        ({"reference": ["chr9:0-10"]}, "no chromosome chr9"),
        ({"expression": "FPKM"}, "no column 'FPKM'"),
        ({"tracks": {"a": "genes.tsv", "b": "b.bw"}}, "bigWig"),
    ],
)
def test_copy_correction_mistakes(amplified, changes, message):
    with pytest.raises(DataError, match=message):
        correct(amplified, **changes)
    assert not (amplified / "out.tsv").exists()


def test_segments_are_parsed_or_refused():
    assert parse_segment("chr1:1,000-2,000") == ("chr1", 1000, 2000)
    for wrong in ("chr1", "chr1:5-5", "chr1:a-b", ":1-2", "chr1:-1-5"):
        with pytest.raises(ConfigError, match="not a segment"):
            parse_segment(wrong)


def test_bed_lines_are_kept_as_they_are(tmp_path):
    rest = "\t7\t.\t0.10000000000000001\t5.356550\t2e3\t-1"  # not what a number would be written back as
    lines = [f"chr1\t0\t900\tp1{rest}", f"chr1\t5\t9\tp2{rest}", f"chr2\t5\t9\tp3{rest}"]
    (tmp_path / "in.narrowPeak.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    result = restrict_bed(tmp_path, "in.narrowPeak.gz", "out.narrowPeak.gz", ["chr1"], max_bp=100)
    assert gzip.decompress((tmp_path / "out.narrowPeak.gz").read_bytes()).decode() == lines[1] + "\n"
    assert result.notes[1:] == ("1 dropped: not on chr1", "1 dropped: wider than 100 bp")
    with pytest.raises(DataError, match="no interval on chr9"):
        restrict_bed(tmp_path, "in.narrowPeak.gz", "none.bed.gz", ["chr9"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1,5,90\n", "1 columns"),
        ("chr1\t5\n", "2 columns"),
        ("chr1\t5\t9.5\n", "'9.5' in column 'end' is not a position"),
        ("chr1\t-5\t9\n", "'-5' in column 'start'"),
        ("chr1\t5\t9\nchr1\t50\t9\n", "end 9 before start 50"),
        ("", "0 columns"),
    ],
)
def test_restrict_bed_refuses_what_is_no_bed(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "in.bed").write_text(text)
    with pytest.raises(DataError, match=message):
        restrict_bed(tmp_path, "in.bed", "out.bed.gz", ["chr1"])
    assert [path.name for path in tmp_path.iterdir()] == ["in.bed"]


def test_decompress(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"ACGT\n" * 10_000))
    decompress(tmp_path, "a.gz", "a.fa")
    assert (tmp_path / "a.fa").read_bytes() == b"ACGT\n" * 10_000
    (tmp_path / "b.gz").write_bytes((tmp_path / "a.gz").read_bytes()[:-12])
    (tmp_path / "c.gz").write_bytes(b"plain")
    for name in ("b.gz", "c.gz"):
        with pytest.raises(DataError, match="cannot unpack"):
            decompress(tmp_path, name, "b.fa")
        assert not (tmp_path / "b.fa").exists()


def test_nucleosome_depleted_regions_end_where_the_nucleosome_begins(tmp_path):
    """The dyad is the 5' end: base 1,000 of each transcript; the nucleosome covers 927 to 1,073."""
    (tmp_path / "dyads.bed").write_text(
        "chr1\t1000\t2000\tplus\t0\t+\nchr1\t500\t1001\tminus\t0\t-\nchr1\t100\t900\tcut\t0\t+\nchr1\t50\t900\tgone\t0\t+\n"
    )
    result = nucleosome_depleted(tmp_path, "dyads.bed", "ndr.bed.gz", length_bp=150)
    regions = pd.read_csv(tmp_path / "ndr.bed.gz", sep="\t", header=None)
    assert regions[[0, 1, 2, 3, 5]].to_numpy().tolist() == [
        ["chr1", 0, 27, "cut", "+"],
        ["chr1", 777, 927, "plus", "+"],
        ["chr1", 1074, 1224, "minus", "-"],
    ]
    assert result.notes == ("4 +1 dyads", "3 regions of 150 bp")
    with pytest.raises(ConfigError, match="length_bp"):
        nucleosome_depleted(tmp_path, "dyads.bed", "ndr.bed.gz", length_bp=0)
    (tmp_path / "bare.bed").write_text("chr1\t1000\t2000\n")
    with pytest.raises(DataError, match="without a strand"):
        nucleosome_depleted(tmp_path, "bare.bed", "ndr.bed.gz")
    (tmp_path / "edge.bed").write_text("chr1\t20\t900\tgone\t0\t+\n")
    with pytest.raises(DataError, match="no region is left"):
        nucleosome_depleted(tmp_path, "edge.bed", "ndr.bed.gz")
