"""What a case of the campaign starts from: small worlds of files, and the commands that are run over them."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tiny_genome import write_tiny_dataset
from tiny_slides import write_tiny_slides

from seqexp.cli.main import main
from seqexp.core.yaml import dump_yaml

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


@dataclass(frozen=True)
class Situation:
    """A command over a world.

    Attributes
    ----------
    name : str
        The command.
    world : str
        Folder of the world; a copy of it is ``{here}`` in the arguments.
    arguments : tuple of str
    files : tuple of str
        Files that a case may damage, relative to the world; where there is none, an argument is damaged.
    outputs : tuple of str
        What the command writes: absent after a refusal, unless it was there before.
    share : int
        Cases of a hundred.
    is_slow : bool
        Takes half a second or more: a sample has few of these.
    """

    name: str
    world: str
    arguments: tuple[str, ...]
    files: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    share: int = 1
    is_slow: bool = False


_DNA = ("dataset.yaml", "genome.fa", "genome.fa.fai", "atac.bw", "genes.tsv", "blacklist.bed", "peaks.narrowPeak")
_CHECK = ("data", "check", "{here}/dataset.yaml", "--upstream-bp", "512", "--downstream-bp", "512")
_FIT = ("fit", "--config", "{here}/config.yaml", "--run-dir", "{here}/new", "--finish", "false")
_PREDICT = ("predict", "--run-dir", "{here}/run", "--output", "{here}/out.tsv")
_RUN = ("run/config.yaml", "run/run_record.json", "run/checkpoints/best.ckpt")
_SLIDES = ("slides.yaml", "A1.png", "A1.tsv", "A1_spots.tsv", "B1.tsv")
_ELEMENTS = ("elements", "{here}/run", "--budget-bp", "2000", "--out", "{here}/out")
_COMPARE = ("--elements", "{here}/elements/elements_per_gene.bed", "--masks", "{here}/run/masks.npz")
_COMPARED = (
    "compare",
    *_COMPARE,
    "--peaks",
    "{here}/peaks.narrowPeak",
    "--permutations",
    "20",
    "--out",
    "{here}/c.tsv",
)
_SCORED = ("--elements", "{here}/elements/elements.bed", "--resamples", "20", "--out", "{here}/scores.tsv")
_CRISPRI = ("benchmark", "crispri", "--pairs", "{here}/pairs.tsv", *_SCORED)
_FEATURES = (
    "features",
    "--dataset",
    "{here}/slides.yaml",
    "--encoder",
    ENCODER,
    "--weights",
    "{here}/weights.pth",
    "--patch-px",
    "32",
)
_TRACK = ("peaks", "--track", "{here}/atac.bw", "--cutoff", "1", "--out", "{here}/p.narrowPeak")
_READ = ("peaks", "--narrowpeak", "{here}/peaks.narrowPeak", "--out", "{here}/p.narrowPeak")
_PREPARE = ("data", "prepare", "{here}/recipe.yaml", "--mirror", "{here}/mirror", "--out", "{here}/made")
_MIRROR = ("recipe.yaml", "recipe.yaml", "mirror/table.tsv", "mirror/peaks.bed.gz", "mirror/genome.fa")

SITUATIONS = (
    Situation("data check", "dna", _CHECK, _DNA, share=14),
    Situation("data check", "tissue", ("data", "check", "{here}/slides.yaml"), _SLIDES, share=10),
    Situation("data check", "dna", _CHECK, (), share=2),
    Situation("data prepare", "recipe", _PREPARE, _MIRROR, ("made/dataset.yaml",), share=8),
    Situation(
        "data prepare", "made", _PREPARE, ("made/recipe.lock.json", "made/dataset.yaml", "made/genes.tsv"), share=2
    ),
    Situation("fit", "dna", _FIT, ("config.yaml", *_DNA), ("new",), share=6, is_slow=True),
    Situation("fit", "tissue", _FIT, ("config.yaml", *_SLIDES), ("new",), share=4, is_slow=True),
    Situation("predict", "dna", _PREDICT, (*_RUN, *_DNA), ("out.tsv",), share=6, is_slow=True),
    Situation("predict", "tissue", _PREDICT, (*_RUN, *_SLIDES), ("out.tsv",), share=4, is_slow=True),
    Situation("elements", "dna", _ELEMENTS, ("run/masks.npz", "run/predictions.tsv"), ("out",), share=8),
    Situation("elements", "dna", _ELEMENTS, (), ("out",), share=2),
    Situation("peaks", "dna", _TRACK, ("atac.bw",), ("p.narrowPeak",), share=4),
    Situation("peaks", "dna", _READ, ("peaks.narrowPeak",), ("p.narrowPeak",), share=5),
    Situation("peaks", "dna", _TRACK, (), ("p.narrowPeak",), share=1),
    Situation(
        "compare",
        "dna",
        _COMPARED,
        ("elements/elements_per_gene.bed", "peaks.narrowPeak", "run/masks.npz"),
        ("c.tsv",),
        share=9,
    ),
    Situation("benchmark crispri", "dna", _CRISPRI, ("pairs.tsv", "elements/elements.bed"), ("scores.tsv",), share=9),
    Situation("features", "tissue", _FEATURES, (*_SLIDES, "weights.pth", "weights.pth"), share=6),
)


def write_worlds(folder: Path) -> None:
    """All worlds: ``dna`` and ``tissue`` with a finished run each, ``recipe``, and ``made`` where it was prepared."""
    _write_dna(folder / "dna")
    _write_tissue(folder / "tissue")
    _write_recipe(folder / "recipe", folder / "dna")
    shutil.copytree(folder / "recipe", folder / "made")
    _run(*_PREPARE, here=folder / "made")


def _run(*arguments: str, here: Path) -> None:
    status = main([argument.format(here=here) for argument in arguments])
    assert status == 0, arguments


def _write_config(folder: Path, network: dict[str, object], data: dict[str, object]) -> None:
    config = {
        "model": {"network": network, "lr": 0.05},
        "data": data,
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
    }
    dump_yaml(config, folder / "config.yaml")


def _write_dna(folder: Path) -> None:
    write_tiny_dataset(folder)
    data = {"class_path": "seqexp.dna.loaders.data.SequenceData"}
    arguments = {"dataset": str(folder / "dataset.yaml"), **WINDOW}
    _write_config(folder, {"class_path": "tiny_selector.TinySelector"}, {**data, "init_args": arguments})
    _run("fit", "--config", "{here}/config.yaml", "--run-dir", "{here}/run", here=folder)
    _run(*_ELEMENTS[:-1], "{here}/elements", here=folder)
    genes = pd.read_csv(folder / "genes.tsv", sep="\t")
    peaks = pd.read_csv(folder / "peaks.narrowPeak", sep="\t", header=None).iloc[:40]
    near = genes.iloc[np.arange(len(peaks)) % len(genes)].reset_index(drop=True)
    pairs = pd.DataFrame({"chrom": peaks[0], "chromStart": peaks[1], "chromEnd": peaks[2]}).assign(
        measuredGeneSymbol=near["gene_name"], measuredGeneEnsemblId=near["gene_id"], startTSS=near["tss"],
        endTSS=near["tss"] + 1, Regulated=np.where(np.arange(len(peaks)) % 3, "FALSE", "TRUE"),
    )  # fmt: skip
    pairs.to_csv(folder / "pairs.tsv", sep="\t", index=False)


def _write_tissue(folder: Path) -> None:
    import timm

    folder.mkdir()
    write_tiny_slides(folder)
    network = {"class_path": "seqexp.histology.models.nsl.NSL", "init_args": {"num_genes": 10}}
    arguments = {"dataset": str(folder / "slides.yaml"), "split": "fixed", "patch_px": 8, "features": "colour"}
    _write_config(folder, network, {"class_path": "seqexp.histology.loaders.data.SpotData", "init_args": arguments})
    _run("fit", "--config", "{here}/config.yaml", "--run-dir", "{here}/run", "--finish", "false", here=folder)
    torch.manual_seed(0)
    torch.save(timm.create_model(ENCODER, num_classes=0).state_dict(), folder / "weights.pth")


def _write_recipe(folder: Path, dna: Path) -> None:
    (folder / "mirror").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    shutil.copy(dna / "genes.tsv", folder / "mirror/table.tsv")
    shutil.copy(dna / "genome.fa", folder / "mirror/genome.fa")
    with gzip.open(folder / "mirror/peaks.bed.gz", "wb") as handle:
        handle.write((dna / "peaks.narrowPeak").read_bytes())
