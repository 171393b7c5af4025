"""Do the files of a dataset belong together? Names, sizes, bounds, strands and values, compared before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.check import Asker, CheckReport
from seqexp.core.errors import SeqexpError
from seqexp.dna.genome.check_alignments import check_alignments
from seqexp.dna.genome.check_contacts import check_contacts
from seqexp.dna.genome.check_fasta import check_bases, check_fasta, open_fasta
from seqexp.dna.genome.check_regions import check_regions
from seqexp.dna.genome.check_tracks import check_track
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.genes import UNANNOTATED, GeneTable
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap
from seqexp.dna.genome.opening import require_window
from seqexp.dna.genome.placing import LACKING, NOWHERE, place_genes
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.splits import SPLITS, assign, check_leaks
from seqexp.dna.genome.tracks import TrackSet

_NUM_SAMPLED, _NUM_AT_START = 200, 50  # windows that are read: by a check, and before every run


def check_dataset(spec: DatasetSpec, upstream_bp: int, downstream_bp: int) -> CheckReport:
    """Open every file of a dataset and compare them.

    Parameters
    ----------
    spec : DatasetSpec
        The dataset.
    upstream_bp, downstream_bp : int
        Window around the TSS that is going to be used, in gene orientation.

    Returns
    -------
    CheckReport
        Every problem found, not just the first one: a file that cannot be read ends only the questions about itself.

    Raises
    ------
    ConfigError
        No chromosome is as long as the window.

    Notes
    -----
    The FASTA is read once from end to end, since broken blocks and letters that are no bases show only then. Signals
    are looked at in up to 200 windows, evenly spread over the gene table.
    """
    require_window(upstream_bp, downstream_bp)
    ask = Asker()
    reference = open_fasta(ask, spec)
    if reference is not None:
        require_window(upstream_bp, downstream_bp, reference)
        check_fasta(ask, reference)
    genes = _check_genes(ask, spec)
    if genes is not None and reference is not None:
        genes = _check_places(ask, spec, genes, reference, upstream_bp=upstream_bp, downstream_bp=downstream_bp)
    if genes is not None:
        _check_rows(ask, spec, genes)
    labels = None if genes is None else _check_splits(ask, spec, genes, upstream_bp, downstream_bp=downstream_bp)
    used = genes if genes is None or labels is None else genes.select(labels != "none")
    sizes = None if reference is None else reference.chrom_sizes
    num_genes, windows = _places(used, sizes, (upstream_bp, downstream_bp), _NUM_SAMPLED)
    if reference is not None:
        check_bases(ask, reference, windows)
    for name, path in spec.tracks.items():
        track = None
        with ask(path.name, f"track {name}"):
            track = TrackSet({name: path}, spec.missing)
        if track is not None:
            check_track(ask, spec, track, reference=reference, num_genes=num_genes, windows=windows)
            track.close()
    check_regions(ask, spec, sizes, genes)
    check_alignments(ask, spec, sizes)
    if spec.contacts is not None and sizes is not None:
        check_contacts(ask, spec.contacts, sizes, genes)
    return CheckReport(tuple(ask.rows))


def require_usable(
    spec: DatasetSpec,
    reference: Reference,
    tracks: TrackSet,
    genes: GeneTable,
    *,
    labels: NDArray[np.str_],
    around: Sequence[int],
) -> list[str]:
    """Ask of files that a run has opened what :func:`check_dataset` asks of them, and refuse them likewise.

    Parameters
    ----------
    spec : DatasetSpec
    reference, tracks, genes : Reference, TrackSet, GeneTable
        As opened; tracks that the run does not use are not asked about.
    labels : str array (G,)
        Split of every gene.
    around : (int, int)
        Upstream and downstream length of the window.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    DataError
        With every error in full.
    """
    ask, used = Asker(), genes.select(np.isin(labels, SPLITS))
    num_genes, windows = _places(used, reference.chrom_sizes, (around[0], around[1]), _NUM_AT_START)
    check_bases(ask, reference, windows)
    for name in tracks.names:
        check_track(ask, spec, tracks.only(name), reference=reference, num_genes=num_genes, windows=windows)
    check_regions(ask, spec, reference.chrom_sizes, genes)
    check_alignments(ask, spec, reference.chrom_sizes)
    report = CheckReport(tuple(ask.rows))
    report.require_ok()
    return [f"{row.file}: {row.what}: {row.found}" for row in report.rows if row.status == "warn"]


def _places(
    genes: GeneTable | None, sizes: Mapping[str, int] | None, around_bp: tuple[int, int], num_windows: int
) -> tuple[dict[str, int], list[Interval]]:
    """Genes by chromosome, and windows of some of them on known chromosomes, evenly spread over the table."""
    if genes is None:
        return {}, []
    num_genes = {str(chrom): int(number) for chrom, number in genes.frame["chrom"].value_counts(sort=False).items()}
    known = NameMap(num_genes if sizes is None else sizes)
    rows = np.flatnonzero(genes.frame["chrom"].map({chrom: chrom in known for chrom in num_genes}).to_numpy(bool))
    spread = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), num_windows)).astype(int))
    return num_genes, [genes.window(int(row), *around_bp) for row in rows[spread]]


def _check_splits(
    ask: Asker, spec: DatasetSpec, genes: GeneTable, upstream_bp: int, *, downstream_bp: int
) -> NDArray[np.str_] | None:
    windows = genes.windows(upstream_bp, downstream_bp)
    labels = None
    with ask("dataset.yaml", "splits") as tell:
        labels = assign(genes, windows, spec.splits)
        tell(check_leaks(genes, windows, labels).render())
    return labels


def _check_genes(ask: Asker, spec: DatasetSpec) -> GeneTable | None:
    file = spec.genes.name
    genes = plain = None
    with suppress(SeqexpError):
        genes = plain = spec.read_genes()
    if genes is None:  # is it the genes or their expression?
        with ask(file, "genes"):
            plain = GeneTable.read(spec.genes, spec.columns)
        with ask(file, "expression"):
            spec.read_genes()
    if plain is not None:
        with ask(file, "strands") as tell:
            tell(_strands(plain))
    return genes


def _check_rows(ask: Asker, spec: DatasetSpec, genes: GeneTable) -> None:
    file, report = spec.genes.name, genes.report
    is_fine = not (report.dropped or report.ignored or {UNANNOTATED, NOWHERE} & set(report.noted))
    with ask(file, "rows") as tell:
        tell((report.render().split(": ", 1)[1], is_fine))
    for column in spec.targets:
        with ask(file, column) as tell:
            tell(_range(genes.frame[column].to_numpy(), spec.expression_unit))
    for column in spec.covariates:
        with ask(file, column) as tell:
            tell(_covariate(genes.frame[column], genes.frame[spec.targets[0]]))


def _covariate(values: pd.Series, expression: pd.Series) -> tuple[str, bool]:
    """Its range; a warning where it orders the genes as the expression does, and so may be made from it."""
    told, is_fine = _range(values.to_numpy(), "")
    if len(values) < 10 or not is_fine or expression.nunique() < 2:
        return told, is_fine
    rank = float(values.rank().corr(expression.rank()))
    if abs(rank) < 0.98:
        return told, True
    return f"{told}; made from the expression? the rank correlation is {rank:.3f}", False


def _strands(genes: GeneTable) -> tuple[str, bool]:
    num_forward = int((genes.frame["strand"] == "+").sum())
    return f"{num_forward} +, {len(genes) - num_forward} -", 0 < num_forward < len(genes)


def _range(values: np.ndarray, unit: str) -> tuple[str, bool]:
    low, middle, high = np.min(values), np.median(values), np.max(values)
    zeros = f", {np.mean(values == 0):.0%} zero" if low >= 0 else ""
    return f"{low:.4g} to {high:.4g} {unit}, median {middle:.4g}{zeros}".replace(" ,", ","), bool(low < high)


def _check_places(
    ask: Asker, spec: DatasetSpec, genes: GeneTable, reference: Reference, *, upstream_bp: int, downstream_bp: int
) -> GeneTable:
    """The genes on the chromosomes of the FASTA, or as they were where that is refused."""
    file, sizes = spec.genes.name, reference.chrom_sizes
    placed = None
    with ask(file, "chromosomes"):
        placed = place_genes(genes, spec, reference)
    if placed is None:
        return genes
    num_named, num_found = genes.frame["chrom"].nunique(), placed.frame["chrom"].nunique()
    num_lost = placed.report.dropped.get(LACKING, 0)
    told = f"{num_found} of {num_named} in the FASTA"
    told += f"; {num_lost} genes on the others left out" if num_lost else ""
    with ask(file, "chromosomes") as tell:
        tell((told, not num_lost))
    with ask(file, "TSS inside chromosome") as tell:
        tell(f"all {len(placed)}")
    windows = placed.windows(upstream_bp, downstream_bp)
    num_past = int(((windows["start"] < 0) | (windows["end"] > windows["chrom"].map(sizes))).sum())
    told_past = f"{num_past} of {len(placed)} reach past a chromosome end and are padded"
    with ask(file, "windows") as tell:
        tell((told_past, num_past <= 0.1 * len(placed)))
    return placed
