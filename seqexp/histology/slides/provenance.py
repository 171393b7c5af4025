"""What fitted things were fitted on, in words that the leak audit can compare with the test spots."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PART = " (part)"


def provenance(frame: pd.DataFrame, is_used: NDArray[np.bool_]) -> tuple[str, ...]:
    """Slides that were looked at; with the ending " (part)" where only some spots of a slide were.

    Parameters
    ----------
    frame : DataFrame
        ``SpotTable.frame``.
    is_used : bool array (S,)
        Spots that were looked at.
    """
    slides = frame["slide"].to_numpy()
    used = dict.fromkeys(slides[is_used])
    partly = set(slides[~is_used])
    return tuple(f"{slide}{PART}" if slide in partly else str(slide) for slide in used)
