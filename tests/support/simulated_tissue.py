"""One small simulated slide set, shared by the tests of a process."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

from seqexp.histology.simulation.tissue import TissueConfig, simulate_tissue


@lru_cache
def small_tissue() -> Path:
    """Path of the ``slides.yaml`` of two patients with two sections of 25 spots each; do not write there."""
    folder = Path(tempfile.mkdtemp(prefix="seqexp-tissue-"))
    return simulate_tissue(folder / "data", TissueConfig(grid=5, genes_per_effect=2))
