"""The peaks that elements are compared with, and what they are: called on reads, above a threshold, or given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.alignment_files import read_facts
from seqexp.dna.genome.alignments import AlignmentSpec, mappable_bp
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.names import match_names
from seqexp.dna.genome.peak_files import read_peak_file
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.regions import covered_bp
from seqexp.dna.peaks.bdgpeakcall import call_on_track
from seqexp.dna.peaks.callpeak import call_on_alignments
from seqexp.dna.peaks.macs3 import LIMIT_MINUTES, find_macs3
from seqexp.dna.peaks.tables import write_peaks

Kind = Literal["macs3", "threshold", "peaks"]
# Only what MACS3 called on reads is named after it.
PEAK_FILES: Mapping[Kind, str] = {
    "macs3": "peaks_macs3.narrowPeak",
    "threshold": "threshold.narrowPeak",
    "peaks": "peaks.narrowPeak",
}


@dataclass(frozen=True)
class PeakSet:
    """Peaks under the chromosome names of the FASTA.

    Attributes
    ----------
    table : DataFrame
        See :func:`seqexp.dna.peaks.tables.read_peaks`.
    kind : {"macs3", "threshold", "peaks"}
        Called by ``macs3 callpeak`` on reads; what lies above a threshold on a track; or from a file. The word stands
        in the keys of ``metrics.json``.
    label : str
        What tables and figures call them.
    origin : str
        One line on how they were made.
    notes : tuple of str
        What was left out or chosen.
    cutoff : float, optional
        Of a threshold.
    """

    table: pd.DataFrame
    kind: Kind
    label: str
    origin: str
    notes: tuple[str, ...] = ()
    cutoff: float | None = None

    def facts(self) -> dict[str, tuple[str, str | int | float]]:
        """Where they come from, their number and base pairs, and the cutoff of a threshold.

        Returns
        -------
        dict
            What people call it to its key in ``metrics.json`` and its value.
        """
        found: dict[str, tuple[str, str | int | float]] = {
            "peaks": ("peaks_from", self.origin),
            "number of peaks": ("num_peaks", len(self.table)),
            "base pairs in peaks": ("peaks_bp", covered_bp(self.table)),
        }
        return found if self.cutoff is None else {**found, "cutoff": ("threshold_cutoff", self.cutoff)}


def from_file(spec: DatasetSpec, path: Path, output: Path) -> PeakSet:
    """Peaks of a file in any format, copied to ``output``."""
    resolved = spec.resolve(read_peak_file(path), path)
    inside, cut = _inside(resolved.table, spec.open_reference().chrom_sizes, path)
    table = write_peaks(inside, output, f"mode=read file={path.name}")
    return PeakSet(
        table, "peaks", f"peaks of {path.name}", f"peaks of {path.name}", (*filter(None, (resolved.told, cut)),)
    )


def called_on_reads(
    spec: DatasetSpec,
    reads: AlignmentSpec,
    output: Path,
    *,
    q_value: float | None = None,
    limit_minutes: float = LIMIT_MINUTES,
) -> PeakSet:
    """``macs3 callpeak`` over the whole genome of the dataset.

    Without ``genome_bp`` of the reads, the mappable size is the known bases of the FASTA; chromosomes with reads that
    the FASTA lacks count with their length, since the background is that of all reads.

    Parameters
    ----------
    spec : DatasetSpec
    reads : AlignmentSpec
    output : Path
        narrowPeak to write.
    q_value : float, optional
        In place of that of the reads.
    limit_minutes : float
        MACS3 is stopped after so long.
    """
    find_macs3()  # before the reads are looked through
    q_value = reads.q_value if q_value is None else q_value
    file_format = reads.resolved_format()
    reference = spec.open_reference()
    lacking = _lacking(reads, file_format, reference)
    genome_bp = reads.genome_bp or mappable_bp(reference) + sum(lacking.values())
    named = ", ".join(list(lacking)[:4]) + (f", … ({len(lacking)} in all)" if len(lacking) > 4 else "")
    notes = (f"The FASTA lacks chromosomes of the reads, whose peaks are left out: {named}.",) if lacking else ()
    table = call_on_alignments(
        reads.paths,
        output,
        genome_bp=genome_bp,
        file_format=file_format,
        q_value=q_value,
        control=reads.control,
        use_model=reads.model.use_model,
        shift_bp=reads.model.shift_bp,
        extsize_bp=reads.model.extsize_bp,
        limit_minutes=limit_minutes,
        names=reference.chrom_sizes,
    )
    files = ", ".join(path.name for path in reads.paths)
    model = reads.model.describe(file_format).strip()
    how = ", ".join(filter(None, [file_format, f"q < {q_value:g}", model, f"mappable genome {genome_bp:,} bp"]))
    return PeakSet(table, "macs3", "MACS3 peaks", f"macs3 callpeak on {files} ({how})", notes)


def above_threshold(
    spec: DatasetSpec, track: str, output: Path, *, target_bp: int, limit_minutes: float = LIMIT_MINUTES
) -> PeakSet:
    """What lies above the highest threshold on a track that keeps ``target_bp``: no statistics, whoever calls it."""
    spec.open_tracks([track])  # a wrong name is one clear error
    whole = {chrom: [(0, size)] for chrom, size in spec.open_reference().chrom_sizes.items()}  # names of the FASTA
    table = call_on_track(spec.tracks[track], output, target_bp=target_bp, extent=whole, limit_minutes=limit_minutes)
    cutoff = float(output.read_text(encoding="utf-8").split("cutoff=", 1)[1].split(None, 1)[0])
    label = f"threshold on {track}"
    origin = f"threshold on the track {track}: signal of at least {cutoff:.4g}, chosen for {target_bp:,} bp"
    return PeakSet(table, "threshold", label, origin, cutoff=cutoff)


def find_peaks(
    spec: DatasetSpec,
    folder: Path,
    *,
    path: Path | None = None,
    alignments: str | None = None,
    track: str | None = None,
    budget_fraction: float = 0.1,
    limit_minutes: float = LIMIT_MINUTES,
) -> PeakSet | None:
    """The peaks asked for, else the best there are: called on reads, given by the dataset, or above a threshold.

    Parameters
    ----------
    spec : DatasetSpec
    folder : Path
        Where the narrowPeak is written, under the name of its kind in :data:`PEAK_FILES`.
    path : Path, optional
        Peaks of a file; counts before the others.
    alignments, track : str, optional
        Alignments or track of the dataset to call on.
    budget_fraction : float
        Share of the genome that a threshold keeps.
    limit_minutes : float
        MACS3 is stopped after so long.

    Returns
    -------
    PeakSet or None
        None for data with neither reads, peaks nor tracks.

    Raises
    ------
    ConfigError
        A name is not one of the dataset.
    MissingExtraError
        MACS3 is needed and not installed.
    DataError
        A file cannot be used, or MACS3 failed.
    """
    if path is not None:
        return from_file(spec, path, folder / PEAK_FILES["peaks"])
    if track is None and (alignments is not None or spec.alignments):
        name = chosen(alignments, spec.alignments, "alignments", spec.path)
        found = called_on_reads(spec, spec.alignments[name], folder / PEAK_FILES["macs3"], limit_minutes=limit_minutes)
        others = [f"alignments {other}" for other in spec.alignments if other != name]
        others += [f"peaks {other}" for other in spec.peaks]
        return _noted(found, name, others if alignments is None else [])
    if track is None and spec.peaks:
        name, given = next(iter(spec.peaks.items()))
        others = [f"peaks {other}" for other in list(spec.peaks)[1:]]
        return _noted(from_file(spec, given, folder / PEAK_FILES["peaks"]), name, others)
    if not spec.tracks:
        return None
    target_bp = int(budget_fraction * sum(spec.open_reference().chrom_sizes.values()))
    name = track or next(iter(spec.tracks))
    return above_threshold(
        spec, name, folder / PEAK_FILES["threshold"], target_bp=target_bp, limit_minutes=limit_minutes
    )


def chosen(name: str | None, known: Mapping[str, object], what: str, where: Path) -> str:
    """The name asked for, else the first one.

    Raises
    ------
    ConfigError
        It is not known.
    """
    if name is not None and name not in known:
        raise ConfigError(
            f"no {what} {name!r}", where=where, expected=f"one of: {', '.join(known) or 'none there are'}"
        )
    return name or next(iter(known))


def _inside(table: pd.DataFrame, sizes: Mapping[str, int], path: Path) -> tuple[pd.DataFrame, str]:
    """Peaks cut at the ends of their chromosomes, and a note where one was; a peak beyond an end is an error."""
    limits = table["chrom"].map(dict(sizes))
    is_beyond = (table["start"] >= limits).to_numpy()
    if is_beyond.any():
        row = table.iloc[int(is_beyond.argmax())]
        raise DataError(
            f"{int(is_beyond.sum())} peaks lie beyond the end of their chromosome",
            where=f"{path}: {row['chrom']}:{row['start']}-{row['end']}",
            expected=f"positions inside the FASTA, here below {sizes[row['chrom']]}",
            fix="use peaks of the same assembly",
        )
    num_past = int((table["end"] > limits).sum())
    note = f"{num_past} peaks of {path.name} end past their chromosome and are cut there." if num_past else ""
    return table.assign(end=table["end"].clip(upper=limits).astype(np.int64)), note


def _noted(found: PeakSet, name: str, others: Sequence[str]) -> PeakSet:
    if not others:
        return found
    note = f"Compared with {name}; the dataset also names {', '.join(others)} (seqexp report --alignments or --peaks)."
    return PeakSet(found.table, found.kind, found.label, found.origin, (*found.notes, note), found.cutoff)


def _lacking(reads: AlignmentSpec, file_format: str, reference: Reference) -> dict[str, int]:
    """Chromosomes of the reads that the FASTA lacks, with their lengths; some must be there."""
    lacking: dict[str, int] = {}
    for path in reads.paths:
        sizes = read_facts(path, file_format).sizes
        found = match_names(sizes, reference.chrom_sizes, path, reference.path)
        lacking |= {chrom: size for chrom, size in sizes.items() if chrom not in found}
    return lacking
