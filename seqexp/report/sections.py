"""Sections that the reports of both wings have."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from seqexp.core.metrics_file import plain
from seqexp.report import figures
from seqexp.report.page import UNDEFINED, Section


def training_sections(log: pd.DataFrame | None, kept: Mapping[str, Any] | None = None) -> list[Section]:
    """Learning curves and the checkpoint kept; nothing where neither is known.

    Parameters
    ----------
    log : DataFrame, optional
        Logged training metrics.
    kept : mapping, optional
        Checkpoint that everything on the page comes from: ``epoch`` (from 0), ``step``, and where it was chosen by a
        figure ``monitor``, ``value`` and ``mode``.
    """
    if not kept and (log is None or not len(log)):
        return []
    text = "The checkpoint kept is the best on the validation split; the test split was not looked at."
    section = Section("training", "Training", text)
    if kept:
        words = {"epoch": "epoch, counted from 0", "step": "steps of the optimiser"}
        rows = [(word, str(kept[name])) for name, word in words.items() if name in kept]
        if "monitor" in kept:
            best = {"min": "lowest", "max": "highest"}[kept["mode"]]
            rows.append((f"{best} {kept['monitor']}", f"{kept['value']:.4g}"))
        section.add_table(pd.DataFrame(rows, columns=["checkpoint kept", "value"]))
    return [
        section
        if log is None or not len(log)
        else section.add_figure(figures.learning_curves(log, (kept or {}).get("epoch")))
    ]


def baselines_section(models: pd.DataFrame, title: str, xlabel: str, text: str, *, unit: str = "") -> Section:
    """The model beside controls and naive baselines: bars with intervals, and the table; ``unit`` is the target's."""
    names = {"name": "model", "value": "test r", "low": "95 % low", "high": "95 % high"}
    names |= {"mse": f"test MSE, ({unit})²" if unit else "test MSE", "val": "val r"}
    own = tuple(name for name in models["name"] if "model" in name)
    section = Section("baselines", "Beside naive baselines", text)
    named = zip(models["name"], models["value"])
    values = ", ".join(f"{name} {UNDEFINED if math.isnan(value) else f'{value:.3f}'}" for name, value in named)
    section.add_figure(figures.interval_bars(models, title, xlabel), alt=f"{title}, {xlabel}: {values}")
    return section.add_table(models.rename(columns=names), own)


def sampling_sections(metrics: Mapping[str, Any], unit: str) -> list[Section]:
    """What the samples of a network that predicts a distribution are worth; nothing for others."""
    rows = {
        "samples per row": "sample_num",
        "mean of the samples: Pearson r, mean over targets": "sample_mean_pearson",
        f"mean of the samples: MSE, ({unit})²": "sample_mean_mse",
        f"standard deviation of the samples, mean, {unit}": "sample_sd",
        "measured values inside the 90 % interval, share": "sample_coverage_90",
        f"continuous ranked probability score, {unit}, lower is better": "sample_crps",
    }
    found = [(word, float(metrics[key])) for word, key in rows.items() if key in metrics]
    if not found:
        return []
    text = (
        "The network predicts a distribution: samples of every test row, over all rows and targets at once. A share "
        "below 0.9 inside the 90 % interval says that the spread is too narrow, above it too wide."
    )
    section = Section("samples", "Samples of the distribution", text)
    return [section.add_table(pd.DataFrame(found, columns=["what", "value"]))]


def record_section(record: dict[str, Any], metrics: dict[str, Any]) -> Section:
    """The run record, all metrics and the full configuration."""
    rows = [(k, json.dumps(v) if isinstance(v, dict | list) else str(v)) for k, v in record.items() if k != "config"]
    section = Section("record", "Run record", "Enough to trace every figure of this page to its run.")
    section.add_table(pd.DataFrame(rows, columns=["what", "value"]))
    section.add_code("metrics.json", json.dumps(plain(metrics), indent=2))
    return section.add_code("full configuration", json.dumps(record.get("config", {}), indent=2, default=str))
