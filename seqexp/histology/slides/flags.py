"""Yes or no as files write it: 1, 1.0, True, TRUE, nothing at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError

_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
_UNKNOWN = ("", "nan", "na", "<na>", "none", "null")


def read_flags(values: pd.Series, name: str, where: str | Path) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What a column of any type says (n,), and where it says nothing (n,), which counts as no.

    Raises
    ------
    DataError
        A value is neither.
    """
    words = values.astype(object).map(lambda value: "" if value is None else str(value).strip().lower())
    is_yes, is_unknown = words.isin(_YES).to_numpy(), words.isin(_UNKNOWN).to_numpy()
    is_bad = ~(is_yes | is_unknown | words.isin(_NO).to_numpy())
    if is_bad.any():
        found = ", ".join(sorted({repr(value) for value in values[is_bad]})[:3])
        raise DataError(
            f"{int(is_bad.sum())} values of {name} are neither yes nor no: {found}",
            where=where,
            expected="1 or 0, true or false; empty where unknown",
        )
    return is_yes, is_unknown
