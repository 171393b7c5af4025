"""Does a dataset give targets that can be trained on? The part of the check that needs more than files; no torch."""

from __future__ import annotations

import numpy as np

from seqexp.core.check import Asker, CheckRow
from seqexp.core.errors import SeqexpError
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.splits import SPLITS, assign
from seqexp.objectives.transforms import make_transform


def check_target(spec: DatasetSpec, upstream_bp: int, downstream_bp: int) -> list[CheckRow]:
    """Fit the target transform on the training genes and apply it to all, as training does.

    Files that cannot be read give no row here: the check of the files says so.
    """
    ask = Asker()
    transform = None
    with ask("dataset.yaml", "transform"):
        transform = make_transform(spec.transform, spec.expression_unit)
    if transform is None:
        return ask.rows
    try:
        genes = spec.read_genes()
        labels = assign(genes, genes.windows(upstream_bp, downstream_bp), spec.splits)
    except SeqexpError:
        return ask.rows
    values = genes.frame[list(spec.targets)].to_numpy(np.float64)
    with ask("dataset.yaml", "transform") as tell:
        made = transform.fit(values[labels == "train"])
        made.forward(values[np.isin(labels, SPLITS)])
        tell(f"{made.name}: {made.unit}")
    return ask.rows
