"""The commands elements, peaks and compare: what they write, and one clear error where they cannot."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.cli.main import main
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.regions import read_bed
from seqexp.dna.peaks.tables import read_peaks

SIZES = {"chr1": 6_000, "chr2": 3_000}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run folder with masks and predictions, nothing else."""
    rng = np.random.default_rng(0)
    windows = [Interval("chr1", n * 900 - 100, n * 900 + 900, "+-"[n % 2]) for n in range(6)]
    windows += [Interval("chr2", n * 900, n * 900 + 1_000, "+-"[n % 2]) for n in range(3)]
    names = [f"g{n}" for n in range(9)]
    folder = tmp_path / "run"
    masks = BinScores(tuple(names), tuple(windows), rng.random((9, 50)).astype(np.float32), 20, SIZES)
    masks.save(folder / "masks.npz")
    splits = ["train"] * 6 + ["test"] * 3
    pd.DataFrame({"gene_id": names, "split": splits}).to_csv(folder / "predictions.tsv", sep="\t", index=False)
    return folder


def test_elements_peaks_compare(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, peaks, table = tmp_path / "elements", tmp_path / "peaks.narrowPeak", tmp_path / "compare.tsv"
    assert main(["elements", str(run_dir), "--split", "test", "--budget-bp", "400", "--out", str(out)]) == 0
    per_gene = read_bed(out / "elements_per_gene.bed")
    assert (per_gene["end"] - per_gene["start"]).sum() == 400
    assert set(per_gene["name"]) <= {"g6", "g7", "g8"}
    assert {p.name for p in out.iterdir()} == {
        "elements.bed", "elements.narrowPeak", "elements_per_gene.bed", "elements_per_gene.narrowPeak",
        "mask.bedGraph", "mask.bw", "windows.bed",
    }  # fmt: skip
    assert main(["peaks", "--narrowpeak", str(out / "elements.narrowPeak"), "--out", str(peaks)]) == 0
    same = (read_peaks(path) for path in (peaks, out / "elements.narrowPeak"))
    pd.testing.assert_frame_equal(*same)
    arguments = ["--elements", str(out / "elements_per_gene.bed"), "--peaks", str(peaks), "--out", str(table)]
    assert main(["compare", *arguments, "--masks", str(run_dir), "--permutations", "50"]) == 0
    pooled = pd.read_csv(tmp_path / "compare_pooled.tsv", sep="\t").iloc[0]
    assert pooled["elements_bp"] == pooled["peaks_bp"] == pooled["budget_bp"] == 400
    assert pd.read_csv(table, sep="\t")["gene_id"].tolist() == ["g6", "g7", "g8"]  # where elements were looked for
    text = capsys.readouterr().out
    assert "Jaccard index" in text
    assert f"wrote {table}" in text


def test_compare_in_windows_and_tiles(run_dir: Path, tmp_path: Path) -> None:
    """A set compared with itself agrees fully, within named windows and in tiles, at any budget."""
    out, windows = tmp_path / "elements", tmp_path / "windows.bed"
    assert main(["elements", str(run_dir), "--threshold", "0.8", "--out", str(out)]) == 0
    windows.write_text("chr1\t0\t3000\tleft\n1\t4000\t5000\tright\n".replace("\n1\t", "\nchr1\t"))
    both = ["compare", "--elements", str(out / "elements.narrowPeak"), "--peaks", str(out / "elements.narrowPeak")]
    for number, extra in enumerate((["--windows", str(windows)], [], ["--budget-bp", "230"])):
        assert main([*both, *extra, "--out", str(tmp_path / f"c{number}.tsv")]) == 0
        pooled = pd.read_csv(tmp_path / f"c{number}_pooled.tsv", sep="\t").iloc[0]
        assert pooled["jaccard"] == 1
        assert pooled["elements_bp"] == pooled["budget_bp"]
    assert pooled["budget_bp"] == 230


def test_scopes_and_default_budget(run_dir: Path, tmp_path: Path) -> None:
    for scope, num in (("pooled", None), ("gene", 100)):
        assert main(["elements", str(run_dir), "--scope", scope, "--out", str(tmp_path / scope)]) == 0
        frame = read_bed(tmp_path / scope / "elements_per_gene.bed")
        widths = (frame["end"] - frame["start"]).groupby(frame["name"]).sum()
        assert widths.sum() == 900
        assert num is None or (widths == num).all()


@pytest.mark.parametrize("missing", ["program", "module"])
def test_macs3_missing(
    run_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: str,
) -> None:
    if missing == "program":
        monkeypatch.setattr(shutil, "which", lambda *args, **kwargs: None)
    else:
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "MACS3" else find(name, *a))
    reads = tmp_path / "reads.bed"
    reads.write_text("chr1\t1\t50\tr\t0\t+\n")
    output = tmp_path / "peaks.narrowPeak"
    for source in (["--alignments", str(reads), "--genome-bp", "6000"], ["--track", str(reads), "--cutoff", "1"]):
        assert main(["peaks", *source, "--out", str(output)]) == 2
        assert "pip install 'seqexp[macs3]'" in capsys.readouterr().err
        assert not output.exists()


def test_errors_are_one_message(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocker, empty = tmp_path / "file", tmp_path / "empty"
    blocker.write_text("")
    empty.mkdir()
    (tmp_path / "other.bed").write_text("scaffold9\t1\t50\n")
    (tmp_path / "bad.npz").write_text("no masks")
    (tmp_path / "track.bedGraph").write_text("chr1\t0\t50\tx\n")
    elements, other, masks = str(tmp_path / "e" / "elements.bed"), str(tmp_path / "other.bed"), str(run_dir)
    assert main(["elements", str(run_dir), "--out", str(tmp_path / "e")]) == 0
    cases = {
        "cannot write": ["elements", str(run_dir), "--out", str(blocker / "out")],
        "no masks": ["elements", str(empty), "--out", str(tmp_path / "x")],
        "not readable as masks": ["elements", str(tmp_path / "bad.npz"), "--out", str(tmp_path / "x")],
        "split 'val'": ["elements", str(run_dir), "--split", "val", "--out", str(tmp_path / "x")],
        "threshold 2.0": ["elements", str(run_dir), "--threshold", "2", "--out", str(tmp_path / "x")],
        "no chromosome name": ["compare", "--elements", elements, "--peaks", other, "--masks", masks, "--out", "x"],
        "no such file": ["compare", "--elements", elements, "--peaks", "nowhere.bed", "--out", str(tmp_path / "x.tsv")],
        "either a cutoff or a target": ["peaks", "--track", elements, "--out", str(tmp_path / "x.narrowPeak")],
    }
    for words, arguments in cases.items():
        assert main(arguments) == 2, words
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert words in error
    track = str(tmp_path / "track.bedGraph")
    assert main(["peaks", "--track", track, "--cutoff", "1", "--out", str(tmp_path / "x.narrowPeak")]) == 2
    assert not list(tmp_path.glob("x*"))
    assert not list(tmp_path.glob("*.part.*"))


@pytest.mark.parametrize("command", ["elements", "peaks", "compare"])
def test_help_is_light(command: str) -> None:
    code = (
        "import sys, importlib\n"
        f"main = importlib.import_module('seqexp.cli.{command}').main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'numpy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "examples:" in done.stdout
