"""From one row per ranking and seed to one row per ranking."""

from __future__ import annotations

import numpy as np
import pandas as pd

# column of the rows -> how the summary calls it
_MEANS = {
    "auprc": "AUPRC",
    "auroc": "AUROC",
    "precision": "precision",
    "recall": "recall",
    "jaccard": "Jaccard over seeds",
    "own_share": "own share",
    "kept": "kept",
    "retrain": "retrain r",
    "pattern": "pattern r",
    "sufficiency": "sufficiency r",
    "comprehensiveness": "comprehensiveness r",
    "shift_kept": "shift, kept alone",
    "shift_removed": "shift, kept removed",
}


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per ranking, best first.

    Parameters
    ----------
    rows : DataFrame
        Of :class:`seqexp.dna.benchmark.world.WorldResults`.

    Returns
    -------
    DataFrame
        ranking, seeds, means over seeds under the names of the page, ``AUPRC sd`` over seeds (0 with one),
        ``AUPRC low`` and ``high`` (lowest and highest end of the seeds' 95 % intervals over genes), and the interval of
        the retrained predictor. Columns that nothing fills are left out.
    """
    made = []
    for name, part in rows.groupby("arm", sort=False):
        row = {"ranking": name, "seeds": int((part["seed"] >= 0).sum())}
        row |= {label: part[column].mean() for column, label in _MEANS.items() if column in part}
        if "auprc" in part:
            row["AUPRC sd"] = part["auprc"].std(ddof=1) if len(part) > 1 else 0.0
            row |= {"AUPRC low": part["auprc_low"].min(), "AUPRC high": part["auprc_high"].max()}
        for column in ("retrain", "sufficiency"):
            if column in part:
                row |= {f"{column} {end}": part[f"{column}_{end}"].mean() for end in ("low", "high")}
        row |= {name: part[name].mean() for name in part if str(name).startswith("curve_")}
        made.append(row)
    table = pd.DataFrame(made).dropna(axis=1, how="all")
    by = next((name for name in ("AUPRC", "retrain r", "sufficiency r") if name in table), "ranking")
    return table.sort_values(by, ascending=by == "ranking", kind="stable", ignore_index=True)


def margins(summary: pd.DataFrame, method: str, column: str = "AUPRC") -> dict[str, float]:
    """By how much the method under test leads each other ranking; negative where it does not."""
    if column not in summary:
        return {}
    values = summary.set_index("ranking")[column]
    return {str(name): float(values[method] - value) for name, value in values.items() if name != method}


def curve_of(summary: pd.DataFrame) -> pd.DataFrame:
    """Accuracy against budget: shares as index, one column per ranking."""
    names = [name for name in summary if str(name).startswith("curve_")]
    table = summary.set_index("ranking")[names].T
    table.index = np.array([float(str(name).removeprefix("curve_")) for name in names])
    return table
