"""MACS3 peaks: called on alignments, called on a signal track, or read from a file."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import ConfigError, DataError, MissingExtraError
from seqexp.core.files import atomic_path
from seqexp.dna.genome.regions import read_bed
from seqexp.dna.genome.tracks import open_bigwig

FORMATS = ("AUTO", "BAM", "SAM", "BED", "BEDPE", "BAMPE")


def find_macs3() -> str:
    """Path of the ``macs3`` program of this environment.

    Raises
    ------
    MissingExtraError
        MACS3 is not installed; the message gives the line that installs it.
    """
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("macs3", path=search)
    if program is None or importlib.util.find_spec("MACS3") is None:
        raise MissingExtraError("MACS3", "macs3")
    return program


def _run(arguments: list[str], made: Path) -> None:
    """Run MACS3 and prove that it wrote its file; its own last words are the error otherwise."""
    done = subprocess.run([find_macs3(), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not made.is_file():
        words = [line for line in (done.stderr + done.stdout).strip().splitlines() if line.strip()]
        raise DataError(
            f"macs3 {arguments[0]} failed: {words[-1] if words else 'no message'}",
            where=" ".join(["macs3", *arguments]),
            expected="exit status 0 and a narrowPeak file",
        )


def _deliver(made: Path, output: Path, mode: str) -> pd.DataFrame:
    """Copy the peaks of MACS3 under a header line that says how they were called."""
    rows = [line for line in made.read_text().splitlines() if line and not line.startswith(("track", "#"))]
    with atomic_path(output) as temporary:
        temporary.write_text("\n".join([f"# {mode}", *rows]) + "\n", encoding="utf-8")
    return read_peaks(output)


def call_on_alignments(
    alignments: Path,
    output: Path,
    genome_bp: int,
    file_format: str = "AUTO",
    q_value: float = 0.05,
    control: Path | None = None,
) -> pd.DataFrame:
    """Statistical peaks: ``macs3 callpeak`` on reads or fragments.

    Parameters
    ----------
    alignments : Path
        BAM, SAM, BED or BEDPE, plain or gzip.
    output : Path
        narrowPeak to write.
    genome_bp : int
        Mappable genome in bp (``-g``).
    file_format : str
        One of :data:`FORMATS`.
    q_value : float
        False discovery rate.
    control : Path, optional
        Control reads.

    Returns
    -------
    DataFrame
        See :func:`read_peaks`.
    """
    if file_format not in FORMATS:
        raise ConfigError(f"format {file_format!r}", expected="one of: " + ", ".join(FORMATS))
    if not alignments.is_file():
        raise DataError("no such file", where=alignments, expected="alignments as " + ", ".join(FORMATS[1:]))
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["callpeak", "-t", str(alignments), "-f", file_format, "-g", str(genome_bp)]
        arguments += ["-q", str(q_value), "-n", "peaks", "--outdir", folder]
        arguments += ["-c", str(control)] if control else []
        if file_format in ("AUTO", "BED"):
            arguments += ["--nomodel", "--extsize", "200"]  # cut sites have no strand shift to model
        made = Path(folder, "peaks_peaks.narrowPeak")
        _run(arguments, made)
        return _deliver(made, output, f"mode=statistical macs3 callpeak format={file_format} q={q_value}")


def call_on_track(
    track: Path,
    output: Path,
    cutoff: float | None = None,
    target_bp: int | None = None,
    min_length_bp: int = 100,
    max_gap_bp: int = 30,
    extent: Mapping[str, list[tuple[int, int]]] | None = None,
) -> pd.DataFrame:
    """Threshold peaks: ``macs3 bdgpeakcall`` on a bigWig or bedGraph.

    Parameters
    ----------
    track : Path
        bigWig (by its suffix .bw or .bigwig) or bedGraph.
    output : Path
        narrowPeak to write.
    cutoff : float, optional
        Signal a peak must reach.
    target_bp : int, optional
        Instead of a cutoff: choose, from the values that occur in the track, the lowest one above which no more than
        this many base pairs lie.
    min_length_bp, max_gap_bp : int
        ``-l`` and ``-g`` of MACS3.
    extent : mapping, optional
        Stretches to look at per chromosome; everything by default.

    Returns
    -------
    DataFrame
        See :func:`read_peaks`.
    """
    if (cutoff is None) == (target_bp is None):
        raise ConfigError("give either a cutoff or a target in bp", expected="one of the two")
    signal = read_track(track, extent)
    chosen = choose_cutoff(signal, int(target_bp or 0)) if cutoff is None else cutoff
    with tempfile.TemporaryDirectory() as folder:
        bedgraph, made = Path(folder, "track.bedGraph"), Path(folder, "peaks.narrowPeak")
        signal.to_csv(bedgraph, sep="\t", header=False, index=False)
        arguments = ["bdgpeakcall", "-i", str(bedgraph), "-c", f"{chosen:.6g}", "-l", str(min_length_bp)]
        arguments += ["-g", str(max_gap_bp), "--outdir", folder, "-o", made.name]
        _run(arguments, made)
        how = "given" if cutoff is not None else f"chosen for {target_bp} bp"
        mode = f"mode=threshold macs3 bdgpeakcall track={track.name} cutoff={chosen:.6g} ({how})"
        return _deliver(made, output, f"{mode} min_length={min_length_bp} max_gap={max_gap_bp}")


def read_track(track: Path, extent: Mapping[str, list[tuple[int, int]]] | None = None) -> pd.DataFrame:
    """Intervals of a bigWig or bedGraph: chrom, start, end, value; missing values left out."""
    if track.suffix.lower() not in (".bw", ".bigwig"):
        frame = read_bed(track).rename(columns={"name": "value"})
        if "value" not in frame:
            raise DataError("found 3 columns", where=track, expected="a bedGraph: chrom, start, end, value")
        return frame[["chrom", "start", "end", "value"]].astype({"value": float})
    parts = []
    handle = open_bigwig(track)
    try:
        for chrom, size in handle.chroms().items():
            spans = [(0, size)] if extent is None else extent.get(chrom, [])
            for start, end in spans:
                found = handle.intervals(chrom, max(0, start), min(end, size)) or ()
                rows = [(chrom, max(first, start), min(last, end), value) for first, last, value in found]
                parts.append(pd.DataFrame(rows, columns=["chrom", "start", "end", "value"]))
    finally:
        handle.close()
    if not parts or not sum(map(len, parts)):
        raise DataError("no signal in the track", where=track, expected="values on the chromosomes looked at")
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def choose_cutoff(signal: pd.DataFrame, target_bp: int) -> float:
    """Lowest value of a track that at most ``target_bp`` base pairs reach; the highest where even those are more."""
    widths = (signal["end"] - signal["start"]).groupby(signal["value"]).sum().sort_index(ascending=False)
    covered = widths.cumsum()
    fitting = covered[(covered <= target_bp) & (covered.index > 0)]
    return float(fitting.index[-1] if len(fitting) else covered.index[0])


def read_peaks(path: str | Path) -> pd.DataFrame:
    """Peaks of a narrowPeak or BED file, best first.

    Returns
    -------
    DataFrame
        chrom, start, end, score (signal value of a narrowPeak, score of a BED, 1 without either) and summit_bp
        (offset from start; the middle where the file has none).
    """
    frame = read_bed(path)
    width = (frame["end"] - frame["start"]).to_numpy()
    score = next((frame[c].astype(float) for c in ("signal_value", "score") if c in frame), pd.Series(1.0, frame.index))
    summit = frame["summit_bp"].to_numpy() if "summit_bp" in frame else np.full(len(frame), -1)
    peaks = frame[["chrom", "start", "end"]].assign(
        score=score.to_numpy(), summit_bp=np.where((summit >= 0) & (summit < width), summit, width // 2).astype(int)
    )
    return peaks.sort_values(["score", "chrom", "start"], ascending=[False, True, True], ignore_index=True)
