"""What is asked of a trained DNA network, and where it is read: windows, genome, tracks and what lies beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from seqexp.api.gene_request import covariates_of, find_genes, read_genes_of
from seqexp.core.errors import ConfigError, DataError, SeqexpError
from seqexp.dna.genome.dataset import DatasetSpec, load_dataset
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.laying import Laid, lay_on_genes, lay_on_intervals, lay_on_records
from seqexp.dna.genome.opening import compare_sizes, require_window
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.regions import read_intervals
from seqexp.dna.genome.sequences import Sequences
from seqexp.dna.genome.tracks import TrackSet
from seqexp.dna.loaders.fitted import Fitted
from seqexp.dna.loaders.given import Beside, given_windows, seen_as
from seqexp.dna.loaders.sources import LackingTracks, Signals
from seqexp.dna.loaders.windows import CONTACT, WindowDataset

Source = Reference | Sequences


@dataclass(frozen=True)
class Request:
    """What to predict; exactly one of intervals, genes and sequences.

    Attributes
    ----------
    intervals : DataFrame or Path, optional
        chrom, start, end and, where known, strand and name; or a BED file.
    genes : Path, sequence of str or GeneTable, optional
        A GTF, GFF3, BED or table; or genes of the data set's own annotation, by id or name, or looked up before.
    sequences : Path or mapping, optional
        A FASTA whose records are predicted; or DNA by name.
    fasta : Path, optional
        Another genome that intervals or genes lie on.
    tracks : mapping
        Tracks of the checkpoint to bigWig, where they are not those of the data set.
    tss_offset_bp : int, optional
        Base of every sequence that is the TSS.
    """

    intervals: pd.DataFrame | Path | None = None
    genes: Path | Sequence[str] | GeneTable | None = None
    sequences: Path | Mapping[str, str] | None = None
    fasta: Path | None = None
    tracks: Mapping[str, Path] = field(default_factory=dict)
    tss_offset_bp: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("intervals", "genes", "sequences") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ConfigError(
                f"asked about {' and '.join(given) or 'nothing'}", expected="intervals, genes or sequences, one of them"
            )
        if self.sequences is not None and self.fasta is not None:
            raise ConfigError("a genome beside sequences that lie on none", expected="sequences alone")
        if self.fasta is not None and self.genes is not None and not isinstance(self.genes, Path):
            raise ConfigError(
                "gene ids with another genome",
                expected="the genes of that genome: a GTF, GFF3, BED or table",
                fix="--genes FILE",
            )
        if self.tss_offset_bp is not None and self.sequences is None:
            raise ConfigError("the TSS offset is of sequences", expected="sequences, or no offset")

    @property
    def is_on_own_genome(self) -> bool:
        """Whether the windows lie on the genome of the data set."""
        return self.fasta is None and self.sequences is None


@dataclass(frozen=True)
class Given:
    """Windows ready to be read.

    Attributes
    ----------
    laid : Laid
    seen : Series of str (R,)
        What the checkpoint knows of each: ``train``, ``val``, ``no`` or ``unknown``.
    dataset : WindowDataset
    bases : Reference or Sequences
    spec : DatasetSpec or None
        The data set, where the windows lie on its genome.
    notes : list of str
        What has to be told.
    """

    laid: Laid
    seen: pd.Series
    dataset: WindowDataset
    bases: Source
    spec: DatasetSpec | None
    notes: list[str]


def resolve(request: Request, facts: Fitted, dataset: Path) -> Given:
    """Open what a request needs, and lay its windows.

    Parameters
    ----------
    request : Request
    facts : Fitted
        Of the checkpoint.
    dataset : Path
        The data set of the run; read only where the windows lie on its genome.

    Raises
    ------
    DataError, ConfigError
        One message for whatever cannot be used.
    """
    spec = open_spec(dataset) if request.is_on_own_genome else None
    bases = _open_bases(request, spec)
    around_bp = facts.window_bp[:2]
    laid, covariates = _lay(request, facts, spec, bases, around_bp=around_bp)
    tracks, notes = _open_tracks(request, facts, spec, bases, chroms=set(laid.frame["chrom"]))
    beside = Beside(covariates=covariates)
    if spec is not None:
        blacklist = spec.read_blacklist(bases.chrom_sizes)
        contacts = None
        if CONTACT in facts.tracks:
            contacts = spec.open_contacts(bases.chrom_sizes, laid.frame["chrom"].unique(), max(around_bp))
        beside = Beside(blacklist, contacts, covariates)
    windows, told = given_windows(laid, facts, bases, tracks, beside=beside)
    seen = pd.Series(seen_as(laid, facts, bases))
    return Given(laid, seen, windows, bases, spec, [*laid.notes, *notes, *told])


def open_spec(dataset: Path) -> DatasetSpec:
    """Description of a run's data set; a DataError that says what to do where it is gone."""
    try:
        return load_dataset(dataset)
    except SeqexpError as error:
        raise DataError(
            f"the data set of the run cannot be opened: {error.found}",
            where=error.where or dataset,
            expected="the data set that the run was trained on, or one like it",
            fix="say where it lies now with --dataset PATH, or give the genome with --fasta FILE and the tracks with "
            "--tracks NAME=FILE",
        ) from error


def _open_bases(request: Request, spec: DatasetSpec | None) -> Source:
    if isinstance(request.sequences, Mapping):
        return Sequences(request.sequences)
    path = request.sequences or request.fasta
    return Reference(path) if spec is None else spec.open_reference()  # type: ignore[arg-type]


def _lay(
    request: Request, facts: Fitted, spec: DatasetSpec | None, bases: Source, *, around_bp: tuple[int, int]
) -> tuple[Laid, pd.DataFrame | None]:
    """Windows, and the covariates of their genes where they are known."""
    if request.sequences is not None:
        return lay_on_records(bases.chrom_sizes, bases.path, around_bp, request.tss_offset_bp), None
    assert isinstance(bases, Reference)
    require_window(*around_bp, bases)
    if request.intervals is not None:
        is_table = isinstance(request.intervals, pd.DataFrame)
        table = request.intervals if is_table else read_intervals(request.intervals)
        file = "the intervals given" if is_table else request.intervals
        return lay_on_intervals(table, file, bases, around_bp), None
    if isinstance(request.genes, Path):
        genes, columns = read_genes_of(request.genes)
        covariates = covariates_of(request.genes, columns, facts.covariates.names)
        return lay_on_genes(genes, bases, around_bp), covariates
    assert request.genes is not None
    assert spec is not None
    found = request.genes
    if not isinstance(found, GeneTable):
        found = find_genes(GeneTable.read(spec.genes, spec.columns), found)
    known = covariates_of(spec.expression_path or spec.genes, spec.columns, facts.covariates.names, spec=spec)
    return lay_on_genes(found, bases, around_bp), known


def _open_tracks(
    request: Request, facts: Fitted, spec: DatasetSpec | None, bases: Source, *, chroms: set[str]
) -> tuple[Signals, list[str]]:
    """Tracks in the order of the checkpoint, and what to tell of those that are lacking."""
    names = [name for name in facts.tracks if name != CONTACT]
    reads = ", ".join(names) or "no tracks: it reads DNA alone"
    extra = [name for name in request.tracks if name not in names]
    if extra:
        raise ConfigError(f"track {extra[0]!r} is none that the run reads", expected=f"one of: {reads}")
    if CONTACT in facts.tracks and spec is None:
        raise ConfigError(
            "the run reads Hi-C contacts, which are known for the genome of its data set only",
            expected="intervals or genes on that genome",
        )
    own = {} if spec is None else spec.tracks
    paths = {name: Path(request.tracks.get(name) or own[name]) for name in names if name in {**own, **request.tracks}}
    lacking = [name for name in names if name not in paths]
    if lacking and facts.missing != "nan":
        raise ConfigError(
            f"the run reads the tracks {reads}; {', '.join(lacking)} is not given",
            where=None if spec is None else spec.path,
            expected="a bigWig for every track, because without `missing: nan` in its training data the network was "
            "never shown a window without signals",
            fix=" ".join(["--tracks", *(f"{name}=FILE" for name in lacking)]),
        )
    tracks = TrackSet(paths, facts.missing)
    if isinstance(bases, Reference):
        for name in tracks.names:
            compare_sizes(bases, tracks, name, needed=chroms)
    if not lacking:
        return tracks, []
    return LackingTracks(tracks, names), [f"read as missing values, as nobody gave them: {', '.join(lacking)}"]
