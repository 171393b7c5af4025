"""Where peaks come from, what they are called, and real MACS3 on the reads of a dataset."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_bam import READ_BP, write_bam, write_paired_bam
from tiny_genome import CHROM_BP, CHROMS

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.check import check_dataset
from seqexp.dna.genome.dataset import DatasetSpec, load_dataset
from seqexp.dna.peaks import peak_sets
from seqexp.dna.peaks.peak_sets import PeakSet, find_peaks

needs_macs3 = pytest.mark.skipif(importlib.util.find_spec("MACS3") is None, reason="MACS3 is not installed")
SIZES = dict.fromkeys(CHROMS, CHROM_BP)


def with_lines(path: Path, *lines: str, drop: tuple[str, ...] = ()) -> DatasetSpec:
    kept = [line for line in path.read_text().splitlines() if not line.startswith(drop or ("#",))]
    path.write_text("\n".join([*kept, *lines]) + "\n")
    return load_dataset(path)


def fragments() -> list[tuple[str, int, int]]:
    """Fragments of one open region on each of four chromosomes, over background."""
    rng = np.random.default_rng(4)
    found = []
    for number, chrom in enumerate(CHROMS):
        middles = rng.integers(500, CHROM_BP - 500, 300)
        if number < 4:
            middles = np.concatenate([middles, rng.normal(20_000, 40, 120).astype(int)])
        found += [(chrom, int(m) - 70, int(m) + 80) for m in np.sort(middles)]
    return found


def written(folder: Path, kind: str) -> str:
    reads = [(c, s if n % 2 else e - READ_BP, "-+"[n % 2]) for n, (c, s, e) in enumerate(fragments())]
    if kind == "BAM":
        return write_bam(folder / "reads.bam", SIZES, reads).name
    if kind == "BAMPE":
        return write_paired_bam(folder / "pairs.bam", SIZES, fragments()).name
    rows = {
        "BED": [f"{c}\t{s}\t{s + READ_BP}\tr\t0\t{strand}" for c, s, strand in reads],
        "BEDPE": [f"{c}\t{s}\t{e}" for c, s, e in fragments()],
        "FRAG": [f"{c}\t{s}\t{e}\tAACGT-1\t1" for c, s, e in fragments()],
    }[kind]
    (folder / f"{kind}.txt").write_text("\n".join(rows) + "\n")
    return f"{kind}.txt"


@needs_macs3
@pytest.mark.parametrize("kind", ["BED", "BEDPE", "BAM", "BAMPE", "FRAG"])
def test_reads_of_the_dataset_lead_to_a_real_callpeak(tiny_dataset: Path, tmp_path: Path, kind: str) -> None:
    name = written(tiny_dataset.parent, kind)
    is_single = kind in ("BED", "BAM")
    options = ", shift_bp: -75, extsize_bp: 150" if is_single else ""
    spec = with_lines(tiny_dataset, f"alignments: {{ATAC: {{path: {name}{options}}}}}")
    found = find_peaks(spec, tmp_path / "run")
    assert found is not None
    text = "".join(line for line in (tiny_dataset.parent / "genome.fa").read_text().splitlines() if line[0] != ">")
    known_bp = sum(text.upper().count(letter) for letter in "ACGT")
    command = [str(Path(sys.executable).parent / "macs3"), "callpeak", "-t", str(tiny_dataset.parent / name)]
    command += ["-f", kind, "-g", str(known_bp), "-n", "x", "--outdir", str(tmp_path)]
    command += ["--nomodel", "--shift", "-75", "--extsize", "150"] if is_single else []
    subprocess.run(command, check=True, capture_output=True)
    wanted = [line.split("\t")[:3] for line in (tmp_path / "x_peaks.narrowPeak").read_text().splitlines()]
    places = found.table.sort_values(["chrom", "start"])[["chrom", "start", "end"]]
    assert places.astype(str).to_numpy().tolist() == wanted
    assert len(wanted) == 4
    assert (found.kind, found.label) == ("macs3", "MACS3 peaks")
    assert f"macs3 callpeak on {name} ({kind}, q < 0.05" in found.origin
    facts = dict(found.facts().values())
    assert facts["num_peaks"] == 4
    assert facts["peaks_bp"] == int((found.table["end"] - found.table["start"]).sum())
    assert "threshold_cutoff" not in facts
    assert found.notes == (
        "Compared with ATAC; the dataset also names peaks ATAC_peaks (seqexp report --alignments or --peaks).",
    )


@needs_macs3
def test_reads_under_other_names_and_beyond_the_fasta(tiny_dataset: Path, tmp_path: Path) -> None:
    """Names are aliases; the background counts chromosomes that the FASTA lacks, whose peaks are left out."""
    more = [("EBV", start, start + 150) for start in range(0, 100_000, 150)] + [
        ("EBV", 500, 650 + n) for n in range(90)
    ]
    rows = [(c.removeprefix("chr"), s, e) for c, s, e in fragments()] + more
    (tiny_dataset.parent / "r.bed").write_text("".join(f"{c}\t{s}\t{e}\n" for c, s, e in rows))
    spec = with_lines(tiny_dataset, "alignments: r.bed", drop=("peaks",))
    found = find_peaks(spec, tmp_path / "run")
    assert found is not None
    assert sorted(found.table["chrom"]) == list(CHROMS[:4])
    size = peak_sets.mappable_bp(spec.open_reference()) + 100_050
    assert f"mappable genome {size:,} bp" in found.origin
    assert f"gsize={size}" in (tmp_path / "run" / "peaks_macs3.narrowPeak").read_text()
    assert found.notes == ("The FASTA lacks chromosomes of the reads, whose peaks are left out: EBV.",)


@needs_macs3
def test_without_reads_it_is_a_threshold(tiny_dataset: Path, tmp_path: Path) -> None:
    spec = with_lines(tiny_dataset, drop=("peaks",))
    found = find_peaks(spec, tmp_path / "run", budget_fraction=0.05)
    assert found is not None
    facts = dict(found.facts().values())
    assert (found.kind, found.label) == ("threshold", "threshold on ATAC")
    assert found.origin.startswith("threshold on the track ATAC: signal of at least ")
    assert facts["peaks_bp"] >= 0.05 * 6 * CHROM_BP
    assert facts["threshold_cutoff"] > 0
    assert facts["num_peaks"] == len(found.table)
    assert find_peaks(with_lines(tiny_dataset, drop=("tracks",)), tmp_path / "run") is None


def test_peaks_given_carry_the_name_of_their_file(tiny_dataset: Path, tmp_path: Path) -> None:
    spec = with_lines(tiny_dataset, drop=("peaks",))
    (tmp_path / "ENCFF000ABC.bed").write_text(f"chr1\t100\t{CHROM_BP + 7}\tx\t9\nHLA\t1\t50\ty\t5\n")
    found = find_peaks(spec, tmp_path / "run", path=tmp_path / "ENCFF000ABC.bed")
    assert found is not None
    assert (found.kind, found.label) == ("peaks", "peaks of ENCFF000ABC.bed")
    assert found.table[["chrom", "start", "end"]].to_numpy().tolist() == [["chr1", 100, CHROM_BP]]
    assert "1 of 2 rows of ENCFF000ABC.bed are left out" in found.notes[0]
    assert found.notes[1] == "1 peaks of ENCFF000ABC.bed end past their chromosome and are cut there."
    assert "# mode=read file=ENCFF000ABC.bed" in (tmp_path / "run" / "peaks.narrowPeak").read_text()
    (tmp_path / "x.bed").write_text(f"chr1\t{CHROM_BP}\t{CHROM_BP + 7}\n")
    with pytest.raises(DataError, match="1 peaks lie beyond the end of their chromosome"):
        find_peaks(spec, tmp_path / "run", path=tmp_path / "x.bed")


NARROW = [f"chr{n}\t{1000 + n}\t{1400 + n}\tp{n}\t1000\t.\t{n}.5\t{n}0\t{n}\t7" for n in range(1, 7)]
XLS = ["# macs", "chr\tstart\tend\tlength\tabs_summit\tpileup\t-log10(pvalue)\tfold_enrichment\t-log10(qvalue)\tname"]
XLS += [f"chr{n}\t{1001 + n}\t{1400 + n}\t400\t{1008 + n}\t9\t{n}0\t{n}.5\t{n}\tp{n}" for n in range(1, 7)]
FORMATS = {
    "ENCFF000ABC.bed.gz": NARROW,
    "idr.optimal_peak.regionPeak.gz": NARROW,
    "x.narrowPeak": ["track type=narrowPeak", *NARROW],
    "ENCFF000DEF.bed.gz": [row.rsplit("\t", 1)[0] for row in NARROW],
    "x.broadPeak.gz": [row.rsplit("\t", 1)[0] for row in NARROW],
    "x_peaks.xls": XLS,
    "x_summits.bed": [f"chr{n}\t{1007 + n}\t{1008 + n}\tp{n}\t{n}0" for n in range(1, 7)],
    "three.bed": ["\t".join(row.split("\t")[:3]) for row in NARROW],
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_peaks_in_a_dataset(tiny_dataset: Path, tmp_path: Path, name: str) -> None:
    text = ("\n".join(FORMATS[name]) + "\n").encode()
    (tiny_dataset.parent / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    spec = with_lines(tiny_dataset, f"peaks: {{mine: {name}}}", drop=("peaks",))
    assert check_dataset(spec, 300, 500).ok
    found = find_peaks(spec, tmp_path / "run")
    assert found is not None
    assert (found.kind, found.label, len(found.table)) == ("peaks", f"peaks of {name}", 6)
    if name != "three.bed":
        assert found.table["score"].tolist() == [60, 50, 40, 30, 20, 10]
    if "xls" in name or "arrow" in name or "region" in name:
        assert (found.table["summit_bp"] == 7).all()
        assert found.table["q_value"].tolist() == [6, 5, 4, 3, 2, 1]


def test_what_is_asked_for_comes_before_what_there_is(
    tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiny_dataset.parent / "r.bed").write_text("chr1\t5\t90\n")
    spec = with_lines(tiny_dataset, "alignments: {one: r.bed, two: r.bed}")
    calls: list[str] = []

    def seen(kind: str, name: str) -> PeakSet:
        calls.append(name)
        return PeakSet(spec.read_peaks("ATAC_peaks"), kind, kind, kind)  # type: ignore[arg-type]

    monkeypatch.setattr(peak_sets, "called_on_reads", lambda s, reads, *_, **__: seen("macs3", reads.paths[0].name))
    monkeypatch.setattr(peak_sets, "above_threshold", lambda s, track, *_, **__: seen("threshold", track))
    monkeypatch.setattr(peak_sets, "from_file", lambda s, path, _: seen("peaks", path.name))
    out = tmp_path / "p"
    for options in ({}, {"alignments": "two"}, {"track": "H3K27ac"}, {"path": Path("mine.bed"), "track": "ATAC"}):
        found = find_peaks(spec, out, **options)
        assert found is not None
        assert bool(found.notes) == (not options)
    assert calls == ["r.bed", "r.bed", "H3K27ac", "mine.bed"]
    with pytest.raises(ConfigError, match=r"no alignments 'three'(.|\n)*one, two"):
        find_peaks(spec, out, alignments="three")
