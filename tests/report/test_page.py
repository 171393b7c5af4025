"""The page is one self-contained file, escapes what it is given, and the figures draw what they are told."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid
from sklearn.metrics import average_precision_score

from seqexp.dna.evaluation.results import GeneView
from seqexp.dna.evaluation.truth import curve
from seqexp.report import figures
from seqexp.report.page import Section, tile, write_page
from seqexp.report.style import to_svg
from seqexp.report.trackview import gene_view


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


def drawn_areas(figure) -> dict[str, tuple[float, float]]:
    """Printed and drawn area of every line of the figure that is a ranking."""
    found = {}
    for line in figure.axes[0].get_lines():
        name, _, printed = line.get_label().rpartition("  ")
        if name != "random":
            found[name] = (float(printed), float(trapezoid(line.get_ydata(), line.get_xdata())))
    return found


@pytest.mark.parametrize("num_planted", [7, 3_000])
def test_the_area_that_is_drawn_is_the_one_that_is_printed(num_planted):
    """Against scikit-learn: rankings of many values, of few, of one cutoff, the wrong way round, and of none at all."""
    rng = np.random.default_rng(0)
    is_planted = np.zeros(20_000, dtype=bool)
    is_planted[rng.permutation(20_000)[:num_planted]] = True
    noisy = rng.normal(size=20_000) + 1.5 * is_planted
    scores = {
        "model mask": noisy,
        "best track: ATAC": np.round(noisy + rng.normal(size=20_000)),
        "MACS3 peaks": ((noisy > 2.2) & (rng.random(20_000) < 0.9)).astype(float),
        "wrong": -noisy,
        "flat": np.zeros(20_000),
    }
    curves = {name: curve(values.reshape(20, -1), is_planted.reshape(20, -1)) for name, values in scores.items()}
    figure = figures.precision_recall(curves, is_planted.mean())
    for name, (printed, drawn) in drawn_areas(figure).items():
        wanted = average_precision_score(is_planted, scores[name])
        assert drawn == pytest.approx(wanted, abs=1e-9)
        assert printed == pytest.approx(wanted, abs=5e-4)
    svg = to_svg(figure)
    for name in scores:
        assert f"{name}  {drawn_areas(figure)[name][0]:.3f}" in svg


def test_peaks_fall_to_chance_where_they_end():
    """Peaks of one score: one operating point, then the line of a random order; a dot marks the point."""
    is_planted, in_peaks = np.zeros(1000, dtype=bool), np.zeros(1000)
    is_planted[:100], in_peaks[40:140] = True, 1.0  # 60 of 100 planted bins in 100 bins of peaks
    figure = figures.precision_recall({"MACS3 peaks": curve(in_peaks[None], is_planted[None])}, 0.1)
    line = next(line for line in figure.axes[0].get_lines() if line.get_label().startswith("MACS3"))
    np.testing.assert_allclose(line.get_xydata(), [[0, 0.6], [0.6, 0.6], [0.6, 0.1], [1, 0.1]])
    assert line.get_markevery() == [1]
    assert line.get_label() == "MACS3 peaks  0.400"  # 0.6 * 0.6 + 0.4 * 0.1


def test_precision_recall_names_areas():
    points = (np.array([0.5, 1.0]), np.array([0.8, 0.3]), 0.55)
    figure = figures.precision_recall({"model": points}, 0.05)
    assert drawn_areas(figure)["model"] == pytest.approx((0.55, 0.55))
    svg = to_svg(figure)
    assert "model  0.550" in svg
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
        peaks_label="threshold on DHS",
    )
    svg = to_svg(gene_view(view))
    for word in ("YFG1", "DHS", "mask", "elements", "threshold on DHS", "planted", "← TSS", "chr1 position"):
        assert word in svg
