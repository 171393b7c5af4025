"""Statistical peaks: ``macs3 callpeak`` on reads or fragments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from seqexp.core.errors import ConfigError
from seqexp.dna.genome.alignments import Q_VALUE, ReadModel, resolve_format
from seqexp.dna.genome.names import resolve_names
from seqexp.dna.genome.regions import read_bed
from seqexp.dna.peaks.macs3 import LIMIT_MINUTES, find_macs3, run_macs3, work_folder
from seqexp.dna.peaks.tables import named, write_peaks


def call_on_alignments(
    alignments: Path | Sequence[Path],
    output: Path,
    *,
    genome_bp: int,
    file_format: str = "AUTO",
    q_value: float = Q_VALUE,
    control: Path | None = None,
    use_model: bool = False,
    shift_bp: int | None = None,
    extsize_bp: int | None = None,
    limit_minutes: float = LIMIT_MINUTES,
    names: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Statistical peaks: ``macs3 callpeak`` on reads or fragments.

    Parameters
    ----------
    alignments : Path or sequence of Path
        BAM, SAM, BED, BEDPE or fragments (barcode and count in columns 4 and 5), plain or gzip; several are pooled.
    output : Path
        narrowPeak to write; its first line says how it was made, further ones what MACS3 warned of.
    genome_bp : int
        Mappable genome in bp (``-g``).
    file_format : str
        One of :data:`seqexp.dna.genome.alignment_files.FORMATS`. AUTO goes by the content: a BAM of pairs counts as
        BAMPE unless an option for single reads is given.
    q_value : float
        False discovery rate.
    control : Path, optional
        Control reads, of the same format.
    use_model, shift_bp, extsize_bp
        See :class:`seqexp.dna.genome.alignments.ReadModel`; for single reads only.
    limit_minutes : float
        MACS3 is stopped after so long.
    names : iterable of str, optional
        Chromosome names to write, those of the FASTA: reads may use aliases, and peaks elsewhere are left out.

    Returns
    -------
    DataFrame
        See :func:`seqexp.dna.peaks.tables.read_peaks`.

    Raises
    ------
    MissingExtraError
        MACS3 is not installed.
    ConfigError
        An option is impossible, or does not apply to the format.
    DataError
        A file is missing or of another format, MACS3 failed (its last words are told), or no peak is on a
        chromosome of ``names``.
    """
    find_macs3()
    files = [alignments] if isinstance(alignments, Path) else list(alignments)
    model = ReadModel(use_model, shift_bp, extsize_bp)
    if not 0 < q_value < 1:
        raise ConfigError(f"q value {q_value:g}", expected="a false discovery rate between 0 and 1, such as 0.05")
    if genome_bp <= 0:
        raise ConfigError(f"genome of {genome_bp} bp", expected="the mappable size of the genome in bp")
    known = resolve_format([*files, *([control] if control else [])], file_format, model)
    options = ["-t", *(str(path.absolute()) for path in files), "-f", known, "-g", str(genome_bp), "-q", str(q_value)]
    options += ["-c", str(control.absolute())] if control else []
    options += model.arguments(known)
    with work_folder(output) as folder:
        made = folder / "peaks_peaks.narrowPeak"
        warned = run_macs3(["callpeak", *options, "-n", "peaks", "--outdir", str(folder)], made, limit_minutes)
        peaks = named(read_bed(made))
    if names is not None:
        peaks = resolve_names(peaks, names, files[0], "the genome").table
    head = f"mode=statistical macs3 callpeak file={','.join(path.name for path in files)} format={known} q={q_value:g}"
    head += f" gsize={genome_bp}{model.describe(known)}{f' control={control.name}' if control else ''}"
    return write_peaks(peaks, output, "\n".join([head, *(f"macs3 warned: {words}" for words in warned)]))
