"""Sections that the reports of both wings have."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from seqexp.report import figures
from seqexp.report.page import Section


def training_sections(log: pd.DataFrame | None) -> list[Section]:
    """Learning curves; nothing where nothing was logged."""
    if log is None or not len(log):
        return []
    text = "The checkpoint kept is the best on the validation split; the test split was not looked at."
    return [Section("training", "Training", text).add_figure(figures.learning_curves(log))]


def baselines_section(models: pd.DataFrame, title: str, xlabel: str, text: str) -> Section:
    """The model beside controls and naive baselines: bars with intervals, and the table."""
    names = {"name": "model", "value": "test r", "low": "95 % low", "high": "95 % high"}
    names |= {"mse": "test MSE", "val": "val r"}
    own = tuple(name for name in models["name"] if "model" in name)
    section = Section("baselines", "Beside naive baselines", text)
    section.add_figure(figures.interval_bars(models, title, xlabel))
    return section.add_table(models.rename(columns=names), own)


def record_section(record: dict[str, Any], metrics: dict[str, Any]) -> Section:
    """The run record, all metrics and the full configuration."""
    rows = [(k, json.dumps(v) if isinstance(v, dict | list) else str(v)) for k, v in record.items() if k != "config"]
    section = Section("record", "Run record", "Enough to trace every figure of this page to its run.")
    section.add_table(pd.DataFrame(rows, columns=["what", "value"]))
    section.add_code("metrics.json", json.dumps(metrics, indent=2))
    return section.add_code("full configuration", json.dumps(record.get("config", {}), indent=2, default=str))
