"""Statistical peaks: ``macs3 callpeak`` on reads or fragments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.elements.macs3 import LIMIT_MINUTES, find_macs3, run_macs3, work_folder
from seqexp.dna.elements.peaks import named, write_peaks
from seqexp.dna.genome.alignment_files import FORMATS, FRAGMENTS, detect_format, has_pairs
from seqexp.dna.genome.names import resolve_names
from seqexp.dna.genome.regions import read_bed

EXTSIZE_BP = 200  # what MACS3 extends reads to by default


@dataclass(frozen=True)
class ReadModel:
    """What single reads stand for; fragments (BEDPE, BAMPE, FRAG) stand for themselves and take none of it.

    Parameters
    ----------
    use_model : bool
        MACS3 estimates the fragment length from the strands (ChIP-seq of single ends).
    shift_bp, extsize_bp : int, optional
        Otherwise 5' ends are moved by ``shift_bp`` (0) and extended to ``extsize_bp`` (200): for DNase and ATAC cut
        sites -75 and 150, say.
    """

    use_model: bool = False
    shift_bp: int | None = None
    extsize_bp: int | None = None

    def arguments(self, file_format: str) -> list[str]:
        """Options of MACS3.

        Raises
        ------
        ConfigError
            An option does not apply to the format or beside another one, or cannot be.
        """
        given = {"shift_bp": self.shift_bp, "extsize_bp": self.extsize_bp}
        named = [name for name, value in given.items() if value is not None]
        if file_format in FRAGMENTS:
            named += ["use_model"] if self.use_model else []
            if named:
                raise ConfigError(
                    f"{', '.join(named)} given for {file_format}",
                    expected="no such option: pairs and fragments are whole, nothing is moved, extended or estimated",
                    fix="leave it out, or name the format of single reads (BAM, SAM or BED)",
                )
            return []
        if self.use_model:
            if named:
                raise ConfigError(
                    f"{', '.join(named)} given beside use_model",
                    expected="either a model that MACS3 estimates, or a shift and an extension",
                )
            return []
        extsize_bp = EXTSIZE_BP if self.extsize_bp is None else self.extsize_bp
        if extsize_bp < 1:
            raise ConfigError(f"extsize_bp: {extsize_bp}", expected="at least 1 bp")
        return ["--nomodel", "--shift", str(self.shift_bp or 0), "--extsize", str(extsize_bp)]


def call_on_alignments(
    alignments: Path | Sequence[Path],
    output: Path,
    *,
    genome_bp: int,
    file_format: str = "AUTO",
    q_value: float = 0.05,
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
        One of :data:`FORMATS`. AUTO goes by the content: a BAM of pairs counts as BAMPE unless an option for single
        reads is given.
    q_value : float
        False discovery rate.
    control : Path, optional
        Control reads, of the same format.
    use_model, shift_bp, extsize_bp
        See :class:`ReadModel`; for single reads only.
    limit_minutes : float
        MACS3 is stopped after so long.
    names : iterable of str, optional
        Chromosome names to write, those of the FASTA: reads may use aliases, and peaks elsewhere are left out.

    Returns
    -------
    DataFrame
        See :func:`seqexp.dna.elements.peaks.read_peaks`.

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
    head += f" gsize={genome_bp}{_described(model, known)}{f' control={control.name}' if control else ''}"
    return write_peaks(peaks, output, "\n".join([head, *(f"macs3 warned: {words}" for words in warned)]))


def resolve_format(files: Sequence[Path], file_format: str, model: ReadModel | None = None) -> str:
    """One format for MACS3, from the one named or the contents of the files.

    Raises
    ------
    ConfigError
        The format is not one of :data:`FORMATS`.
    DataError
        A file is missing, is no alignment, or the files are of several formats.
    """
    if file_format not in FORMATS:
        raise ConfigError(f"format {file_format!r}", expected="one of: " + ", ".join(FORMATS))
    detected = {path: detect_format(path) for path in files}
    if file_format != "AUTO":
        for path, found in detected.items():
            if not _may_be(path, found, file_format):
                raise DataError(
                    f"format {file_format} was named, but this is {found}",
                    where=path,
                    expected=f"a file of the format {file_format}",
                    fix="name another format, or none: AUTO goes by the content",
                )
        return file_format
    kinds = set(detected.values())
    if kinds == {"BAM", "BAMPE"} or (kinds == {"BAMPE"} and model not in (None, ReadModel())):
        return "BAM"
    if len(kinds) > 1:
        raise DataError(
            "files of several formats: " + ", ".join(f"{path.name} is {kind}" for path, kind in detected.items()),
            where=files[0].parent,
            expected="one format, for control reads too",
        )
    return kinds.pop()


def _may_be(path: Path, found: str, asked: str) -> bool:
    """Whether a file may be read in the format asked for; any rows of intervals may be called fragments."""
    if asked == "BAMPE":
        return found == "BAMPE" or (found == "BAM" and has_pairs(path))
    if asked == "BEDPE":
        return found in ("BED", "BEDPE", "FRAG")
    return found == asked or (found, asked) in (("BAMPE", "BAM"), ("BEDPE", "FRAG"))


def _described(model: ReadModel, file_format: str) -> str:
    if file_format in FRAGMENTS:
        return ""
    if model.use_model:
        return " model=estimated"
    return f" shift={model.shift_bp or 0} extsize={EXTSIZE_BP if model.extsize_bp is None else model.extsize_bp}"
