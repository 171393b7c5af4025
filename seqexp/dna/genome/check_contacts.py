"""The part of :mod:`seqexp.dna.genome.check` that looks at Hi-C contacts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from seqexp.core.check import Asker
from seqexp.dna.genome.contact_files import ContactSpec, read_contacts
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.names import NameMap


def check_contacts(ask: Asker, spec: ContactSpec, sizes: Mapping[str, int], genes: GeneTable | None) -> None:
    """Read every file against the chromosome lengths, and ask whether the genes have contacts.

    Parameters
    ----------
    ask : Asker
    spec : ContactSpec
    sizes : mapping
        Lengths of the chromosomes of the FASTA.
    genes : GeneTable, optional
        None if they cannot be read.
    """
    names = ask.value("dataset.yaml", "contacts", lambda: spec.names_in(sizes))
    if names is None:
        return
    if genes is not None:
        ask("dataset.yaml", "contacts", lambda: _genes(spec, genes))
    for own, chrom in names.items():
        file = spec.paths[own].name
        counts = ask.value(
            file,
            f"contacts of {own}",
            lambda own=own, chrom=chrom: read_contacts(spec.paths[own], spec.bin_bp, sizes[chrom]),  # type: ignore[misc]
        )
        if counts is None:
            continue
        ask(file, f"contacts of {own}", lambda counts=counts: _pairs(counts, spec.bin_bp))  # type: ignore[misc]
        if genes is not None:
            ask(file, "contacts at TSSs", lambda counts=counts, own=own: _tss(counts, spec.bin_bp, genes, own))  # type: ignore[misc]


def _genes(spec: ContactSpec, genes: GeneTable) -> tuple[str, bool]:
    known = NameMap(spec.paths)
    num_known = sum(chrom in known for chrom in genes.frame["chrom"])
    return f"{num_known} of {len(genes)} genes on a chromosome with contacts", num_known == len(genes)


def _pairs(counts: sparse.csr_matrix, bin_bp: int) -> str:
    diagonal = counts.diagonal()
    num_pairs, total = (counts.nnz + np.count_nonzero(diagonal)) // 2, (counts.sum() + diagonal.sum()) / 2
    return f"{num_pairs:,} pairs of bins of {bin_bp:,} bp, {total:,.0f} contacts"


def _tss(counts: sparse.csr_matrix, bin_bp: int, genes: GeneTable, chrom: str) -> tuple[str, bool]:
    known = NameMap([chrom])
    tss = genes.frame.loc[[name in known for name in genes.frame["chrom"]], "tss"].to_numpy()
    bins = tss[(tss >= 0) & (tss < counts.shape[0] * bin_bp)] // bin_bp
    num_met = int((np.diff(counts.indptr)[bins] > 0).sum())
    return f"{num_met} of {len(tss)} TSSs lie in a bin with contacts", num_met >= 0.9 * len(tss)
