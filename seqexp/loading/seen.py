"""Rows that a checkpoint was trained on, or chosen by, are never called test, whatever the data at hand say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError

Labels = NDArray[np.str_]

UNSEEN = "no"
_VERBS = {"train": "was trained on", "val": "was chosen by"}
_NUM_NAMED = 5


def relabelled(labels: Labels, seen: Labels) -> Labels:
    """Splits of rows as a checkpoint may be judged by them.

    Parameters
    ----------
    labels : str array (R,)
        ``train``, ``val``, ``test`` or ``none``, as the data have it.
    seen : str array (R,)
        What the checkpoint did with a row: ``train``, ``val`` or :data:`UNSEEN`.

    Returns
    -------
    str array (R,)
        ``train`` where the checkpoint was trained on a row of ``val`` or ``test``, ``val`` where it was chosen by a row
        of ``test``, else as before: a row only ever moves away from the test.
    """
    out = labels.copy()
    out[np.isin(labels, ("val", "test")) & (seen == "train")] = "train"
    out[(labels == "test") & (seen == "val")] = "val"
    return out


def seen_notes(labels: Labels, seen: Labels, names: Sequence[str], what: str) -> list[str]:
    """What has to be told of the rows that :func:`relabelled` moves: a line per split, none where nothing moves.

    Parameters
    ----------
    labels, seen : str arrays (R,)
        As for :func:`relabelled`, before it.
    names : sequence of str (R,)
        Of the rows; the first few are listed.
    what : str
        What a row is, such as ``gene``.
    """
    notes = []
    after = relabelled(labels, seen)
    for split in ("test", "val"):
        parts = []
        for kind in ("train", "val"):
            rows = np.flatnonzero((labels == split) & (after != labels) & (seen == kind))
            if len(rows):
                listed = ", ".join(str(names[row]) for row in rows[:_NUM_NAMED])
                more = ", …" if len(rows) > _NUM_NAMED else ""
                parts.append(f"the checkpoint {_VERBS[kind]} {len(rows)} ({listed}{more}), now {kind}")
        if parts:
            num, total = int(((labels == split) & (after != labels)).sum()), int((labels == split).sum())
            notes.append(
                f"{num} of {total} {split} {what}s of these data are not scored as {split}: " + "; ".join(parts)
            )
    return notes


def num_moved(labels: Labels, seen: Labels) -> int:
    """Rows that the data call test and :func:`relabelled` does not."""
    return int(((labels == "test") & (seen != UNSEEN)).sum())


def require_unseen(num: int, split: str, what: str, where: Path) -> None:
    """Refuse to score a split without rows.

    Raises
    ------
    DataError
        ``num`` is 0.
    """
    if not num:
        raise DataError(
            f"no {split} {what} is left that the checkpoint has not seen",
            where=where,
            expected=f"{what}s that it was neither trained on nor chosen by",
            fix=f"seqexp predict writes every {what}, with what the checkpoint knows of it in column seen",
        )
