"""One dataset, described by a small ``dataset.yaml``: FASTA, tracks, genes, expression, splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import fingerprint
from seqexp.core.yaml import load_yaml
from seqexp.core.yaml_fields import (
    check_keys,
    file_path,
    file_paths,
    flag,
    name_list,
    optional_path,
    section,
    text,
)
from seqexp.dna.genome.alignments import AlignmentSpec, parse_alignments
from seqexp.dna.genome.contact_files import ContactSpec, parse_contacts
from seqexp.dna.genome.contacts import ContactMap
from seqexp.dna.genome.gene_files import GeneColumns
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.names import Resolved, resolve_names
from seqexp.dna.genome.peak_files import read_peak_file
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.regions import IntervalIndex, read_bed, read_intervals
from seqexp.dna.genome.splits import SplitSpec
from seqexp.dna.genome.tracks import Missing, TrackSet

_REQUIRED = ("name", "fasta", "genes", "expression", "splits")
_KEYS = (
    *("name", "description", "organism", "assembly", "fasta", "tracks", "missing", "genes", "expression"),
    *("transform", "splits", "blacklist", "covariates", "peaks", "alignments", "truth", "features", "motifs"),
    "contacts",
)
_GENE_KEYS = ("path", "gene_id", "gene_name", "chrom", "tss", "start", "end", "strand", "base", "keep", "not_in_fasta")
_EXPRESSION_KEYS = ("column", "columns", "unit", "path", "gene_id", "signed")
_SPLIT_KEYS = ("by", "train", "val", "test", "exclude")


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset folder: paths resolved, settings checked, nothing opened.

    Parameters
    ----------
    path : Path
        The ``dataset.yaml``.
    name, organism, assembly, description : str
        What it is.
    fasta : Path
        Genome sequence.
    tracks : mapping
        Track name to bigWig path, in the order of the file; may be empty.
    missing : str
        Policy of :class:`TrackSet` for missing values.
    genes : Path
        Gene file.
    columns : GeneColumns
        Its columns.
    not_in_fasta : {"error", "drop"}
        What becomes of genes of the splits on chromosomes that the FASTA lacks.
    targets : tuple of str
        Expression columns, such as one per cell type, in one unit and under one transform.
    expression_unit : str
        Its unit, such as TPM.
    expression_path : Path or None
        Separate table of expression and covariates; None: they are columns of ``genes``.
    is_signed : bool
        Negative expression is allowed.
    transform : str
        Name of the target transform.
    splits : SplitSpec
        Training, validation and test genes.
    blacklist : Path or None
        BED of stretches whose signals are not to be trusted.
    covariates : tuple of str
        Numeric gene columns.
    peaks : mapping
        Peak set name to path, in a format of :func:`seqexp.dna.genome.peak_files.read_peak_file`.
    truth : Path or None
        Planted elements of a simulated genome.
    features : mapping
        Name of a known feature, such as TATA boxes, to BED path.
    motifs : Path or None
        Motifs of transcription factors, in the text format of MEME.
    contacts : ContactSpec or None
        Hi-C contacts.
    alignments : mapping
        Name of an experiment to its aligned reads, on which MACS3 calls the peaks elements are compared with.
    is_missing_stated : bool
        ``missing`` stands in the file, so that a track without values on a chromosome is meant.
    """

    path: Path
    name: str
    fasta: Path
    genes: Path
    columns: GeneColumns
    targets: tuple[str, ...]
    splits: SplitSpec
    tracks: Mapping[str, Path] = field(default_factory=dict)
    missing: Missing = "zero"
    organism: str = ""
    assembly: str = ""
    description: str = ""
    expression_unit: str = ""
    expression_path: Path | None = None
    is_signed: bool = False
    transform: str = "log2p1"
    blacklist: Path | None = None
    covariates: tuple[str, ...] = ()
    peaks: Mapping[str, Path] = field(default_factory=dict)
    truth: Path | None = None
    features: Mapping[str, Path] = field(default_factory=dict)
    motifs: Path | None = None
    contacts: ContactSpec | None = None
    alignments: Mapping[str, AlignmentSpec] = field(default_factory=dict)
    is_missing_stated: bool = False
    not_in_fasta: Literal["error", "drop"] = "error"

    @property
    def folder(self) -> Path:
        """Folder of the ``dataset.yaml``."""
        return self.path.parent

    def files(self) -> list[Path]:
        """Every data file, in a fixed order."""
        reads = [path for experiment in self.alignments.values() for path in experiment.files()]
        motifs = [] if self.motifs is None else [self.motifs]
        return [*self._learned_from(), *self.features.values(), *motifs, *reads]

    def _learned_from(self) -> list[Path]:
        """Files that shape a run; reads, features and motifs only judge it, which stays the same run when they come."""
        single = [self.fasta, *self.tracks.values(), self.genes, self.expression_path, self.blacklist]
        contacts = [] if self.contacts is None else self.contacts.paths.values()
        return [path for path in [*single, *self.peaks.values(), self.truth, *contacts] if path is not None]

    def fingerprint(self) -> str:
        """Identity of what a run learns from, contents and settings: 16 hexadecimal digits; reads every file once."""
        expression = self.targets[0] if len(self.targets) == 1 else self.targets
        settings = (self.columns, expression, self.missing, self.transform, self.covariates, self.splits)
        contacts = () if self.contacts is None else (self.contacts.settings(),)
        lacking = () if self.not_in_fasta == "error" else (self.not_in_fasta,)  # a setting that came later
        return fingerprint(self._learned_from(), *settings, list(self.tracks), self.is_signed, *contacts, *lacking)

    def open_reference(self) -> Reference:
        """The genome sequence."""
        return Reference(self.fasta)

    def open_tracks(self, names: Sequence[str] | None = None) -> TrackSet:
        """The tracks, or those named, in that order.

        Raises
        ------
        ConfigError
            A name is not among the tracks.
        """
        for name in names or ():
            if name not in self.tracks:
                raise ConfigError(
                    f"no track {name!r}", where=self.path, expected=f"one of: {', '.join(self.tracks) or 'no tracks'}"
                )
        wanted = list(self.tracks) if names is None else names
        return TrackSet({name: self.tracks[name] for name in wanted}, self.missing)

    def read_genes(self) -> GeneTable:
        """The genes with their expression and covariates."""
        return GeneTable.read(
            self.genes,
            self.columns,
            self.targets,
            self.covariates,
            expression_path=self.expression_path,
            is_signed=self.is_signed,
        )

    def read_blacklist(self, names: Iterable[str] | None = None) -> IntervalIndex | None:
        """The blacklist as an index, on the chromosome names given or those of the FASTA; None if there is none."""
        if self.blacklist is None:
            return None
        return IntervalIndex(self.resolve(read_bed(self.blacklist), self.blacklist, names).table)

    def read_peaks(self, name: str) -> pd.DataFrame:
        """One of the peak sets, under the chromosome names of the FASTA."""
        if name not in self.peaks:
            raise ConfigError(f"no peaks {name!r}", where=self.path, expected=f"one of: {', '.join(self.peaks) or '-'}")
        return self.resolve(read_peak_file(self.peaks[name]), self.peaks[name]).table

    def read_truth(self) -> pd.DataFrame | None:
        """The planted elements (chrom, start, end, gene_id, effect, strand, …); None if there are none.

        Chromosomes carry the names of the FASTA.
        """
        return None if self.truth is None else self.resolve(read_intervals(self.truth), self.truth).table

    def resolve(self, table: pd.DataFrame, file: str | Path, names: Iterable[str] | None = None) -> Resolved:
        """A table of intervals under the chromosome names of the FASTA, or of some of them.

        Raises
        ------
        DataError
            No chromosome of the table is among them.
        """
        return resolve_names(table, self.open_reference().chrom_sizes if names is None else names, file, self.fasta)

    def open_contacts(
        self, chrom_sizes: Mapping[str, int], chroms: Iterable[str] | None = None, reach_bp: int | None = None
    ) -> ContactMap:
        """The Hi-C contacts; parameters as of :meth:`ContactMap.read`.

        Raises
        ------
        ConfigError
            The dataset has none.
        """
        if self.contacts is None:
            raise ConfigError(
                "the dataset has no contacts",
                where=self.path,
                expected="contacts: {paths: {chr1: file.gz}, bin_bp: 5000}",
                fix="add the key to the file, or set contacts: false in the data settings",
            )
        return ContactMap.read(self.contacts, chrom_sizes, chroms, reach_bp)


def load_dataset(path: str | Path) -> DatasetSpec:
    """Read a ``dataset.yaml``.

    Parameters
    ----------
    path : path
        The file, or the folder that holds a ``dataset.yaml``. Paths in it are relative to its folder.

    Raises
    ------
    ConfigError
        A key is unknown (the message names near matches), missing, written twice, or has a value of the wrong kind.
    DataError
        A file that it names does not exist, or its splits overlap.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "dataset.yaml"
    content = load_yaml(path)
    check_keys(content, _KEYS, path, "", required=_REQUIRED)
    genes = section(content, "genes", _GENE_KEYS, path, required=("path",))
    expression = section(content, "expression", _EXPRESSION_KEYS, path, required=())
    spec = DatasetSpec(
        path=path,
        name=text(content, "name", path),
        fasta=file_path(content["fasta"], path, "fasta"),
        genes=file_path(genes["path"], path, "genes.path"),
        columns=_columns(genes, expression, path),
        targets=_targets(expression, path),
        splits=_splits(section(content, "splits", _SPLIT_KEYS, path, required=("by", "train", "val", "test")), path),
        tracks=file_paths(content, "tracks", path),
        missing=content.get("missing", "zero"),
        organism=text(content, "organism", path),
        assembly=text(content, "assembly", path),
        description=text(content, "description", path),
        expression_unit=text(expression, "unit", path),
        expression_path=optional_path(expression, "path", path),
        is_signed=flag(expression, "signed", path),
        transform=text(content, "transform", path) or "log2p1",
        blacklist=optional_path(content, "blacklist", path),
        covariates=name_list(content.get("covariates"), path, "covariates"),
        peaks=file_paths(content, "peaks", path),
        truth=optional_path(content, "truth", path),
        features=file_paths(content, "features", path),
        motifs=optional_path(content, "motifs", path),
        contacts=parse_contacts(content, path),
        alignments=parse_alignments(content, path),
        is_missing_stated="missing" in content,
        not_in_fasta=genes.get("not_in_fasta", "error"),
    )
    if spec.not_in_fasta not in ("error", "drop"):
        raise ConfigError(f"genes.not_in_fasta: {spec.not_in_fasta!r}", where=path, expected="error or drop")
    twice = next((name for name in spec.targets if name in spec.covariates), None)
    if twice is not None:
        raise ConfigError(
            f"{twice!r} is both the expression column and a covariate",
            where=path,
            expected="covariates that are known without measuring expression",
            fix=f"take {twice} out of covariates",
        )
    if spec.missing not in ("zero", "nan", "error"):
        raise ConfigError(f"missing: {spec.missing!r}", where=path, expected="one of zero, nan, error")
    absent = [str(file) for file in spec.files() if not file.is_file()]
    if absent:
        raise DataError(f"missing files: {', '.join(absent)}", where=path, fix="correct the paths or prepare the data")
    return spec


def _targets(section: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Expression columns: ``column`` names one, ``columns`` several."""
    if not {"column", "columns"} & set(section):
        raise ConfigError("key expression.column is missing", where=path, expected="column: NAME, or columns: [A, B]")
    names = name_list(section.get("columns"), path, "expression.columns")
    names = names if "column" not in section else (*names, str(section["column"]))
    if not names or len(set(names)) < len(names) or {"column", "columns"} <= set(section):
        raise ConfigError(
            f"expression: {', '.join(f'{key}: {section[key]!r}' for key in ('column', 'columns') if key in section)}",
            where=path,
            expected="column: NAME, or columns: [NAME, NAME] with every name once",
        )
    return names


def _splits(section: Mapping[str, Any], path: Path) -> SplitSpec:
    lists = {key: name_list(section.get(key), path, f"splits.{key}") for key in ("train", "val", "test", "exclude")}
    return SplitSpec(by=section["by"], **lists)


def _columns(genes: Mapping[str, Any], expression: Mapping[str, Any], path: Path) -> GeneColumns:
    named = {
        key: str(genes[key])
        for key in ("gene_id", "gene_name", "chrom", "tss", "start", "end", "strand")
        if genes.get(key)
    }
    if ("start" in named or "end" in named) and "tss" not in named:
        named["tss"] = None  # type: ignore[assignment]
    elif "start" in named or "end" in named:
        raise ConfigError("genes names tss and start or end", where=path, expected="tss, or start and end")
    base = genes.get("base", 0)
    if base not in (0, 1):
        raise ConfigError(f"genes.base: {base!r}", where=path, expected="0 or 1")
    keep = genes.get("keep") or {}
    if not isinstance(keep, dict):
        raise ConfigError(f"genes.keep: {keep!r}", where=path, expected="a mapping of columns to values to keep")
    kept = {str(column): name_list(values, path, f"genes.keep.{column}") for column, values in keep.items()}
    return GeneColumns(**named, base=base, keep=kept, expression_gene_id=expression.get("gene_id"))
