"""A trained run as an object: ``seqexp.load(run)``, then ask it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from pytorch_lightning.utilities.seed import isolate_rng

from seqexp.api.dna_model import DnaModel
from seqexp.api.tissue_model import TissueModel
from seqexp.core.classes import allow_classes as allowing
from seqexp.core.errors import DataError
from seqexp.training.run import Run

_MODELS: dict[str, type[DnaModel] | type[TissueModel]] = {"dna": DnaModel, "histology": TissueModel}


def load(
    run: str | Path,
    checkpoint: str | Path = "best",
    *,
    dataset: str | Path | None = None,
    allow_classes: Sequence[str] = (),
) -> DnaModel | TissueModel:
    """Load a trained network, without its data.

    Parameters
    ----------
    run : path
        Folder of ``seqexp fit``.
    checkpoint : str or path
        ``best``, ``last`` or a file.
    dataset : path, optional
        The ``dataset.yaml`` or ``slides.yaml`` that stands for that of the run, for example where it has moved.
    allow_classes : sequence of str
        Packages beside seqexp whose classes the run may name; importing them runs their code.

    Returns
    -------
    DnaModel or TissueModel
        With ``predict``, ``data``, ``metrics``, and what the network can: ``select``, ``elements``, ``embed``.

    Raises
    ------
    DataError, ConfigError
        As of :meth:`seqexp.training.run.Run.open`.
    """
    overrides = [] if dataset is None else [f"--data.init_args.dataset={Path(dataset).absolute()}"]
    # A run is built under its seed; the random numbers of the caller stay what they are.
    with isolate_rng(), allowing(*allow_classes) if allow_classes else nullcontext():
        opened = Run.open(run, checkpoint, overrides, reads_data=False)
    model = _MODELS.get(getattr(opened.datamodule, "wing", ""))
    if model is None:
        raise DataError(
            f"data of type {type(opened.datamodule).__name__}",
            where=opened.folder,
            expected=f"a data module whose attribute wing is one of: {', '.join(_MODELS)}",
        )
    return model(opened)
