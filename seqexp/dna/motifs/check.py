"""Can the motifs of a dataset be read? A part of ``seqexp data check``."""

from __future__ import annotations

from seqexp.core.check import Asker, CheckRow
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.motifs.meme import read_meme


def check_motifs(spec: DatasetSpec) -> list[CheckRow]:
    """One row for the file of motifs, where the dataset names one."""
    ask = Asker()
    if spec.motifs is not None:
        path = spec.motifs
        with ask(path.name, "motifs") as tell:
            tell(f"{len(read_meme(path))} motifs")
    return ask.rows
