"""The part of :mod:`seqexp.dna.genome.check` that looks at Hi-C contacts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from seqexp.core.check import Asker
from seqexp.dna.genome.contact_files import ContactSpec, read_contacts
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.names import NameMap

_NOTHING = np.empty(0, dtype=np.int64)


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
    names = None
    with ask("dataset.yaml", "contacts"):
        names = spec.names_in(sizes)
    if names is None:
        return
    tss = {} if genes is None else _tss_by_file(spec, genes)
    if genes is not None:
        num_known, num_genes = sum(map(len, tss.values())), len(genes)
        told = f"{num_known} of {num_genes} genes on a chromosome with contacts"
        with ask("dataset.yaml", "contacts") as tell:
            tell((told, num_known == num_genes))
    for own, chrom in names.items():
        file = spec.paths[own].name
        counts = None
        with ask(file, f"contacts of {own}") as tell:
            counts = read_contacts(spec.paths[own], spec.bin_bp, sizes[chrom])
            tell(_pairs(counts, spec.bin_bp))
        if counts is not None and genes is not None:
            with ask(file, "contacts at TSSs") as tell:
                tell(_met(counts, spec.bin_bp, tss.get(own, _NOTHING)))


def _tss_by_file(spec: ContactSpec, genes: GeneTable) -> dict[str, NDArray[np.int64]]:
    """TSSs of the genes by the name that ``contacts.paths`` gives their chromosome."""
    known, chroms = NameMap(spec.paths), genes.frame["chrom"]
    found = chroms.map({chrom: known.find(chrom) for chrom in chroms.unique()})
    return {str(own): tss.to_numpy(np.int64) for own, tss in genes.frame["tss"].groupby(found)}


def _pairs(counts: sparse.csr_matrix, bin_bp: int) -> str:
    diagonal = counts.diagonal()
    num_pairs, total = (counts.nnz + np.count_nonzero(diagonal)) // 2, (counts.sum() + diagonal.sum()) / 2
    return f"{num_pairs:,} pairs of bins of {bin_bp:,} bp, {total:,.0f} contacts"


def _met(counts: sparse.csr_matrix, bin_bp: int, tss: NDArray[np.int64]) -> tuple[str, bool]:
    bins = tss[(tss >= 0) & (tss < counts.shape[0] * bin_bp)] // bin_bp
    num_met = int((np.diff(counts.indptr)[bins] > 0).sum())
    return f"{num_met} of {len(tss)} TSSs lie in a bin with contacts", num_met >= 0.9 * len(tss)
