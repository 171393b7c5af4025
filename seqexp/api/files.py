"""The folder that predictions of windows become."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from seqexp.api.answer import Answer
from seqexp.api.request import Given
from seqexp.core.files import atomic_dir, sha256_of
from seqexp.dna.elements.calling import call_elements
from seqexp.dna.elements.files import write_element_files
from seqexp.training.predict import write_predictions
from seqexp.training.run import Run

TABLE = "predictions.tsv"


def identity_of(run: Run, given: Given, num_samples: int) -> str:
    """What is asked of which checkpoint: 64 hexadecimal digits."""
    digest = hashlib.sha256(sha256_of(run.checkpoint).encode())
    for part in (given.laid.frame.to_csv(), given.dataset.covariates.tobytes().hex(), str(num_samples)):
        digest.update(part.encode())
    tracks = getattr(given.dataset.source, "tracks", None)
    for path in (given.bases.path, *getattr(tracks, "paths", {}).values()):
        digest.update(str(path).encode())
    return digest.hexdigest()


def write_answer(found: Answer, folder: Path, budget_fraction: float) -> list[str]:
    """Write everything into a folder, whole or not at all; the table comes last.

    Parameters
    ----------
    found : Answer
    folder : Path
    budget_fraction : float
        Share of all base pairs kept as elements.

    Returns
    -------
    list of str
        A line per file.
    """
    told = []
    with atomic_dir(folder, TABLE) as temporary:
        if found.masks is not None:
            budget_bp = int(budget_fraction * found.masks.values.size * found.masks.bin_bp)
            elements = call_elements(found.masks, budget_bp=budget_bp)
            found.masks.save(temporary / "masks.npz")
            files = write_element_files(found.masks, elements, temporary)
            told = ["masks.npz", *(str(replace(file, path=Path(file.path.name))) for file in files)]
        if found.samples is not None:
            ids = found.table["id"].to_numpy(np.str_)
            np.savez_compressed(temporary / "samples.npz", samples=found.samples, ids=ids, unit=found.table["unit"][0])
            told.append("samples.npz")
        write_predictions(found.table, temporary / TABLE)
    return [f"{TABLE} ({len(found.table):,} predictions)", *told]
