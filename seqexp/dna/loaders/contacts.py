"""Hi-C contacts of the genes that are asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError
from seqexp.dna.genome.contacts import ContactMap
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.tracks import TrackSet
from seqexp.dna.loaders.windows import CONTACT


def open_contacts(
    spec: DatasetSpec,
    reference: Reference,
    tracks: TrackSet,
    genes: GeneTable,
    *,
    of_split: NDArray[np.bool_],
    reach_bp: int,
) -> ContactMap:
    """Contacts on the chromosomes of the genes of a split (R,), as far from a TSS as ``reach_bp``.

    Raises
    ------
    ConfigError
        The dataset has no contacts, or a track of that name.
    """
    if CONTACT in tracks.names:
        raise ConfigError(f"a track is named {CONTACT}, as the contacts are", where=spec.path, fix="rename it")
    return spec.open_contacts(reference.chrom_sizes, genes.frame["chrom"][of_split].unique(), reach_bp)
