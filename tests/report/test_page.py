"""The page is one self-contained file, escapes what it is given, and the figures draw what they are told."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import trapezoid
from sklearn.metrics import average_precision_score

from seqexp.dna.evaluation.results import GeneView
from seqexp.dna.evaluation.truth import curve
from seqexp.dna.genome.gene_models import GeneModel
from seqexp.report import dna_figures, figures
from seqexp.report.genes_row import MOST_LANES, lanes_of
from seqexp.report.page import Section, tile, write_page
from seqexp.report.sections import record_section, training_sections
from seqexp.report.style import to_svg
from seqexp.report.trackview import gene_view, told


def predictions() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    target = rng.normal(size=60)
    frame = {"split": ["val"] * 30 + ["test"] * 30, "target": target, "prediction": target + rng.normal(size=60)}
    return pd.DataFrame(frame)


def test_page_is_self_contained_and_escaped(tmp_path):
    section = Section("fit", "Fit <1>", notes=["a & b"])
    section.add_figure(dna_figures.predicted_against_measured(predictions(), "log2(TPM+1)", {"test_pearson": 0.5}))
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
    svg = to_svg(dna_figures.predicted_against_measured(predictions(), "log2(TPM+1)", metrics))
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
    marked = figures.learning_curves(log, kept_epoch=2)  # another figure than Pearson r may have chosen it
    assert all(2 in [line.get_xdata()[0] for line in axis.get_lines() if line.get_ls() == ":"] for axis in marked.axes)
    assert "kept" in to_svg(marked)


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
    figure = dna_figures.precision_recall(curves, is_planted.mean())
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
    figure = dna_figures.precision_recall({"MACS3 peaks": curve(in_peaks[None], is_planted[None])}, 0.1)
    line = next(line for line in figure.axes[0].get_lines() if line.get_label().startswith("MACS3"))
    np.testing.assert_allclose(line.get_xydata(), [[0, 0.6], [0.6, 0.6], [0.6, 0.1], [1, 0.1]])
    assert line.get_markevery() == [1]
    assert line.get_label() == "MACS3 peaks  0.400"  # 0.6 * 0.6 + 0.4 * 0.1


def test_precision_recall_names_areas():
    points = (np.array([0.5, 1.0]), np.array([0.8, 0.3]), 0.55)
    figure = dna_figures.precision_recall({"model": points}, 0.05)
    assert drawn_areas(figure)["model"] == pytest.approx((0.55, 0.55))
    svg = to_svg(figure)
    assert "model  0.550" in svg
    assert "random  0.050" in svg


def view(**changes):
    settings = {"title": "YFG1", "chrom": "chr1", "start": 1000, "end": 3000, "strand": "-", "tss": 2000}
    settings |= {"signals": {"DHS": np.ones(2000)}, "mask": np.full(20, 0.3), "elements": [(1100, 1200)]}
    settings |= {"peaks": [(1500, 1501)], "truth": [], "peaks_label": "threshold on DHS"}
    return GeneView(**{**settings, **changes})


def test_gene_view_shows_every_row():
    svg = to_svg(gene_view(view()))
    for word in ("YFG1", "DHS", "mask", "elements", "threshold on DHS", "planted", "← TSS", "chr1 position"):
        assert word in svg


def drawn_values(axis) -> np.ndarray:
    return axis.patches[0].get_data().values


def test_gene_orientation_is_laid_along_the_genome():
    """A minus-strand gene's first bin lies at the right end of its window."""
    rising = np.arange(1.0, 21.0)
    for strand, wanted in (("+", rising), ("-", rising[::-1])):
        axes = gene_view(view(strand=strand, signals={"DHS": rising}, mask=rising / 20)).axes
        np.testing.assert_array_equal(drawn_values(axes[0]), wanted)
        np.testing.assert_array_equal(drawn_values(axes[1]), wanted / 20)


def test_genes_of_the_window_are_named_and_long_names_wrapped():
    genes = (
        GeneModel("A", "YFG1", "-", 2000, 1400, 2001, ((1400, 1500), (1900, 2001))),
        GeneModel("B", "NEIGHBOUR", "+", 900, 900, 1300),
        GeneModel("C", "LONE", "+", 2500, 2500, 2501),
    )
    long = "H3K27ac_ENCFF000ABC_rep1_fold-change-over-control"
    shown = view(genes=genes, gene_id="A", signals={long: np.ones(20)})
    figure = gene_view(shown)
    svg = to_svg(figure, told(shown))
    for word in ("NEIGHBOUR", "LONE", "genes in the window: 3"):
        assert word in svg
    label = figure.axes[0].get_ylabel()
    assert label.replace("\n", "") == long
    assert max(map(len, label.split("\n"))) <= 20
    figure.canvas.draw()
    box = figure.axes[0].yaxis.label.get_window_extent()
    assert box.x0 >= 0


def test_bodies_and_names_of_genes_do_not_meet():
    crowd = tuple(GeneModel(str(n), f"GENE{n}", "+", s, s, s + 200) for n, s in enumerate(range(1000, 1400, 20)))
    placed, num_lanes = lanes_of(view(genes=crowd, gene_id="7"))
    assert num_lanes == MOST_LANES
    assert placed[0][0].gene_id == "7"
    for lane in range(num_lanes):
        own = sorted((gene.start, gene.end) for gene, at in placed if at == lane)
        assert all(end < start for (_, end), (start, _) in pairwise(own))


def test_every_figure_says_what_it_shows(tmp_path):
    svg = to_svg(figures.learning_curves(pd.DataFrame({"epoch": [0], "train_loss": [1.0]})))
    assert svg.startswith('<svg role="img" aria-label="Loss: loss against epoch; Validation: Pearson r against epoch"')
    assert to_svg(gene_view(view()), 'a "b" & c').startswith('<svg role="img" aria-label="a &quot;b&quot; &amp; c"')
    shapes = pd.DataFrame({"split": ["test"], "length_bp": [100], "tss_distance_bp": [-40]})
    assert "length (bp)" in to_svg(dna_figures.element_shapes(shapes))
    assert "elements" in to_svg(dna_figures.element_shapes(shapes.iloc[:0]))


def test_what_is_not_defined_is_said_so(tmp_path):
    table = pd.DataFrame({"name": ["a", "b", "c"], "r": [np.nan, 0.5, np.inf]})
    record = record_section({}, {"test_pearson": np.nan})
    sections = [Section("x", "X").add_table(table), record]
    path = write_page(
        tmp_path / "r.html", "T", "lead", [tile("r", np.nan)], sections=sections, footer="", verdict="It ties."
    )
    text = path.read_text()
    assert text.count("not defined") == 3
    assert "NaN" not in text
    assert "&#34;test_pearson&#34;: null" in text
    assert text.index("It ties.") < text.index("<section")


def test_the_checkpoint_that_was_kept_is_named():
    kept = {"epoch": 3, "step": 80, "monitor": "val_loss", "value": 0.51234, "mode": "min"}
    (section,) = training_sections(None, kept)
    rows = dict(section.blocks[0]["rows"])
    assert rows == {"epoch, counted from 0": "3", "steps of the optimiser": "80", "lowest val_loss": "0.5123"}
    assert training_sections(None, {}) == []
