"""The part of :mod:`seqexp.dna.genome.check` that looks at the alignments of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seqexp.core.check import Asker
from seqexp.core.errors import DataError
from seqexp.dna.genome.alignment_files import AlignmentFacts, read_facts
from seqexp.dna.genome.alignments import AlignmentSpec
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.names import match_names


def check_alignments(ask: Asker, spec: DatasetSpec, sizes: Mapping[str, int] | None) -> None:
    """Ask of each file what it holds, and whether its chromosomes are those of the FASTA.

    Parameters
    ----------
    ask : Asker
    spec : DatasetSpec
    sizes : mapping, optional
        Lengths of the chromosomes of the FASTA; None if it cannot be read.
    """
    for name, reads in spec.alignments.items():
        _check(ask, spec, name, reads, sizes=sizes)


def _check(ask: Asker, spec: DatasetSpec, name: str, reads: AlignmentSpec, *, sizes: Mapping[str, int] | None) -> None:
    what = f"alignments {name}"
    file_format = None
    with ask(reads.paths[0].name, what):
        file_format = reads.resolved_format()
    if file_format is None:
        return
    for path in reads.files():
        facts = None
        with ask(path.name, what) as tell:
            facts = read_facts(path, file_format)
            tell(_holds(facts, file_format))
        if facts is not None and sizes is not None:
            with ask(path.name, "chromosome names") as tell:
                tell(_names(facts, path, sizes, spec.fasta))


def _holds(facts: AlignmentFacts, file_format: str) -> str:
    number = "" if facts.num_reads is None else f"{facts.num_reads:,} rows on "
    return f"{file_format}, {number}{len(facts.sizes)} chromosomes"


def _names(facts: AlignmentFacts, path: Path, sizes: Mapping[str, int], fasta: Path) -> tuple[str, bool]:
    found = match_names(facts.sizes, sizes, path, fasta)
    for chrom, partner in found.items():
        size, limit = facts.sizes[chrom], sizes[partner]
        is_wrong = size > limit if facts.num_reads is not None else size != limit
        if is_wrong:
            reach = "has reads up to" if facts.num_reads is not None else "is by the header"
            raise DataError(
                f"{chrom} {reach} {size:,} bp, in the FASTA it has {limit:,} bp",
                where=f"{path} and {fasta}",
                expected="reads aligned to the assembly of the FASTA",
                fix="use the FASTA the reads were aligned to",
            )
    lacking = [chrom for chrom in facts.sizes if chrom not in found]
    told = f"{len(found)} of {len(facts.sizes)} in the FASTA"
    return told + (f"; not {', '.join(lacking[:5])}, whose peaks are left out" if lacking else ""), not lacking
