"""The alignments of a dataset: what ``dataset.yaml`` says about them, and what MACS3 is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml_fields import check_keys, file_path, flag
from seqexp.dna.genome.alignment_files import FORMATS, FRAGMENTS, detect_format, has_pairs
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import UNKNOWN, Reference

EXTSIZE_BP = 200  # what MACS3 extends reads to by default
Q_VALUE = 0.05
_KEYS = ("path", "format", "control", "use_model", "shift_bp", "extsize_bp", "q_value", "genome_bp")
_EXPECTED = "a path, a list of paths, or a mapping with keys " + ", ".join(_KEYS)
_BLOCK_BP = 1 << 23


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

    def describe(self, file_format: str) -> str:
        """The same for people, with a space in front; empty for fragments."""
        if file_format in FRAGMENTS:
            return ""
        if self.use_model:
            return " model=estimated"
        return f" shift={self.shift_bp or 0} extsize={EXTSIZE_BP if self.extsize_bp is None else self.extsize_bp}"


@dataclass(frozen=True)
class AlignmentSpec:
    """Alignments of one experiment: settings checked, nothing opened.

    Parameters
    ----------
    paths : tuple of Path
        BAM, SAM, BED, BEDPE or fragments; several are replicates that MACS3 pools.
    file_format : str
        One of :data:`FORMATS`; AUTO goes by the content.
    control : Path, optional
        Control of the same format.
    model : ReadModel
        What single reads stand for.
    q_value : float
        False discovery rate of the peaks.
    genome_bp : int, optional
        Mappable size of the genome; None: counted in the FASTA, see :func:`mappable_bp`.
    """

    paths: tuple[Path, ...]
    file_format: str = "AUTO"
    control: Path | None = None
    model: ReadModel = field(default_factory=ReadModel)
    q_value: float = Q_VALUE
    genome_bp: int | None = None

    def files(self) -> tuple[Path, ...]:
        """Every file, the control last."""
        return self.paths if self.control is None else (*self.paths, self.control)

    def resolved_format(self) -> str:
        """Format MACS3 is told; see :func:`resolve_format`. Options that do not apply to it are refused."""
        found = resolve_format(self.files(), self.file_format, self.model)
        self.model.arguments(found)
        return found


def resolve_format(files: Sequence[Path], file_format: str, model: ReadModel | None = None) -> str:
    """One format for MACS3, from the one named or the contents of the files.

    A BAM of pairs counts as BAMPE, unless an option for single reads is given.

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


def mappable_bp(reference: Reference) -> int:
    """Known bases (A, C, G, T) of a FASTA, what MACS3's ``-g`` stands for where reads map everywhere."""
    total = 0
    for chrom, size in reference.chrom_sizes.items():
        for start in range(0, size, _BLOCK_BP):
            codes = reference.codes(Interval(chrom, start, min(start + _BLOCK_BP, size)))
            total += int(np.count_nonzero(codes != UNKNOWN))
    return total


def parse_alignments(content: Mapping[str, Any], path: Path) -> dict[str, AlignmentSpec]:
    """Key ``alignments`` of a ``dataset.yaml``: name to alignments, in the order of the file.

    One experiment may stand without a name, as a path, a list of paths, or a mapping with the key ``path``.

    Raises
    ------
    ConfigError
        A key is unknown or a value of the wrong kind.
    """
    value = content.get("alignments")
    if value is None:
        return {}
    if isinstance(value, dict) and "path" not in value:
        return {str(name): _spec(part, f"alignments.{name}", path) for name, part in value.items()}
    found = _spec(value, "alignments", path)
    return {found.paths[0].name.split(".")[0]: found}


def _spec(value: Any, key: str, path: Path) -> AlignmentSpec:
    if not isinstance(value, dict):
        return AlignmentSpec(_paths(value, key, path))
    check_keys(value, _KEYS, path, f"{key}.", required=("path",))
    file_format = value.get("format", "AUTO")
    if file_format not in FORMATS:
        raise ConfigError(f"{key}.format: {file_format!r}", where=path, expected="one of " + ", ".join(FORMATS))
    whole = {name: _number(value, key, name, path) for name in ("shift_bp", "extsize_bp", "genome_bp")}
    q_value = value.get("q_value", Q_VALUE)
    if isinstance(q_value, bool) or not isinstance(q_value, int | float) or not 0 < q_value < 1:
        raise ConfigError(f"{key}.q_value: {q_value!r}", where=path, expected="a number between 0 and 1, such as 0.05")
    control = value.get("control")
    model = ReadModel(flag(value, "use_model", path), whole["shift_bp"], whole["extsize_bp"])
    return AlignmentSpec(
        _paths(value["path"], f"{key}.path", path),
        file_format,
        None if control is None else file_path(control, path, f"{key}.control"),
        model=model,
        q_value=float(q_value),
        genome_bp=whole["genome_bp"],
    )


def _paths(value: Any, key: str, path: Path) -> tuple[Path, ...]:
    items = value if isinstance(value, list) and value else [value]
    if not all(isinstance(item, str) for item in items):
        raise ConfigError(f"{key}: {value!r}", where=path, expected=_EXPECTED)
    return tuple(file_path(item, path, key) for item in items)


def _number(value: Mapping[str, Any], key: str, name: str, path: Path) -> int | None:
    """A whole number under ``name``, above 0 where it is a length; None if it is absent."""
    found = value.get(name)
    if found is None:
        return None
    least = -math.inf if name == "shift_bp" else 1
    if isinstance(found, bool) or not isinstance(found, int) or found < least:
        raise ConfigError(f"{key}.{name}: {found!r}", where=path, expected="a whole number of bp")
    return found
