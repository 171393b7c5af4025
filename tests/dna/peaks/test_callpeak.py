"""Peaks on alignments: every option reaches MACS3, and real MACS3 gives the same by hand."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_bam import READ_BP, write_bam, write_paired_bam

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.peaks import callpeak
from seqexp.dna.peaks.callpeak import call_on_alignments

needs_macs3 = pytest.mark.skipif(importlib.util.find_spec("MACS3") is None, reason="MACS3 is not installed")
SIZES = {"chr1": 200_000}
SINGLE = ["--nomodel", "--shift", "0", "--extsize", "200"]


def simulated(folder: Path, kind: str) -> Path:
    """Fragments of three open regions over background, as a file of the kind asked for."""
    rng = np.random.default_rng(3)
    near = [rng.normal(centre, 40, 150).astype(int) for centre in (40_000, 90_000, 150_000)]
    middles = np.sort(np.concatenate([rng.integers(1_000, 199_000, 1_500), *near]))
    fragments = [("chr1", int(m) - 70, int(m) + 80) for m in middles]
    reads = [(c, s if n % 2 else e - READ_BP, "-+"[n % 2]) for n, (c, s, e) in enumerate(fragments)]
    path = folder / f"{kind}.alignments"
    if kind == "BAM":
        return write_bam(path, SIZES, reads)
    if kind == "BAMPE":
        return write_paired_bam(path, SIZES, fragments)
    rows = {
        "BED": [f"{c}\t{s}\t{s + READ_BP}\tr\t0\t{strand}" for c, s, strand in reads],
        "BEDPE": [f"{c}\t{s}\t{e}" for c, s, e in fragments],
        "FRAG": [f"{c}\t{s}\t{e}\tAACGT-1\t{1 + n % 2}" for n, (c, s, e) in enumerate(fragments)],
        "SAM": ["@SQ\tSN:chr1\tLN:200000"]
        + [
            f"r{n}\t{16 * (strand == '-')}\t{c}\t{s + 1}\t60\t{READ_BP}M\t*\t0\t0\t{'A' * READ_BP}\t{'I' * READ_BP}"
            for n, (c, s, strand) in enumerate(reads)
        ],
    }[kind]
    with gzip.open(path, "wt") if kind == "BEDPE" else open(path, "w") as handle:
        handle.write("\n".join(rows) + "\n")
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Arguments MACS3 is called with; it finds one peak."""
    calls: list[list[str]] = []

    def run(arguments: list[str], made: Path, limit_minutes: float) -> list[str]:
        calls.append([*arguments, f"limit={limit_minutes:g}"])
        made.write_text("chr1\t10\t20\tx\t5\t.\t3\t2\t1\t4\n")
        return ["#2 d is small"]

    monkeypatch.setattr(callpeak, "run_macs3", run)
    monkeypatch.setattr(callpeak, "find_macs3", lambda: "macs3")
    return calls


@pytest.mark.parametrize(
    ("kind", "options", "expected", "told"),
    [
        ("BED", [], SINGLE, "format=BED q=0.05 gsize=200000 shift=0 extsize=200"),
        ("BED", ["--format", "BED", "--extsize-bp", "150"], [*SINGLE[:-1], "150"], "shift=0 extsize=150"),
        ("BAM", ["--shift-bp", "-75"], ["--nomodel", "--shift", "-75", "--extsize", "200"], "shift=-75 extsize=200"),
        (
            "SAM",
            ["--shift-bp", "-75", "--extsize-bp", "150"],
            ["--nomodel", "--shift", "-75", "--extsize", "150"],
            "format=SAM q=0.05 gsize=200000 shift=-75 extsize=150",
        ),
        ("BED", ["--use-model"], [], "format=BED q=0.05 gsize=200000 model=estimated"),
        ("BAM", ["--use-model", "--format", "BAM"], [], "model=estimated"),
        ("BAM", ["--format", "AUTO"], SINGLE, "format=BAM"),
        ("BEDPE", [], [], "format=BEDPE q=0.05 gsize=200000"),
        ("BEDPE", ["--format", "BEDPE"], [], "format=BEDPE"),
        ("BAMPE", [], [], "format=BAMPE"),
        ("BAMPE", ["--format", "BAMPE"], [], "format=BAMPE"),
        ("BAMPE", ["--extsize-bp", "150"], [*SINGLE[:-1], "150"], "format=BAM q=0.05 gsize=200000 shift=0 extsize=150"),
        ("FRAG", [], [], "format=FRAG"),
        ("FRAG", ["--format", "BEDPE"], [], "format=BEDPE"),
    ],
)
def test_every_option_reaches_macs3(
    tmp_path: Path, asked: list[list[str]], kind: str, options: list[str], expected: list[str], told: str
) -> None:
    reads, out = simulated(tmp_path, kind), tmp_path / "p.narrowPeak"
    arguments = ["peaks", "--alignments", str(reads), "--genome-bp", "200000", "--out", str(out), *options]
    assert main(arguments) == 0
    file_format = told.split("format=")[1].split()[0] if "format=" in told else kind
    (found,) = asked
    head, tail = found[: found.index("-n")], found[found.index("-n") :]
    assert head == ["callpeak", "-t", str(reads), "-f", file_format, "-g", "200000", "-q", "0.05", *expected]
    assert (tail[:3], tail[-1]) == (["-n", "peaks", "--outdir"], "limit=120")
    header = out.read_text().splitlines()[:2]
    assert told in header[0]
    assert header[1] == "# macs3 warned: #2 d is small"


def test_q_value_control_limit_and_pooled_files_reach_macs3(tmp_path: Path, asked: list[list[str]]) -> None:
    (tmp_path / "other").mkdir()
    one, two, three = simulated(tmp_path, "BED"), simulated(tmp_path / "other", "BED"), tmp_path / "control.bed"
    three.write_bytes(one.read_bytes())
    arguments = [
        "--alignments",
        str(one),
        str(two),
        "--genome-bp",
        "9000",
        "--q-value",
        "0.01",
        "--control",
        str(three),
    ]
    assert main(["peaks", *arguments, "--limit-minutes", "5", "--out", str(tmp_path / "p")]) == 0
    expected = [
        "callpeak",
        "-t",
        str(one),
        str(two),
        "-f",
        "BED",
        "-g",
        "9000",
        "-q",
        "0.01",
        "-c",
        str(three),
        *SINGLE,
    ]
    assert asked[0][: len(expected)] == expected
    assert asked[0][-1] == "limit=5"
    head = (tmp_path / "p").read_text().splitlines()[0]
    assert "file=BED.alignments,BED.alignments format=BED q=0.01 gsize=9000" in head
    assert "control=control.bed" in head


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("BEDPE", ["--shift-bp", "-75"], "shift_bp given for BEDPE"),
        ("BEDPE", ["--extsize-bp", "150", "--shift-bp", "0"], "shift_bp, extsize_bp given for BEDPE"),
        ("BAMPE", ["--format", "BAMPE", "--shift-bp", "-75"], "shift_bp given for BAMPE"),
        ("FRAG", ["--use-model"], "use_model given for FRAG"),
        ("BED", ["--use-model", "--extsize-bp", "150"], "extsize_bp given beside use_model"),
        ("BED", ["--extsize-bp", "0"], "extsize_bp: 0"),
        ("BED", ["--q-value", "5"], "q value 5"),
        ("BED", ["--genome-bp", "0"], "genome of 0 bp"),
        ("BEDPE", ["--format", "BED"], "format BED was named, but this is BEDPE"),
        ("BAM", ["--format", "BAMPE"], "format BAMPE was named, but this is BAM"),
        ("BED", ["--format", "SAM"], "format SAM was named, but this is BED"),
        ("BED", ["--control", "BEDPE.alignments"], "files of several formats"),
    ],
)
def test_what_does_not_apply_is_refused_in_one_message(
    tmp_path: Path,
    asked: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    simulated(tmp_path, "BEDPE")
    reads = simulated(tmp_path, kind)
    base = ["peaks", "--alignments", reads.name, "--out", "p", "--genome-bp", "9"]
    assert main([*base, *options]) == 2
    assert message in capsys.readouterr().err
    assert not asked
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("--track", ["--shift-bp", "-75"], "--shift-bp belongs to --alignments"),
        ("--track", ["--q-value", "0.1", "--format", "BED"], "--format and --q-value belong to --alignments"),
        ("--alignments", ["--cutoff", "1"], "--cutoff belongs to --track"),
        ("--narrowpeak", ["--max-gap-bp", "5"], "--max-gap-bp belongs to --track"),
        ("--narrowpeak", ["--use-model"], "--use-model belongs to --alignments"),
        ("--narrowpeak", ["--limit-minutes", "5"], "--limit-minutes is for MACS3"),
        ("--alignments", [], "--alignments needs --genome-bp"),
    ],
)
def test_options_of_another_source_are_refused(
    capsys: pytest.CaptureFixture[str], source: str, options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["peaks", source, "x", "--out", "y", *options])
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_options_go_by_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="positional"):
        call_on_alignments(tmp_path / "x", tmp_path / "y", 1000, "BED", 0.05)  # type: ignore[misc]


@needs_macs3
@pytest.mark.parametrize(
    ("kind", "by_hand", "options"),
    [
        ("BED", ["--nomodel", "--shift", "-75", "--extsize", "150"], ["--shift-bp", "-75", "--extsize-bp", "150"]),
        ("BEDPE", [], []),
        ("BAM", ["--nomodel", "--extsize", "147", "-q", "0.01"], ["--extsize-bp", "147", "--q-value", "0.01"]),
        ("BAMPE", [], []),
        ("FRAG", [], []),
    ],
)
def test_real_macs3_gives_the_same_by_hand(tmp_path: Path, kind: str, by_hand: list[str], options: list[str]) -> None:
    reads, out = simulated(tmp_path, kind), tmp_path / "p.narrowPeak"
    assert main(["peaks", "--alignments", str(reads), "--genome-bp", "200000", "--out", str(out), *options]) == 0
    program = Path(sys.executable).parent / "macs3"
    command = [str(program), "callpeak", "-t", str(reads), "-f", kind, "-g", "200000", "-n", "x"]
    subprocess.run([*command, "--outdir", str(tmp_path), *by_hand], check=True, capture_output=True)
    wanted = [line.split("\t") for line in (tmp_path / "x_peaks.narrowPeak").read_text().splitlines()]
    found = [line.split("\t") for line in out.read_text().splitlines() if not line.startswith("#")]
    assert len(found) == 3
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    np.testing.assert_allclose(
        np.array([row[6:] for row in found], float), np.array([row[6:] for row in wanted], float), rtol=1e-5
    )


@needs_macs3
def test_advice_of_real_macs3_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="we suggest to use --nomodel and --extsize 147"):
        call_on_alignments(simulated(tmp_path, "BED"), tmp_path / "p", genome_bp=200_000, use_model=True)
    assert [path.name for path in tmp_path.iterdir()] == ["BED.alignments"]


def test_model_options_are_a_config_error(tmp_path: Path, asked: list[list[str]]) -> None:
    with pytest.raises(ConfigError, match="no such option"):
        call_on_alignments(simulated(tmp_path, "BEDPE"), tmp_path / "p", genome_bp=9, use_model=True)
