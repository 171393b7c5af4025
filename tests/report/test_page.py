"""The page is one self-contained file, escapes what it is given, and the figures draw what they are told."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from seqexp.report import figures
from seqexp.report.page import Section, tile, write_page
from seqexp.report.style import to_svg
from seqexp.report.trackview import GeneView, gene_view


def predictions() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    target = rng.normal(size=60)
    frame = {"split": ["val"] * 30 + ["test"] * 30, "target": target, "prediction": target + rng.normal(size=60)}
    return pd.DataFrame(frame)


def test_page_is_self_contained_and_escaped(tmp_path):
    section = Section("fit", "Fit <1>", notes=["a & b"])
    section.add_figure(figures.predicted_against_measured(predictions(), "log2(TPM+1)", {"test_pearson": 0.5}))
    section.add_table(pd.DataFrame({"name": ["<script>"], "r": [0.5], "n": [1234]}))
    path = write_page(tmp_path / "r.html", "T", "lead", [tile("r", 0.5, 0.4, 0.6)], sections=[section], footer="end")
    text = path.read_text()
    assert "Fit &lt;1&gt;" in text
    assert "&lt;script&gt;" in text
    assert "1,234" in text
    assert not re.search(r'(?:src|href)="(?!#|data:)', text.replace("xlink:href", "xhref"))
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_scatter_prints_correlation_and_count():
    metrics = {"test_pearson": 0.512, "test_pearson_low": 0.4, "test_pearson_high": 0.6, "val_pearson": float("nan")}
    svg = to_svg(figures.predicted_against_measured(predictions(), "log2(TPM+1)", metrics))
    assert "r = 0.512  [0.400, 0.600]" in svg
    assert svg.count("n = 30") == 2


def test_bars_say_when_a_figure_is_not_defined():
    rows = pd.DataFrame(
        {"name": ["mean", "model"], "value": [np.nan, 0.7], "low": [np.nan, 0.6], "high": [np.nan, 0.8]}
    )
    svg = to_svg(figures.interval_bars(rows, "Test", "Pearson r"))
    assert "not defined" in svg
    assert "0.700" in svg


def test_learning_curves_mark_the_best_epoch():
    log = pd.DataFrame(
        {"epoch": [0, 1, 2], "train_loss": [3.0, 2, 1], "val_loss": [3.0, 2, 2], "val_pearson": [0.1, 0.6, 0.5]}
    )
    assert "best 0.600" in to_svg(figures.learning_curves(log))


def test_precision_recall_names_areas():
    curve = (np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.8, 0.3]), 0.71)
    svg = to_svg(figures.precision_recall({"model": curve}, 0.05))
    assert "model  0.710" in svg
    assert "random  0.050" in svg


def test_gene_view_shows_every_row():
    view = GeneView(
        "YFG1",
        "chr1",
        1000,
        3000,
        "-",
        2000,
        {"DHS": np.ones(2000)},
        np.full(20, 0.3),
        [(1100, 1200)],
        [(1500, 1501)],
        [],
    )
    svg = to_svg(gene_view(view))
    for word in ("YFG1", "DHS", "mask", "elements", "MACS3 peaks", "planted", "← TSS", "chr1 position"):
        assert word in svg
