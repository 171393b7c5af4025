"""The files that README and tutorials speak of, under the names they use there, and tiny."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
from Bio import bgzf
from tiny_bam import write_bam
from tiny_genome import CHROM_BP, write_tiny_dataset
from tiny_slides import write_section

CHROMS = ("chr1", "chr2", "chr3", "chr21", "chr22", "chrX")
NAMED = {"G041": "SOX10", "G052": "XIST"}  # on their chromosomes
SECTIONS = ("A1", "A2", "B1", "C1")


def write_my_cells(folder: Path) -> Path:
    """Genome, tracks, genes, expression, blacklist, reads and peaks as a laboratory has them; no ``dataset.yaml``."""
    write_tiny_dataset(folder, chroms=CHROMS)
    genes = pd.read_csv(folder / "genes.tsv", sep="\t")
    truth = pd.read_csv(folder / "truth.tsv", sep="\t")
    with bgzf.BgzfWriter(str(folder / "hg38.fa.gz"), "wb") as handle:
        handle.write((folder / "genome.fa").read_bytes())
    (folder / "atac.bw").rename(folder / "dnase.bw")
    _compress(folder / "genes.gtf.gz", "".join(_gtf_line(row) for row in genes.itertuples()))
    _compress(folder / "blacklist.bed.gz", (folder / "blacklist.bed").read_text())
    _compress(folder / "ENCFF000ABC.bed.gz", (folder / "peaks.narrowPeak").read_text())
    genes.assign(CD4_TPM=genes["TPM"], CD8_TPM=genes["TPM"].iloc[::-1].to_numpy())[
        ["gene_id", "TPM", "CD4_TPM", "CD8_TPM", "half_life"]
    ].to_csv(folder / "tpm.tsv", sep="\t", index=False)
    _write_reads(folder / "atac.bam", truth)
    (folder / "regions.bed").write_text("chr22\t9000\t9400\tenhancer\t0\t.\nchrX\t12000\t12001\ttip\t0\t-\n")
    for name in ("dataset.yaml", "genome.fa", "genes.tsv", "blacklist.bed", "peaks.narrowPeak", "truth.tsv"):
        (folder / name).unlink()
    return folder


def write_my_slides(folder: Path) -> Path:
    """Four small sections of three patients: image, counts and spots of each; no ``slides.yaml``."""
    folder.mkdir()
    for seed, name in enumerate(SECTIONS):
        write_section(folder, name, seed, num_columns=5, num_rows=4)
    return folder


def _gtf_line(row: object) -> str:
    start, end = (row.tss + 1, row.tss + 500) if row.strand == "+" else (row.tss - 498, row.tss + 1)
    told = f'gene_id "{row.gene_id}"; gene_name "{NAMED.get(row.gene_id, row.gene_name)}";'
    return f"{row.chrom}\ttiny\tgene\t{start}\t{end}\t.\t{row.strand}\t.\t{told}\n"


def _compress(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _write_reads(path: Path, elements: pd.DataFrame) -> None:
    """Reads piled up in the elements, and some anywhere."""
    rng = np.random.default_rng(0)
    reads = []
    for row in elements.itertuples():
        for _ in range(60):
            reads.append((row.chrom, int(rng.integers(row.start, row.end)), "+-"[int(rng.integers(2))]))
            reads.append((row.chrom, int(rng.integers(0, CHROM_BP - 100)), "+-"[int(rng.integers(2))]))
    write_bam(path, dict.fromkeys(CHROMS, CHROM_BP), reads)
