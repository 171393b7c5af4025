"""Motif files, the exact distribution of scores, and the scan, each against plain enumeration."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.reference import Reference
from seqexp.dna.motifs import sites as module
from seqexp.dna.motifs.meme import PositionMatrix, read_meme
from seqexp.dna.motifs.sites import (
    base_composition,
    motif_sites,
    score_matrix,
    score_tail,
    score_threshold,
)

BACKGROUND = np.array([0.31, 0.19, 0.19, 0.31])
MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies (from somewhere):
A 0.3 C 0.2 G 0.2 T 0.3

MOTIF ONE first

log-odds matrix: alength= 4 w= 2 E= 0
  -40 -57 -72 77
  116 -353 59 -493

letter-probability matrix: alength= 4 w= 2 nsites= 58 E= 0
  0.7\t0.1\t0.1\t0.1
 0.000000  1.000000  0.000000  0.000000

URL http://example.org/ONE

MOTIF TWO

letter-probability matrix: alength= 4 w= 1 nsites= 0
 0.25 0.25 0.25 0.25
"""


def random_matrix(width: int, seed: int) -> PositionMatrix:
    return PositionMatrix(f"m{seed}", np.random.default_rng(seed).dirichlet(np.full(4, 0.3), width))


def write_fasta(path: Path, sequences: dict[str, str]) -> Reference:
    path.write_text("".join(f">{name}\n{text}\n" for name, text in sequences.items()))
    return Reference(path)


def random_genome(tmp_path: Path, seed: int = 0) -> tuple[Reference, dict[str, str]]:
    rng = np.random.default_rng(seed)
    sequences = {
        name: "".join(rng.choice(list("ACGT"), size, p=BACKGROUND)) for name, size in (("c1", 400), ("c2", 90))
    }
    sequences["c1"] = sequences["c1"][:200] + "N" + sequences["c1"][201:]
    return write_fasta(tmp_path / "genome.fa", sequences), sequences


def brute_force(sequences: dict[str, str], scores: np.ndarray, lowest: int) -> list[tuple[str, int, str, int]]:
    """Every place and strand, base by base."""
    partner, found = dict(zip("ACGTN", "TGCAN")), []
    for chrom, text in sequences.items():
        for start in range(len(text) - len(scores) + 1):
            site = text[start : start + len(scores)]
            if "N" in site:
                continue
            back = "".join(partner[base] for base in reversed(site))
            plus, minus = (sum(scores[n]["ACGT".index(b)] for n, b in enumerate(s)) for s in (site, back))
            if max(plus, minus) >= lowest:
                found.append((chrom, start, "-" if minus > plus else "+", int(max(plus, minus))))
    return found


def rows_of(sites: pd.DataFrame) -> list[tuple[str, int, str, int]]:
    score = np.rint(sites["score"] * module.PER_NAT).astype(int)
    return list(zip(sites["chrom"], sites["start"], sites["strand"], score))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_meme_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"motifs.meme{suffix}"
    path.write_bytes(gzip.compress(MEME.encode()) if suffix else MEME.encode())
    motifs = read_meme(path)
    assert list(motifs) == ["ONE", "TWO"]
    np.testing.assert_allclose(motifs["ONE"].probabilities, [[0.7, 0.1, 0.1, 0.1], [0, 1, 0, 0]])
    assert (motifs["ONE"].num_sites, motifs["TWO"].num_sites, motifs["ONE"].width) == (58, 20, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("MEME version 4", "something", "no line 'MEME version'"),
        ("ACGT\n", "ACDEFGHIKLMNPQRSTVWY\n", "ALPHABET"),
        ("MOTIF TWO", "MOTIF ONE", "'ONE' comes twice"),
        ("MOTIF ONE first", "", "without a name"),
        (" 0.000000  1.000000  0.000000  0.000000\n", "", "a matrix of 1 rows"),
        ("0.25 0.25 0.25 0.25", "0.25 0.25 0.25", "a matrix of 1 rows"),
        ("0.25 0.25 0.25 0.25", "0.9 0.9 0.25 0.25", "no probabilities"),
        ("letter-probability", "other", "no letter-probability matrix"),
    ],
)
def test_damaged_meme_files(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "motifs.meme"
    path.write_text(MEME.replace(old, new))
    with pytest.raises(DataError, match=message):
        read_meme(path)


def test_unreadable_meme_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_meme(tmp_path / "absent.meme")
    (tmp_path / "cut.meme.gz").write_bytes(gzip.compress(MEME.encode())[:40])
    with pytest.raises(DataError, match="cannot be read"):
        read_meme(tmp_path / "cut.meme.gz")


@pytest.mark.parametrize("seed", range(4))
def test_tail_is_that_of_all_sequences(seed: int) -> None:
    scores = score_matrix(random_matrix(5, seed), BACKGROUND)
    lowest, tail = score_tail(scores, BACKGROUND)
    every = np.array(list(itertools.product(range(4), repeat=5)))
    totals = scores[np.arange(5), every].sum(axis=1)
    chances = BACKGROUND[every].prod(axis=1)
    assert (lowest, lowest + len(tail) - 1) == (totals.min(), totals.max())
    for score in np.unique(totals)[::37]:
        np.testing.assert_allclose(tail[score - lowest], chances[totals >= score].sum(), rtol=1e-9)
    for max_p in (0.3, 0.01, 0.002):
        threshold = score_threshold(scores, BACKGROUND, max_p)
        assert chances[totals >= threshold].sum() <= max_p * (1 + 1e-6)
        assert chances[totals >= threshold - 1].sum() > max_p


def test_a_p_value_met_exactly_counts_and_an_unreachable_one_has_no_sites() -> None:
    scores = score_matrix(PositionMatrix("m", np.eye(4)), np.full(4, 0.25))
    best = int(scores.max(axis=1).sum())
    second = best - int(scores.max() - scores.min())
    assert second < score_threshold(scores, np.full(4, 0.25), 0.25**4) <= best
    assert score_threshold(scores, np.full(4, 0.25), 0.25**4 / 2) == best + 1


def test_pseudocount_is_that_of_fimo() -> None:
    scores = score_matrix(PositionMatrix("m", np.array([[1.0, 0, 0, 0]]), 20), BACKGROUND)
    wanted = 1000 * np.log([(20 + 0.031) / 20.1 / 0.31, 0.1 / 20.1, 0.1 / 20.1, 0.1 / 20.1])
    np.testing.assert_allclose(scores[0], wanted, atol=0.5)


@pytest.mark.parametrize("width", [4, 6, 7, 13])
def test_scan_finds_what_plain_python_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    reference, sequences = random_genome(tmp_path)
    motifs = {f"m{seed}": random_matrix(width, seed) for seed in range(3)}
    motifs["other"] = random_matrix(9, 9)
    found = motif_sites(reference, motifs, max_p=0.01, background=BACKGROUND)
    for name, motif in motifs.items():
        scores = score_matrix(motif, BACKGROUND)
        lowest = score_threshold(scores, BACKGROUND, 0.01)
        assert rows_of(found[name]) == brute_force(sequences, scores, lowest)
        assert (found[name]["end"] - found[name]["start"] == motif.width).all()
        assert (found[name]["p_value"] <= 0.01 * (1 + 1e-6)).all()
    monkeypatch.setattr(module, "_BATCH_BP", 50)  # long chromosomes are read in pieces
    pieces = motif_sites(reference, motifs, max_p=0.01, background=BACKGROUND)
    for name in motifs:
        pd.testing.assert_frame_equal(pieces[name], found[name])


def test_within_is_the_whole_scan_cut_to_the_intervals(tmp_path: Path) -> None:
    reference, _ = random_genome(tmp_path, seed=3)
    motifs = {"m": random_matrix(7, 1)}
    within = pd.DataFrame({"chrom": ["c1", "c1", "chrc2"], "start": [-30, 100, 60], "end": [20, 260, 500]})
    whole = motif_sites(reference, motifs, max_p=0.02)["m"]
    touches = [
        any(w.chrom.endswith(s.chrom) and s.start < w.end and s.end > w.start for w in within.itertuples())
        for s in whole.itertuples()
    ]
    found = motif_sites(reference, motifs, max_p=0.02, within=within)["m"]
    pd.testing.assert_frame_equal(found, whole[touches].reset_index(drop=True))
    assert 0 < len(found) < len(whole)


def test_planted_sites_on_both_strands(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    text = rng.choice(list("AT"), 300)
    text[50:58], text[200:208] = list("GCCGTCGC"), list("GCGACGGC")
    reference = write_fasta(tmp_path / "genome.fa", {"c": "".join(text)})
    motif = PositionMatrix("m", np.eye(4)[["ACGT".index(base) for base in "GCCGTCGC"]])
    sites = motif_sites(reference, {"m": motif}, background=np.full(4, 0.25))["m"]
    assert sites[["start", "end", "strand"]].to_numpy().tolist() == [[50, 58, "+"], [200, 208, "-"]]
    assert sites["p_value"].tolist() == pytest.approx([0.25**8] * 2)


def test_share_of_sites_is_the_p_value(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    reference = write_fasta(tmp_path / "genome.fa", {"c": "".join(rng.choice(list("ACGT"), 200_000, p=BACKGROUND))})
    np.testing.assert_allclose(base_composition(reference), BACKGROUND, atol=0.003)
    sites = motif_sites(reference, {"m": random_matrix(10, 5)}, max_p=1e-3)["m"]
    assert len(sites) == pytest.approx(2 * 200_000 * 1e-3, rel=0.2)  # two strands


def test_nothing_to_find_and_errors(tmp_path: Path) -> None:
    reference, _ = random_genome(tmp_path)
    short = {"m": random_matrix(4, 0)}
    assert motif_sites(reference, {}) == {}
    empty = motif_sites(reference, short, max_p=1e-9)["m"]
    assert list(empty.columns) == ["chrom", "start", "end", "strand", "score", "p_value"]
    assert empty.empty
    nowhere = pd.DataFrame({"chrom": ["c1"], "start": [5_000], "end": [6_000]})
    assert motif_sites(reference, short, max_p=0.1, within=nowhere)["m"].empty
    for max_p in (0.0, 1.0):
        with pytest.raises(ConfigError, match="p-value"):
            motif_sites(reference, short, max_p=max_p)
    with pytest.raises(DataError, match="no chromosome 'chrX'"):
        motif_sites(reference, short, within=nowhere.assign(chrom="chrX"))
