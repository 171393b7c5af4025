"""A trained run becomes a finished folder: every file there, readable, and consistent with the others."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from seqexp.api.finish import finish_run
from seqexp.cli.main import main
from seqexp.core.errors import MissingExtraError
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.dna.evaluation import elements as element_steps
from seqexp.dna.evaluation.collect import collect
from seqexp.dna.evaluation.settings import FinishSettings, PeakSource
from seqexp.dna.genome.regions import read_bed
from seqexp.dna.peaks.peak_sets import PEAK_FILES
from seqexp.training.fit import run_fit
from seqexp.training.run import Run

FILES = ("metrics.json", "predictions.tsv", "elements.bed", "elements.narrowPeak", "mask.bedGraph", "mask.bw")
FILES += ("masks.npz", "report.html", "compare.tsv", "peaks.narrowPeak", "config.yaml", "run_record.json")


@pytest.fixture(scope="module")
def finished(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finish")
    data = {"dataset": str(shared_tiny_dataset), "upstream_bp": 1024, "downstream_bp": 1024, "signal_bin_bp": 32}
    config = {
        "model": {"network": {"class_path": "tiny_selector.TinySelector"}, "lr": 0.05},
        "data": {"class_path": "seqexp.dna.loaders.data.SequenceData", "init_args": data},
        "trainer": {"accelerator": "cpu", "max_epochs": 2},
        "run": {"progress": "none"},
    }
    dump_yaml(config, folder / "c.yaml")
    run_fit(folder / "run", [str(folder / "c.yaml")])
    finish_run(folder / "run")
    return folder / "run"


def test_every_file_is_there_and_nothing_half_written(finished):
    assert [name for name in FILES if not (finished / name).is_file()] == []
    assert not list(finished.rglob("*.part.*"))


def test_metrics_are_flat_and_hold_the_promised_keys(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert all(value is None or isinstance(value, int | float) for key, value in metrics.items() if key != "peaks_from")
    for key in ("test_pearson", "test_pearson_low", "test_spearman", "test_mse", "baseline_mean_pearson"):
        assert key in metrics
    for key in ("baseline_kmer_signal_ridge_pearson", "elements_auprc", "signal_auprc", "peaks_auprc", "jaccard_peaks"):
        assert key in metrics
    assert metrics["baseline_mean_pearson"] is None  # a constant has no correlation
    assert metrics["num_test"] == 10


def test_elements_keep_the_budget_and_the_mask_track_holds_them(finished):
    elements = read_bed(finished / "elements.bed")
    kept = int((elements["end"] - elements["start"]).sum())
    metrics = json.loads((finished / "metrics.json").read_text())
    assert 0 <= metrics["budget_bp"] - kept < 32
    with pyBigWig.open(str(finished / "mask.bw")) as track:
        lowest = [track.stats(r.chrom, r.start, r.end, type="max", exact=True)[0] for r in elements.itertuples()]
    assert min(lowest) > 0


def test_predictions_are_one_row_per_gene(finished):
    table = pd.read_csv(finished / "predictions.tsv", sep="\t")
    assert table["gene_id"].is_unique
    assert set(table["split"]) == {"train", "val", "test"}
    metrics = json.loads((finished / "metrics.json").read_text())
    test = table[table["split"] == "test"]
    assert np.corrcoef(test["prediction"], test["target"])[0, 1] == pytest.approx(metrics["test_pearson"], abs=1e-6)


def test_report_shows_model_baselines_and_truth(finished):
    text = (finished / "report.html").read_text()
    for words in (
        "this model",
        "5-mer + signal ridge",
        "Elements against the planted truth",
        "Fixed masks",
        "peaks of peaks.narrowPeak",
    ):
        assert words in text


def test_report_again_beside_a_control(finished, tmp_path, capsys):
    control = tmp_path / "control"
    control.mkdir()
    (control / "predictions.tsv").write_bytes((finished / "predictions.tsv").read_bytes())
    assert main(["report", "--run-dir", str(finished), "--beside", str(control), "--genes", "gene3"]) in (0, 2)
    assert main(["report", "--run-dir", str(finished), "--beside", str(control)]) == 0
    assert "control: control" in (finished / "report.html").read_text()
    assert main(["report", "--run-dir", str(finished), "--beside", str(tmp_path)]) == 2
    assert "no predictions" in capsys.readouterr().err


def renamed_track(path: Path) -> None:
    """The bigWig with chr1 as 1."""
    with pyBigWig.open(str(path)) as track:
        rows = {chrom: track.intervals(chrom) for chrom in track.chroms()}
        sizes = track.chroms()
    with pyBigWig.open(str(path), "w") as track:
        track.addHeader([(chrom.removeprefix("chr"), size) for chrom, size in sizes.items()])
        for chrom, own in rows.items():
            starts, ends, values = map(list, zip(*own))
            track.addEntries([chrom.removeprefix("chr")] * len(own), starts, ends=ends, values=values)


@pytest.mark.parametrize("source", [PeakSource(), PeakSource(track="ATAC")], ids=["given peaks", "MACS3 on a track"])
def test_other_names_for_the_same_chromosomes_change_no_figure(finished, tiny_dataset, tmp_path, source):
    """Tracks, peaks, truth and blacklist named 1, 2, … beside a FASTA and genes named chr1, chr2, …"""
    folder, run = tiny_dataset.parent, tmp_path / "run"
    shutil.copytree(finished, run)
    old = load_yaml(run / "config.yaml")["data"]["init_args"]["dataset"]
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace(old, str(tiny_dataset)))

    def examined() -> dict[str, object]:
        opened = Run.open(run)
        found = element_steps.examine_elements(
            opened, opened.datamodule, collect(opened, opened.datamodule), run, settings=FinishSettings(peaks=source)
        )
        return found.metrics | {"peaks": (run / PEAK_FILES[found.peaks.kind]).read_text()}

    expected = examined()
    for name in ("atac.bw", "h3k27ac.bw"):
        renamed_track(folder / name)
    for name in ("peaks.narrowPeak", "truth.tsv", "blacklist.bed"):
        text = (folder / name).read_text()
        (folder / name).write_text(re.sub(r"^chr(?=\d)", "", text, flags=re.MULTILINE))
    (run / "compare.tsv").unlink()
    assert examined() == expected
    assert expected["peaks_auprc" if source == PeakSource() else "threshold_auprc"] > 0.5
    assert (run / "compare.tsv").is_file()


def test_peaks_on_unknown_chromosomes_are_told_and_peaks_of_another_genome_refused(finished, tmp_path, capsys):
    peaks = tmp_path / "mine.bed"
    own = (finished / "peaks.narrowPeak").read_text().splitlines()
    peaks.write_text("\n".join([*own, "HLA-A\t5\t900\tp\t1000\t.\t9\t-1\t-1\t-1"]).replace("chr", "CHR0") + "\n")
    data, source = Run.open(finished).datamodule, FinishSettings(peaks=PeakSource(peaks))
    found = element_steps.get_peaks(data, tmp_path, source)
    assert found.notes == ("1 of 61 rows of mine.bed are left out: no chromosome of genome.fa is named HLA-A",)
    assert sorted(found.table["chrom"].unique()) == [f"chr{n}" for n in range(1, 7)]
    peaks.write_text("NC_000001.11\t5\t900\n")
    assert main(["report", "--run-dir", str(finished), "--peaks", str(peaks)]) == 2
    assert "no chromosome name of mine.bed occurs in genome.fa" in capsys.readouterr().err


def again(finished, tiny_dataset, tmp_path, lines):
    """The finished run on a dataset with other lines, reported again: metrics and page."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    old = load_yaml(run / "config.yaml")["data"]["init_args"]["dataset"]
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace(old, str(tiny_dataset)))
    kept = [line for line in tiny_dataset.read_text().splitlines() if not line.startswith("peaks:")]
    tiny_dataset.write_text("\n".join([*kept, *lines]) + "\n")
    assert main(["report", "--run-dir", str(run)]) == 0
    return json.loads((run / "metrics.json").read_text()), (run / "report.html").read_text()


def test_without_reads_page_and_metrics_speak_of_a_threshold(finished, tiny_dataset, tmp_path, capsys):
    pytest.importorskip("MACS3")
    metrics, page = again(finished, tiny_dataset, tmp_path, [])
    assert not [key for key in metrics if "macs3" in key.lower()]
    assert metrics["peaks_from"].startswith("threshold on the track ATAC: signal of at least")
    for key in ("threshold_auprc", "jaccard_threshold", "enrichment_threshold_p", "fixed_threshold_pearson"):
        assert metrics[key] is not None
    assert metrics["threshold_cutoff"] > 0
    assert metrics["num_peaks"] > 10
    assert metrics["peaks_bp"] > 10_000
    shown = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "MACS3 peaks" not in shown
    assert "Elements and threshold on ATAC" in shown
    assert f"{metrics['peaks_bp']:,}" in shown
    assert "threshold on the track ATAC" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "run").glob("*eak*")) == [
        *("elements.narrowPeak", "elements_per_gene.narrowPeak", "threshold.narrowPeak")  # no peaks of the run before
    ]


def test_peaks_as_encode_names_them(finished, tiny_dataset, tmp_path):
    text = (tiny_dataset.parent / "peaks.narrowPeak").read_text()
    (tiny_dataset.parent / "ENCFF000ABC.bed.gz").write_bytes(gzip.compress(text.encode()))
    metrics, page = again(finished, tiny_dataset, tmp_path, ["peaks: {DHS: ENCFF000ABC.bed.gz}"])
    assert metrics["peaks_from"] == "peaks of ENCFF000ABC.bed.gz"
    old = json.loads((finished / "metrics.json").read_text())
    assert {key: value for key, value in metrics.items() if old.get(key) != value} == {
        "peaks_from": "peaks of ENCFF000ABC.bed.gz"
    }
    assert "Elements and peaks of ENCFF000ABC.bed.gz" in page


def test_reads_of_the_dataset_are_called_by_macs3(finished, tiny_dataset, tmp_path, capsys):
    pytest.importorskip("MACS3")
    truth = pd.read_csv(tiny_dataset.parent / "truth.tsv", sep="\t")
    rng = np.random.default_rng(0)
    with open(tiny_dataset.parent / "reads.bedpe", "w") as handle:
        for row in truth.itertuples():
            starts = np.concatenate([rng.normal(row.start, 30, 60), rng.integers(0, 39_000, 60)]).clip(0)
            handle.writelines(f"{row.chrom}\t{start}\t{start + 180}\n" for start in starts.astype(int))
    metrics, page = again(finished, tiny_dataset, tmp_path, ["alignments: {ATAC: reads.bedpe}"])
    assert metrics["peaks_from"].startswith("macs3 callpeak on reads.bedpe (BEDPE, q < 0.05")
    for key in ("macs3_auprc", "jaccard_macs3", "enrichment_macs3", "fixed_macs3_pearson"):
        assert metrics[key] is not None
    assert metrics["macs3_auprc"] > 0.5
    assert "threshold_cutoff" not in metrics
    assert "Elements and MACS3 peaks" in page
    assert "AUPRC of MACS3 peaks" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["windows of the elements", "masks", "masks of the split"])
@pytest.mark.parametrize("peaks_bp", [200, 40])
def test_report_and_compare_give_one_number(finished, tmp_path, capsys, how, peaks_bp):
    """Elements of the test genes against peaks in the windows of the test genes, whichever command compares them."""
    peaks, out = tmp_path / "peaks.narrowPeak", tmp_path / "elements"
    rows = read_bed(finished / "peaks.narrowPeak")  # with 40 bp each, peaks offer less than the elements
    rows.assign(end=rows["start"] + peaks_bp, summit_bp=peaks_bp // 2).to_csv(
        peaks, sep="\t", header=False, index=False
    )
    opened = Run.open(finished)
    source = FinishSettings(peaks=PeakSource(peaks))
    found = element_steps.examine_elements(
        opened, opened.datamodule, collect(opened, opened.datamodule), tmp_path / "run", settings=source
    )
    assert main(["elements", str(tmp_path / "run"), "--split", "test", "--out", str(out)]) == 0
    arguments = ["compare", "--elements", str(out / "elements_per_gene.narrowPeak"), "--peaks", str(peaks)]
    if how != "windows of the elements":
        arguments += ["--masks", str(tmp_path / "run")]
    if how == "masks of the split":
        arguments += ["--split", "test"]
    assert main([*arguments, "--out", str(tmp_path / "c.tsv")]) == 0
    pooled = pd.read_csv(tmp_path / "c_pooled.tsv", sep="\t").iloc[0]
    keys = {"jaccard_peaks": "jaccard", "overlap_precision": "precision", "overlap_recall": "recall"}
    keys |= {"compare_budget_bp": "budget_bp", "jaccard_peaks_low": "jaccard_low", "enrichment_peaks": "enrichment"}
    for metric, column in keys.items():
        assert pooled[column] == pytest.approx(found.metrics[metric], rel=1e-5), metric
    assert pooled["num_windows"] == found.metrics["compare_num_windows"] == 10
    shown = {"masks": "windows of all genes", "masks of the split": "windows of the test genes"}.get(how, "windows.bed")
    assert shown in capsys.readouterr().out


def test_without_macs3_the_rest_is_finished_and_says_how_to_get_it(finished, monkeypatch):
    def missing(*_: object) -> None:
        raise MissingExtraError("MACS3", "macs3")

    monkeypatch.setattr(element_steps, "get_peaks", missing)
    metrics = finish_run(finished, FinishSettings())
    assert not [key for key in metrics if "macs3" in key or "peaks" in key]
    assert "elements_auprc" in metrics
    assert "pip install &#39;seqexp[macs3]&#39;" in (finished / "report.html").read_text()
