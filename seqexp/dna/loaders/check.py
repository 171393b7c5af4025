"""Does a dataset give targets that can be trained on? The part of the check that needs more than files; no torch."""

from __future__ import annotations

import numpy as np

from seqexp.core.check import Asker, CheckRow
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.splits import SPLITS, assign
from seqexp.objectives.transforms import make_transform


def check_target(spec: DatasetSpec, upstream_bp: int, downstream_bp: int) -> list[CheckRow]:
    """Fit the target transform on the training genes and apply it to all, as training does.

    Files that cannot be read give no row here: the check of the files says so.
    """
    ask = Asker()
    transform = ask.value("dataset.yaml", "transform", lambda: make_transform(spec.transform, spec.expression_unit))
    files = Asker()
    genes = files.value("", "", spec.read_genes)
    if transform is None or genes is None:
        return ask.rows
    labels = files.value("", "", lambda: assign(genes, genes.windows(upstream_bp, downstream_bp), spec.splits))
    if labels is None:
        return ask.rows
    values = genes.frame[spec.expression].to_numpy(np.float64)

    def fitted() -> str:
        made = transform.fit(values[labels == "train"])
        made.forward(values[np.isin(labels, SPLITS)])
        return f"{made.name}: {made.unit}"

    ask("dataset.yaml", "transform", fitted)
    return ask.rows
