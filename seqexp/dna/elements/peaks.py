"""MACS3 peaks: called on alignments, called on a signal track, or read from a file."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError, DataError, MissingExtraError
from seqexp.core.files import atomic_path
from seqexp.dna.elements.signal_track import Extent, choose_cutoff, highest_value, read_track, without_gaps
from seqexp.dna.genome.regions import read_bed

FORMATS = ("AUTO", "BAM", "SAM", "BED", "BEDPE", "BAMPE")
RankBy = Literal["auto", "p_value", "signal_value", "score"]


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


def call_on_alignments(
    alignments: Path,
    output: Path,
    genome_bp: int,
    file_format: str = "AUTO",
    q_value: float = 0.05,
    control: Path | None = None,
    extsize_bp: int = 200,
    shift_bp: int = 0,
    use_model: bool = False,
) -> pd.DataFrame:
    """Statistical peaks: ``macs3 callpeak`` on reads or fragments.

    Parameters
    ----------
    alignments : Path
        BAM, SAM, BED or BEDPE, plain or gzip.
    output : Path
        narrowPeak to write; its first line says how it was made.
    genome_bp : int
        Mappable genome in bp (``-g``).
    file_format : str
        One of :data:`FORMATS`; paired ends (BEDPE, BAMPE) must be named.
    q_value : float
        False discovery rate.
    control : Path, optional
        Control reads.
    extsize_bp, shift_bp : int
        Single reads are moved by ``shift_bp`` and extended to ``extsize_bp``: for DNase and ATAC cut sites -75 and
        150, say. Paired ends are whole fragments and ignore both.
    use_model : bool
        Let MACS3 estimate the fragment length from the strands instead (ChIP-seq of single ends).

    Returns
    -------
    DataFrame
        See :func:`read_peaks`.

    Raises
    ------
    MissingExtraError
        MACS3 is not installed.
    DataError
        A file is missing, or MACS3 failed; its last words are told.
    """
    program = find_macs3()
    if file_format not in FORMATS:
        raise ConfigError(f"format {file_format!r}", expected="one of: " + ", ".join(FORMATS))
    for path in [alignments, *([control] if control else [])]:
        if not path.is_file():
            raise DataError("no such file", where=path, expected="alignments as " + ", ".join(FORMATS[1:]))
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["callpeak", "-t", str(alignments), "-f", file_format, "-g", str(genome_bp)]
        arguments += ["-q", str(q_value), "-n", "peaks", "--outdir", folder]
        arguments += ["-c", str(control)] if control else []
        reads = ""
        if not use_model and file_format not in ("BEDPE", "BAMPE"):
            arguments += ["--nomodel", "--shift", str(shift_bp), "--extsize", str(extsize_bp)]
            reads = f" shift={shift_bp} extsize={extsize_bp}"
        made = Path(folder, "peaks_peaks.narrowPeak")
        _run(program, arguments, made)
        peaks = _named(made)
    head = f"mode=statistical macs3 callpeak file={alignments.name} format={file_format} q={q_value:g}"
    return write_peaks(peaks, output, f"{head} gsize={genome_bp}{reads}{f' control={control.name}' if control else ''}")


def call_on_track(
    track: Path,
    output: Path,
    cutoff: float | None = None,
    target_bp: int | None = None,
    min_length_bp: int = 100,
    max_gap_bp: int = 30,
    extent: Extent | None = None,
) -> pd.DataFrame:
    """Threshold peaks: ``macs3 bdgpeakcall`` on a bigWig or bedGraph.

    Parameters
    ----------
    track : Path
        bigWig (by its suffix .bw or .bigwig) or bedGraph.
    output : Path
        narrowPeak to write; its first line holds mode and cutoff.
    cutoff : float, optional
        Signal a peak must reach.
    target_bp : int, optional
        Instead of a cutoff: the highest one whose peaks hold at least this many base pairs, found by a scan over the
        values that occur in the track.
    min_length_bp, max_gap_bp : int
        ``-l`` and ``-g`` of MACS3.
    extent : mapping, optional
        Stretches to look at per chromosome; everything by default.

    Returns
    -------
    DataFrame
        See :func:`read_peaks`. MACS3 writes the summit's value as whole tenths, too coarse to rank peaks by, and
        leaves signalValue at 0; the file written here holds the largest value of the track as signalValue.

    Raises
    ------
    MissingExtraError
        MACS3 is not installed.
    ConfigError
        Neither or both of cutoff and target.
    DataError
        The track cannot be read or is empty, or MACS3 failed.
    """
    program = find_macs3()
    if (cutoff is None) == (target_bp is None):
        raise ConfigError("give either a cutoff or a target in bp", expected="one of the two")
    signal = read_track(track, extent)
    chosen = cutoff
    if chosen is None:
        chosen = choose_cutoff(signal, int(target_bp or 0), min_length_bp, max_gap_bp)
    with tempfile.TemporaryDirectory() as folder:
        bedgraph, made = Path(folder, "track.bedGraph"), Path(folder, "peaks.narrowPeak")
        without_gaps(signal).to_csv(bedgraph, sep="\t", header=False, index=False, float_format="%.9g")
        arguments = ["bdgpeakcall", "-i", str(bedgraph), "-c", f"{chosen:.9g}", "-l", str(min_length_bp)]
        arguments += ["-g", str(max_gap_bp), "--no-trackline", "--outdir", folder, "-o", made.name]
        _run(program, arguments, made)
        peaks = _named(made)
    top = highest_value(signal, peaks)
    peaks = peaks.assign(signal_value=top, score=1000 * top / top.max(initial=1e-300), p_value=-1.0, q_value=-1.0)
    how = "given" if cutoff is not None else f"chosen for {target_bp} bp"
    mode = f"mode=threshold macs3 bdgpeakcall track={track.name} cutoff={chosen:.9g} ({how})"
    return write_peaks(peaks, output, f"{mode} min_length={min_length_bp} max_gap={max_gap_bp}")


def read_peaks(path: str | Path, rank_by: RankBy = "auto") -> pd.DataFrame:
    """Peaks of a narrowPeak or BED file, best first.

    Parameters
    ----------
    path : path
    rank_by : {"auto", "p_value", "signal_value", "score"}
        Column that becomes the score; ``auto`` takes the first of these that is anywhere above 0.

    Returns
    -------
    DataFrame
        chrom, start, end, score (1 in a file without any), summit_bp (offset from start; the middle where the file
        has none), name where the file has names, and q_value (-log10) of a narrowPeak; sorted best first. Peaks may
        overlap, as several summits of one stretch do.

    Raises
    ------
    DataError
        The file cannot be read, or does not have the column asked for.
    """
    frame = read_bed(path)
    width = (frame["end"] - frame["start"]).to_numpy()
    summit = frame["summit_bp"].to_numpy() if "summit_bp" in frame else np.full(len(frame), -1)
    peaks = frame[["chrom", "start", "end"]].assign(
        score=_rank(frame, rank_by, path),
        summit_bp=np.where((summit >= 0) & (summit < width), summit, width // 2).astype(np.int64),
    )
    if "name" in frame:
        peaks["name"] = frame["name"].astype(str)
    if "q_value" in frame:
        peaks["q_value"] = frame["q_value"]
    return peaks.sort_values(["score", "chrom", "start"], ascending=[False, True, True], ignore_index=True)


def write_peaks(peaks: pd.DataFrame, output: Path, mode: str) -> pd.DataFrame:
    """Write peaks as a sorted narrowPeak under a header line that says how they were made, and read them back.

    Parameters
    ----------
    peaks : DataFrame
        As :func:`seqexp.dna.genome.regions.read_bed` gives them: chrom, start, end, and what there is of name, score,
        strand, signal_value, p_value, q_value and summit_bp. Scores are cut at 1000, the most BED allows.
    output : Path
    mode : str
        Text of the header line.

    Returns
    -------
    DataFrame
        See :func:`read_peaks`.
    """
    table = pd.DataFrame(peaks[["chrom", "start", "end"]])
    score = peaks["score"].fillna(0.0) if "score" in peaks else pd.Series(0.0, peaks.index)
    table["name"] = peaks.get("name", ".")
    table["score"] = np.rint(score.to_numpy(np.float64)).clip(0, 1000).astype(np.int64)
    table["strand"] = peaks["strand"].where(peaks["strand"].isin(["+", "-"]), ".") if "strand" in peaks else "."
    signal = peaks.get("signal_value", score)
    table["signal"] = [f"{value:.6g}" for value in signal]
    for name in ("p_value", "q_value"):
        table[name] = [f"{value:.6g}" for value in peaks[name].fillna(-1)] if name in peaks else "-1"
    table["summit"] = peaks.get("summit_bp", -1)
    table = table.sort_values(["chrom", "start", "end"], kind="stable")
    with atomic_path(output) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        handle.write(f"# {mode}\n")
        table.to_csv(handle, sep="\t", header=False, index=False)
    return read_peaks(output)


def _rank(frame: pd.DataFrame, rank_by: RankBy, path: str | Path) -> NDArray[np.float64]:
    known = [name for name in ("p_value", "signal_value", "score") if name in frame]
    if rank_by != "auto":
        if rank_by not in known:
            raise DataError(f"no column {rank_by!r}", where=path, expected=", ".join(known) or "a narrowPeak")
        return frame[rank_by].to_numpy(np.float64)
    filled = [name for name in known if (frame[name] > 0).any()]
    return frame[filled[0]].fillna(0.0).to_numpy(np.float64) if filled else np.ones(len(frame))


def _run(program: str, arguments: list[str], made: Path) -> None:
    """Run MACS3 and prove that it wrote its file; its own last words are the error otherwise."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not made.is_file():
        words = [line for line in (done.stderr + done.stdout).strip().splitlines() if line.strip()]
        raise DataError(
            f"macs3 {arguments[0]} failed: {words[-1] if words else 'no message'}",
            where=" ".join(["macs3", *arguments]),
            expected="exit status 0 and a narrowPeak file",
        )


def _named(made: Path) -> pd.DataFrame:
    """Peaks of a narrowPeak by MACS3, named by number instead of the folder they were made in."""
    peaks = read_bed(made)
    return peaks.assign(name=[f"macs3_peak_{number}" for number in range(1, len(peaks) + 1)])
