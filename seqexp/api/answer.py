"""What a DNA network says of given windows: predictions with their units, masks and samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from seqexp.api.parts import Parts, Rows
from seqexp.api.request import Given
from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.loaders.batch import collate
from seqexp.objectives.contracts import KnowsRows, Samples
from seqexp.objectives.transforms import TargetTransform
from seqexp.training.asking import ask
from seqexp.training.run import Run


@dataclass(frozen=True)
class Answer:
    """Predictions of windows.

    Attributes
    ----------
    table : DataFrame
        id, (gene_name,) chrom, start, end, strand, seen, then ``prediction`` in the unit of column ``unit`` and
        ``prediction_raw`` in that of ``raw_unit``; with samples ``sample_mean`` and ``sample_sd`` (n - 1) in ``unit``.
        Several targets have columns of their own, such as ``prediction_NAME``.
    masks : BinScores, optional
        Of a network that selects; gene orientation.
    samples : float32 array (S, R, G), optional
        In ``unit``.
    targets : tuple of str
        Names of the targets; one without a name where there is one.
    """

    table: pd.DataFrame
    masks: BinScores | None = None
    samples: NDArray[np.float32] | None = None
    targets: tuple[str, ...] = ("",)


def answer(
    run: Run, given: Given, *, num_samples: int = 0, parts: Parts | None = None, is_shown: bool = False
) -> Answer:
    """Predict given windows.

    Parameters
    ----------
    run : Run
        May have been opened without its data.
    given : Given
    num_samples : int
        Draws of a network that predicts a distribution.
    parts : Parts, optional
        What is there already is not predicted again.
    is_shown : bool
        Show a progress bar.

    Raises
    ------
    ConfigError
        Samples of a network that has none, or windows for a network that knows rows of its own data only.
    DataError
        A prediction is not finite.
    """
    require_able(run, num_samples)
    network: Any = run.network

    def question(batch: Any) -> Rows:
        found = run.task.predict_step(batch, 0)
        rows = {"index": found["index"].numpy(), "prediction": found["prediction"].numpy()}
        if found.get("mask") is not None:
            rows["mask"] = found["mask"].numpy()
        if num_samples:
            draws = run.transform.restore(network.sample(batch, num_samples, run.task.seed).float())
            rows["samples"] = draws.transpose(0, 1).cpu().numpy()
        return rows

    parts = parts or Parts()
    left = np.setdiff1d(np.arange(len(given.dataset)), parts.done)
    if len(left):
        ask(run, loader(run, given, left), question, parts.add, is_shown=is_shown)
    rows = parts.rows()
    _require_finite(rows["prediction"], given)
    masks = None if "mask" not in rows else mask_set(given, rows["mask"])
    samples = rows["samples"].transpose(1, 0, 2).astype(np.float32) if "samples" in rows else None
    names = target_names(run, rows["prediction"].shape[1])
    return Answer(_table(run, given, rows["prediction"], samples, names=names), masks, samples, names)


def require_able(run: Run, num_samples: int) -> None:
    """Refuse windows for a network that knows rows of its own data only, and samples of one that has none.

    Raises
    ------
    ConfigError
    """
    network = run.network
    if isinstance(network, KnowsRows) and network.knows_rows:
        raise ConfigError(
            f"{type(network).__name__} was given a mask per row of the gene table it was trained on",
            where=run.folder,
            expected="a run that reads any window",
            fix="seqexp predict without --bed, --genes and --sequences",
        )
    if num_samples and not isinstance(network, Samples):
        raise ConfigError(
            f"{num_samples} samples of {type(network).__name__}, which predicts one number and no distribution",
            where=run.folder,
            expected="a network with sample()",
            fix="leave out --samples",
        )


def loader(run: Run, given: Given, rows: NDArray[np.int64] | None = None) -> DataLoader:
    """Batches of the windows, or of some of them, in their order."""
    data: Any = run.datamodule
    dataset = given.dataset if rows is None else Subset(given.dataset, rows.tolist())
    return DataLoader(dataset, batch_size=data.batch_size, num_workers=data.num_workers, collate_fn=collate)


def mask_set(given: Given, values: NDArray[np.float32]) -> BinScores:
    """Masks (R, N), gene orientation, with their windows."""
    windows = tuple(given.laid.windows)
    bin_bp = windows[0].width // values.shape[1]
    ids = tuple(given.laid.frame["id"].astype(str))
    sizes = given.bases.chrom_sizes
    return BinScores(ids, windows, values, bin_bp, sizes, tss_offset_bp=given.dataset.tss_bp)


def _table(
    run: Run, given: Given, prediction: NDArray, samples: NDArray | None, *, names: tuple[str, ...]
) -> pd.DataFrame:
    """One row per window; figures of float32, as many digits as they have."""
    columns: dict[str, Any] = {}
    for number, name in enumerate(names):
        suffix = f"_{name}" if name else ""
        columns[f"prediction{suffix}"] = np.float32(prediction[:, number])
        if isinstance(run.transform, TargetTransform):
            columns[f"prediction_raw{suffix}"] = np.float32(run.transform.uncurved(prediction[:, number]))
        if samples is not None:
            columns[f"sample_mean{suffix}"] = samples[:, :, number].mean(axis=0)
            spread = samples[:, :, number].std(axis=0, ddof=1) if len(samples) > 1 else np.nan
            columns[f"sample_sd{suffix}"] = spread
    table = given.laid.frame.assign(seen=given.seen, **columns, unit=run.transform.unit)
    return table.assign(raw_unit=run.transform.raw_unit)


def target_names(run: Run, num_targets: int) -> tuple[str, ...]:
    """Names of the targets of a checkpoint: none where there is one, numbers where it does not name them."""
    if num_targets == 1:
        return ("",)
    names = tuple(run.facts.get("target_names", ()))
    return names if len(names) == num_targets else tuple(str(number) for number in range(1, num_targets + 1))


def _require_finite(prediction: NDArray, given: Given) -> None:
    is_bad = ~np.isfinite(prediction).all(axis=1)
    if is_bad.any():
        first = given.laid.frame["id"].iloc[int(np.argmax(is_bad))]
        raise DataError(f"{int(is_bad.sum())} predictions are not finite, first of {first}", where=given.bases.path)
