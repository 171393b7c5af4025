"""Opening the files of a dataset together, and refusing those that do not belong together."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.names import match_names
from seqexp.dna.genome.placing import place_genes
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.splits import in_a_split
from seqexp.dna.genome.tracks import TrackSet


def open_files(
    spec: DatasetSpec, tracks: Sequence[str] | None = None, around_bp: tuple[int, int] | None = None
) -> tuple[Reference, TrackSet, GeneTable]:
    """Open the three files every model needs, and refuse those that do not belong together.

    Parameters
    ----------
    spec : DatasetSpec
    tracks : sequence of str, optional
        Which tracks; all by default.
    around_bp : (int, int), optional
        Upstream and downstream length of the window that is going to be read.

    Returns
    -------
    Reference, TrackSet, GeneTable
        Gene chromosomes carry the names of the FASTA.

    Raises
    ------
    DataError
        As :func:`seqexp.dna.genome.placing.place_genes` and :func:`compare_sizes`.
    ConfigError
        No chromosome is as long as the window.
    """
    reference = spec.open_reference()
    if around_bp is not None:
        require_window(*around_bp, reference)
    signals = spec.open_tracks(tracks)
    genes = place_genes(spec.read_genes(), spec, reference)
    needed = set(genes.frame.loc[in_a_split(genes, spec.splits), "chrom"])
    for name in signals.names:
        compare_sizes(reference, signals, name, needed=needed)
    return reference, signals, genes


def require_window(upstream_bp: int, downstream_bp: int, reference: Reference | None = None) -> None:
    """Refuse a window that holds no TSS, or that no chromosome is as long as.

    Raises
    ------
    ConfigError
    """
    longest = None if reference is None else max(reference.chrom_sizes.values())
    for name, value, least in (("upstream_bp", upstream_bp, 0), ("downstream_bp", downstream_bp, 1)):
        if value < least:
            raise ConfigError(f"{name}: {value}", where="the window", expected=f"at least {least}")
    if longest is not None and upstream_bp + downstream_bp > longest:
        raise ConfigError(
            f"a window of {upstream_bp + downstream_bp:,} bp is longer than every chromosome",
            where=f"upstream_bp {upstream_bp}, downstream_bp {downstream_bp}",
            expected=f"at most {longest:,} bp, the longest of {reference.path}" if reference is not None else None,
        )


def compare_sizes(reference: Reference, tracks: TrackSet, name: str, *, needed: Collection[str]) -> str:
    """Check one track against the FASTA on the chromosomes ``needed`` (FASTA names), and tell how many agree.

    Raises
    ------
    DataError
        No name matches, or a chromosome that is needed has another length.
    """
    sizes, known = tracks.sizes_of(name), reference.chrom_sizes
    found = match_names(sizes, known, tracks.paths[name], reference.path)
    unequal = [(chrom, partner) for chrom, partner in found.items() if sizes[chrom] != known[partner]]
    wrong = [(chrom, partner) for chrom, partner in unequal if partner in needed]
    if wrong:
        chrom, partner = wrong[0]
        raise DataError(
            f"the FASTA is {'shorter' if known[partner] < sizes[chrom] else 'longer'} than track {name}: {partner} has "
            f"{known[partner]} bp, the track says {sizes[chrom]} bp ({len(wrong)} such chromosomes with genes)",
            where=f"{reference.path} and {tracks.paths[name]}",
            expected="files of the same assembly",
            fix=f"use the FASTA the track was made on, or leave the genes of {partner} out with splits.exclude",
        )
    told = f"{len(found) - len(unequal)} equal to the FASTA"
    if unequal:
        told += f"; {len(unequal)} of another length, where no gene of a split lies: {_some([c for c, _ in unequal])}"
    return told


def _some(names: list[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
