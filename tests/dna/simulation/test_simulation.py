"""The simulated genome keeps its contract: decoys, missing signals, effects; and what it writes is what it planted."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pyfaidx
import pytest

from seqexp.core.errors import ConfigError
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.simulation import SimulationConfig, make_genome, simulate_genome

CONFIG = SimulationConfig(seed=3, num_genes=90, num_chromosomes=6, span_bp=12_000)
COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_genome(tmp_path_factory.mktemp("simulated") / "genome", CONFIG).parent


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / name, sep="\t")


def test_decoys_of_each_kind_are_at_least_as_many_as_causal_elements(folder: Path) -> None:
    truth, decoys = table(folder, "truth.tsv"), table(folder, "decoys.tsv")
    counts = decoys["kind"].value_counts()
    assert set(counts.index) == {"open_decoy", "motif_decoy"}
    assert counts.min() >= len(truth) >= CONFIG.num_genes
    assert decoys.loc[decoys["kind"] == "open_decoy", "is_open"].eq(1).all()
    assert decoys.loc[decoys["kind"] == "open_decoy", "num_sites"].eq(0).all()
    assert decoys.loc[decoys["kind"] == "motif_decoy", "is_open"].eq(0).all()
    assert decoys.loc[decoys["kind"] == "motif_decoy", "num_sites"].ge(1).all()


def test_a_tenth_of_the_causal_elements_has_no_signal_on_every_chromosome(folder: Path) -> None:
    truth = table(folder, "truth.tsv")
    assert ((1 - truth["is_open"]).groupby(truth["chrom"]).mean() >= 0.1).all()


def test_effects_fall_with_distance_and_go_both_ways(folder: Path) -> None:
    truth, genes = table(folder, "truth.tsv"), table(folder, "genes.tsv").set_index("gene_id")
    centre = (truth["start"] + truth["end"]) // 2
    distance = (centre - genes.loc[truth["gene_id"], "tss"].to_numpy()).abs()
    before_distance = truth["effect"].abs() * np.exp(distance / CONFIG.decay_bp)
    assert np.corrcoef(distance, np.log(truth["effect"].abs()))[0, 1] < -0.5
    assert before_distance.between(0.4 * 2.5 * 0.99, 0.8 * 2.5 * 1.01).all()  # the weights of the motifs, times 2.5
    assert 0.1 < (truth["effect"] < 0).mean() < 0.5


def test_elements_lie_inside_their_genes_domain_and_do_not_touch(folder: Path) -> None:
    everything = pd.concat([table(folder, "truth.tsv"), table(folder, "decoys.tsv")])
    genes = table(folder, "genes.tsv").set_index("gene_id")
    tss = genes.loc[everything["gene_id"], "tss"].to_numpy()
    assert (everything["start"] >= tss - CONFIG.span_bp // 2).all()
    assert (everything["end"] <= tss + CONFIG.span_bp // 2).all()
    assert (everything["chrom"].to_numpy() == genes.loc[everything["gene_id"], "chrom"].to_numpy()).all()
    for _, own in everything.sort_values("start").groupby("chrom"):
        assert (own["start"].to_numpy()[1:] >= own["end"].to_numpy()[:-1]).all()


def read_motifs(path: Path) -> dict[str, np.ndarray]:
    """Probability matrices (width, 4) by name, from MEME text."""
    found: dict[str, np.ndarray] = {}
    for part in path.read_text().split("MOTIF ")[1:]:
        rows = [line.split() for line in part.splitlines()[2:] if line.strip()]
        found[part.split()[0]] = np.array(rows, dtype=float)
    return found


def best_score(sequence: str, probabilities: np.ndarray) -> float:
    """Highest log-odds in bits against equal base frequencies, over both strands, one place at a time."""
    scores = []
    for strand in (sequence, sequence.translate(COMPLEMENT)[::-1]):
        codes = ["ACGT".index(base) for base in strand]
        for start in range(len(codes) - len(probabilities) + 1):
            at = probabilities[np.arange(len(probabilities)), codes[start : start + len(probabilities)]]
            scores.append(float(np.log2(np.maximum(at, 1e-6) / 0.25).sum()))
    return max(scores)


def test_sequence_of_elements_and_motif_decoys_holds_their_motifs(folder: Path) -> None:
    genome, motifs = pyfaidx.Fasta(str(folder / "genome.fa")), read_motifs(folder / "motifs.meme")
    truth, decoys = table(folder, "truth.tsv"), table(folder, "decoys.tsv")
    assert len(motifs) == CONFIG.num_motifs

    def mean_score(rows: pd.DataFrame) -> float:
        scores = []
        for row in rows.head(60).itertuples():
            sequence = str(genome[row.chrom][row.start : row.end])
            names = sorted(set(row.motifs.split(","))) if row.motifs != "." else list(motifs)[:1]
            scores += [best_score(sequence, motifs[name]) for name in names]
        return float(np.mean(scores))

    closed = decoys[decoys["kind"] == "motif_decoy"]
    without = decoys[decoys["kind"] == "open_decoy"]
    assert mean_score(truth) > mean_score(without) + 3
    assert mean_score(closed) > mean_score(without) + 3


def test_signals_are_high_where_elements_are_open_only(folder: Path) -> None:
    truth, decoys = table(folder, "truth.tsv"), table(folder, "decoys.tsv")
    everything = pd.concat([truth, decoys])
    with pyBigWig.open(str(folder / "ATAC.bw")) as track:
        values = np.array([track.stats(r.chrom, r.start, r.end, exact=True)[0] or 0 for r in everything.itertuples()])
    is_open = everything["is_open"].to_numpy() == 1
    assert np.median(values[is_open]) > 5 * np.median(values[~is_open])


def test_expression_follows_from_the_effects(folder: Path) -> None:
    genes, truth = table(folder, "genes.tsv"), table(folder, "truth.tsv")
    total = truth.groupby("gene_id")["effect"].sum().reindex(genes["gene_id"], fill_value=0.0)
    log2 = np.log2(genes["TPM"] + 1)
    assert (log2 >= 0).all()
    assert np.corrcoef(total, log2)[0, 1] > 0.8


def checksums(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix != ".fai"):  # pyfaidx builds it on reading
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found[path.name] = hashlib.sha256(content).hexdigest()
    return found


def test_seed_decides_everything(folder: Path, tmp_path: Path) -> None:
    again = simulate_genome(tmp_path / "again", CONFIG).parent
    assert checksums(again) == checksums(folder)
    other = make_genome(SimulationConfig(seed=4, num_genes=90, num_chromosomes=6, span_bp=12_000))
    same = make_genome(CONFIG)
    assert not np.array_equal(other.log2_expression, same.log2_expression)


def test_description_opens_and_splits_by_chromosome(folder: Path) -> None:
    spec = load_dataset(folder)
    assert list(spec.tracks) == ["ATAC", "H3K27ac"]
    assert (spec.folder / "truth.tsv").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("open_decoy_ratio", 0.9), ("motif_decoy_ratio", 0.5), ("missing_signal", 0.05), ("num_repressors", 0)],
)
def test_an_easier_genome_is_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=key):
        SimulationConfig(**{key: value})
