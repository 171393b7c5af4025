"""`seqexp predict` of anything: the same figures whichever way a window is named, and one error for each mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from seqexp.api.parts import Parts
from seqexp.cli.main import main
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.training.predict import predict_run
from seqexp.training.run import Run

Move = Callable[[Path], tuple[Path, Path]]


def predicted(run: Path, out: Path, *words: object) -> pd.DataFrame:
    assert main(["predict", "--run", str(run), *map(str, words), "--out", str(out), "--quiet"]) == 0
    return pd.read_csv(out / "predictions.tsv", sep="\t", keep_default_na=False).set_index("id")


def refused(capsys: pytest.CaptureFixture[str], run: Path, out: Path, *words: object) -> str:
    assert main(["predict", "--run", str(run), *map(str, words), "--out", str(out), "--quiet"]) == 2
    told = capsys.readouterr().err
    assert told.count("error: ") == 1
    assert "Traceback" not in told
    assert not (out / "predictions.tsv").exists()
    return told


@pytest.fixture(scope="session")
def own(selecting: Path) -> pd.DataFrame:
    """What the run itself predicts of its genes."""
    return predict_run(Run.open(selecting)).set_index("gene_id")


def bed_of(table: pd.DataFrame, path: Path) -> Path:
    rows = table.reset_index()[["chrom", "start", "end", "gene_id", "strand"]]
    rows.insert(4, "score", 0)
    rows.to_csv(path, sep="\t", header=False, index=False)
    return path


def test_genes_by_id_name_and_file_give_what_the_run_gives(selecting: Path, own: pd.DataFrame, tmp_path: Path) -> None:
    genes = selecting.parent / "data" / "genes.tsv"
    by_file = predicted(selecting, tmp_path / "file", "--genes", genes)
    np.testing.assert_allclose(by_file["prediction"], own["prediction"], rtol=1e-5, atol=1e-6)
    raw = 2 ** by_file["prediction"].to_numpy(float) - 1
    np.testing.assert_allclose(by_file["prediction_raw"], raw, rtol=1e-5, atol=1e-5)
    assert set(by_file["unit"]) == {"log2(TPM + 1)"}
    assert set(by_file["raw_unit"]) == {"TPM"}
    by_id = predicted(selecting, tmp_path / "ids", "--genes", "G051,gene7", "G041")
    assert by_id.index.tolist() == ["G051", "G007", "G041"]
    expected = own.loc[by_id.index, "prediction"]
    np.testing.assert_allclose(by_id["prediction"], expected, rtol=1e-5, atol=1e-6)
    assert by_id["seen"].tolist() == ["no", "train", "val"]


def test_intervals_by_strand(reading: Path, tmp_path: Path) -> None:
    """Windows, their 5' ends and, without strand, their centres lay the same window; covariates are at their mean."""
    own = predict_run(Run.open(reading)).set_index("gene_id").iloc[[3, 12, 50, 51]]
    whole = predicted(reading, tmp_path / "whole", "--bed", bed_of(own, tmp_path / "whole.bed"))
    tss = np.where(own["strand"] == "-", own["end"] - 1 - 320, own["start"] + 320)
    is_reverse = own["strand"] == "-"
    ends = own.assign(start=np.where(is_reverse, tss - 6, tss), end=np.where(is_reverse, tss + 1, tss + 7))
    by_end = predicted(reading, tmp_path / "ends", "--bed", bed_of(ends, tmp_path / "ends.bed"))
    centre = own.assign(start=tss - 5, end=tss + 6, strand=".")[~is_reverse]
    by_centre = predicted(reading, tmp_path / "centre", "--bed", bed_of(centre, tmp_path / "centre.bed"))
    assert whole["seen"].tolist() == ["train", "train", "no", "no"]
    for one, other in ((whole, by_end), (whole[~is_reverse.to_numpy()], by_centre)):
        np.testing.assert_allclose(one["prediction"], other["prediction"], rtol=1e-5, atol=1e-6)
        assert one[["chrom", "start", "end"]].equals(other[["chrom", "start", "end"]])
    turned = own.assign(strand=own["strand"].map({"+": "-", "-": "+"}))
    other_way = predicted(reading, tmp_path / "turned", "--bed", bed_of(turned, tmp_path / "turned.bed"))
    assert (np.abs(other_way["prediction"] - whole["prediction"]) > 1e-6).any()


def test_sequences_are_read_as_they_are_written(reading: Path, tmp_path: Path) -> None:
    """The window of a gene as text, cut and filled, gives the prediction of its place, on both strands."""
    run = Run.open(reading)
    own = predict_run(run).set_index("gene_id").iloc[[12, 51]]
    reference = run.datamodule.spec.open_reference()
    texts = {}
    for gene_id, row in own.iterrows():
        window = run.datamodule.interval(int(row["index"]))
        wide = window.resize(window.width + 64)
        texts |= {gene_id: reference.sequence(window), f"{gene_id}_wide": reference.sequence(wide)}
        texts[f"{gene_id}_short"] = reference.sequence(window)[100:-100]
    fasta = tmp_path / "s.fa"
    fasta.write_text("".join(f">{name} told\n{text}\n" for name, text in texts.items()))
    by_place = predicted(reading, tmp_path / "bed", "--bed", bed_of(own, tmp_path / "w.bed"))
    found = predicted(reading, tmp_path / "out", "--sequences", fasta)
    for gene_id in own.index:
        np.testing.assert_allclose(
            found.loc[[gene_id, f"{gene_id}_wide"], "prediction"], by_place.loc[gene_id, "prediction"], rtol=1e-5
        )
    assert found["seen"].tolist() == ["train", "unknown", "unknown", "unknown", "unknown", "unknown"]
    at = predicted(reading, tmp_path / "at", "--sequences", fasta, "--tss-offset-bp", 220)
    filled = found.loc["G012_short", "prediction"]
    np.testing.assert_allclose(at.loc["G012_short", "prediction"], filled, rtol=1e-5)
    assert at.loc["G012", "prediction"] != pytest.approx(filled)


def test_masks_and_elements(selecting: Path, own: pd.DataFrame, tmp_path: Path) -> None:
    table = own.iloc[[3, 50]]
    predicted(selecting, tmp_path / "out", "--bed", bed_of(table, tmp_path / "w.bed"), "--budget-fraction", "0.25")
    masks = BinScores.load(tmp_path / "out" / "masks.npz")
    assert masks.gene_ids == ("G003", "G050")
    assert masks.values.shape == (2, 16)
    elements = pd.read_csv(tmp_path / "out" / "elements_per_gene.bed", sep="\t", comment="#", header=None)
    assert set(elements[3]) <= {"G003", "G050"}
    assert 0 < (elements[2] - elements[1]).sum() <= 256
    with pyBigWig.open(str(tmp_path / "out" / "mask.bw")) as track:
        start = int(table["start"].iloc[0])
        in_order = masks.values[0][::-1] if table["strand"].iloc[0] == "-" else masks.values[0]
        np.testing.assert_allclose(track.values("chr1", start, start + 512)[16::32], in_order, rtol=1e-5)


def test_every_kind_of_gene_file(reading: Path, tmp_path: Path) -> None:
    """GTF, BED and a table with start and end lay the windows of the run's own table."""
    genes = pd.read_csv(reading.parent / "data" / "genes.tsv", sep="\t").iloc[[3, 12, 51]]
    is_reverse = genes["strand"] == "-"
    start = np.where(is_reverse, genes["tss"] - 99, genes["tss"])
    rows = list(zip(genes["chrom"], start, start + 100, genes["gene_id"], genes["strand"]))
    gtf = [f'{c}\tx\tgene\t{s + 1}\t{e}\t.\t{strand}\t.\tgene_id "{name}";' for c, s, e, name, strand in rows]
    (tmp_path / "g.gtf").write_text("\n".join(gtf) + "\n")
    (tmp_path / "g.bed").write_text("".join(f"{c}\t{s}\t{e}\t{name}\t0\t{strand}\n" for c, s, e, name, strand in rows))
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "gene_id", "strand"])
    table.to_csv(tmp_path / "g.tsv", sep="\t", index=False)
    own = predict_run(Run.open(reading)).set_index("gene_id").loc[genes["gene_id"]]
    for name in ("g.gtf", "g.bed", "g.tsv"):
        found = predicted(reading, tmp_path / name.replace(".", "_"), "--genes", tmp_path / name)
        assert found.index.tolist() == own.index.tolist()
        assert found[["chrom", "start", "end", "strand"]].equals(own[["chrom", "start", "end", "strand"]]), name
        assert found["seen"].tolist() == ["train", "train", "no"]


def test_a_network_without_selector_writes_a_table_alone(reading: Path, tmp_path: Path) -> None:
    predicted(reading, tmp_path / "out", "--genes", "G001")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predictions.tsv"]


def test_another_genome_with_its_tracks_and_names(
    selecting: Path, own: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's own genome under other names: genes are known by their sequence, covariates come from the table."""
    data = selecting.parent / "data"
    (tmp_path / "other.fa").write_text((data / "genome.fa").read_text().replace(">chr", ">"))
    genes = pd.read_csv(data / "genes.tsv", sep="\t").assign(gene_id=lambda table: "other" + table["gene_id"])
    genes.drop(columns="TPM").to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    tracks = ["--tracks", f"ATAC={data / 'atac.bw'}", f"H3K27ac={data / 'h3k27ac.bw'}"]
    where = ["--fasta", tmp_path / "other.fa", "--genes", tmp_path / "genes.tsv"]
    found = predicted(selecting, tmp_path / "out", *where, *tracks)
    assert set(found["chrom"].astype(str)) == set("123456")
    assert found["seen"].tolist() == ["train"] * 40 + ["val"] * 10 + ["no"] * 10
    clean = np.setdiff1d(np.arange(60), np.flatnonzero(touches_blacklist(own)))
    np.testing.assert_allclose(found["prediction"].iloc[clean], own["prediction"].iloc[clean], rtol=1e-5, atol=1e-6)
    told = refused(capsys, selecting, tmp_path / "no", *where)
    assert "reads the tracks ATAC, H3K27ac; ATAC, H3K27ac is not given" in told
    assert "--tracks ATAC=FILE H3K27ac=FILE" in told


def touches_blacklist(own: pd.DataFrame) -> pd.Series:
    return (own["start"] < 20_500) & (own["end"] > 20_000)


def test_a_run_folder_is_enough(selecting: Path, own: pd.DataFrame, moved: Move, tmp_path: Path) -> None:
    """The data set has gone: another place is named, or genome and tracks are given."""
    run, data = moved(selecting)
    there = predicted(run, tmp_path / "a", "--genes", "G051", "--dataset", data)
    bed = bed_of(own.loc[["G051"]], tmp_path / "w.bed")
    tracks = ["--tracks", f"ATAC={data / 'atac.bw'}", f"H3K27ac={data / 'h3k27ac.bw'}"]
    by_files = predicted(run, tmp_path / "b", "--bed", bed, "--fasta", data / "genome.fa", *tracks)
    np.testing.assert_allclose(there["prediction"], own.loc[["G051"], "prediction"], rtol=1e-5)
    assert by_files["seen"].tolist() == ["no"]
    genes = predicted(run, tmp_path / "c", "--genes", data / "genes.tsv", "--fasta", data / "genome.fa", *tracks)
    np.testing.assert_allclose(genes.loc["G051", "prediction"], own.loc["G051", "prediction"], rtol=1e-5)


def test_missing_signals_where_training_had_them(
    lacking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.fa").write_text(">one\n" + "ACGTTGCA" * 64 + "\n")
    found = predicted(lacking, tmp_path / "out", "--sequences", tmp_path / "s.fa")
    assert np.isfinite(found["prediction"].to_numpy(float)).all()
    told = capsys.readouterr().err
    assert "read as missing values, as nobody gave them: ATAC, H3K27ac" in told
    assert "covariates (half_life) of 1 of 1 windows are not known" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bed", "none.bed"], "no such file"),
        (["--bed", "empty.bed"], "no intervals"),
        (["--bed", "off.bed"], "1 of 2 intervals have bases beyond the end of their chromosome"),
        (["--bed", "turned.bed"], "1 intervals are empty, negative or turned round"),
        (["--bed", "other.bed"], "no chromosome name of other.bed occurs in genome.fa"),
        (["--bed", "strand.bed"], "1 of 1 intervals have a strand other than +, - and ."),
        (["--genes", "G001", "G999"], "1 of 2 genes are not in the annotation: G999"),
        (["--genes", "none.gtf"], "no such file"),
        (["--genes", "G001", "--fasta", "short.fa"], "gene ids with another genome"),
        (["--bed", "off.bed", "--fasta", "short.fa"], "a window of 512 bp is longer than every chromosome"),
        (["--sequences", "short.fa"], "the run reads the tracks ATAC, H3K27ac"),
        (["--sequences", "short.fa", "--fasta", "short.fa"], "a genome beside sequences"),
        (["--sequences", "short.fa", "--tss-offset-bp", "8"], "1 of 1 sequences have no base 8"),
        (["--sequences", "nothing.fa"], "nothing.fa"),
        (["--genes", "G001", "--tracks", "DNase=a.bw"], "track 'DNase' is none that the run reads"),
        (["--genes", "G001", "--tracks", "ATAC"], "--tracks 'ATAC'"),
        (["--genes", "G001", "--tracks", "ATAC=none.bw"], "none.bw"),
        (["--genes", "G001", "--samples", "3"], "3 samples of Seq2Exp, which predicts one number"),
        (["--genes", "G001", "--budget-fraction", "2"], "budget_fraction 2"),
        (["--genes", "G001", "--tss-offset-bp", "2"], "the TSS offset is of sequences"),
        (["--fasta", "short.fa"], "--fasta, --out would have no effect"),
        (["--genes", "G001", "--output", "p.tsv"], "--out FOLDER, and no --output"),
        (["--genes", "G001", "--dataset", "none.yaml"], "the data set of the run cannot be opened"),
    ],
)
def test_one_error_for_each_mistake(
    selecting: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.bed").write_text("# nothing\n")
    Path("off.bed").write_text("chr1\t100\t200\nchr1\t39900\t40100\n")
    Path("turned.bed").write_text("chr1\t200\t100\n")
    Path("other.bed").write_text("scaffold_9\t100\t200\n")
    Path("strand.bed").write_text("chr1\t100\t200\ta\t0\t?\n")
    Path("short.fa").write_text(">one\nACGTAC\n")
    Path("nothing.fa").write_text("")
    assert message in refused(capsys, selecting, Path("out"), *words)
    assert not list(Path().glob("*.parts"))


def test_letters_that_are_no_bases(reading: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "protein.fa").write_text(">one\n" + "MKVLAAGE" * 64 + "\n")
    assert "stands for no base" in refused(capsys, reading, tmp_path / "out", "--sequences", tmp_path / "protein.fa")


def test_names_are_told_apart_and_rows_elsewhere_are_told(
    reading: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["1\t900\t1000\tpeak", "chr1\t2900\t3000\tpeak", "chrQ\t1\t2\tpeak", "chr2\t0\t10\t."]
    (tmp_path / "p.bed").write_text("\n".join(rows) + "\n")
    found = predicted(reading, tmp_path / "out", "--bed", tmp_path / "p.bed")
    assert found.index.tolist() == ["peak", "peak_2", "chr2:0-10"]
    told = capsys.readouterr().err
    assert "1 of 4 rows of p.bed are left out: no chromosome of genome.fa is named chrQ" in told
    assert "1 names come more than once" in told
    assert "1 of 3 windows reach beyond the ends" in told
    assert "3 windows: never seen 3" in told


def test_a_prediction_that_was_broken_off_goes_on(
    selecting: Path, own: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Parts, "ROWS", 16)
    add, answered = Parts.add, []

    def break_off(self: Parts, rows: dict[str, np.ndarray]) -> None:
        add(self, rows)
        answered.extend(rows["index"].tolist())
        if len(answered) == 32:
            raise KeyboardInterrupt

    words = ["--bed", bed_of(own, tmp_path / "w.bed"), "--out", tmp_path / "out", "--quiet"]
    command = ["predict", "--run", str(selecting), *map(str, words)]
    monkeypatch.setattr(Parts, "add", break_off)
    assert main(command) == 130
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "out.parts").glob("part-*.npz"))) == 2
    answered.append(-1)
    assert main(command) == 0
    assert sorted(answered[33:]) == list(range(32, 60))
    assert not (tmp_path / "out.parts").exists()
    found = pd.read_csv(tmp_path / "out" / "predictions.tsv", sep="\t").set_index("id")
    whole = predicted(selecting, tmp_path / "whole", "--bed", tmp_path / "w.bed")
    np.testing.assert_allclose(found["prediction"], whole["prediction"], rtol=1e-5)
    assert main(command) == 2
    assert main([*command, "--overwrite"]) == 0


def test_dataset_is_short_for_a_setting(reading: Path, moved: Move, tmp_path: Path) -> None:
    run, data = moved(reading)
    assert main(["predict", "--run", str(run), "--dataset", str(data), "--output", str(tmp_path / "p.tsv")]) == 0
    assert len(pd.read_csv(tmp_path / "p.tsv", sep="\t")) == 60
