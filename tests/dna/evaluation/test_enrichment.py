"""Enrichment of features: against plain Python, with planted truth, at chance, and with a promoter effect."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.calling import call_elements, kept_bins
from seqexp.dna.elements.territories import nearest_bins
from seqexp.dna.evaluation.enrichment import bins_of_elements, dataset_features, feature_enrichment
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.regions import IntervalIndex

BIN, NUM_BINS = 10, 40
NULLS = ("rotated", "exchanged")


def separate_masks(num: int = 60) -> BinScores:
    """Windows side by side on alternating strands, all on the chromosome."""
    width = BIN * NUM_BINS
    windows = tuple(Interval("chr1", n * width, (n + 1) * width, "+-"[n % 2]) for n in range(num))
    names, sizes = tuple(f"g{n}" for n in range(num)), {"chr1": num * width, "chr2": 100}
    return BinScores(names, windows, np.zeros((num, NUM_BINS), np.float32), BIN, sizes, tss_offset_bp=200)


def overlapping_masks(num: int) -> BinScores:
    """Windows a third of their width apart."""
    width = BIN * NUM_BINS
    windows = tuple(Interval("chr1", n * width // 3, n * width // 3 + width, "+-"[n % 2]) for n in range(num))
    names, values = tuple(f"g{n}" for n in range(num)), np.zeros((num, NUM_BINS), np.float32)
    return BinScores(names, windows, values, BIN, {"chr1": windows[-1].end}, tss_offset_bp=200)


def elements(rng: np.random.Generator, num: int, length: int = 4) -> np.ndarray:
    """One element of some bins per gene, anywhere, in gene orientation."""
    kept = np.zeros((num, NUM_BINS), dtype=bool)
    first = rng.integers(0, NUM_BINS - length + 1, num)
    kept[np.arange(num)[:, None], first[:, None] + np.arange(length)] = True
    return kept


def sites_in(masks: BinScores, bins: np.ndarray, width: int = 7) -> pd.DataFrame:
    """One site of some bases inside each given bin (row, bin) of gene orientation."""
    row, at = np.nonzero(bins)
    start = masks.starts()[row, at] + 1
    return pd.DataFrame({"chrom": [masks.windows[r].chrom for r in row], "start": start, "end": start + width})


@pytest.mark.parametrize("seed", range(3))
def test_observed_overlap_by_base(seed: int) -> None:
    """Windows beyond both chromosome ends, both strands, overlapping features, a skipped promoter."""
    rng = np.random.default_rng(seed)
    sizes, windows = {"chr1": 1_005, "chr2": 350}, []
    for _ in range(15):
        chrom = str(rng.choice(list(sizes)))
        start = int(rng.integers(-150, sizes[chrom] - 150))
        windows.append(Interval(chrom, start, start + BIN * NUM_BINS, str(rng.choice(["+", "-"]))))
    values = np.zeros((15, NUM_BINS), np.float32)
    masks = BinScores(tuple(f"g{n}" for n in range(15)), tuple(windows), values, BIN, sizes)
    kept, skip = rng.random(values.shape) < 0.3, rng.random(NUM_BINS) < 0.2
    start = rng.integers(0, 990, 50)
    table = pd.DataFrame({"chrom": rng.choice(list(sizes), 50), "start": start, "end": start + rng.integers(1, 60, 50)})
    bases = {(r.chrom, b) for r in table.itertuples() for b in range(r.start, r.end) if b < sizes[r.chrom]}
    expected = 0
    for window, row in zip(windows, kept & ~skip):
        for number in np.flatnonzero(row):
            first = window.end - (number + 1) * BIN if window.strand == "-" else window.start + number * BIN
            expected += len({(window.chrom, b) for b in range(first, first + BIN)} & bases)
    touching = [
        any(w.chrom == r.chrom and w.start < r.end and r.start < w.end for w in windows) for r in table.itertuples()
    ]
    found = feature_enrichment(kept, masks, {"f": table}, num_permutations=5, skip=skip, shared="every").iloc[0]
    assert (found["observed_bp"], found["num_sites"]) == (expected, sum(touching))


@pytest.mark.parametrize("seed", range(3))
def test_every_bin_belongs_to_the_nearest_gene(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(-200, 1_500, 12).tolist()
    windows = tuple(Interval(f"chr{n % 2}", start, start + 400, "+-"[n % 3 % 2]) for n, start in enumerate(first))
    values = np.zeros((12, NUM_BINS), np.float32)
    masks = BinScores(
        tuple(map(str, range(12))), windows, values, BIN, {"chr0": 1_700, "chr1": 1_700}, tss_offset_bp=130
    )
    tss = [w.end - 131 if w.strand == "-" else w.start + 130 for w in windows]
    wanted = np.zeros((12, NUM_BINS), dtype=bool)
    for row, window in enumerate(windows):
        for number in range(NUM_BINS):
            middle = window.start + number * BIN + BIN // 2
            there = [n for n, w in enumerate(windows) if w.chrom == window.chrom and w.start <= middle < w.end]
            wanted[row, number] = min(there, key=lambda n: (abs(middle - tss[n]), n)) == row
    assert np.array_equal(nearest_bins(masks), masks.turned(wanted))
    # So a base counts once: everything kept, features in all bins of one window.
    whole = pd.DataFrame({"chrom": ["chr0", "chr1"], "start": 0, "end": 1_700})
    kept = np.ones_like(wanted)
    once = feature_enrichment(kept, masks, {"f": whole}, 2).iloc[0]["observed_bp"]
    union = {(w.chrom, base) for w in windows for base in range(max(w.start, 0), min(w.end, 1_700))}
    assert once == pytest.approx(len(union), abs=12 * BIN)


def test_expected_overlap_by_enumeration() -> None:
    """Both nulls have means that can be added up: all rotations, all partners, over the bins that count."""
    rng = np.random.default_rng(0)
    masks = separate_masks(12)
    kept, skip = rng.random((12, NUM_BINS)) < 0.2, np.arange(NUM_BINS) < 7
    bins = rng.random((12, NUM_BINS)) < 0.3
    covered = 7 * bins[:, ~skip]
    own = kept[:, ~skip]
    rotated = sum(np.roll(k, s) @ c / len(c) for k, c in zip(own, covered) for s in range(len(c)))
    exchanged = sum(k @ c for k in own for c in covered) / 12
    found = feature_enrichment(kept, masks, {"f": sites_in(masks, bins)}, 4_000, skip=skip).iloc[0]
    assert found["observed_bp"] == (own * covered).sum()
    assert found["expected_rotated"] == pytest.approx(rotated, rel=0.01)
    assert found["expected_exchanged"] == pytest.approx(exchanged, rel=0.01)
    assert found["enrichment_rotated"] == pytest.approx(found["observed_bp"] / rotated, rel=0.01)


def test_bins_of_many_windows_are_those_of_each() -> None:
    rng = np.random.default_rng(4)
    start = rng.integers(0, 2_000, 80)
    index = IntervalIndex(pd.DataFrame({"chrom": rng.choice(["1", "chr2"], 80), "start": start, "end": start + 30}))
    windows = [
        Interval(f"chr{rng.integers(1, 4)}", int(s), int(s) + 400, "+-"[s % 2]) for s in rng.integers(-300, 2_000, 30)
    ]
    assert np.array_equal(index.bins_of(windows, 20), np.stack([index.bins(window, 20) for window in windows]))
    assert index.bins_of([], 20).shape == (0, 0)


def test_planted_enrichment_is_found_on_both_strands() -> None:
    rng = np.random.default_rng(1)
    masks, kept = separate_masks(), elements(rng, 60)
    planted = kept & (rng.random(kept.shape) < 0.5)
    features = {"planted": sites_in(masks, planted)}
    features |= {f"other {n}": sites_in(masks, rng.random(kept.shape) < 0.05) for n in range(9)}
    table = feature_enrichment(kept, masks, features, 400).set_index("feature")
    assert list(table.index) == list(features)
    for null in NULLS:
        assert table.loc["planted", f"p_{null}"] == pytest.approx(1 / 401)
        assert table.loc["planted", f"q_{null}"] == pytest.approx(10 / 401)
        assert table.loc["planted", f"enrichment_{null}"] > 5
        assert table.loc["planted", f"z_{null}"] > 5
        assert (table.drop("planted")[f"q_{null}"] > 0.05).all()
    # A selector that forgets the strand finds nothing: features lie at one place of the gene, not of the genome.
    wrong = feature_enrichment(masks.turned(kept), masks, features, 400).set_index("feature")
    assert wrong.loc["planted", "observed_bp"] < 0.7 * table.loc["planted", "observed_bp"]


def test_chance_gives_uniform_p() -> None:
    masks, found = separate_masks(30), []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        kept = elements(rng, 30)
        features = {str(n): sites_in(masks, rng.random(kept.shape) < 0.1) for n in range(5)}
        found.append(feature_enrichment(kept, masks, features, 99, seed=seed))
    table = pd.concat(found)
    for null in NULLS:
        p = table[f"p_{null}"].to_numpy()
        assert p.mean() == pytest.approx(0.5, abs=0.08)
        assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.05)
        assert table[f"enrichment_{null}"].mean() == pytest.approx(1, abs=0.05)


def test_chance_gives_uniform_p_where_windows_share_a_selection() -> None:
    """One selection along the genome, seen by all windows over it: each site still counts as one choice."""
    masks, found = overlapping_masks(60), []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        tables = []
        for num, width in ((40, 60), *[(80, 7)] * 5):
            start = rng.integers(0, masks.chrom_sizes["chr1"] - width, num)
            tables.append(pd.DataFrame({"chrom": "chr1", "start": start, "end": start + width}))
        kept = IntervalIndex(tables[0]).bins_of(masks.windows, BIN) >= BIN // 2
        features = {str(n): table for n, table in enumerate(tables[1:])}
        found.append(feature_enrichment(kept, masks, features, 99, seed=seed))
    table = pd.concat(found)
    for null in NULLS:
        assert table[f"p_{null}"].mean() == pytest.approx(0.5, abs=0.08)
        assert (table[f"p_{null}"] < 0.05).mean() == pytest.approx(0.05, abs=0.05)
        assert table[f"z_{null}"].std() == pytest.approx(1, abs=0.2)


def test_a_promoter_effect_is_enriched_by_rotation_and_not_by_exchange() -> None:
    rng = np.random.default_rng(2)
    masks = separate_masks()
    near = np.arange(NUM_BINS)[None] - 18 + rng.integers(-2, 3, (60, 1))
    bins = (np.abs(near) < 3) & (rng.random(near.shape) < 0.4)  # features sit at promoters
    kept = np.abs(np.arange(NUM_BINS)[None] - 18 + rng.integers(-2, 3, (60, 1))) < 4  # and so does the selector
    found = feature_enrichment(kept, masks, {"f": sites_in(masks, bins)}, 400).iloc[0]
    assert found["p_rotated"] < 0.01
    assert found["enrichment_rotated"] > 2
    assert found["p_exchanged"] > 0.05
    assert found["enrichment_exchanged"] == pytest.approx(1, abs=0.1)
    # With one fixed mask for all genes exchange changes nothing at all.
    fixed = np.broadcast_to(np.abs(np.arange(NUM_BINS) - 18) < 4, kept.shape)
    found = feature_enrichment(fixed, masks, {"f": sites_in(masks, bins)}, 50).iloc[0]
    assert (found["p_exchanged"], found["enrichment_exchanged"]) == (1, 1)
    assert np.isnan(found["z_exchanged"])
    # A forced promoter can be left out of both sides.
    skip = np.abs(np.arange(NUM_BINS) - 18) < 10
    with pytest.raises(DataError, match="nothing is kept"):
        feature_enrichment(fixed, masks, {"f": sites_in(masks, bins)}, 50, skip=skip)


def test_bins_beyond_the_chromosome_do_not_dilute_the_null() -> None:
    """Half of each window lies outside: what is kept inside cannot be rotated out of the chromosome."""
    width = BIN * NUM_BINS
    names = tuple(f"c{n}" for n in range(30))
    windows = tuple(Interval(name, -width // 2, width // 2, "+-"[n % 2]) for n, name in enumerate(names))
    masks = BinScores(names, windows, np.zeros((30, NUM_BINS), np.float32), BIN, dict.fromkeys(names, 10_000))
    rng = np.random.default_rng(0)
    inside = masks.widths() > 0
    kept, bins = (inside & (rng.random(inside.shape) < share) for share in (0.3, 0.2))
    found = feature_enrichment(kept, masks, {"f": sites_in(masks, bins)}, 200).iloc[0]
    for null in NULLS:
        assert found[f"enrichment_{null}"] == pytest.approx(1, abs=0.2)
        assert found[f"p_{null}"] > 0.01


def test_features_without_a_base_are_not_tested() -> None:
    rng = np.random.default_rng(3)
    masks, kept = separate_masks(), elements(rng, 60)
    some = sites_in(masks, kept)
    elsewhere = pd.DataFrame({"chrom": ["chr2"], "start": [0], "end": [9]})
    table = feature_enrichment(kept, masks, {"none": some.iloc[:0], "some": some, "elsewhere": elsewhere}, 50)
    assert table["num_sites"].tolist() == [0, len(some), 0]
    assert table["observed_bp"].tolist() == [0, 7 * int(kept.sum()), 0]
    for null in NULLS:
        assert np.isnan(table[f"q_{null}"]).tolist() == np.isnan(table[f"p_{null}"]).tolist() == [True, False, True]
        assert table.loc[1, f"q_{null}"] == table.loc[1, f"p_{null}"]
    only = feature_enrichment(kept, masks, {"none": some.iloc[:0]}, 5)
    assert only["q_rotated"].isna().all()


def test_seeds_names_and_errors() -> None:
    rng = np.random.default_rng(5)
    masks, kept = separate_masks(), elements(rng, 60)
    features = {"f": sites_in(masks, kept)}
    same = [feature_enrichment(kept, masks, features, 20, seed=1) for _ in range(2)]
    pd.testing.assert_frame_equal(*same)
    alias = feature_enrichment(kept, masks, {"f": features["f"].assign(chrom="1")}, 20, seed=1)
    pd.testing.assert_frame_equal(alias, same[0])
    elsewhere = pd.DataFrame({"chrom": ["HLA-A", "chrUn"], "start": [0, 5], "end": [900, 90]})
    more = feature_enrichment(kept, masks, {"f": pd.concat([features["f"], elsewhere], ignore_index=True)}, 20, seed=1)
    assert more["num_lost"].tolist() == [2]  # counted, and nothing else changes
    pd.testing.assert_frame_equal(more.assign(num_lost=0), same[0])
    with pytest.raises(DataError, match="no chromosome name of feature f occurs in the genome of the masks"):
        feature_enrichment(kept, masks, {"f": elsewhere}, 20)
    with pytest.raises(DataError, match="feature f"):
        feature_enrichment(kept, masks, {"f": features["f"].assign(chrom="chrX")}, 20)
    with pytest.raises(DataError, match="no features"):
        feature_enrichment(kept, masks, {})
    with pytest.raises(DataError, match="nothing is kept"):
        feature_enrichment(np.zeros_like(kept), masks, features)
    with pytest.raises(DataError, match=r"kept bins of shape \(59, 40\)"):
        feature_enrichment(kept[1:], masks, features)
    with pytest.raises(DataError, match="float"):
        feature_enrichment(kept.astype(float), masks, features)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="bins to skip"):
        feature_enrichment(kept, masks, features, skip=np.zeros(3, dtype=bool))
    with pytest.raises(ConfigError, match="shared: 'all'"):
        feature_enrichment(kept, masks, features, shared="all")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="0 permutations"):
        feature_enrichment(kept, masks, features, 0)


def test_elements_become_the_bins_they_came_from() -> None:
    masks = separate_masks()
    masks = masks.with_values(elements(np.random.default_rng(6), 60), "mask")
    found = bins_of_elements(call_elements(masks, threshold=0.5), masks)
    assert np.array_equal(found, masks.values > 0)


def test_command(tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = load_dataset(tiny_dataset)
    genes, reference = spec.read_genes(), spec.open_reference()
    windows = [genes.window(row, 1_000, 1_000) for row in range(len(genes))]
    truth = spec.read_truth()
    assert truth is not None
    index = IntervalIndex(truth)
    values = index.bins_of(windows, 20).astype(np.float32) / 20
    masks = BinScores(
        tuple(genes.frame["gene_id"]), tuple(windows), values, 20, reference.chrom_sizes, tss_offset_bp=1_000
    )
    masks.save(tmp_path / "run" / "masks.npz")
    arguments = ["benchmark", "enrichment", "--masks", str(tmp_path / "run"), "--dataset", str(tiny_dataset)]
    arguments += ["--permutations", "100", "--out", str(tmp_path / "out.tsv")]
    assert main(arguments) == 2
    assert "no features and no motifs" in capsys.readouterr().err
    truth[["chrom", "start", "end"]].to_csv(tiny_dataset.parent / "planted.bed", sep="\t", header=False, index=False)
    rows = "\n".join(" ".join("1" if base == b else "0" for b in "ACGT") for base in "TGACTCAGCA")
    meme = f"MEME version 4\n\nMOTIF planted\nletter-probability matrix: alength= 4 w= 10\n{rows}\n"
    (tiny_dataset.parent / "known.meme").write_text(meme)
    old = tiny_dataset.read_text()
    tiny_dataset.write_text(old + "features: {planted: planted.bed}\nmotifs: known.meme\n")
    assert load_dataset(tiny_dataset).fingerprint() == spec.fingerprint()  # features do not change what is learned
    assert main(arguments) == 0
    table = pd.read_csv(tmp_path / "out.tsv", sep="\t").set_index("feature")
    assert list(table.index) == ["planted", "motif planted"]
    assert (table["p_rotated"] < 0.02).all()
    assert (table["p_exchanged"] < 0.02).all()
    assert table.loc["motif planted", "num_sites"] >= 50
    assert "2 features with q below 0.05, exchanged" in capsys.readouterr().out
    bed = tmp_path / "elements.bed"
    truth.assign(name=truth["gene_id"])[["chrom", "start", "end", "name"]].to_csv(
        bed, sep="\t", header=False, index=False
    )
    assert main([*arguments, "--elements", str(bed), "--skip-promoter-bp", "200"]) == 0
    assert (pd.read_csv(tmp_path / "out.tsv", sep="\t")["p_exchanged"] < 0.02).all()
    assert main([*arguments, "--budget-fraction", "2"]) == 2


@pytest.mark.realdata
def test_yeast(tmp_path: Path) -> None:
    """ATAC fragments and promoters lie in nucleosome-depleted regions; only what is specific survives exchange."""
    mirror = os.environ.get("SEQEXP_MIRROR")
    if not mirror:
        pytest.skip("SEQEXP_MIRROR is unset: enrichment is NOT tested on yeast")
    assert main(["data", "prepare", "yeast", "--out", str(tmp_path), "--mirror", mirror]) == 0
    spec = load_dataset(tmp_path)
    genes, reference, tracks = spec.read_genes(), spec.open_reference(), spec.open_tracks(["ATAC_cuts"])
    rows = np.flatnonzero(genes.frame["chrom"].isin(spec.splits.test).to_numpy())
    windows = [genes.window(int(row), 700, 1_348) for row in rows]
    values = np.stack([tracks.values(window, 16)[:, 0] for window in windows])
    names = tuple(genes.frame["gene_id"].iloc[rows])
    masks = BinScores(
        names, tuple(windows), np.nan_to_num(values), 16, reference.chrom_sizes, tss_offset_bp=700, what="ATAC"
    )
    features = dataset_features(spec, masks, reference)
    assert len(features) == 2 + 124
    assert len(features["TATA"]) == 572
    atac = feature_enrichment(kept_bins(masks, values.size * 16 // 10), masks, features).set_index("feature")
    assert (atac.loc["NDR", ["p_rotated", "p_exchanged"]] < 0.01).all()
    assert atac.loc["NDR", "enrichment_rotated"] > 1.3
    promoter = np.broadcast_to(masks.promoter(400), values.shape)
    fixed = feature_enrichment(promoter, masks, features).set_index("feature")
    assert (fixed.loc[["NDR", "TATA"], "p_rotated"] < 0.01).all()
    assert (fixed["p_exchanged"].dropna() > 0.01).all()
