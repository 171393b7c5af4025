"""Genes on the chromosomes of the FASTA: names matched, lengths compared where genes of a split lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.dna.genome.accessions import chromosome_of
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap, match_names, name_key
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.splits import in_a_split

NOWHERE = "named in the splits, where nothing lies"
LACKING = "on chromosomes that the FASTA lacks"


def place_genes(genes: GeneTable, spec: DatasetSpec, reference: Reference) -> GeneTable:
    """Genes under the chromosome names of the FASTA.

    Genes of no split do not matter: where they have no place in the FASTA they are left out and counted.

    Raises
    ------
    DataError
        No chromosome is found; a gene of a split lies on a chromosome that the FASTA lacks (unless
        ``genes.not_in_fasta`` is ``drop``) or outside one; or the annotation states another length for a chromosome
        of such a gene.
    """
    found = find_chromosomes(genes, reference)
    genes.report = genes.report.noting(_nowhere(genes, spec, reference), NOWHERE)
    is_used = in_a_split(genes.renamed(found), spec.splits) & ~_excluded_by_own_name(genes, spec)
    is_lacking = ~genes.frame["chrom"].isin(list(found)).to_numpy()
    if spec.not_in_fasta == "error" and (is_lacking & is_used).any():
        raise _lacking(genes.select(is_lacking & is_used), spec, reference)
    is_used = is_used[~is_lacking]
    genes = genes.without(is_lacking, LACKING)
    used = genes.frame.loc[is_used, "chrom"].unique()
    _require_lengths(genes, {chrom: found[chrom] for chrom in used}, spec=spec, reference=reference)
    genes = genes.renamed(found)
    genes.select(is_used).require_inside(reference.chrom_sizes, spec.fasta)
    is_outside = genes.outside(reference.chrom_sizes)
    return genes.without(is_outside, "outside their chromosome, and in no split")


def find_chromosomes(genes: GeneTable, reference: Reference) -> dict[str, str]:
    """Chromosome of the gene table to that of the FASTA; those without a partner, or with one in doubt, are left out.

    A chromosome is found by its name, by another name that the annotation states, or by its RefSeq accession.

    Raises
    ------
    DataError
        Not one is found.
    """
    names, chroms = NameMap(reference.chrom_sizes), list(genes.frame["chrom"].unique())
    by_accession = {known: name for name in reference.chrom_sizes if (known := chromosome_of(name)) is not None}
    accessions = NameMap(by_accession)
    found: dict[str, str] = {}
    for chrom in chroms:
        told = [chrom, *genes.sequences.aliases.get(chrom, ()), chromosome_of(chrom) or chrom]
        partners = {partner for name in told if (partner := names.find(name)) is not None}
        partners |= {by_accession[key] for name in told if (key := accessions.find(name)) is not None}
        if names.find(chrom) is not None or len(partners) == 1:
            found[chrom] = names.find(chrom) or partners.pop()
    taken = Counter(found.values())
    found = {chrom: name for chrom, name in found.items() if taken[name] == 1 or names.find(chrom) == name}
    return found or match_names(chroms, reference.chrom_sizes, genes.report.path, reference.path)


def _nowhere(genes: GeneTable, spec: DatasetSpec, reference: Reference) -> list[str]:
    """What ``splits`` excludes that neither file names, and segments without a gene: misspelt, most often.

    Chromosomes to train, validate or test on are questioned by :func:`seqexp.dna.genome.splits.assign`.
    """
    chroms: list[str] = [*reference.chrom_sizes, *genes.frame["chrom"].unique(), *genes.sequences.aliases]
    keys = {name_key(chrom) for chrom in chroms}
    if spec.splits.by == "chromosome":
        return [member for member in spec.splits.exclude if name_key(member) not in keys]
    found = find_chromosomes(genes, reference)
    own = genes.frame["chrom"].map({chrom: name_key(found.get(chrom, chrom)) for chrom in map(str, chroms)})
    nowhere = []
    for name, segments in spec.splits.segments().items():
        for segment in segments:
            is_here = own == name_key(segment.chrom)
            if name_key(segment.chrom) not in keys or (name != "exclude" and not _holds(genes, is_here, segment)):
                nowhere.append(f"{segment.chrom}:{segment.start}-{segment.end}")
    return nowhere


def _holds(genes: GeneTable, is_here: pd.Series, segment: Interval) -> bool:
    """Whether any of some genes has its TSS in a segment."""
    return bool((is_here & genes.frame["tss"].between(segment.start, segment.end - 1)).any())


def _excluded_by_own_name(genes: GeneTable, spec: DatasetSpec) -> NDArray[np.bool_]:
    """Genes whose chromosome is excluded under the name it has in the gene file alone."""
    is_by_name = spec.splits.by == "chromosome"
    return genes.frame["chrom"].isin(spec.splits.exclude if is_by_name else ()).to_numpy()


def _lacking(genes: GeneTable, spec: DatasetSpec, reference: Reference) -> DataError:
    chroms = list(genes.frame["chrom"].unique())
    return DataError(
        f"{len(genes)} genes of the splits lie on {len(chroms)} chromosomes that the FASTA lacks: {_some(chroms)}",
        where=f"{spec.genes}, first {genes.frame['gene_id'].iloc[0]}; "
        f"{spec.fasta} has {_some(list(reference.chrom_sizes))}",
        expected="the sequence of every chromosome whose genes are used",
        fix="leave these genes out with genes: {not_in_fasta: drop} in dataset.yaml, or name the chromosomes under "
        "splits.exclude; to keep them, use a FASTA that holds them",
    )


def _require_lengths(genes: GeneTable, used: Mapping[str, str], *, spec: DatasetSpec, reference: Reference) -> None:
    told = genes.sequences
    for chrom, name in used.items():
        known = reference.chrom_sizes[name]
        stated = told.lengths.get(chrom, max(known, told.bounds.get(chrom, 0)))
        if stated != known:
            raise DataError(
                f"the annotation is of another assembly: its {chrom} has {stated} bp, that of the FASTA {known} bp",
                where=f"{spec.genes} and {spec.fasta}",
                expected="files of the same assembly",
                fix=f"use the annotation of the FASTA, or leave the genes of {chrom} out with splits.exclude",
            )


def _some(names: list[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
