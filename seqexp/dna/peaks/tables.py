"""Tables of peaks: read best first, and written as narrowPeak."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path
from seqexp.dna.genome.peak_files import read_peak_file

RankBy = Literal["auto", "p_value", "signal_value", "q_value", "score"]


def read_peaks(path: str | Path, rank_by: RankBy = "auto") -> pd.DataFrame:
    """Peaks of a file in any format of :func:`seqexp.dna.genome.peak_files.read_peak_file`, best first.

    Parameters
    ----------
    path : path
    rank_by : {"auto", "p_value", "signal_value", "q_value", "score"}
        Column that becomes the score; ``auto`` takes the first of these that is anywhere above 0.

    Returns
    -------
    DataFrame
        chrom, start, end, score (1 in a file without any), summit_bp (offset from start; the middle where the file
        has none), name where the file has names, and q_value (-log10) where it has those; sorted best first. Peaks may
        overlap, as several summits of one stretch do.

    Raises
    ------
    DataError
        The file cannot be read, or does not have the column asked for.
    """
    frame = read_peak_file(path)
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
        As :func:`seqexp.dna.genome.peak_files.read_peak_file` gives them: chrom, start, end, and what there is of
        name, score, strand, signal_value, p_value, q_value and summit_bp. Scores are cut at 1000, the most BED allows.
    output : Path
    mode : str
        Text of the header line, or lines.

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
        handle.writelines(f"# {line}\n" for line in mode.splitlines())
        table.to_csv(handle, sep="\t", header=False, index=False)
    return read_peaks(output)


def named(peaks: pd.DataFrame) -> pd.DataFrame:
    """Peaks by MACS3, named by number instead of the folder they were made in."""
    return peaks.assign(name=[f"macs3_peak_{number}" for number in range(1, len(peaks) + 1)])


def _rank(frame: pd.DataFrame, rank_by: RankBy, path: str | Path) -> NDArray[np.float64]:
    known = [name for name in ("p_value", "signal_value", "q_value", "score") if name in frame]
    if rank_by != "auto":
        if rank_by not in known:
            raise DataError(f"no column {rank_by!r}", where=path, expected=", ".join(known) or "a narrowPeak")
        return frame[rank_by].to_numpy(np.float64)
    filled = [name for name in known if (frame[name] > 0).any()]
    return frame[filled[0]].fillna(0.0).to_numpy(np.float64) if filled else np.ones(len(frame))
