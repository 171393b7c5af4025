"""A dataset folder small enough for every test: 6 chromosomes, 60 genes, two tracks, known truth. Seeded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig

CHROM_BP = 40_000
CHROMS = tuple(f"chr{n}" for n in range(1, 7))  # chr1-chr4 train, chr5 val, chr6 test
GENES_PER_CHROM = 10
PEAK_BP = 200
MOTIF = "TGACTCAGCA"

DATASET_YAML = """\
name: tiny
organism: simulated
assembly: tiny1
fasta: genome.fa
tracks: {ATAC: atac.bw, H3K27ac: h3k27ac.bw}
missing: zero
genes: {path: genes.tsv, gene_id: gene_id, gene_name: gene_name, chrom: chrom, tss: tss, strand: strand, base: 0}
expression: {column: TPM, unit: TPM}
transform: log2p1
splits: {by: chromosome, train: rest, val: [chr5], test: [chr6]}
blacklist: blacklist.bed
covariates: [half_life]
peaks: {ATAC_peaks: peaks.narrowPeak}
truth: truth.tsv
"""


def write_tiny_dataset(folder: Path, seed: int = 0) -> Path:
    """Write FASTA, bigWigs, gene table, BED files and ``dataset.yaml``; return the path of the last.

    Each gene has one planted element within 900 bp of its TSS: a motif in the sequence under a peak of both tracks.
    Expression rises with the height of the peak, so that a small network can learn something in a few steps.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    genes = _genes(rng)
    bases = {chrom: rng.choice(np.frombuffer(b"ACGT", np.uint8), CHROM_BP) for chrom in CHROMS}
    tracks = {name: {chrom: _background(rng) for chrom in CHROMS} for name in ("atac", "h3k27ac")}
    for row in genes.itertuples():
        inside = slice(row.element, row.element + PEAK_BP)
        middle = row.element + PEAK_BP // 2
        bases[row.chrom][middle : middle + len(MOTIF)] = np.frombuffer(MOTIF.encode(), np.uint8)
        tracks["atac"][row.chrom][inside] = np.float32(row.height)
        tracks["h3k27ac"][row.chrom][max(0, row.element - 200) : row.element + 400] += np.float32(row.height / 2)
    for chrom in CHROMS:
        bases[chrom][100:120] = ord("N")
        bases[chrom][5_000:5_100] |= 0x20  # soft-masked, lower case
    _write_fasta(folder / "genome.fa", bases)
    for name, track in tracks.items():
        _write_bigwig(folder / f"{name}.bw", track)
    _write_tables(folder, genes)
    path = folder / "dataset.yaml"
    path.write_text(DATASET_YAML)
    return path


def _genes(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for chrom in CHROMS:
        for n in range(GENES_PER_CHROM):
            tss = 1_500 + n * 4_000 + int(rng.integers(0, 1_000))
            height = float(rng.uniform(1, 20))
            rows.append(
                {
                    "gene_id": f"G{len(rows):03d}",
                    "gene_name": f"gene{len(rows)}",
                    "chrom": chrom,
                    "tss": tss,
                    "strand": "+-"[n % 2],
                    "TPM": round(float(2 ** (height / 3 + rng.normal(0, 0.3))), 4),
                    "half_life": round(float(rng.normal()), 4),
                    "element": tss + int(rng.integers(-900, 700)),
                    "height": height,
                }
            )
    return pd.DataFrame(rows)


def _background(rng: np.random.Generator) -> np.ndarray:
    """Noise in steps of 50 bp, with stretches of missing values."""
    steps = rng.gamma(1.0, 0.3, CHROM_BP // 50).astype(np.float32)
    steps[rng.random(steps.size) < 0.1] = np.nan
    return np.repeat(steps, 50)


def _write_fasta(path: Path, bases: dict[str, np.ndarray]) -> None:
    with open(path, "w") as handle:
        for chrom, letters in bases.items():
            text = letters.tobytes().decode()
            handle.write(f">{chrom}\n" + "\n".join(text[i : i + 60] for i in range(0, len(text), 60)) + "\n")


def _write_bigwig(path: Path, track: dict[str, np.ndarray]) -> None:
    handle = pyBigWig.open(str(path), "w")
    handle.addHeader([(chrom, len(values)) for chrom, values in track.items()])
    for chrom, values in track.items():
        # NaN counts as one value here, so that a stretch of missing bases is one run.
        comparable = np.nan_to_num(values, nan=-1.0)
        edges = np.concatenate([[0], np.flatnonzero(np.diff(comparable)) + 1, [len(values)]])
        runs = [(int(s), int(e), float(values[s])) for s, e in zip(edges[:-1], edges[1:]) if not np.isnan(values[s])]
        starts, ends, heights = map(list, zip(*runs))
        handle.addEntries([chrom] * len(runs), starts, ends=ends, values=heights)
    handle.close()


def _write_tables(folder: Path, genes: pd.DataFrame) -> None:
    genes.drop(columns=["element", "height"]).to_csv(folder / "genes.tsv", sep="\t", index=False)
    elements = pd.DataFrame(
        {
            "chrom": genes["chrom"],
            "start": genes["element"],
            "end": genes["element"] + PEAK_BP,
            "gene_id": genes["gene_id"],
            "effect": (genes["height"] / 3).round(3),
            "strand": genes["strand"],
        }
    )
    elements.to_csv(folder / "truth.tsv", sep="\t", index=False)
    with open(folder / "peaks.narrowPeak", "w") as handle:
        for n, row in enumerate(elements.itertuples()):
            line = (row.chrom, row.start, row.end, f"peak{n}", 500, ".", row.effect, -1, -1, PEAK_BP // 2)
            handle.write("\t".join(map(str, line)) + "\n")
    blocked = [(chrom, 20_000, 20_500) for chrom in CHROMS]
    (folder / "blacklist.bed").write_text("".join(f"{c}\t{s}\t{e}\n" for c, s, e in blocked))
