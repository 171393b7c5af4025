"""Intervals of the comparison; its figures are held against plain sets of positions in the oracle tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.places import tiles
from seqexp.dna.evaluation.compare import compare, overlap_bounds, trim_to_budget
from seqexp.dna.evaluation.matched import compare_files
from seqexp.dna.genome.interval import Interval


def table(rows: list[tuple[str, int, int, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["chrom", "start", "end", "gene_id"])
    return frame.assign(score=1.0, summit_bp=0)


def test_bounds_hold_the_pooled_figures() -> None:
    rng = np.random.default_rng(0)
    counts = {"elements_bp": rng.integers(50, 200, 40), "peaks_bp": rng.integers(50, 200, 40)}
    shared = (np.minimum(*counts.values()) * rng.random(40)).astype(int)
    per_gene = pd.DataFrame({**counts, "shared_bp": shared})
    bounds = overlap_bounds(per_gene)
    own, peaks, both = (int(per_gene[name].sum()) for name in ("elements_bp", "peaks_bp", "shared_bp"))
    expected = {"precision": both / own, "recall": both / peaks, "jaccard": both / (own + peaks - both)}
    for name, value in expected.items():
        assert bounds[name].value == pytest.approx(value)
        assert bounds[name].low < value < bounds[name].high
        assert bounds[name].high - bounds[name].low < 0.5
    assert overlap_bounds(per_gene) == bounds  # seeded


def test_equal_genes_leave_nothing_uncertain() -> None:
    per_gene = pd.DataFrame({"elements_bp": [100] * 5, "peaks_bp": [50] * 5, "shared_bp": [25] * 5})
    assert overlap_bounds(per_gene)["jaccard"][:3] == pytest.approx((0.2, 0.2, 0.2))


def test_windows_without_elements_or_peaks() -> None:
    windows = [Interval("chr1", 0, 100), Interval("chr1", 200, 300)]
    found, per_gene = compare(table([("chr1", 10, 20, "a")]), table([("chr1", 210, 220, "b")]), windows, ["a", "b"])
    assert (found.elements_bp, found.peaks_bp, found.shared_bp, found.jaccard) == (10, 10, 0, 0.0)
    assert np.isnan(found.median_distance_bp)
    assert np.isnan(found.enrichment)
    assert found.enrichment_p == 1.0
    assert np.isnan(per_gene["recall"][0])
    assert np.isnan(per_gene["precision"][1])


def test_what_cannot_be_compared_is_refused() -> None:
    none, window = table([]), Interval("chr1", 0, 100)
    with pytest.raises(DataError, match="0 windows"):
        compare(none, none, [], [])
    with pytest.raises(DataError, match="each with one window"):
        compare(none, none, [window, window], ["a", "a"])
    with pytest.raises(ConfigError, match="0 permutations"):
        compare(none, none, [window], ["a"], num_permutations=0)
    with pytest.raises(ConfigError, match="budget of -1 bp"):
        trim_to_budget(none, -1)


def test_tiles_cover_the_chromosomes_of_both_sides() -> None:
    elements, peaks = table([("chr1", 10, 20, "."), ("chr3", 0, 5, ".")]), table([("1", 2_000_000, 2_000_100, ".")])
    places = tiles(elements, peaks)
    assert [(w.chrom, w.start, w.end) for w in places.windows] == [
        ("chr1", 0, 1_000_000),
        ("chr1", 1_000_000, 2_000_000),
        ("chr1", 2_000_000, 2_000_100),
    ]
    assert places.gene_ids[0] == "chr1:0-1000000"


def test_files_without_intervals_or_common_names_are_told_apart(tmp_path: Path) -> None:
    for name, text in (("a.bed", "chr1\t0\t10\n"), ("z.bed", "chrZ\t0\t10\n"), ("none.bed", "")):
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"no intervals(.|\n)*none.bed"):
        compare_files(tmp_path / "a.bed", tmp_path / "none.bed")
    with pytest.raises(DataError, match=r"no chromosome name of a.bed occurs in z.bed"):
        compare_files(tmp_path / "a.bed", tmp_path / "z.bed")
    found = compare_files(tmp_path / "a.bed", tmp_path / "a.bed", num_permutations=9)
    assert (found.budget_bp, found.pooled.jaccard, found.bounds["jaccard"].value) == (10, 1.0, 1.0)


GENES = [f"g{n}" for n in range(8)]  # g0 to g5 train on chr1, g6 and g7 test on chr2
PLACES = {gene: ("chr2" if n > 5 else "chr1", 1000 + 3000 * (n % 6)) for n, gene in enumerate(GENES)}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A run whose masks lie half on the peak of each gene; peaks of the training genes are higher."""
    rng = np.random.default_rng(0)
    windows = tuple(
        Interval(chrom, start, start + 2000, "+-"[n % 2]) for n, (chrom, start) in enumerate(PLACES.values())
    )
    values = rng.uniform(0, 0.3, (8, 100)).astype(np.float32)
    masks = BinScores(
        tuple(GENES), windows, values, 20, {"chr1": 30_000, "chr2": 30_000}, ("train",) * 6 + ("test",) * 2, 1000
    )
    forward = masks.turned(masks.values)
    forward[:, 45:55] = rng.uniform(0.5, 1, (8, 10))
    masks.with_values(masks.turned(forward), "mask").save(tmp_path / "run" / "masks.npz")
    lines = [f"{c}\t{s + 1000}\t{s + 1250}\tp{n}\t{900 - 100 * n}\t.\n" for n, (c, s) in enumerate(PLACES.values())]
    (tmp_path / "peaks.bed").write_text("".join(lines))
    return tmp_path


def expected_jaccard(world: Path, genes: Sequence[str], budget_bp: int) -> float:
    """By sets of positions: the best of either side in the windows of some genes, up to one budget."""
    per_gene = pd.read_csv(world / "out" / "elements_per_gene.narrowPeak", sep="\t", comment="#", header=None)
    own = {
        (gene, base)
        for _, start, end, gene in per_gene[[0, 1, 2, 3]].itertuples(index=False)
        for base in range(start, end)
    }
    peaks = {(gene, base) for gene in genes for base in range(PLACES[gene][1] + 1000, PLACES[gene][1] + 1250)}
    assert len(own) == budget_bp
    assert len(peaks) >= budget_bp
    if len(peaks) > budget_bp:  # the best peaks first, the last one cut round its middle
        kept, rest = divmod(budget_bp, 250)
        best = sorted(genes)[: kept + 1]
        middle = PLACES[best[-1]][1] + 1125
        peaks = {(gene, base) for gene, base in peaks if gene in best[:-1]}
        peaks |= {(best[-1], base) for base in range(middle - rest // 2, middle - rest // 2 + rest)}
    return len(own & peaks) / len(own | peaks)


@pytest.mark.parametrize("file", ["elements_per_gene.bed", "elements_per_gene.narrowPeak", "elements.bed"])
@pytest.mark.parametrize(
    "where", [[], ["--masks", "run"], ["--masks", "run", "--split", "test"], ["--windows", "all.bed"]]
)
def test_elements_of_one_split_meet_the_peaks_of_its_windows_alone(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str, where: list[str]
) -> None:
    """Peaks of other windows once took the whole budget, because they are higher."""
    monkeypatch.chdir(world)
    (world / "all.bed").write_text("".join(f"{c}\t{s}\t{s + 2000}\t{g}\n" for g, (c, s) in PLACES.items()))
    assert main(["elements", "run", "--split", "test", "--out", "out"]) == 0
    assert main(["compare", "--elements", f"out/{file}", "--peaks", "peaks.bed", *where, "--out", "c.tsv"]) == 0
    pooled = pd.read_csv(world / "c_pooled.tsv", sep="\t").iloc[0]
    assert pooled["jaccard"] == pytest.approx(expected_jaccard(world, ["g6", "g7"], 400), abs=1e-6)
    assert pooled["jaccard"] > 0.2
    assert pd.read_csv(world / "c.tsv", sep="\t")["gene_id"].tolist() == ["g6", "g7"]
    assert "windows                                   2 (" in capsys.readouterr().out


def test_elements_that_do_not_say_where_are_placed_by_the_genes_they_name(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    assert main(["elements", "run", "--split", "test", "--out", "out"]) == 0
    lines = (world / "out" / "elements_per_gene.narrowPeak").read_text().splitlines(keepends=True)
    (world / "foreign.narrowPeak").write_text("".join(lines[1:]))
    arguments = ["compare", "--elements", "foreign.narrowPeak", "--peaks", "peaks.bed", "--out", "c.tsv"]
    assert main([*arguments, "--masks", "run"]) == 0
    assert "split test: no other gene has an element" in capsys.readouterr().out
    found = pd.read_csv(world / "c_pooled.tsv", sep="\t")["jaccard"][0]
    assert found == pytest.approx(expected_jaccard(world, ["g6", "g7"], 400), abs=1e-6)


def test_windows_that_nobody_looked_at_and_lost_files_are_told(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    assert main(["elements", "run", "--split", "test", "--out", "out"]) == 0
    arguments = ["compare", "--elements", "out/elements.bed", "--peaks", "peaks.bed", "--out", "c.tsv"]
    cases = {
        "no window of windows of the train genes of run was looked at in": ["--masks", "run", "--split", "train"],
        "--split without --masks": ["--split", "test"],
    }
    for words, flags in cases.items():
        assert main([*arguments, *flags]) == 2
        assert words in capsys.readouterr().err
    (world / "out" / "windows.bed").write_text("chr1\t0\t10\n")
    assert main(arguments) == 2
    assert "expected: 2, as elements.bed says" in capsys.readouterr().err
    (world / "out" / "windows.bed").unlink()
    assert main(arguments) == 2
    assert "the windows of the elements are missing" in capsys.readouterr().err


@pytest.mark.parametrize("chroms", [("1", "2"), ("CHR1", "chr02")])
def test_peaks_under_other_names_compare_alike(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], chroms: tuple[str, str]
) -> None:
    monkeypatch.chdir(world)
    assert main(["elements", "run", "--out", "out"]) == 0
    other = (world / "peaks.bed").read_text().replace("chr1", chroms[0]).replace("chr2", chroms[1])
    (world / "other.bed").write_text(other + "HLA-A\t5\t90\tx\t999\t.\n")
    tables = []
    for peaks in ("peaks.bed", "other.bed"):
        for number, flags in enumerate((["--masks", "run"], [])):
            arguments = ["compare", "--elements", "out/elements_per_gene.bed", "--peaks", peaks, *flags]
            assert main([*arguments, "--out", f"{number}.tsv"]) == 0
            tables.append(pd.read_csv(world / f"{number}_pooled.tsv", sep="\t").drop(columns="windows"))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])
    assert "1 of 9 rows of other.bed are left out" in capsys.readouterr().out


def test_windows_on_chromosomes_without_peaks_are_counted(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    assert main(["elements", "run", "--out", "out"]) == 0
    (world / "some.bed").write_text("".join((world / "peaks.bed").read_text().splitlines(keepends=True)[:6]))
    assert main(["compare", "--elements", "out/elements.bed", "--peaks", "some.bed", "--out", "c.tsv"]) == 0
    assert "2 windows are on chromosomes without any peak (chr2)" in capsys.readouterr().out


@pytest.mark.parametrize("where", [[], ["--masks", "run"]])
def test_either_side_may_be_the_elements_of_a_run(
    world: Path, monkeypatch: pytest.MonkeyPatch, where: list[str]
) -> None:
    """With the sides exchanged, the windows were once forgotten, and tiles of chromosomes compared."""
    monkeypatch.chdir(world)
    assert main(["elements", "run", "--split", "test", "--out", "out"]) == 0
    for elements, peaks in (("out/elements_per_gene.bed", "peaks.bed"), ("peaks.bed", "out/elements_per_gene.bed")):
        assert main(["compare", "--elements", elements, "--peaks", peaks, *where, "--out", "c.tsv"]) == 0
        pooled = pd.read_csv(world / "c_pooled.tsv", sep="\t").iloc[0]
        assert pooled["num_windows"] == 2
        assert pooled["jaccard"] == pytest.approx(expected_jaccard(world, ["g6", "g7"], 400), abs=1e-6)


@pytest.mark.parametrize("splits", [("test", "all"), ("all", "test"), ("test", "test"), ("train", "test")])
def test_elements_of_two_runs_meet_where_both_looked(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], splits: tuple[str, str]
) -> None:
    monkeypatch.chdir(world)
    for name, split in zip("ab", splits):
        assert main(["elements", "run", "--split", split, "--out", name]) == 0
    files = [f"{name}/elements_per_gene.narrowPeak" for name in "ab"]
    status = main(["compare", "--elements", files[0], "--peaks", files[1], "--out", "c.tsv"])
    if splits == ("train", "test"):
        assert status == 2
        assert "error:" in capsys.readouterr().err
        return
    pooled = pd.read_csv(world / "c_pooled.tsv", sep="\t").iloc[0]
    assert (status, pooled["num_windows"]) == (0, 2)
    if splits == ("test", "test"):
        assert pooled["jaccard"] == 1
    assert pooled["elements_bp"] == pooled["peaks_bp"] > 0
