"""Who a row of the data is, as the first columns of every table of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.dna.genome.interval import Interval


def described_gene(window: Interval, row: pd.Series) -> dict[str, Any]:
    """A gene of the table and its window."""
    place = {"chrom": window.chrom, "start": window.start, "end": window.end, "strand": window.strand}
    return {"gene_id": row["gene_id"], "gene_name": row["gene_name"], **place}


def by_target(kind: str, target_names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    """Values (G,) under names such as ``expression``, or ``expression_NAME`` where there are several targets."""
    return {f"{kind}_{name}" if name else kind: float(value) for name, value in zip(target_names, values, strict=True)}
