"""Write a simulated genome with planted causal elements as a dataset folder."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.files import atomic_dir
from seqexp.core.yaml import dump_yaml
from seqexp.dna.genome.bigwig_writer import open_writer
from seqexp.dna.simulation.config import SimulationConfig
from seqexp.dna.simulation.layout import Element, Layout, make_layout
from seqexp.dna.simulation.motifs import reverse_complement
from seqexp.dna.simulation.signals import Fragments, draw_fragments, pile_up

LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
BLOCK_BP = 2_000
# Order-1 background: rows previous base, columns next base; CG is rare, as in vertebrates.
TRANSITIONS = np.array(
    [[0.32, 0.18, 0.26, 0.24], [0.34, 0.25, 0.06, 0.35], [0.28, 0.21, 0.25, 0.26], [0.21, 0.21, 0.26, 0.32]]
)


@dataclass
class Genome:
    """Everything of a simulated genome, in memory: base codes (L,) and coverage (L,) per chromosome."""

    layout: Layout
    codes: dict[str, NDArray[np.uint8]]
    fragments: dict[str, Fragments]
    coverage: dict[str, dict[str, NDArray[np.float32]]]
    log2_expression: NDArray[np.float64]


def make_genome(config: SimulationConfig) -> Genome:
    """Draw a genome; the same configuration gives the same genome."""
    rng = np.random.default_rng([config.seed, 20_250_213])
    layout = make_layout(config, rng)
    codes = {chrom: _background(size, rng) for chrom, size in layout.chrom_sizes.items()}
    for element in layout.elements:
        _plant(element, codes[element.chrom], layout, rng)
    fragments = {
        "ATAC": draw_fragments(layout, config, rng),
        "H3K27ac": draw_fragments(layout, config, rng, is_broad=True),
    }
    coverage = {
        name: {chrom: pile_up(*of_track[chrom], size) for chrom, size in layout.chrom_sizes.items()}
        for name, of_track in fragments.items()
    }
    expression = 4.0 + rng.normal(0, config.noise_sd, len(layout.genes))
    for element in layout.elements:
        expression[element.gene] += element.effect
    return Genome(layout, codes, fragments, coverage, np.maximum(expression, 0.0))


def simulate_genome(folder: str | Path, config: SimulationConfig | None = None) -> Path:
    """Write a simulated dataset folder, whole or not at all.

    Parameters
    ----------
    folder : path
        Replaced when it exists.
    config : SimulationConfig, optional
        Size and difficulty.

    Returns
    -------
    Path
        ``folder/dataset.yaml``. Beside it: ``genome.fa``, ``ATAC.bw`` and ``H3K27ac.bw`` (coverage),
        ``ATAC.fragments.bed.gz`` (for macs3 callpeak, format BEDPE), ``genes.tsv``, ``truth.tsv`` (causal elements with
        their effects), ``decoys.tsv`` and ``motifs.meme``.

    Raises
    ------
    ConfigError
        The configuration breaks the difficulty contract.
    DataError
        The folder cannot be written.
    """
    config = config or SimulationConfig()
    genome = make_genome(config)
    folder = Path(folder)
    with atomic_dir(folder, "dataset.yaml") as temporary:
        _write_fasta(temporary / "genome.fa", genome.codes)
        for name, coverage in genome.coverage.items():
            sizes = {chrom: len(values) for chrom, values in coverage.items()}
            with open_writer(temporary / f"{name}.bw", sizes) as writer:
                for chrom, values in coverage.items():
                    writer.add_bases(chrom, values)
        _write_fragments(temporary / "ATAC.fragments.bed.gz", genome.fragments["ATAC"])
        _write_tables(temporary, genome)
        _write_motifs(temporary / "motifs.meme", genome.layout)
        dump_yaml(_description(config, genome.layout), temporary / "dataset.yaml")
    return folder / "dataset.yaml"


def held_out(chroms: list[str]) -> tuple[list[str], list[str]]:
    """Validation and test chromosomes: the two before the last two, and the last two."""
    return chroms[-4:-2], chroms[-2:]


def _background(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Order-1 Markov sequence (L,), drawn as many blocks side by side because one long chain cannot be vectorised."""
    num_blocks = -(-size // BLOCK_BP)
    cumulative = TRANSITIONS.cumsum(axis=1)[:, :3]
    blocks = np.empty((BLOCK_BP, num_blocks), dtype=np.uint8)
    state = rng.integers(0, 4, num_blocks)
    for step in range(BLOCK_BP):
        state = (rng.random((num_blocks, 1)) > cumulative[state]).sum(axis=1)
        blocks[step] = state
    return np.ascontiguousarray(blocks.T).reshape(-1)[:size]


def _plant(element: Element, codes: NDArray[np.uint8], layout: Layout, rng: np.random.Generator) -> None:
    for start, index, strand in element.sites:
        site = layout.motifs[index].sample(rng)
        codes[start : start + len(site)] = site if strand == "+" else reverse_complement(site)


def _write_fasta(path: Path, codes: dict[str, NDArray[np.uint8]], width: int = 100) -> None:
    with open(path, "wb") as handle:
        for chrom, values in codes.items():
            handle.write(f">{chrom}\n".encode())
            text = LETTERS[values]
            whole = len(text) // width * width
            lines = np.full((whole // width, width + 1), ord("\n"), dtype=np.uint8)
            lines[:, :width] = text[:whole].reshape(-1, width)
            handle.write(lines.tobytes())
            if whole < len(text):
                handle.write(text[whole:].tobytes() + b"\n")


def _write_fragments(path: Path, fragments: Fragments) -> None:
    # No name and no time in its header: the same fragments are the same file.
    with open(path, "wb") as file, gzip.GzipFile("", "wb", compresslevel=3, fileobj=file, mtime=0) as handle:
        for chrom, (starts, ends) in fragments.items():
            rows = (f"{chrom}\t{start}\t{end}\n" for start, end in zip(starts.tolist(), ends.tolist()))
            handle.write("".join(rows).encode())


def _write_tables(folder: Path, genome: Genome) -> None:
    genes = pd.DataFrame([vars(gene) for gene in genome.layout.genes])
    genes.insert(1, "gene_name", genes["gene_id"].str.replace("G", "gene", n=1))
    genes["TPM"] = (2.0**genome.log2_expression - 1).round(4)
    genes.to_csv(folder / "genes.tsv", sep="\t", index=False)
    rows = [_row(element, genome.layout) for element in genome.layout.elements]
    table = pd.DataFrame(rows).sort_values(["chrom", "start"], ignore_index=True)
    is_causal = table["kind"] == "causal"
    truth = ["chrom", "start", "end", "gene_id", "effect", "strand", "is_open", "num_sites", "motifs"]
    table.loc[is_causal, truth].to_csv(folder / "truth.tsv", sep="\t", index=False)
    decoys = ["chrom", "start", "end", "gene_id", "kind", "is_open", "num_sites", "motifs"]
    table.loc[~is_causal, decoys].to_csv(folder / "decoys.tsv", sep="\t", index=False)


def _row(element: Element, layout: Layout) -> dict[str, object]:
    gene = layout.genes[element.gene]
    names = ",".join(layout.motifs[k].name for _, k, _ in element.sites)
    return {
        "chrom": element.chrom,
        "start": element.start,
        "end": element.end,
        "gene_id": gene.gene_id,
        "kind": element.kind,
        "effect": round(element.effect, 5),
        "strand": gene.strand,
        "is_open": int(element.is_open),
        "num_sites": len(element.sites),
        "motifs": names or ".",
    }


def _write_motifs(path: Path, layout: Layout) -> None:
    with open(path, "w", encoding="utf-8") as handle:
        handle.write("MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n")
        for motif in layout.motifs:
            handle.write(f"\nMOTIF {motif.name} weight={motif.weight:+.3f}\n")
            handle.write(f"letter-probability matrix: alength= 4 w= {motif.width}\n")
            handle.writelines(" ".join(f"{p:.6f}" for p in row) + "\n" for row in motif.probabilities)


def _description(config: SimulationConfig, layout: Layout) -> dict[str, object]:
    val, test = held_out(list(layout.chrom_sizes))
    return {
        "name": "simulated_dna",
        "organism": "simulated",
        "assembly": f"simulated-{config.seed}",
        "fasta": "genome.fa",
        "tracks": {"ATAC": "ATAC.bw", "H3K27ac": "H3K27ac.bw"},
        "missing": "zero",
        "genes": {
            "path": "genes.tsv",
            "gene_id": "gene_id",
            "gene_name": "gene_name",
            "chrom": "chrom",
            "tss": "tss",
            "strand": "strand",
            "base": 0,
        },
        "expression": {"column": "TPM", "unit": "TPM"},
        "transform": "log2p1",
        "splits": {"by": "chromosome", "train": "rest", "val": val, "test": test},
        "truth": "truth.tsv",
        "alignments": {"ATAC": "ATAC.fragments.bed.gz"},
    }
