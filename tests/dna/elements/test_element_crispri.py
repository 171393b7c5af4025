"""Scores against CRISPRi pairs: matching, coverage, ties, and the baselines of the published file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from seqexp.cli.benchmark import main
from seqexp.cli.main import main as seqexp
from seqexp.core.errors import DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.evaluation.crispri import (
    baseline_scores,
    element_scores,
    mask_scores,
    read_elements,
    score_table,
    track_scores,
)
from seqexp.dna.evaluation.crispri_pairs import read_pairs
from seqexp.dna.genome.interval import Interval

HEADER = ["chrom", "chromStart", "chromEnd", "measuredGeneSymbol", "measuredGeneEnsemblId"]
HEADER += ["startTSS", "endTSS", "Regulated"]
ROWS = [
    ("chr1", 1000, 1500, "ABC1", "ENSG01", 21_000, 21_001, "TRUE"),
    ("chr1", 1400, 1600, "ABC1", "ENSG01", 21_000, 21_001, "FALSE"),
    ("chr1", 1000, 1500, "XYZ2", "ENSG02", 301_000, 301_001, "FALSE"),
    ("chr2", 1000, 1500, "RP11-3.4", "ENSG03", 2000, 2001, "TRUE"),
    ("chr2", 5000, 5500, "RP11-3.4", "ENSG03", "", "", "FALSE"),
]


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    pd.DataFrame(ROWS, columns=HEADER).to_csv(path, sep="\t", index=False)
    return path


def test_pairs_are_read_and_what_is_dropped_is_counted(pairs_file: Path) -> None:
    pairs = read_pairs(pairs_file)
    assert pairs["is_positive"].tolist() == [True, False, False, True]
    assert pairs["distance_bp"].tolist() == [19_750.5, 19_500.5, 299_750.5, 750.5]
    assert pairs.attrs["num_dropped"] == 1
    without = pd.read_csv(pairs_file, sep="\t").drop(columns="measuredGeneEnsemblId")
    without.to_csv(pairs_file, sep="\t", index=False)
    assert read_pairs(pairs_file)["ensembl"].tolist() == [""] * 4


def test_an_element_scores_the_pairs_it_overlaps_and_the_best_one_counts(pairs_file: Path) -> None:
    pairs = read_pairs(pairs_file)
    rows = [("chr1", 900, 1001, 2.0), ("chr1", 1499, 1550, 5.0), ("chr1", 1600, 9000, 9.0), ("chr2", 0, 1000, 9.0)]
    elements = pd.DataFrame(rows, columns=["chrom", "start", "end", "score"])
    scores, is_covered = element_scores(pairs, elements)
    assert scores.tolist() == [5.0, 5.0, 5.0, 0.0]  # ends are not part of an element
    assert is_covered.all()


def test_elements_of_a_gene_count_for_that_gene_by_symbol_or_id(pairs_file: Path, tmp_path: Path) -> None:
    pairs = read_pairs(pairs_file)
    bed = tmp_path / "elements.bed"
    bed.write_text("chr1\t1000\t1100\tENSG01.7\t3\t.\nchr2\t1200\t1300\tRP11-3.4\t4\t.\n")
    scores, is_covered = element_scores(pairs, read_elements(bed, pairs))
    assert scores.tolist() == [3.0, 0.0, 0.0, 4.0]
    assert is_covered.tolist() == [True, True, False, True]
    bed.write_text("chr1\t1000\t1100\tpeak_1\t3\t.\n")
    scores, is_covered = element_scores(pairs, read_elements(bed, pairs))
    assert scores.tolist() == [3.0, 0.0, 3.0, 0.0]
    assert is_covered.tolist() == [True, True, True, False]  # nothing is known of chr2


def test_overlapping_elements_are_all_found() -> None:
    """Against the slow rule, on random elements some of which contain others."""
    rng = np.random.default_rng(0)
    start, length = rng.integers(0, 100_000, 800), rng.integers(1, 9000, 800)
    elements = pd.DataFrame({"chrom": "chr1", "start": start, "end": start + length, "score": rng.random(800)})
    first = rng.integers(0, 110_000, 300)
    pairs = pd.DataFrame({"chrom": "chr1", "start": first, "end": first + 300, "symbol": "G", "ensembl": ""})
    hits = (elements["start"].to_numpy() < pairs[["end"]].to_numpy()) & (
        elements["end"].to_numpy() > pairs[["start"]].to_numpy()
    )
    expected = np.where(hits, elements["score"].to_numpy(), 0).max(1)
    assert np.array_equal(element_scores(pairs, elements)[0], expected)


def test_masks_score_inside_the_window_of_the_gene_on_either_strand(pairs_file: Path) -> None:
    pairs = read_pairs(pairs_file)
    values = np.linspace(0, 1, 8, dtype=np.float32)[None]
    for strand, expected in (("+", values[0, 2]), ("-", values[0, 6])):  # 1000-1500 reaches bins 0 to 2 of 800-2400
        masks = BinScores(
            ("ENSG01.2",), (Interval("chr1", 800, 2400, strand),), values, 200, {"chr1": 10**6}, ("test",), 0
        )
        scores, is_covered = mask_scores(pairs, masks)
        assert is_covered.tolist() == [True, True, False, False]
        shown = values[0] if strand == "+" else values[0, ::-1]
        assert scores[0] == shown[1:4].max()
        assert scores[1] == shown[3]
        assert scores[0] == pytest.approx(expected, abs=0.2)


def test_ties_are_taken_together_and_strata_are_named(pairs_file: Path) -> None:
    pairs = read_pairs(pairs_file)
    table = score_table(pairs, {"flat": (np.ones(4), np.array([True, True, False, True]))}, num_resamples=5)
    assert table["pairs"].tolist() == ["all", "covered", "0-10 kb", "10-100 kb", "over 100 kb"]
    assert table["num_pairs"].tolist() == [4, 3, 1, 2, 1]
    assert table["auprc"].to_list()[:4] == [0.5, pytest.approx(2 / 3), 1.0, 0.5]  # any order gives the prevalence
    assert np.isnan(table["auprc"].iloc[4])
    assert table["coverage"].iloc[0] == 0.75


def test_what_is_no_benchmark_is_refused(pairs_file: Path, tmp_path: Path) -> None:
    table = pd.read_csv(pairs_file, sep="\t")
    table.drop(columns="Regulated").to_csv(pairs_file, sep="\t", index=False)
    with pytest.raises(DataError, match="no column 'Regulated'"):
        read_pairs(pairs_file)
    table.assign(Regulated="FALSE").to_csv(pairs_file, sep="\t", index=False)
    with pytest.raises(DataError, match="0 of them regulated"):
        read_pairs(pairs_file)


@pytest.mark.parametrize("words", [("TRUE", "FALSE"), ("true", "False"), ("T", "f"), ("1", "0"), (" TRUE", "FALSE ")])
def test_a_verdict_is_yes_or_no_and_na_is_none(pairs_file: Path, words: tuple[str, str]) -> None:
    table = pd.read_csv(pairs_file, sep="\t", dtype=str)
    spelt = [words[0], words[1], "NA", words[0], words[1]]
    table.assign(Regulated=spelt).to_csv(pairs_file, sep="\t", index=False)
    pairs = read_pairs(pairs_file)
    assert pairs["is_positive"].tolist() == [True, False, True]
    assert pairs.attrs["num_dropped"] == 2


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("Regulated", "yes", "'yes' in column 'Regulated' is no verdict"),
        ("Regulated", "TRUE;FALSE", "is no verdict"),
        ("Regulated", "-1", "is no verdict"),
        ("Regulated", "0.3", "is no verdict"),
        ("startTSS", "x", "'x' is not a number in column 'startTSS'"),
        ("startTSS", "inf", "infinite values in column 'startTSS'"),
        ("chromStart", "1400.5", "'1400.5' in column 'chromStart' is not a position"),
        ("chromStart", "", "is not a position"),
        ("chromStart", "1600", "empty, negative or turned round"),
        ("chromEnd", "4611686018427387904", "is not a position"),
        ("chrom", "", "no name in column 'chrom'"),
    ],
)
def test_a_cell_that_says_nothing_is_told_with_its_row(pairs_file: Path, column: str, cell: str, words: str) -> None:
    table = pd.read_csv(pairs_file, sep="\t", dtype=str, keep_default_na=False)
    table.loc[1, column] = cell
    table.to_csv(pairs_file, sep="\t", index=False)
    with pytest.raises(DataError, match=words) as caught:
        read_pairs(pairs_file)
    assert "data row 2" in str(caught.value)


def bed(path: Path, chroms: tuple[str, str], columns: int = 5) -> Path:
    """Elements over the first and the fourth pair, named by no gene."""
    rows = [(chroms[0], 900, 1300, "e1", "700"), (chroms[1], 1100, 1200, "e2", "600")]
    rows += [(chroms[0], 1500, 1700, "e3", "5")]
    path.write_text("".join("\t".join(map(str, row[:columns])) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("chroms", [("1", "2"), ("CHR1", "Chr2"), ("chr01", "02"), ("chromosome1", "chr_2")])
def test_other_names_of_the_chromosomes_change_no_score(
    pairs_file: Path, tmp_path: Path, chroms: tuple[str, str]
) -> None:
    pairs = read_pairs(pairs_file)
    expected = element_scores(pairs, read_elements(bed(tmp_path / "same.bed", ("chr1", "chr2")), pairs))
    found = element_scores(pairs, read_elements(bed(tmp_path / "other.bed", chroms), pairs))
    for values, same in zip(found, expected):
        assert values.tolist() == same.tolist()
    windows = tuple(Interval(chrom, 0, 4000, "+") for chrom in chroms)
    values = np.linspace(0, 1, 40, dtype=np.float32).reshape(2, 20)
    masks = BinScores(("ENSG01", "ENSG03"), windows, values, 200, dict.fromkeys(chroms, 10**6))
    scores, is_covered = mask_scores(pairs, masks)
    assert is_covered.tolist() == [True, True, False, True]
    assert scores.tolist() == [values[0, 7], values[0, 7], 0, values[1, 7]]


def test_elements_of_three_columns_score_alike_and_order_pairs_by_overlap(pairs_file: Path, tmp_path: Path) -> None:
    pairs = read_pairs(pairs_file)
    three = bed(tmp_path / "three.bed", ("1", "2"), columns=3)
    with pytest.raises(DataError, match=r"three.bed do not order the 4 pairs: every pair scores 1"):
        element_scores(pairs, read_elements(three, pairs), "three.bed")
    three.write_text("".join(three.read_text().splitlines(keepends=True)[:2]))
    scores = element_scores(pairs, read_elements(three, pairs))[0]
    assert scores.tolist() == [1, 0, 1, 1]
    out = tmp_path / "table.tsv"
    arguments = ["crispri", "--pairs", str(pairs_file), "--resamples", "5", "--out", str(out)]
    assert main([*arguments, "--elements", f"x={three}"]) == 0
    table = pd.read_csv(out, sep="\t").set_index(["score", "pairs"])
    assert table.loc[("x", "all"), "auprc"] == pytest.approx(2 / 3 * 1.0)  # both positives among the three that tie
    assert table.loc[("x", "all"), "coverage"] == 1.0


def test_files_of_seqexp_elements_belong_to_genes_whatever_their_names_carry(pairs_file: Path, tmp_path: Path) -> None:
    """United elements name several genes; a narrowPeak numbers the elements of a gene."""
    pairs, path = read_pairs(pairs_file), tmp_path / "elements.bed"
    path.write_text("chr1\t1000\t1100\tENSG01.7,ENSG02\t3\t.\nchr2\t1200\t1300\tENSG09\t4\t.\n")
    scores, is_covered = element_scores(pairs, read_elements(path, pairs))
    assert scores.tolist() == [3, 0, 3, 0]
    assert is_covered.tolist() == [True, True, True, False]
    path.write_text("chr1\t1000\t1100\tENSG01.7_1\t3\t.\nchr2\t1200\t1300\tRP11-3.4_12\t4\t.\n")
    scores, is_covered = element_scores(pairs, read_elements(path, pairs))
    assert scores.tolist() == [3, 0, 0, 4]
    assert is_covered.tolist() == [True, True, False, True]


def test_any_element_ranks_above_none(pairs_file: Path) -> None:
    pairs = read_pairs(pairs_file)
    rows = [("chr1", 900, 1300, -3.0), ("chr2", 1000, 1100, 0.0)]
    elements = pd.DataFrame(rows, columns=["chrom", "start", "end", "score"])
    assert element_scores(pairs, elements)[0].tolist() == [1.0, 0.0, 1.0, 4.0]


def test_what_touches_no_pair_is_an_error_and_no_score(
    pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = tmp_path / "far.bed"
    far.write_text("chr1\t90000\t91000\ta\t5\n")
    other = bed(tmp_path / "other.bed", ("NC_000001.11", "23"))
    genes = tmp_path / "genes.bed"
    genes.write_text("chr1\t1000\t1100\tENSG77\t5\n")
    empty = tmp_path / "empty.bed"
    empty.write_text("")
    for number, (gene, chrom, start) in enumerate(
        (("ENSG01", "scaffold_1", 0), ("Z", "chr1", 0), ("ENSG01", "1", 9000))
    ):
        window = Interval(chrom, start, start + 4000, "+")
        values = np.linspace(0, 1, 20, dtype=np.float32)[None]
        BinScores((gene,), (window,), values, 200, {chrom: 10**6}).save(tmp_path / f"m{number}.npz")
    with pyBigWig.open(str(tmp_path / "empty.bw"), "w") as track:
        track.addHeader([("chr9", 10_000)])
        track.addEntries(["chr9"], [0], ends=[50], values=[1.0])
    cases = {
        f"--elements={far}": "far.bed do not order the 4 pairs: no element of theirs reaches a pair",
        f"--elements={other}": "no chromosome name of other.bed occurs in the pairs",
        f"--elements={genes}": "genes.bed cover none of the 4 pairs",
        f"--elements={empty}": "no intervals",
        f"--masks={tmp_path / 'm0.npz'}": "no chromosome name of the pairs occurs in m0.npz",
        f"--masks={tmp_path / 'm1.npz'}": "m1.npz cover none of the 4 pairs",
        f"--masks={tmp_path / 'm2.npz'}": "m2.npz cover none of the 4 pairs",
        f"--tracks={tmp_path / 'empty.bw'}": "no chromosome name of the pairs occurs in empty.bw",
    }
    for flags, words in cases.items():
        out = tmp_path / "table.tsv"
        assert seqexp(["benchmark", "crispri", "--pairs", str(pairs_file), "--out", str(out), *flags.split()]) == 2, (
            flags
        )
        error = capsys.readouterr().err
        assert words in error, flags
        assert "Traceback" not in error
        assert not out.exists()


def test_two_scores_of_one_name_are_refused_and_what_is_left_out_is_told(
    pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["benchmark", "crispri", "--pairs", str(pairs_file), "--resamples", "5"]
    arguments += ["--out", str(tmp_path / "table.tsv")]
    first = bed(tmp_path / "first.bed", ("chr1", "chrUn_1"))
    assert seqexp([*arguments, "--elements", f"1 / distance={first}"]) == 2
    assert "two scores named '1 / distance'" in capsys.readouterr().err
    assert seqexp([*arguments, "--elements", str(first)]) == 0
    assert "1 of 3 rows of first.bed are left out" in capsys.readouterr().out


@pytest.mark.realdata
def test_published_baselines_are_reproduced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures that the data's own README and the specification of attribution state for these files."""
    folder = Path(os.environ["SEQEXP_MIRROR"]) / "crispri"
    pairs = read_pairs(folder / "EPCrisprBenchmark_combined_data.training_K562.GRCh38.tsv.gz")
    assert (len(pairs), pairs["is_positive"].sum()) == (10_356, 471)
    table = score_table(pairs, baseline_scores(pairs), num_resamples=0).set_index(["score", "pairs"])
    assert round(table.loc[("DHS", "all"), "prevalence"], 3) == 0.045
    best = "sqrt(DHS x H3K27ac) / distance"
    published = {"1 / distance": (0.438, 0.897), "DHS": (0.099, 0.727), "DHS / distance": (0.503, 0.915)}
    for name, areas in {**published, best: (0.529, 0.929)}.items():
        assert tuple(table.loc[(name, "all"), ["auprc", "auroc"]].astype(float).round(3)) == areas
    assert [round(table.loc[(best, d), "auprc"], 2) for d in ("0-10 kb", "10-100 kb", "over 100 kb")] == [
        0.81,
        0.43,
        0.05,
    ]
    out = tmp_path / "fulco.tsv"
    fulco = folder / "EPCrisprBenchmark_Fulco2019_K562_GRCh38.tsv.gz"
    assert main(["crispri", "--pairs", str(fulco), "--out", str(out), "--resamples", "20"]) == 0
    printed = capsys.readouterr().out
    # 4,968 pairs with a TSS, of which the ENCODE protocol counts those whose ValidConnection is TRUE.
    assert "3,771 pairs, 101 positive" in printed
    assert "123 rows without a TSS" in printed
    assert "1,197 rows were left out" in printed
    assert pd.read_csv(out, sep="\t")["score"].unique().tolist() == ["1 / distance"]


def test_a_track_scores_elements_by_its_mean_size_where_it_has_values(pairs_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "attribution.bw"
    with pyBigWig.open(str(path), "w") as track:
        track.addHeader([("1", 10_000), ("chr9", 500)])  # another name for chr1; no chr2
        track.addEntries(["1", "1"], [1200, 1450], ends=[1250, 1500], values=[-4.0, 2.0])
    scores, is_covered = track_scores(read_pairs(pairs_file), path)
    assert scores.tolist() == pytest.approx([3.0, 2.0, 3.0, 0.0])  # 50 bases of 4 and 50 of 2; 50 of 2; no chr2
    assert is_covered.tolist() == [True, True, True, False]
    out = tmp_path / "table.tsv"
    assert main(["crispri", "--pairs", str(pairs_file), "--tracks", f"mine={path}", "--out", str(out)]) == 0
    assert "track mine" in set(pd.read_csv(out, sep="\t")["score"])


def with_columns(path: Path, **columns: list[str]) -> None:
    pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False).assign(**columns).to_csv(path, sep="\t", index=False)


def test_pairs_that_test_no_enhancer_do_not_count_and_are_told(
    pairs_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_columns(pairs_file, ValidConnection=["TRUE", "PromoterElement", "TRUE", "TRUE", "TSS targeting guide(s)"])
    pairs = read_pairs(pairs_file)
    assert pairs["start"].tolist() == [1000, 1000, 1000]
    assert pairs.attrs["num_dropped"] == 2
    assert seqexp(["benchmark", "crispri", "--pairs", str(pairs_file), "--out", str(tmp_path / "o.tsv")]) == 0
    out = capsys.readouterr().out
    assert "1 rows without a TSS or a verdict were left out" in out
    assert "1 rows were left out as no valid connection: PromoterElement 1" in out


def test_a_pair_counts_once_per_cell_type_and_several_types_are_told(pairs_file: Path) -> None:
    table = pd.read_csv(pairs_file, sep="\t", dtype=str, keep_default_na=False)
    twice = pd.concat([table, table.iloc[:1].assign(Regulated="FALSE")], ignore_index=True)
    twice.to_csv(pairs_file, sep="\t", index=False)
    with pytest.raises(DataError, match=r"1 pairs come twice(.|\n)*first chr1:1000-1500 with ABC1"):
        read_pairs(pairs_file)
    with_columns(pairs_file, CellType=["K562"] * len(table) + ["HCT116"])
    pairs = read_pairs(pairs_file)
    assert len(pairs) == len(table)
    assert pairs.attrs["told"][-1].startswith("the pairs are of 2 cell types: K562 4, HCT116 1")
    with_columns(pairs_file, ValidConnection=["TRUE"] * len(table) + ["PromoterElement"])
    assert len(read_pairs(pairs_file)) == len(table) - 1


@pytest.mark.parametrize("score", ["ABC.Score", "powerlaw.Score", "score"])
def test_predictions_of_genes_are_read_as_such(pairs_file: Path, tmp_path: Path, score: str) -> None:
    """A table with TargetGene once counted for every gene, all elements alike."""
    path = tmp_path / "predictions.tsv"
    rows = [
        ("chr1", 900, 1100, "promoter|a", "ABC1", 0.25),
        ("chr1", 900, 1450, "genic|b", "XYZ2", 0.5),
        ("chr2", 900, 1450, "genic|c", "NOBODY", 0.75),
    ]
    pd.DataFrame(rows, columns=["chr", "start", "end", "name", "TargetGene", score]).to_csv(path, sep="\t", index=False)
    pairs = read_pairs(pairs_file)
    scores, is_covered = element_scores(pairs, read_elements(path, pairs))
    assert scores.tolist() == [0.25, 0, 0.5, 0]
    assert is_covered.tolist() == [True, True, True, False]
    frame = pd.read_csv(path, sep="\t").assign(**{"hic.Score": 1.0}).rename(columns={"score": "x.Score"})
    frame.to_csv(path, sep="\t", index=False)
    with pytest.raises(DataError, match=r"2 columns could be the score of the predictions: .*hic.Score"):
        read_elements(path, pairs)
    frame[["chr", "start", "end", "TargetGene"]].to_csv(path, sep="\t", index=False)
    with pytest.raises(DataError, match="0 columns could be the score of the predictions: none"):
        read_elements(path, pairs)
