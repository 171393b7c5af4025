"""Windows that somebody asks about, with no expression and no splits, as a network of a checkpoint reads them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.dna.genome.contacts import ContactMap
from seqexp.dna.genome.laying import Laid
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.regions import IntervalIndex
from seqexp.dna.loaders.fitted import CovariateScale, Fitted
from seqexp.dna.loaders.sources import Bases, FileSource, Signals
from seqexp.dna.loaders.windows import WindowDataset

UNKNOWN_SEEN = "unknown"  # of a sequence without a place in a genome


class Beside(NamedTuple):
    """What a data set may say of a window beside bases and tracks."""

    blacklist: IntervalIndex | None = None
    contacts: ContactMap | None = None
    covariates: pd.DataFrame | None = None  # (G, F) as in the gene table, by gene id


def given_windows(
    laid: Laid, facts: Fitted, bases: Bases, tracks: Signals, *, beside: Beside
) -> tuple[WindowDataset, list[str]]:
    """A dataset of windows without targets (NaN), and what has to be told of it.

    Parameters
    ----------
    laid : Laid
    facts : Fitted
        Of the checkpoint: bins, order of the tracks, scale of the covariates.
    bases, tracks
        Where the windows lie; tracks in the order of the checkpoint.
    beside : Beside
        A covariate that is not known takes its mean over the training genes, which is told.
    """
    upstream_bp, _, bin_bp = facts.window_bp
    covariates, notes = _covariates(laid.frame["id"], facts.covariates, beside.covariates)
    dataset = WindowDataset(
        FileSource(bases, tracks, bin_bp),
        laid.windows,
        np.arange(len(laid.frame)),
        upstream_bp,
        target=np.full((len(laid.frame), 1), np.nan),
        covariates=covariates,
        blacklist=beside.blacklist,
        contacts=beside.contacts,
    )
    return dataset, notes


def seen_as(laid: Laid, facts: Fitted, bases: Bases) -> NDArray[np.str_]:
    """How the checkpoint knows each window: ``train``, ``val``, ``no``; ``unknown`` for a sequence by itself.

    Genes are known by id and by place, intervals by place. Sequences have no place: only their name may tell.
    """
    ids = None if laid.kind == "interval" else laid.frame["id"]
    seen = facts.seen.known_as(laid.frame, bases if isinstance(bases, Reference) else None, ids)
    if laid.kind != "sequence":
        return seen
    return np.where(seen == "no", UNKNOWN_SEEN, seen)


def _covariates(
    ids: pd.Series, scale: CovariateScale, known: pd.DataFrame | None
) -> tuple[NDArray[np.float32], list[str]]:
    names = list(scale.names)
    table = pd.DataFrame(columns=names, dtype=np.float64) if known is None else known
    values = table.reindex(index=ids, columns=names).to_numpy(np.float64)
    is_lacking = np.isnan(values).any(axis=1)
    note = f"covariates ({', '.join(names)}) of {int(is_lacking.sum()):,} of {len(ids):,} windows are not known: the "
    notes = [note + "mean of the training genes stands for them"] if is_lacking.any() else []
    return np.nan_to_num(scale.scaled(values), nan=0.0), notes
