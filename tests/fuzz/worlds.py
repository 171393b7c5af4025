"""What a case of the campaign starts from: small worlds of files, with finished runs where commands need them."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from Bio import bgzf
from tiny_bam import write_bam
from tiny_genome import CHROM_BP, CHROMS, write_tiny_dataset
from tiny_slides import write_tiny_slides
from tiny_visium import counts, positions, write_description, write_section

from seqexp.cli.main import main
from seqexp.core.yaml import dump_yaml, load_yaml

ENCODER = "test_efficientnet"  # the smallest of timm
WINDOW = {"upstream_bp": 512, "downstream_bp": 512, "signal_bin_bp": 32}
RECIPE = """\
name: miniature
description: a gene table and a BED file
licence: none
sources:
  - {name: sources/table.tsv, mirror: table.tsv, licence: none}
  - {name: genome.fa, mirror: genome.fa, licence: none}
  - {name: sources/peaks.bed.gz, mirror: peaks.bed.gz, licence: none}
steps:
  - use: gene_table
    with:
      table: sources/table.tsv
      output: genes.tsv
      columns: {gene_id: gene_id, chrom: chrom, tss: tss, TPM: TPM}
      require: [TPM]
  - {use: restrict_bed, with: {bed: sources/peaks.bed.gz, output: peaks.bed.gz, chroms: [chr1, chr2], max_bp: 500}}
dataset:
  name: miniature
  fasta: genome.fa
  genes: {path: genes.tsv, gene_id: gene_id, chrom: chrom, tss: tss, strand: strand, base: 0}
  expression: {column: TPM, unit: TPM}
  splits: {by: chromosome, train: rest, val: [chr5], test: [chr6]}
"""
ANNOTATED = {
    "name": "annotated",
    "fasta": "genome.fa.gz",
    "tracks": {"ATAC": "atac.bw", "H3K27ac": "h3k27ac.bw"},
    "missing": "zero",
    "genes": {"path": "genes.gtf"},
    "expression": {"path": "expression.tsv", "column": "TPM", "unit": "TPM"},
    "transform": "log2p1",
    "splits": {"by": "chromosome", "train": "rest", "val": ["chr5"], "test": ["chr6"]},
    "alignments": {"reads": {"path": "reads.bam", "shift_bp": -75, "extsize_bp": 150}},
    "contacts": {"paths": {chrom: f"{chrom}.gz" for chrom in CHROMS}, "bin_bp": 1000, "normalise": "vc"},
}
TINY_SELECTOR = {"class_path": "tiny_selector.TinySelector"}


def write_worlds(folder: Path) -> None:
    """All worlds.

    ``dna`` and ``tissue`` hold a finished run each, ``annotated`` a GTF, a bgzip FASTA, alignments, contacts and a
    store, ``visium`` a section of Space Ranger and the same as an AnnData table, ``recipe`` a recipe with its mirror,
    and ``made`` the same where it was prepared.
    """
    _write_dna(folder / "dna")
    _write_annotated(folder / "annotated")
    _write_tissue(folder / "tissue")
    _write_visium(folder / "visium")
    _write_recipe(folder / "recipe", folder / "dna")
    shutil.copytree(folder / "recipe", folder / "made")
    _run(
        "data",
        "prepare",
        "{here}/recipe.yaml",
        "--mirror",
        "{here}/mirror",
        "--out",
        "{here}/made",
        here=folder / "made",
    )


def _run(*arguments: str, here: Path) -> None:
    status = main([argument.format(here=here) for argument in arguments])
    assert status == 0, arguments


def _fit(here: Path, is_finished: bool = False) -> None:
    finish = str(is_finished).lower()
    _run("fit", "--config", "{here}/config.yaml", "--run-dir", "{here}/run", "--finish", finish, here=here)


def _write_config(folder: Path, network: dict[str, object], data: dict[str, object]) -> None:
    config = {
        "model": {"network": network, "lr": 0.05},
        "data": data,
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
    }
    dump_yaml(config, folder / "config.yaml")


def _sequences(folder: Path, **settings: object) -> dict[str, object]:
    arguments = {"dataset": str(folder / "dataset.yaml"), **WINDOW, **settings}
    return {"class_path": "seqexp.dna.loaders.data.SequenceData", "init_args": arguments}


def _write_dna(folder: Path) -> None:
    write_tiny_dataset(folder)
    _write_config(folder, TINY_SELECTOR, _sequences(folder))
    _fit(folder, is_finished=True)
    _run("elements", "{here}/run", "--budget-bp", "2000", "--out", "{here}/elements", here=folder)
    genes = pd.read_csv(folder / "genes.tsv", sep="\t")
    peaks = pd.read_csv(folder / "peaks.narrowPeak", sep="\t", header=None).iloc[:40]
    near = genes.iloc[np.arange(len(peaks)) % len(genes)].reset_index(drop=True)
    pairs = pd.DataFrame({"chrom": peaks[0], "chromStart": peaks[1], "chromEnd": peaks[2]}).assign(
        measuredGeneSymbol=near["gene_name"], measuredGeneEnsemblId=near["gene_id"], startTSS=near["tss"],
        endTSS=near["tss"] + 1, Regulated=np.where(np.arange(len(peaks)) % 3, "FALSE", "TRUE"),
    )  # fmt: skip
    pairs.to_csv(folder / "pairs.tsv", sep="\t", index=False)


def _write_annotated(folder: Path) -> None:
    write_tiny_dataset(folder)
    with bgzf.BgzfWriter(str(folder / "genome.fa.gz"), "wb") as handle:
        handle.write((folder / "genome.fa").read_bytes())
    genes = pd.read_csv(folder / "genes.tsv", sep="\t")
    genes[["gene_id", "TPM"]].to_csv(folder / "expression.tsv", sep="\t", index=False)
    line = '{}\tx\tgene\t{}\t{}\t.\t{}\t.\tgene_id "{}"; gene_name "{}";\n'
    ends = [
        (tss + 1, tss + 800) if strand == "+" else (tss - 798, tss + 1)
        for tss, strand in genes[["tss", "strand"]].to_numpy()
    ]
    rows = zip(genes["chrom"], ends, genes["strand"], genes["gene_id"], genes["gene_name"], strict=True)
    (folder / "genes.gtf").write_text("".join(line.format(chrom, *span, *told) for chrom, span, *told in rows))
    for name in ("genome.fa", "genes.tsv"):
        (folder / name).unlink()
    rng = np.random.default_rng(0)
    places = [(row.chrom, max(0, row.tss + int(rng.normal(0, 80)))) for row in genes.itertuples() for _ in range(20)]
    reads = [(chrom, start, "+-"[number % 2]) for number, (chrom, start) in enumerate(sorted(places))]
    write_bam(folder / "reads.bam", dict.fromkeys(CHROMS, CHROM_BP), reads)
    (folder / "reads.bed").write_text("".join(f"{c}\t{s}\t{s + 36}\tr\t0\t{strand}\n" for c, s, strand in reads))
    near = [(i * 1000, j * 1000, 50 / (1 + j - i)) for i in range(40) for j in range(i, min(40, i + 6))]
    contacts = gzip.compress("".join(f"{i}\t{j}\t{count}\n" for i, j, count in near).encode())
    for chrom in CHROMS:
        (folder / f"{chrom}.gz").write_bytes(contacts)
    dump_yaml(ANNOTATED, folder / "dataset.yaml")
    _write_config(folder, TINY_SELECTOR, _sequences(folder, source="store", store_folder=str(folder / "store")))
    _fit(folder)


def _spots(folder: Path, num_genes: int, split: str) -> None:
    network = {"class_path": "seqexp.histology.models.nsl.NSL", "init_args": {"num_genes": num_genes}}
    arguments = {"dataset": str(folder / "slides.yaml"), "split": split, "patch_px": 8, "features": "colour"}
    _write_config(folder, network, {"class_path": "seqexp.histology.loaders.data.SpotData", "init_args": arguments})


def _write_tissue(folder: Path) -> None:
    import timm

    folder.mkdir()
    write_tiny_slides(folder)
    _spots(folder, 10, "fixed")
    _fit(folder)
    torch.manual_seed(0)
    torch.save(timm.create_model(ENCODER, num_classes=0).state_dict(), folder / "weights.pth")


def _write_visium(folder: Path) -> None:
    import anndata

    folder.mkdir()
    write_section(folder)
    frame = positions().set_index("barcode")
    genes = pd.DataFrame({"gene_ids": ["ENSG01", "ENSG02", "ENSG03"]}, index=list("ABC"))
    data = anndata.AnnData(counts().astype(np.float32), frame[["in_tissue", "array_row", "array_col"]], genes)
    data.obsm["spatial"] = frame[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
    (folder / "table").mkdir()
    data.write_h5ad(folder / "table/a.h5ad")
    shutil.copy(folder / "full.png", folder / "table")
    write_description(folder / "table", layout="h5ad", file="a.h5ad", folder=None)
    for path in (folder / "slides.yaml", folder / "table/slides.yaml"):  # one section lends itself to all splits
        content = load_yaml(path)
        content["splits"]["blocks"]["allow"] = ["slide", "section", "patient"]
        dump_yaml(content, path)


def _write_recipe(folder: Path, dna: Path) -> None:
    (folder / "mirror").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    shutil.copy(dna / "genes.tsv", folder / "mirror/table.tsv")
    shutil.copy(dna / "genome.fa", folder / "mirror/genome.fa")
    (folder / "mirror/peaks.bed.gz").write_bytes(gzip.compress((dna / "peaks.narrowPeak").read_bytes()))
