"""Peaks: what MACS3 is asked for, what is made of its answer, what existing files give."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from seqexp.core.errors import ConfigError, DataError, MissingExtraError
from seqexp.dna.genome.regions import read_bed
from seqexp.dna.peaks import macs3 as module
from seqexp.dna.peaks.bdgpeakcall import call_on_track
from seqexp.dna.peaks.callpeak import call_on_alignments
from seqexp.dna.peaks.signal_track import choose_cutoff, highest_value, peaks_bp, read_track
from seqexp.dna.peaks.tables import read_peaks, write_peaks

needs_macs3 = pytest.mark.skipif(importlib.util.find_spec("MACS3") is None, reason="MACS3 is not installed")
STEPS = [("chr1", 0, 100, 0.02), ("chr1", 100, 300, 0.9), ("chr1", 300, 320, 0.01), ("chr1", 320, 420, 0.8)]
STEPS += [("chr2", 50, 200, 0.3), ("chr2", 600, 640, 0.95)]


@pytest.fixture
def bedgraph(tmp_path: Path) -> Path:
    path = tmp_path / "t.bedGraph"
    path.write_text("track type=bedGraph\n" + "".join("\t".join(map(str, row)) + "\n" for row in STEPS))
    return path


@pytest.fixture
def bigwig(tmp_path: Path) -> Path:
    path = tmp_path / "t.bw"
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader([("chr1", 1000), ("chr2", 800)])
        for chrom, start, end, value in STEPS:
            handle.addEntries([chrom], [start], ends=[end], values=[value])
    return path


def test_bigwig_and_bedgraph_read_alike(bigwig: Path, bedgraph: Path) -> None:
    one, other = read_track(bigwig), read_track(bedgraph)
    assert one[["chrom", "start", "end"]].astype(str).equals(other[["chrom", "start", "end"]].astype(str))
    np.testing.assert_array_equal(one["value"], other["value"])
    assert one["value"].dtype == np.float32


def test_bigwig_under_another_name(bigwig: Path, tmp_path: Path) -> None:
    (tmp_path / "ENCFF000ABC").write_bytes(bigwig.read_bytes())
    assert read_track(tmp_path / "ENCFF000ABC").equals(read_track(bigwig))
    (tmp_path / "x.bw").write_text("chr1\t0\t10\t1\n")
    with pytest.raises(DataError, match="bigWig"):
        read_track(tmp_path / "x.bw")


def test_extent_cuts_and_matches_names_by_alias(bigwig: Path, bedgraph: Path) -> None:
    extent = {"1": [(250, 330), (310, 340)]}
    for path in (bigwig, bedgraph):
        part = read_track(path, extent)
        rows = [(r.chrom, r.start, r.end) for r in part.itertuples()]
        assert rows == [("1", 250, 300), ("1", 300, 320), ("1", 320, 340)]
    with pytest.raises(DataError, match="no chromosome name"):
        read_track(bigwig, {"scaffold_7": [(0, 10)]})
    with pytest.raises(DataError, match="no signal"):
        read_track(bigwig, {"chr2": [(300, 400)]})


def test_damaged_tracks_are_refused(tmp_path: Path) -> None:
    for text, message in (
        ("chr1\t0\t10\n", "found 3 columns"),
        ("chr1\t0\t10\tx\n", "'x' is no value"),
        ("chr1\t0\t10\tinf\n", "1 values are infinite"),
        ("chr1\t0\t10\t1e39\n", "1 values are infinite"),
        ("chr1\t0.5\t10\t1\n", "'0.5' in column 'start'"),
        ("chr1\t0\t10\t1\nchr1\t5\t20\t1\n", "intervals overlap"),
        ("", "found 3 columns"),
    ):
        (tmp_path / "t.bedGraph").write_text(text)
        with pytest.raises(DataError, match=message):
            read_track(tmp_path / "t.bedGraph")


def test_cutoff_is_chosen_over_the_real_range(bedgraph: Path) -> None:
    signal = read_track(bedgraph)
    assert peaks_bp(signal, 0.5, 0, 0) == 340
    assert peaks_bp(signal, 0.5, 50, 30) == 320  # gap of 20 joined, peak of 40 dropped
    assert 0.8 < choose_cutoff(signal, 200) < 0.9
    assert 0.3 < choose_cutoff(signal, 320, 50, 30) < 0.8
    assert choose_cutoff(signal, 10**9) < 0.01  # never enough: everything above 0
    with pytest.raises(DataError, match="nowhere above 0"):
        choose_cutoff(signal.assign(value=np.float32(0)), 10)


def test_highest_value_within_intervals(bedgraph: Path) -> None:
    asked = [("chr2", 0, 50), ("chr1", 90, 101), ("chr1", 300, 330), ("chr2", 199, 601), ("chr3", 0, 9)]
    table = pd.DataFrame(asked, columns=["chrom", "start", "end"])
    np.testing.assert_allclose(highest_value(read_track(bedgraph), table), [0, 0.9, 0.8, 0.95, 0], rtol=1e-6)


@needs_macs3
def test_peaks_on_a_track_carry_its_values(bigwig: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.narrowPeak"
    peaks = call_on_track(bigwig, out, target_bp=300, min_length_bp=50)
    assert [(p.chrom, p.start, p.end) for p in peaks.itertuples()] == [("chr1", 100, 420)]
    np.testing.assert_allclose(peaks["score"], [0.9], rtol=1e-5)
    head = out.read_text().splitlines()[0]
    assert head.startswith("# mode=threshold macs3 bdgpeakcall track=t.bw cutoff=")
    assert "chosen for 300 bp) min_length=50 max_gap=30" in head
    several = call_on_track(bigwig, out, cutoff=0.2, min_length_bp=10)
    assert several["score"].round(3).tolist() == [0.95, 0.9, 0.3]  # ranked by signal, best first
    assert read_bed(out)["score"].max() == 1000
    assert "cutoff=0.2 (given)" in out.read_text()


@needs_macs3
def test_no_peak_is_an_empty_file(bigwig: Path, tmp_path: Path) -> None:
    peaks = call_on_track(bigwig, tmp_path / "p.narrowPeak", cutoff=5.0)
    assert peaks.empty
    assert (tmp_path / "p.narrowPeak").read_text().startswith("# mode=threshold")


def test_settings_are_checked_before_anything_runs(bigwig: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.narrowPeak"
    with pytest.raises(ConfigError, match="cutoff or a target"):
        call_on_track(bigwig, out)
    with pytest.raises(ConfigError, match="cutoff or a target"):
        call_on_track(bigwig, out, cutoff=1.0, target_bp=5)
    for wrong in ({"cutoff": np.nan}, {"target_bp": 0}, {"cutoff": 1.0, "max_gap_bp": -1}):
        with pytest.raises(ConfigError, match=list(wrong)[-1]):
            call_on_track(bigwig, out, **wrong)
    with pytest.raises(ConfigError, match="format 'CRAM'"):
        call_on_alignments(bigwig, out, genome_bp=1000, file_format="CRAM")
    with pytest.raises(DataError, match="no such file"):
        call_on_alignments(tmp_path / "none.bam", out, genome_bp=1000)
    assert not out.exists()


@pytest.mark.parametrize("gone", ["program", "package"])
def test_missing_macs3_says_how_to_get_it(
    gone: str, bigwig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if gone == "program":
        monkeypatch.setattr(module.shutil, "which", lambda *args, **kwargs: None)
    else:
        monkeypatch.setattr(module.shutil, "which", lambda *args, **kwargs: "macs3")
        monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    for call in (
        lambda out: call_on_track(bigwig, out, cutoff=0.5),
        lambda out: call_on_alignments(bigwig, out, genome_bp=1000),
    ):
        with pytest.raises(MissingExtraError, match=r"MACS3(.|\n)*pip install 'seqexp\[macs3\]'"):
            call(tmp_path / "p.narrowPeak")
    assert not (tmp_path / "p.narrowPeak").exists()


def test_existing_peaks_are_ranked_by_the_best_column_they_have(tmp_path: Path) -> None:
    row = "chr1\t{0}\t{1}\tp{0}\t{2}\t.\t{3}\t{4}\t-1\t{5}\n"
    path = tmp_path / "p.narrowPeak"
    path.write_text(row.format(0, 10, 900, 1.0, 2.0, 3) + row.format(20, 40, 100, 5.0, 9.0, -1))
    peaks = read_peaks(path)
    assert peaks["score"].tolist() == [9.0, 2.0]
    assert peaks["summit_bp"].tolist() == [10, 3]  # unknown: the middle
    assert read_peaks(path, "score")["score"].tolist() == [900.0, 100.0]
    path.write_text(row.format(0, 10, 900, 1.0, -1, 3) + row.format(20, 40, 100, 5.0, -1, -1))
    assert read_peaks(path)["score"].tolist() == [5.0, 1.0]
    (tmp_path / "p.bed").write_text("chr1\t5\t15\nchr1\t0\t4\n")
    assert read_peaks(tmp_path / "p.bed")[["start", "score"]].to_numpy().tolist() == [[0, 1], [5, 1]]
    with pytest.raises(DataError, match="no column 'p_value'"):
        read_peaks(tmp_path / "p.bed", "p_value")
    (tmp_path / "p.bed").write_text("")
    assert read_peaks(tmp_path / "p.bed").empty


def test_written_peaks_are_sorted_and_valid(tmp_path: Path) -> None:
    table = pd.DataFrame({"chrom": ["chr2", "chr1"], "start": [0, 5], "end": [9, 20], "score": [5000.0, 3.4]})
    back = write_peaks(table, tmp_path / "p.narrowPeak", "mode=read")
    assert (tmp_path / "p.narrowPeak").read_text().splitlines() == [
        "# mode=read",
        "chr1\t5\t20\t.\t3\t.\t3.4\t-1\t-1\t-1",
        "chr2\t0\t9\t.\t1000\t.\t5000\t-1\t-1\t-1",
    ]
    assert back["score"].tolist() == [5000.0, 3.4]
