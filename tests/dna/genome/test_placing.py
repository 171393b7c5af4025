"""Chromosomes that no gene needs do not matter; those that are needed are compared, and the error names the setting."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from tiny_bigwig import write_raw_bigwig
from tiny_genome import CHROM_BP, CHROMS

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.accessions import chromosome_of
from seqexp.dna.genome.check import check_dataset
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.opening import open_files

ACCESSION = {f"chr{number}": f"NC_00000{number}.11" for number in range(1, 7)}
CHR_M = ">chrM\n" + "ACGT" * 250 + "\n"


@pytest.fixture
def folder(tiny_dataset: Path) -> Path:
    """The tiny dataset with 1,000 bp of chrM in the FASTA and 900 bp of it in a track, which is its only one."""
    folder = tiny_dataset.parent
    (folder / "genome.fa.fai").unlink(missing_ok=True)
    with open(folder / "genome.fa", "a") as handle:
        handle.write(CHR_M)
    sizes = {**dict.fromkeys(CHROMS, CHROM_BP), "chrM": 900}
    blocks = [(n, 1, [(0, size, 1.0 + n)]) for n, size in enumerate(sizes.values())]
    write_raw_bigwig(folder / "atac.bw", sizes, blocks)  # type: ignore[arg-type]
    edit(tiny_dataset, "tracks: {ATAC: atac.bw, H3K27ac: h3k27ac.bw}", "tracks: {ATAC: atac.bw}")
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def add_gene(folder: Path, chrom: str, tss: int = 500) -> None:
    table = folder / "genes.tsv"
    header, first = table.read_text().splitlines()[:2]
    cells = dict(zip(header.split("\t"), first.split("\t"), strict=True))
    cells |= {"gene_id": f"GX{chrom}", "gene_name": "x", "chrom": chrom, "tss": str(tss)}
    table.write_text(table.read_text().rstrip("\n") + "\n" + "\t".join(cells.values()) + "\n")


def checked(folder: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        told = check_dataset(load_dataset(folder), 600, 600).render()
    assert "nan" not in told.lower()
    return told


def test_a_chromosome_of_another_length_that_no_gene_needs(folder: Path) -> None:
    assert "6 equal to the FASTA; 1 of another length, where no gene of a split lies: chrM" in checked(folder)
    assert len(open_files(load_dataset(folder))[2]) == 60


def test_a_chromosome_of_another_length_whose_genes_are_excluded(folder: Path) -> None:
    add_gene(folder, "chrM")
    with pytest.raises(DataError, match=r"chrM has 1000 bp, the track says 900 bp(.|\n)*splits\.exclude"):
        open_files(load_dataset(folder))
    assert "chrM has 1000 bp" in checked(folder)
    edit(folder / "dataset.yaml", "test: [chr6]", "test: [chr6], exclude: [MT]")
    assert "0 errors" in checked(folder)
    open_files(load_dataset(folder))


def test_genes_on_chromosomes_that_the_fasta_lacks(folder: Path) -> None:
    add_gene(folder, "chrUn_1")
    add_gene(folder, "chrUn_2")
    message = (
        r"2 genes of the splits lie on 2 chromosomes that the FASTA lacks: chrUn_1, chrUn_2(.|\n)*not_in_fasta: drop"
    )
    with pytest.raises(DataError, match=message):
        open_files(load_dataset(folder))
    assert "not_in_fasta" in checked(folder)
    edit(folder / "dataset.yaml", "strand: strand,", "strand: strand, not_in_fasta: drop,")
    told = checked(folder)
    assert "0 errors" in told
    assert "6 of 8 in the FASTA; 2 genes on the others left out" in told
    assert "2 on chromosomes that the FASTA lacks: GXchrUn_1, GXchrUn_2" in told
    genes = open_files(load_dataset(folder))[2]
    assert len(genes) == 60
    assert genes.report.num_kept == 60
    edit(folder / "dataset.yaml", "not_in_fasta: drop", "not_in_fasta: perhaps")
    with pytest.raises(ConfigError, match=r"genes\.not_in_fasta: 'perhaps'(.|\n)*error or drop"):
        load_dataset(folder)


@pytest.mark.parametrize(
    "splits", ["train: rest, val: [chr5], test: [chr6], exclude: [Un]", "train: [chr1], val: [5], test: [6]"]
)
def test_genes_of_no_split_need_no_sequence(folder: Path, splits: str) -> None:
    add_gene(folder, "chrUn")
    add_gene(folder, "chrM", tss=5_000)
    edit(folder / "dataset.yaml", "train: rest, val: [chr5], test: [chr6]", splits.replace("[Un]", "[Un, chrM]"))
    told = checked(folder)
    assert "0 errors" in told
    assert "1 on chromosomes that the FASTA lacks: GXchrUn" in told
    assert "1 outside their chromosome, and in no split: GXchrM" in told
    assert len(open_files(load_dataset(folder))[2]) == 60


def test_what_the_splits_name_and_nothing_has_is_told(folder: Path) -> None:
    """A misspelt chromosome under exclude once left its genes in the training split without a word."""
    path = folder / "dataset.yaml"
    edit(
        path,
        "train: rest, val: [chr5], test: [chr6]",
        "train: rest, val: [chr5], test: [chr6], exclude: [MT, chrmito, II]",
    )
    told = checked(folder)
    line = next(line for line in told.splitlines() if "1 named in the splits, where nothing lies: II" in line)
    assert line.startswith("warn")
    assert "1 named in the splits, where nothing lies: II" in open_files(load_dataset(folder))[2].report.render()
    edit(path, ", exclude: [MT, chrmito, II]", ", exclude: [MT]")
    assert "nothing lies" not in checked(folder)
    edit(
        path,
        "by: chromosome, train: rest, val: [chr5], test: [chr6], exclude: [MT]",
        "by: segment, train: rest, val: ['5:0-40000', 'chr9:0-10'], test: ['6:0-40000', 'chr6:900000-900010']",
    )
    assert "2 named in the splits, where nothing lies: chr9:0-10, chr6:900000-900010" in checked(folder)


def test_segments_can_exclude_too(folder: Path) -> None:
    add_gene(folder, "chrM")
    text = "by: segment, train: rest, val: ['chr5:0-40000'], test: ['chr6:0-40000'], exclude: ['chrM:0-1000']"
    edit(folder / "dataset.yaml", "by: chromosome, train: rest, val: [chr5], test: [chr6]", text)
    assert "0 errors" in checked(folder)


def test_a_tss_outside_names_the_setting(folder: Path) -> None:
    add_gene(folder, "chr1", tss=CHROM_BP)
    with pytest.raises(DataError, match=r"1 genes have their TSS outside(.|\n)*GXchr1(.|\n)*splits\.exclude"):
        open_files(load_dataset(folder))


def refseq_annotation(folder: Path, lengths: str, *, is_gff3: bool = True) -> None:
    """Write the genes of the tiny dataset as NCBI would, by accession, with expression in the old table."""
    rows = [line.split("\t") for line in (folder / "genes.tsv").read_text().splitlines()]
    column = {name: place for place, name in enumerate(rows[0])}
    lines = [lengths] if is_gff3 else []
    for cells in rows[1:]:
        told = f"ID=gene-{cells[0]};gbkey=Gene" if is_gff3 else f'gene_id "{cells[0]}";'
        at = int(cells[column["tss"]]) + 1
        chrom, strand = ACCESSION[cells[column["chrom"]]], cells[column["strand"]]
        lines.append(f"{chrom}\tRefSeq\tgene\t{at}\t{at}\t.\t{strand}\t.\t{told}\n")
    (folder / "genomic.gff").write_text("".join(lines))
    edit(folder / "dataset.yaml", "path: genes.tsv,", "path: genomic.gff,")
    edit(folder / "dataset.yaml", "column: TPM,", "column: TPM, path: genes.tsv,")


@pytest.mark.parametrize("is_gff3", [True, False])
def test_refseq_names_against_a_fasta_of_chr(folder: Path, is_gff3: bool) -> None:
    before = open_files(load_dataset(folder))[2].frame
    refseq_annotation(folder, "", is_gff3=is_gff3)
    assert "0 errors" in checked(folder)
    after = open_files(load_dataset(folder))[2].frame
    columns = ["gene_id", "chrom", "tss", "strand", "TPM"]
    assert after[columns].to_numpy().tolist() == before[columns].to_numpy().tolist()


def test_refseq_names_of_the_fasta_against_chr(folder: Path) -> None:
    fasta = folder / "genome.fa"
    (folder / "genome.fa.fai").unlink(missing_ok=True)
    text = fasta.read_text()
    for name, accession in ACCESSION.items():
        text = text.replace(f">{name}\n", f">{accession}\n")
    fasta.write_text(text)
    edit(folder / "dataset.yaml", "val: [chr5], test: [chr6]", "val: [NC_000005.11], test: [NC_000006.11]")
    edit(folder / "dataset.yaml", "tracks: {ATAC: atac.bw}", "tracks: {}")
    assert set(open_files(load_dataset(folder))[2].frame["chrom"]) == set(ACCESSION.values())


def test_names_that_the_annotation_states(folder: Path) -> None:
    whole = "NC_9{0}.1\tRefSeq\tregion\t1\t40000\t.\t+\t.\tID=r{0};chromosome={0};genome=chromosome\n"
    refseq_annotation(folder, "".join(whole.format(number) for number in range(1, 7)))
    path = folder / "genomic.gff"
    path.write_text(path.read_text().replace("NC_00000", "NC_9").replace(".11\t", ".1\t"))
    assert "0 errors" in checked(folder)
    assert set(open_files(load_dataset(folder))[2].frame["chrom"]) == set(CHROMS)
    path.write_text(
        path.read_text().replace("chromosome=2;", "chromosome=1;")
    )  # two for chr1: in doubt, both are left out
    with pytest.raises(DataError, match=r"20 genes of the splits lie on 2 chromosomes(.|\n)*NC_91\.1, NC_92\.1"):
        open_files(load_dataset(folder))


@pytest.mark.parametrize(
    "line", ["##sequence-region NC_000002.11 1 40001\n", "NC_000002.11\tx\tregion\t1\t39999\t.\t+\t.\tID=r\n"]
)
def test_an_annotation_of_another_assembly(folder: Path, line: str) -> None:
    refseq_annotation(folder, line)
    with pytest.raises(DataError, match=r"another assembly: its NC_000002\.11 has \d+ bp, that of the FASTA 40000 bp"):
        open_files(load_dataset(folder))
    edit(folder / "dataset.yaml", "test: [chr6]", "test: [chr6], exclude: [chr2]")
    open_files(load_dataset(folder))


def test_names_that_nobody_knows_are_one_error(folder: Path) -> None:
    refseq_annotation(folder, "")
    path = folder / "genomic.gff"
    path.write_text(path.read_text().replace("NC_0000", "NC_9999"))
    with pytest.raises(DataError, match=r"no chromosome name of genomic\.gff occurs in genome\.fa"):
        open_files(load_dataset(folder))
    told = checked(folder)
    assert "no chromosome name of genomic.gff occurs" in told


def test_accessions() -> None:
    expected = {"NC_000001.11": "1", "NC_000023.10": "X", "NC_012920.1": "MT", "NC_000067.7": "1", "NC_000087.8": "Y"}
    expected |= {"NC_001133.9": "I", "NC_001148.4": "XVI", "NC_003284.9": "X", "NT_033779.5": "2L", "NC_007136.7": "25"}
    assert {name: chromosome_of(name) for name in expected} == expected
    for name in ("NC_000001", "NC_000025.1", "NW_000001.1", "chr1", "1", ""):
        assert chromosome_of(name) is None


def test_both_strands_are_told_of_few_genes(folder: Path) -> None:
    """A table of one gene per split has neither spread nor both strands, and is checked without a warning."""
    rows = (folder / "genes.tsv").read_text().splitlines()
    column = rows[0].split("\t").index("chrom")
    firsts = [next(row for row in rows if row.split("\t")[column] == chrom) for chrom in ("chr1", "chr5", "chr6")]
    (folder / "genes.tsv").write_text("\n".join([rows[0], *firsts]) + "\n")
    assert "genes: train 1, val 1, test 1" in checked(folder)
    assert np.isfinite(open_files(load_dataset(folder))[2].frame["TPM"]).all()
