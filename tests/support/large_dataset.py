"""A dataset of many genes, chromosomes and tracks, small on disk: tracks are hard links of a few files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyBigWig

CHROM_BP = 150_000
NUM_FILES = 4


def write_large_dataset(folder: Path, num_genes: int, num_chroms: int, num_tracks: int, *, prefix: str = "chr") -> Path:
    """Write FASTA, bigWigs, gene table, blacklist and ``dataset.yaml``; return the path of the last."""
    rng = np.random.default_rng(0)
    chroms = [f"{prefix}{n + 1}" for n in range(num_chroms)]
    bases = rng.choice(np.frombuffer(b"ACGT", np.uint8), CHROM_BP).tobytes()
    lines = b"\n".join(bases[n : n + 60] for n in range(0, CHROM_BP, 60))
    with open(folder / "genome.fa", "wb") as handle:
        for chrom in chroms:
            handle.write(b">" + chrom.encode() + b"\n" + lines + b"\n")
    for number in range(min(num_tracks, NUM_FILES)):
        _write_track(folder / f"source{number}.bw", chroms, rng)
    tracks = {f"T{n}": f"track{n}.bw" for n in range(num_tracks)}
    for number, name in enumerate(tracks.values()):
        os.link(folder / f"source{number % NUM_FILES}.bw", folder / name)
    tss = rng.integers(2_000, CHROM_BP - 2_000, num_genes)
    rows = (f"G{n}\t{chroms[n % num_chroms]}\t{tss[n]}\t{'+-'[n // 2 % 2]}\t{n % 97}" for n in range(num_genes))
    (folder / "genes.tsv").write_text("gene_id\tchrom\ttss\tstrand\tTPM\n" + "\n".join(rows) + "\n")
    (folder / "blacklist.bed").write_text("".join(f"{chrom}\t10\t500\n" for chrom in chroms))
    content = {
        "name": "large",
        "fasta": "genome.fa",
        "tracks": tracks,
        "genes": {"path": "genes.tsv"},
        "expression": {"column": "TPM"},
        "splits": {"by": "chromosome", "train": ["rest"], "val": chroms[:2], "test": chroms[2:4]},
        "blacklist": "blacklist.bed",
    }
    (folder / "dataset.yaml").write_text(json.dumps(content))  # JSON is YAML
    return folder / "dataset.yaml"


def _write_track(path: Path, chroms: list[str], rng: np.random.Generator) -> None:
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader([(chrom, CHROM_BP) for chrom in chroms])
        starts = np.arange(0, CHROM_BP, 500)
        for chrom in chroms:
            values = rng.gamma(0.5, 2.0, len(starts))
            handle.addEntries(
                [chrom] * len(starts), starts.tolist(), ends=(starts + 450).tolist(), values=values.tolist()
            )
