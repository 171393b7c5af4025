"""What ``data check`` refuses a run refuses too, in the same words, and before it reads the first batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from tiny_bigwig import write_raw_bigwig
from tiny_genome import CHROM_BP, CHROMS

from seqexp.core.errors import ConfigError, SeqexpError
from seqexp.dna.genome.check import check_dataset
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.loaders.data import SequenceData

SIZES = dict.fromkeys(CHROMS, CHROM_BP)


def track(folder: Path, value: float, chroms: tuple[str, ...] = CHROMS, num: int = CHROM_BP // 10) -> None:
    """A track with 1 everywhere but for one stretch of ``value`` on the last chromosome."""
    with pyBigWig.open(str(folder / "atac.bw"), "w") as handle:
        handle.addHeader(list(SIZES.items()))
        for chrom in chroms:
            values = np.ones(num)
            values[num // 3 : num // 2 : 1] = value if chrom == chroms[-1] else 2
            starts = np.arange(num) * 10
            handle.addEntries([chrom] * num, starts.tolist(), ends=(starts + 10).tolist(), values=values.tolist())


def nan_track(folder: Path) -> None:
    blocks = [(n, 1, [(0, CHROM_BP, float("nan"))]) for n in range(len(CHROMS))]
    write_raw_bigwig(folder / "atac.bw", SIZES, blocks)


def empty_track(folder: Path) -> None:
    with pyBigWig.open(str(folder / "atac.bw"), "w") as handle:
        handle.addHeader(list(SIZES.items()))


def sequence(table: bytes) -> Callable[[Path], None]:
    """Write the FASTA anew, its bases A, C, G, T exchanged for four other letters."""

    def write(folder: Path) -> None:
        lines = (folder / "genome.fa").read_bytes().split(b"\n")
        kept = [
            line if line.startswith(b">") else line.translate(bytes.maketrans(b"ACGTacgt", table * 2)) for line in lines
        ]
        (folder / "genome.fa").write_bytes(b"\n".join(kept))

    return write


def text(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content)  # type: ignore[return-value]


def unstated(folder: Path) -> None:
    path = folder / "dataset.yaml"
    path.write_text(path.read_text().replace("missing: zero\n", ""))
    track(folder, 3.0, CHROMS[:1])


def alignments(content: str, options: str = "") -> Callable[[Path], None]:
    """Name reads in the description."""

    def write(folder: Path) -> None:
        (folder / "reads.bed").write_text(content)
        path = folder / "dataset.yaml"
        path.write_text(path.read_text() + f"alignments: {{ATAC: {{path: reads.bed{options}}}}}\n")

    return write


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "inf": (lambda folder: track(folder, np.inf), "the track holds inf at chr6:"),
    "3e38": (lambda folder: track(folder, 3e38), "the track holds 3e+38 at chr6:"),
    "only NaN": (nan_track, "the track holds no value"),
    "no value": (empty_track, "the track holds no value"),
    "one of six": (unstated, "track ATAC has no value on 5 of 6 chromosomes, where 50 of 60 genes lie: chr2, chr3"),
    "protein": (sequence(b"MKLE"), "in the sequence of chr1 stands for no base"),
    "RNA": (sequence(b"ACGU"), "'U' in the sequence of chr1 stands for no base"),
    "gaps": (sequence(b"AC-T"), "'-' in the sequence of chr1 stands for no base"),
    "all masked": (sequence(b"NNNN"), "windows is A, C, G or T"),
    "blacklist of other names": (text("blacklist.bed", "contig7\t5\t20\n"), "no chromosome name of blacklist.bed"),
    "blacklist beyond": (text("blacklist.bed", "chr1\t40000\t40020\n"), "beyond the end of their chromosome"),
    "half a base": (text("blacklist.bed", "chr1\t100.5\t200\n"), "'100.5' in column 'start' is not a position"),
    "far end": (text("blacklist.bed", f"chr1\t100\t{2**62}\n"), "in column 'end' is not a position"),
    "turned round": (text("blacklist.bed", "chr1\t200\t100\n"), "empty, negative or turned round"),
    "peaks of other names": (text("peaks.narrowPeak", "contig7\t5\t20\n"), "no chromosome name of peaks.narrowPeak"),
    "reads of other names": (alignments("contig7\t5\t90\n"), "no chromosome name of reads.bed"),
    "reads beyond": (alignments("chr1\t5\t40001\n"), "chr1 has reads up to 40,001 bp"),
    "no reads": (alignments("hello\n"), "is no alignment"),
    "shifted fragments": (alignments("chr1\t5\t90\n", ", shift_bp: -75"), "shift_bp given for BEDPE"),
    "truth beyond": (
        text("truth.tsv", "chrom\tstart\tend\tgene_id\teffect\nchr1\t50000\t50010\tG000\t1\n"),
        "beyond the end of their chromosome",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_check_and_run_refuse_alike(name: str, tiny_dataset: Path) -> None:
    spoil, message = FAULTS[name]
    spoil(tiny_dataset.parent)
    report = check_dataset(load_dataset(tiny_dataset), 300, 500)
    assert any(message in row.found for row in report.errors), report.render()
    with pytest.raises(SeqexpError) as caught:
        SequenceData(tiny_dataset, 300, 500).setup()
    assert message in str(caught.value)


def test_a_track_of_one_chromosome_is_told_where_the_dataset_accepts_it(tiny_dataset: Path) -> None:
    track(tiny_dataset.parent, 3.0, CHROMS[:1])
    told = "1 of 6 chromosomes with genes; none on chr2, chr3, chr4, chr5, chr6, where 50 genes lie (missing: zero)"
    report = check_dataset(load_dataset(tiny_dataset), 300, 500)
    assert report.ok
    assert told in [row.found for row in report.rows if row.status == "warn"]
    data = SequenceData(tiny_dataset, 300, 500)
    data.setup()
    assert f"atac.bw: chromosomes with values: {told}" in data.notes


def test_chromosomes_left_out_need_no_values(tiny_dataset: Path) -> None:
    unstated(tiny_dataset.parent)
    track(tiny_dataset.parent, 3.0, ("chr1", "chr5", "chr6"))
    tiny_dataset.write_text(
        tiny_dataset.read_text().replace("test: [chr6]}", "test: [chr6], exclude: [chr2, chr3, chr4]}")
    )
    assert check_dataset(load_dataset(tiny_dataset), 300, 500).ok
    SequenceData(tiny_dataset, 300, 500).setup()


def test_tracks_that_a_run_does_not_use_do_not_matter_to_it(tiny_dataset: Path) -> None:
    track(tiny_dataset.parent, np.inf)
    SequenceData(tiny_dataset, 300, 500, tracks=["H3K27ac"]).setup()


@pytest.mark.parametrize(
    ("upstream_bp", "downstream_bp", "message"),
    [
        (0, 0, "downstream_bp: 0"),
        (-5, 500, "upstream_bp: -5"),
        (300, -1, "downstream_bp: -1"),
        (20_000, 20_001, "a window of 40,001 bp is longer than every chromosome"),
        (10**12, 10**12, "a window of 2,000,000,000,000 bp is longer than every chromosome"),
    ],
)
def test_absurd_windows_are_refused_at_once(
    upstream_bp: int, downstream_bp: int, message: str, shared_tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_dataset(shared_tiny_dataset)
    for name in ("check_fasta", "check_track", "check_regions", "check_bases"):
        monkeypatch.setattr(f"seqexp.dna.genome.check.{name}", lambda *_, **__: pytest.fail("should have been refused"))
    with pytest.raises(ConfigError, match=message):
        check_dataset(spec, upstream_bp, downstream_bp)
    with pytest.raises(ConfigError, match=message):
        SequenceData(shared_tiny_dataset, upstream_bp, downstream_bp).setup()
