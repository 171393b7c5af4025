"""Figures that pages of every kind have: learning curves, bars with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seqexp.report.style import BASELINE, MODEL, PEAKS, SIGNAL, TRACKS, TRAIN, TRUTH, VAL, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"model": MODEL, "macs3": PEAKS, "threshold on": PEAKS, "peaks of": PEAKS, "best track": TRACKS[1]}
_COLOURS |= {"signal": SIGNAL, "truth": TRUTH}


def colour_of(name: str) -> str:
    """Colour of a model, peak set, signal rule or baseline by its name."""
    return next((colour for key, colour in _COLOURS.items() if key in name.lower()), BASELINE)


def learning_curves(log: pd.DataFrame, kept_epoch: int | None = None) -> Figure:
    """Loss and validation Pearson per epoch.

    Parameters
    ----------
    log : DataFrame
        One row per logged step with columns ``epoch`` and any of ``train_loss``, ``val_loss``, and ``val_pcc_mean``
        (mean correlation inside groups of rows) or ``val_pearson``.
    kept_epoch : int, optional
        Epoch of the checkpoint that was kept, marked in both panels.
    """
    with house_style():
        figure = new_figure(7.2, 2.6)
        left, right = figure.subplots(1, 2)
        per_epoch = log.groupby("epoch").mean(numeric_only=True)
        for name, colour in (("train_loss", TRAIN), ("val_loss", VAL)):
            if name in per_epoch:
                series = per_epoch[name].dropna()
                left.plot(
                    series.index, series.to_numpy(), color=colour, label=name.replace("_loss", ""), marker=".", ms=4
                )
        left.set(xlabel="epoch", ylabel="loss", title="Loss")
        shown = "val_pcc_mean" if "val_pcc_mean" in per_epoch else "val_pearson"
        if shown in per_epoch:
            series = per_epoch[shown].dropna()
            right.plot(series.index, series.to_numpy(), color=VAL, marker=".", ms=4)
            if len(series):
                best = series.idxmax()
                right.axvline(best, color="#cccccc", lw=0.8, zorder=0)
                right.annotate(
                    f"best {series[best]:.3f}", (best, series[best]), xytext=(4, -12), textcoords="offset points"
                )
        right.set(xlabel="epoch", ylabel="mean r inside groups" if "pcc" in shown else "Pearson r", title="Validation")
        if kept_epoch is not None:
            left.axvline(kept_epoch, color=MODEL, lw=0.9, ls=":", zorder=0, label="kept")
            right.axvline(kept_epoch, color=MODEL, lw=0.9, ls=":", zorder=0)
        left.legend()
        for axis in (left, right):
            axis.xaxis.get_major_locator().set_params(integer=True)
    return figure


def interval_bars(rows: pd.DataFrame, title: str, xlabel: str) -> Figure:
    """Horizontal bars with 95 % intervals.

    Parameters
    ----------
    rows : DataFrame
        Columns ``name``, ``value``, ``low``, ``high`` (the last two may be NaN).
    """
    with house_style():
        figure = new_figure(7.2, 0.55 + 0.34 * len(rows))
        axis = figure.subplots()
        places = np.arange(len(rows))[::-1]
        values = rows["value"].to_numpy(float)
        errors = np.abs(np.vstack([values - rows["low"].to_numpy(float), rows["high"].to_numpy(float) - values]))
        axis.barh(places, values, color=[colour_of(n) for n in rows["name"]], height=0.66)
        axis.errorbar(values, places, xerr=np.nan_to_num(errors), fmt="none", ecolor="#333333", elinewidth=1, capsize=2)
        axis.set_yticks(places, rows["name"])
        axis.tick_params(axis="y", length=0)
        edge = np.nanmax(np.r_[values, rows["high"].to_numpy(float), 0.05])
        for place, value, high in zip(places, values, rows["high"].to_numpy(float)):
            text_x = np.nanmax([value, high, 0.0]) if np.isfinite(value) else 0.0
            axis.text(text_x + 0.015 * edge, place, "not defined" if np.isnan(value) else f"{value:.3f}", va="center")
        axis.set_xlim(min(0.0, float(np.nanmin(np.r_[values, 0.0])) * 1.15), edge * 1.14)
        axis.axvline(0, color="#666666", lw=0.8)
        axis.set(title=title, xlabel=xlabel)
    return figure
