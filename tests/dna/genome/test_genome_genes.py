"""Gene tables: formats, start sites, dropped rows counted, wrong tables refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from seqexp.core.errors import DataError
from seqexp.dna.genome.gene_files import GeneColumns, strip_version
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.interval import Interval

HEADER = "gene_id\tgene_name\tchrom\ttss\tstrand\tTPM\thalf_life\n"
ROWS = "G1\ta\tchr1\t100\t+\t1.5\t0.1\nG2\tb\tchr1\t200\t-\t0\t-2\nG3\tc\tchr2\t300\t+\t7\t3\n"
GTF = """#!genome-build R64
chr1\tsgd\tgene\t101\t150\t.\t+\t.\tgene_id "ENSG00000000001.4"; gene_name "A#1"; gene_biotype "protein_coding"; tag x;
chr1\tsgd\texon\t101\t150\t.\t+\t.\tgene_id "ENSG00000000001.4"; exon_number 1;
chr1\tsgd\tgene\t201\t250\t.\t-\t.\tgene_id "ENSG00000000002.1"; gene_biotype "tRNA";
chrX\tsgd\tgene\t11\t20\t.\t+\t.\tgene_id "ENSG00000000003.1"; gene_name "P"; gene_biotype "protein_coding";
chrY\tsgd\tgene\t11\t20\t.\t+\t.\tgene_id "ENSG00000000003.1_PAR_Y"; gene_name "P"; gene_biotype "protein_coding";
"""
TRANSCRIPTS = """\
chr1\tx\ttranscript\t301\t400\t.\t-\t.\tgene_id "G1"; transcript_id "T1";
chr1\tx\ttranscript\t311\t450\t.\t-\t.\tgene_id "G1"; transcript_id "T2";
chr1\tx\ttranscript\t11\t20\t.\t+\t.\tgene_id "G2"; transcript_id "T3";
chr1\tx\ttranscript\t5\t18\t.\t+\t.\tgene_id "G2"; transcript_id "T4";
"""


def table(folder: Path, text: str = HEADER + ROWS, name: str = "genes.tsv") -> Path:
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["genes.tsv", "genes.txt.gz", "genes.csv", "genes.csv.gz"])
def test_tables(name: str, tmp_path: Path) -> None:
    text = (HEADER + ROWS).replace("\t", ",") if ".csv" in name else HEADER + ROWS
    genes = GeneTable.read(table(tmp_path, text, name), expression="TPM", covariates=("half_life",))
    assert list(genes.frame) == ["gene_id", "gene_name", "chrom", "tss", "strand", "TPM", "half_life"]
    assert genes.frame["tss"].tolist() == [100, 200, 300]
    assert genes.frame["TPM"].tolist() == [1.5, 0, 7]
    assert genes.frame["half_life"].tolist() == [0.1, -2, 3]
    assert len(genes) == genes.report.num_read == genes.report.num_kept == 3
    assert genes.report.dropped == {}
    assert genes.report.render() == f"{name}: 3 rows, 3 genes"


def test_one_based_positions_and_gene_bodies(tmp_path: Path) -> None:
    path = table(tmp_path)
    assert GeneTable.read(path, GeneColumns(base=1)).frame["tss"].tolist() == [99, 199, 299]
    body = table(tmp_path, "id\tc\tstart\tend\ts\nG1\tchr1\t100\t150\t+\nG2\t2\t200\t250\t-1\n", "body.tsv")
    columns = {"gene_id": "id", "chrom": "c", "strand": "s", "tss": None}
    genes = GeneTable.read(body, GeneColumns(**columns))  # type: ignore[arg-type]
    assert genes.frame["tss"].tolist() == [100, 249]
    assert genes.frame["strand"].tolist() == ["+", "-"]
    assert genes.frame["gene_name"].tolist() == ["G1", "G2"]
    # 1-based and closed: the end is the same number as in half-open coordinates, the start is one more.
    genes = GeneTable.read(body, GeneColumns(**columns, base=1))  # type: ignore[arg-type]
    assert genes.frame["tss"].tolist() == [99, 249]


@pytest.mark.parametrize("name", ["genes.gtf", "genes.gtf.gz"])
def test_gtf(name: str, tmp_path: Path) -> None:
    genes = GeneTable.read(table(tmp_path, GTF, name), GeneColumns(keep={"gene_biotype": ["protein_coding"]}))
    assert genes.frame["gene_id"].tolist() == ["ENSG00000000001", "ENSG00000000003", "ENSG00000000003_PAR_Y"]
    assert genes.frame["gene_name"].tolist() == ["A#1", "P", "P"]
    assert genes.frame["tss"].tolist() == [100, 10, 10]
    assert genes.report.dropped == {"other gene_biotype": 1}
    assert "ENSG00000000002" in genes.report.render()


def test_gtf_without_gene_lines_spans_transcripts(tmp_path: Path) -> None:
    genes = GeneTable.read(table(tmp_path, TRANSCRIPTS, "genes.gtf"))
    assert genes.frame[["gene_id", "tss", "strand"]].to_numpy().tolist() == [["G1", 449, "-"], ["G2", 4, "+"]]
    with pytest.raises(DataError, match="no gene, transcript, exon or CDS lines"):
        GeneTable.read(table(tmp_path, TRANSCRIPTS.replace("transcript\t", "intron\t"), "genes.gtf"))


def test_bed(tmp_path: Path) -> None:
    text = "track name=x\nchr1\t100\t150\tENST1\t0\t+\nchr1\t200\t250\tG2\t0\t-\n"
    genes = GeneTable.read(table(tmp_path, text, "genes.bed"))
    assert genes.frame["tss"].tolist() == [100, 249]
    with pytest.raises(DataError, match="no name and strand"):
        GeneTable.read(table(tmp_path, "chr1\t100\t150\n", "genes.bed"))
    with pytest.raises(DataError, match=r"unknown strand(.|\n)*'\.'"):
        GeneTable.read(table(tmp_path, "chr1\t100\t150\tG1\t0\t.\n", "genes.bed"))


def test_expression_from_a_second_table(tmp_path: Path) -> None:
    values = "id,TPM,length\nENSG00000000001.9,3,10\nENSG00000000003.1,4,20\n"
    path = table(tmp_path, values, "tpm.csv")
    columns = GeneColumns(expression_gene_id="id")
    genes = GeneTable.read(table(tmp_path, GTF, "genes.gtf"), columns, "TPM", ("length",), expression_path=path)
    assert genes.frame[["gene_id", "TPM", "length"]].to_numpy().tolist() == [
        ["ENSG00000000001", 3.0, 10.0],
        ["ENSG00000000003", 4.0, 20.0],
    ]
    assert genes.report.dropped == {"not in the expression table": 2}
    with pytest.raises(DataError, match=r"no column 'FPKM'(.|\n)*TPM"):
        GeneTable.read(table(tmp_path, GTF, "genes.gtf"), columns, "FPKM", expression_path=path)
    other = table(tmp_path, "id,TPM\nYAL001C,3\n", "other.csv")
    with pytest.raises(DataError, match="no gene id of the annotation occurs"):
        GeneTable.read(table(tmp_path, GTF, "genes.gtf"), columns, "TPM", expression_path=other)


def test_duplicates_in_the_second_table_are_counted(tmp_path: Path) -> None:
    path = table(tmp_path, "gene_id\tTPM\nG1\t3\nG1\t4\nG2\t5\nG3\t6\n", "tpm.tsv")
    genes = GeneTable.read(table(tmp_path), expression="TPM", expression_path=path)
    assert genes.frame["TPM"].tolist() == [3, 5, 6]
    assert genes.report.dropped == {"duplicate id in the expression table": 1}


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("ENSG00000141510.18", "ENSG00000141510"),
        ("ENSMUSG00000059552.14", "ENSMUSG00000059552"),
        ("ENSG00000182378.14_PAR_Y", "ENSG00000182378_PAR_Y"),
        ("NM_000546.6", "NM_000546"),
        ("YDL247W-A", "YDL247W-A"),
        ("Y74C9A.3", "Y74C9A.3"),
        ("AC012345.1", "AC012345.1"),
        ("ENSG00000141510", "ENSG00000141510"),
    ],
)
def test_versions(full: str, short: str) -> None:
    assert strip_version(full) == short


def test_duplicates_and_missing_values_are_dropped_and_told(tmp_path: Path) -> None:
    rows = (
        ROWS
        + "G1\ta\tchr1\t105\t+\t9\t1\nG4\td\tchr1\t10\t+\t\t1\nG5\te\tchr1\t10\t+\tNA\t1\nG6\tf\tchr1\t1\t+\t1\tNaN\n"
    )
    genes = GeneTable.read(table(tmp_path, HEADER + rows), expression="TPM", covariates=("half_life",))
    assert genes.frame["gene_id"].tolist() == ["G1", "G2", "G3"]
    assert genes.frame["tss"].tolist()[0] == 100
    assert list(genes.frame.index) == [0, 1, 2]
    assert genes.report.num_read == 7
    assert genes.report.num_duplicates == 1
    assert genes.report.dropped == {
        "no expression (TPM)": 2,
        "no covariate (half_life)": 1,
        "duplicate gene id": 1,
    }
    told = genes.report.render()
    assert "7 rows, 3 genes; dropped 4" in told
    assert "2 no expression (TPM): G4, G5" in told


def test_first_row_with_a_value_is_kept(tmp_path: Path) -> None:
    rows = "G1\ta\tchr1\t100\t+\tNA\t0\nG1\ta\tchr1\t200\t+\t5\t0\nG1\ta\tchr1\t300\t+\t6\t0\n"
    genes = GeneTable.read(table(tmp_path, HEADER + rows), expression="TPM")
    assert genes.frame["tss"].tolist() == [200]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("\tTPM\t", "\tFPKM\t"), r"no column 'TPM'(.|\n)*FPKM(.|\n)*expression"),
        (("\ttss\t", "\tTSS\t"), r"no column 'tss'(.|\n)*genes\.tss"),
        (("\t1.5\t", "\t-1.5\t"), r"'TPM' is negative in 1 of 3 rows(.|\n)*G1 = -1\.5"),
        (("\t1.5\t", "\thigh\t"), r"'TPM' is not a number in 1 of 3 rows(.|\n)*G1 = high"),
        (("\t1.5\t", "\tinf\t"), r"'TPM' is infinite in 1 of 3 rows"),
        (("\t+\t1.5", "\t?\t1.5"), r"1 genes have an unknown strand(.|\n)*G1"),
        (("\t100\t", "\t-4\t"), r"1 genes have a negative TSS(.|\n)*G1"),
        (("\t100\t", "\tfar\t"), r"'far' in column 'tss' is not a position(.|\n)*data row 1"),
        (("\t100\t", "\t\t"), r"is not a position(.|\n)*data row 1"),
        (("G2\t", "\t"), r"1 rows have no gene_id(.|\n)*data row 2"),
        (("\tchr2\t", "\t\t"), r"1 rows have no chrom(.|\n)*data row 3"),
        (("\thalf_life", "\tTPM"), "columns named twice: TPM"),
    ],
)
def test_wrong_tables(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    path = table(tmp_path, (HEADER + ROWS).replace(*change, 1))
    with pytest.raises(DataError, match=message) as caught:
        GeneTable.read(path, expression="TPM")
    assert "genes.tsv" in str(caught.value)


def test_signed_expression_must_be_asked_for(tmp_path: Path) -> None:
    path = table(tmp_path, (HEADER + ROWS).replace("1.5", "-1.5"))
    assert GeneTable.read(path, expression="TPM", is_signed=True).frame["TPM"].tolist()[0] == -1.5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("genes.tsv", b"", "the table is empty"),
        ("genes.tsv", HEADER.encode(), "no gene is left"),
        ("genes.xlsx", b"x", "unknown kind of gene file"),
        ("genes.tsv.gz", gzip.compress((HEADER + ROWS * 900).encode())[:-40], "cannot be read"),
        ("genes.tsv.gz", b"no gzip at all", "no column 'gene_id'"),
    ],
)
def test_unreadable_files(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        GeneTable.read(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        GeneTable.read(tmp_path / "none.tsv")


def test_windows(tmp_path: Path) -> None:
    genes = GeneTable.read(table(tmp_path))
    assert genes.window(0, 30, 70) == Interval("chr1", 70, 170, "+", "G1")
    assert genes.window(1, 30, 70) == Interval("chr1", 131, 231, "-", "G2")
    for index, row in genes.windows(30, 70).iterrows():
        window = genes.window(int(index), 30, 70)  # type: ignore[call-overload]
        assert (row["chrom"], row["start"], row["end"], row["strand"], row["name"]) == (
            *(window.chrom, window.start, window.end),
            *(window.strand, window.name),
        )
        # Base number 30 of the window, read in gene orientation, is the TSS.
        offset = window.end - 1 - 30 if window.strand == "-" else window.start + 30
        assert offset == genes.frame["tss"][index]


def test_bounds_and_selection(tmp_path: Path) -> None:
    genes = GeneTable.read(table(tmp_path), expression="TPM")
    sizes = {"1": 200, "2": 301}
    assert genes.outside(sizes).tolist() == [False, True, False]
    with pytest.raises(DataError, match=r"1 genes have their TSS outside(.|\n)*G2 at chr1:200"):
        genes.require_inside(sizes, "genome.fa")
    genes.require_inside({"chr1": 201, "chr2": 301}, "genome.fa")
    assert genes.select(np.array([True, False, True])).frame["gene_id"].tolist() == ["G1", "G3"]
    picked = genes.select(np.array([2, 0]))
    assert picked.frame["gene_id"].tolist() == ["G3", "G1"]
    assert list(picked.frame.index) == [0, 1]


LOOK_MISSING = ["NA", "nan", "None", "null", "TRUE", "1e5", "0012", "007", "1.10", "-", "inf", "N/A"]


@pytest.mark.parametrize("name", ["genes.tsv", "genes.csv", "genes.bed", "genes.gtf", "genes.gff3"])
def test_names_that_look_like_something_else(name: str, tmp_path: Path) -> None:
    """Genes and chromosomes keep their names in every kind of file, and find their expression."""
    tab = "," if name.endswith("csv") else "\t"
    kinds = {
        "gtf": lambda gene, at: f'{gene}\tx\tgene\t{at + 1}\t{at + 1}\t.\t+\t.\tgene_id "{gene}";\n',
        "gff3": lambda gene, at: f"{gene}\tx\tgene\t{at + 1}\t{at + 1}\t.\t+\t.\tID={gene}\n",
        "bed": lambda gene, at: f"{gene}\t{at}\t{at + 1}\t{gene}\t0\t+\n",
    }
    suffix = name.rpartition(".")[2]
    write_row = kinds.get(suffix, lambda gene, at: tab.join((gene, gene, str(at), "+")) + "\n")
    header = "" if suffix in kinds else tab.join(("gene_id", "chrom", "tss", "strand")) + "\n"
    text = header + "".join(write_row(gene, at) for at, gene in enumerate(LOOK_MISSING))
    values = table(tmp_path, "gene_id\tTPM\n" + "".join(f"{g}\t{n}\n" for n, g in enumerate(LOOK_MISSING)), "e.tsv")
    genes = GeneTable.read(table(tmp_path, text, name), expression="TPM", expression_path=values)
    assert genes.frame["gene_id"].tolist() == genes.frame["chrom"].tolist() == LOOK_MISSING
    assert genes.frame["TPM"].tolist() == genes.frame["tss"].tolist() == list(range(len(LOOK_MISSING)))
    assert not genes.report.dropped


@pytest.mark.parametrize("cell", ["100.5", str(2**62), "NA", "", "x"])
@pytest.mark.parametrize("column", ["tss", "start", "end"])
def test_positions_that_are_none(cell: str, column: str, tmp_path: Path) -> None:
    cells = {"gene_id": "G", "chrom": "1", "strand": "+", "start": "5", "end": "9", "tss": "5"} | {column: cell}
    path = table(tmp_path, "\t".join(cells) + "\n" + "\t".join(cells.values()) + "\n")
    columns = GeneColumns() if column == "tss" else GeneColumns(tss=None)
    with pytest.raises(DataError, match=rf"in column '{column}' is not a position(.|\n)*data row 1"):
        GeneTable.read(path, columns)


def test_gene_bodies_turned_round(tmp_path: Path) -> None:
    path = table(tmp_path, "gene_id\tchrom\tstart\tend\tstrand\nA\t1\t5\t9\t+\nB\t1\t90\t50\t-\n")
    with pytest.raises(DataError, match=r"1 genes are empty or turned round(.|\n)*data row 2: 90 to 50"):
        GeneTable.read(path, GeneColumns(tss=None))
