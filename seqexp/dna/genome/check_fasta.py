"""The part of :mod:`seqexp.dna.genome.check` that looks at the FASTA."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqexp.core.check import Asker
from seqexp.core.errors import DataError
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import UNKNOWN, Reference

_CHUNK_BP = 1 << 22


def open_fasta(ask: Asker, spec: DatasetSpec) -> Reference | None:
    """Open the FASTA; None if that is not possible."""
    with ask(spec.fasta.name, "opens"):
        return spec.open_reference()
    return None


def check_fasta(ask: Asker, reference: Reference) -> None:
    """Tell what is in the FASTA and read it from end to end."""
    file, num_bases = reference.path.name, sum(reference.chrom_sizes.values())
    with ask(file, "sequences") as tell:
        tell(f"{len(reference.chrom_sizes)} with {num_bases:,} bp")
    with ask(file, "index") as tell:
        tell((reference.index_note, "does not belong" not in reference.index_note))
    with ask(file, "content") as tell:
        tell(_read_through(reference))


def check_bases(ask: Asker, reference: Reference, windows: Sequence[Interval]) -> None:
    """Ask whether windows hold bases."""
    if windows:
        with ask(reference.path.name, "bases in windows") as tell:
            tell(_known_bases(reference, windows))


def _read_through(reference: Reference) -> tuple[str, bool]:
    num_known = 0
    for chrom, size in reference.chrom_sizes.items():
        for start in range(0, size, _CHUNK_BP):
            codes = reference.codes(Interval(chrom, start, min(start + _CHUNK_BP, size)))
            num_known += int(np.count_nonzero(codes < UNKNOWN))
    share = num_known / max(1, sum(reference.chrom_sizes.values()))
    return f"read to the end, {share:.1%} are A, C, G or T", share > 0.5


def _known_bases(reference: Reference, windows: Sequence[Interval]) -> tuple[str, bool]:
    share = float(np.mean([(reference.codes(window) != UNKNOWN).mean() for window in windows]))
    if share == 0:
        raise DataError(
            f"not one base of {len(windows)} windows is A, C, G or T",
            where=reference.path,
            expected="the sequence of a genome",
            fix="use the FASTA of the assembly, not a hard-masked or empty one",
        )
    return f"{share:.1%} are A, C, G or T ({len(windows)} windows)", share > 0.9
