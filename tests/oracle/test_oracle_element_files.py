"""What the writers write, read back by pyBigWig, by MACS3's own parsers and by read_bed; MACS3 really run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.calling import call_elements, merge_elements
from seqexp.dna.elements.files import write_element_files
from seqexp.dna.elements.writers import write_bed, write_bedgraph, write_bigwig, write_narrowpeak
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.regions import read_bed
from seqexp.dna.peaks.bdgpeakcall import call_on_track
from seqexp.dna.peaks.callpeak import call_on_alignments
from seqexp.dna.peaks.tables import read_peaks

SIZES = {"chr2": 2_000, "chr10": 1_500, "chrEmpty": 400}


@pytest.fixture
def masks() -> BinScores:
    rng = np.random.default_rng(0)
    starts = (-100, 300, 900, 1_500)
    windows = tuple(
        Interval(chrom, start, start + 600, strand)
        for chrom, strand in (("chr2", "+"), ("chr10", "-"))
        for start in starts[: 4 if chrom == "chr2" else 3]
    )
    values = rng.random((7, 30)).astype(np.float32)
    return BinScores(tuple(f"g{n}" for n in range(7)), windows, values, 20, SIZES)


def macs3_bedgraph(path: Path) -> dict[str, np.ndarray]:
    """Values per base as MACS3 reads them, 0 where it was told nothing."""
    bedgraphs = pytest.importorskip("MACS3.IO.BedGraphIO")
    track = bedgraphs.bedGraphIO(str(path)).read_bedGraph(baseline_value=0)
    found = {}
    for name in track.get_chr_names():
        ends, values = track.get_data_by_chr(name)
        widths = np.diff(np.concatenate([[0], np.array(ends)]))
        found[name.decode()] = np.repeat(np.array(values, dtype=np.float32), widths)
    return found


def test_tracks_read_back(masks: BinScores, tmp_path: Path) -> None:
    elements = call_elements(masks, budget_bp=600)
    written = {item.path.name: item for item in write_element_files(masks, elements, tmp_path)}
    track = masks.merged()
    wanted = {name: np.full(size, np.nan, dtype=np.float32) for name, size in SIZES.items()}
    for row in track.itertuples():
        wanted[row.chrom][row.start : row.end] = row.value
    with pyBigWig.open(str(tmp_path / "mask.bw")) as handle:
        assert handle.chroms() == SIZES
        for name, values in wanted.items():
            np.testing.assert_array_equal(handle.values(name, 0, SIZES[name], numpy=True), values)
    for name, values in macs3_bedgraph(tmp_path / "mask.bedGraph").items():
        np.testing.assert_allclose(values, np.nan_to_num(wanted[name])[: len(values)], rtol=1e-5)
        assert not np.isfinite(wanted[name][len(values) :]).any()
    assert written["elements_per_gene.bed"].num == len(elements)


def test_elements_read_back(masks: BinScores, tmp_path: Path) -> None:
    parsers = pytest.importorskip("MACS3.IO.Parser")
    elements = call_elements(masks, budget_bp=600)
    write_element_files(masks, elements, tmp_path)
    per_gene = read_bed(tmp_path / "elements_per_gene.bed")
    found = sorted(zip(per_gene["chrom"], per_gene["start"], per_gene["end"], per_gene["name"], per_gene["strand"]))
    assert found == sorted(
        zip(elements["chrom"], elements["start"], elements["end"], elements["gene_id"], elements["strand"])
    )
    united = read_peaks(tmp_path / "elements.narrowPeak").sort_values(["chrom", "start"], ignore_index=True)
    wanted = merge_elements(elements)
    for column in ("chrom", "start", "end", "summit_bp"):
        assert united[column].tolist() == wanted[column].tolist()
    np.testing.assert_allclose(united["score"], wanted["score"], rtol=1e-5)

    reads = parsers.BEDParser(str(tmp_path / "elements_per_gene.bed")).build_fwtrack()
    reads.finalize()
    assert {name.decode() for name in reads.get_chr_names()} == set(elements["chrom"])
    assert reads.total == len(elements)
    fragments = parsers.BEDPEParser(str(tmp_path / "elements.narrowPeak")).build_petrack()
    fragments.finalize()
    places = {
        (name.decode(), int(start), int(end))
        for name in fragments.get_chr_names()
        for start, end in fragments.get_locations_by_chr(name)
    }
    assert places == set(zip(wanted["chrom"], wanted["start"], wanted["end"]))


def test_empty_sets_give_empty_files(masks: BinScores, tmp_path: Path) -> None:
    elements = call_elements(masks, threshold=1.0)
    assert elements.empty
    for item in write_element_files(masks, elements, tmp_path)[:3]:
        assert (item.num, item.num_clipped, read_bed(item.path).empty) == (0, 0, True)
    assert read_peaks(tmp_path / "elements.narrowPeak").empty
    nothing = pd.DataFrame({"chrom": [], "start": [], "end": [], "value": []})
    write_bedgraph(nothing, tmp_path / "none.bedGraph", SIZES)
    write_bigwig(nothing, tmp_path / "none.bw", SIZES)
    with pyBigWig.open(str(tmp_path / "none.bw")) as handle:
        assert handle.chroms() == SIZES


def test_chromosome_ends_are_cut(tmp_path: Path) -> None:
    frame = pd.DataFrame({"chrom": "chr2", "start": [-50, 1_950, 2_000], "end": [50, 2_100, 2_200], "value": 0.5})
    frame = frame.assign(gene_id="g", strand="+", score=0.5, summit_bp=[10, 100, 5])
    for write, name in ((write_bed, "a.bed"), (write_narrowpeak, "a.narrowPeak"), (write_bedgraph, "a.bedGraph")):
        item = write(frame, tmp_path / name, SIZES)
        assert (item.num, item.num_clipped, item.num_outside) == (2, 2, 1)
        assert read_bed(tmp_path / name)[["start", "end"]].to_numpy().tolist() == [[0, 50], [1_950, 2_000]]
    assert read_bed(tmp_path / "a.narrowPeak")["summit_bp"].tolist() == [0, 49]


@pytest.fixture
def signal(tmp_path: Path) -> tuple[np.ndarray, Path, Path]:
    """Values per base of chr2, as bigWig with gaps of missing values and as bedGraph."""
    rng = np.random.default_rng(1)
    values = np.repeat(rng.choice([np.nan, 0.25, 1.0, 2.5, 4.0], 100).astype(np.float32), 20)
    starts = np.flatnonzero(np.isfinite(values[::20])) * 20
    frame = pd.DataFrame({"chrom": "chr2", "start": starts, "end": starts + 20, "value": values[starts]})
    bigwig, bedgraph = tmp_path / "signal.bw", tmp_path / "signal.bedGraph"
    write_bigwig(frame, bigwig, SIZES)
    write_bedgraph(frame, bedgraph, SIZES)
    return np.nan_to_num(values), bigwig, bedgraph


def runs(is_high: np.ndarray, max_gap: int, min_length: int) -> list[tuple[int, int]]:
    found: list[list[int]] = []
    for base in np.flatnonzero(is_high).tolist():
        if found and base - found[-1][1] <= max_gap:
            found[-1][1] = base + 1
        else:
            found.append([base, base + 1])
    return [(start, end) for start, end in found if end - start >= min_length]


@pytest.mark.parametrize(("cutoff", "max_gap", "min_length"), [(1.0, 0, 1), (2.5, 20, 40), (4.0, 30, 60), (9.0, 0, 1)])
def test_track_peaks_by_base(
    signal: tuple[np.ndarray, Path, Path], tmp_path: Path, cutoff: float, max_gap: int, min_length: int
) -> None:
    pytest.importorskip("MACS3")
    values, bigwig, bedgraph = signal
    wanted = runs(values >= cutoff, max_gap, min_length)
    for track in (bigwig, bedgraph):
        peaks = call_on_track(
            track, tmp_path / "called.bed", cutoff=cutoff, min_length_bp=min_length, max_gap_bp=max_gap
        )
        assert sorted(zip(peaks["start"], peaks["end"])) == wanted
        assert (tmp_path / "called.bed").read_text().startswith("# mode=threshold macs3 bdgpeakcall")


def test_track_peaks_are_ranked_by_signal_and_reach_the_target(
    signal: tuple[np.ndarray, Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("MACS3")
    values, bigwig, _ = signal
    output = tmp_path / "peaks.narrowPeak"
    peaks = call_on_track(bigwig, output, target_bp=700, min_length_bp=20, max_gap_bp=0)
    assert (peaks["end"] - peaks["start"]).sum() >= 700
    for row in peaks.itertuples():
        assert row.score == values[row.start : row.end].max()
    assert (read_bed(output)["score"].between(0, 1000)).all()
    part = call_on_track(bigwig, output, cutoff=1.0, min_length_bp=1, max_gap_bp=0, extent={"chr2": [(500, 900)]})
    assert sorted(zip(part["start"], part["end"])) == [(500 + s, 500 + e) for s, e in runs(values[500:900] >= 1, 0, 1)]


@pytest.mark.parametrize("file_format", ["BED", "BEDPE"])
def test_callpeak_finds_what_was_simulated(tmp_path: Path, file_format: str) -> None:
    pytest.importorskip("MACS3")
    rng = np.random.default_rng(2)
    summits = [20_000, 60_000]
    middles = np.concatenate(
        [rng.integers(1_000, 99_000, 1_000), *(rng.normal(s, 40, 200).astype(int) for s in summits)]
    )
    lines = [
        f"chr2\t{m - 75}\t{m + 75}" + ("" if file_format == "BEDPE" else f"\tr{n}\t0\t{'+-'[n % 2]}")
        for n, m in enumerate(middles)
    ]
    reads = tmp_path / f"reads.{file_format.lower()}"
    reads.write_text("\n".join(lines) + "\n")
    peaks = call_on_alignments(reads, tmp_path / "peaks.narrowPeak", genome_bp=100_000, file_format=file_format)
    assert len(peaks) == 2
    for summit in summits:
        assert ((peaks["start"] < summit) & (peaks["end"] > summit)).sum() == 1
    header = (tmp_path / "peaks.narrowPeak").read_text().splitlines()[0]
    assert header.startswith("# mode=statistical macs3 callpeak")
