"""The part of :mod:`seqexp.dna.genome.check` that looks at tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from seqexp.core.check import Asker
from seqexp.core.errors import DataError
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap, match_names
from seqexp.dna.genome.opening import compare_sizes
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.tracks import TrackSet


def check_track(
    ask: Asker,
    spec: DatasetSpec,
    track: TrackSet,
    *,
    reference: Reference | None,
    num_genes: Mapping[str, int],
    windows: Sequence[Interval],
) -> None:
    """Compare one track with the FASTA and the genes.

    Parameters
    ----------
    ask : Asker
    spec : DatasetSpec
    track : TrackSet
        Of this track alone.
    reference : Reference, optional
        None if it cannot be read.
    num_genes : mapping
        Genes by chromosome.
    windows : sequence of Interval
        Some windows of genes.
    """
    (name,) = track.names
    file = track.paths[name].name
    if reference is not None:
        sizes = track.sizes_of(name)
        with ask(file, "chromosome names") as tell:
            num_found = len(match_names(sizes, reference.chrom_sizes, spec.tracks[name], spec.fasta))
            tell((f"{num_found} of {len(sizes)} in the FASTA", num_found == len(sizes)))
        with ask(file, "chromosome sizes") as tell:
            tell(compare_sizes(reference, track, name, needed=num_genes))
    with ask(file, "values") as tell:
        tell(_values(track, name))
    if num_genes:
        with ask(file, "chromosomes with values") as tell:
            tell(_coverage(spec, track, name, num_genes))
        with ask(file, "signal in windows") as tell:
            tell(_signal(track, windows))


def _values(track: TrackSet, name: str) -> tuple[str, bool]:
    num_bases, low, high = track.summary(name)
    told = f"{low:.4g} to {high:.4g}, {num_bases / sum(track.chrom_sizes.values()):.1%} of bases have a value"
    return told + (", some negative" if low < 0 else ""), low >= 0 and low < high


def _coverage(spec: DatasetSpec, track: TrackSet, name: str, num_genes: Mapping[str, int]) -> tuple[str, bool]:
    """A chromosome without any value counts as silence only where the dataset says so."""
    covered = NameMap(track.chroms_with_values(name))
    lacking = [chrom for chrom in num_genes if chrom not in covered]
    told = f"{len(num_genes) - len(lacking)} of {len(num_genes)} chromosomes with genes"
    if not lacking:
        return told, True
    listed = ", ".join(lacking[:5]) + (", …" if len(lacking) > 5 else "")
    num_affected = sum(num_genes[chrom] for chrom in lacking)
    if spec.is_missing_stated and spec.missing != "error":
        return f"{told}; none on {listed}, where {num_affected} genes lie (missing: {spec.missing})", False
    raise DataError(
        f"track {name} has no value on {len(lacking)} of {len(num_genes)} chromosomes, where {num_affected} of "
        f"{sum(num_genes.values())} genes lie: {listed}",
        where=track.paths[name],
        expected="values on every chromosome whose genes are used",
        fix="set missing: zero in dataset.yaml if no value means no signal there, missing: nan if it is unknown; "
        "or leave the chromosomes out with splits.exclude",
    )


def _signal(track: TrackSet, windows: Sequence[Interval]) -> tuple[str, bool]:
    if not windows:
        raise DataError("no gene of a split lies on a chromosome of the track", where=track.paths[track.names[0]])
    share = float(np.mean([bool((np.nan_to_num(track.values(window)) != 0).any()) for window in windows]))
    return f"{share:.1%} of {len(windows)} windows have some", share > 0.5
