"""The report of a DNA run, section by section, from results that are already computed."""

from __future__ import annotations

import math
from pathlib import Path

from seqexp.dna.evaluation.results import RunResults
from seqexp.report import figures
from seqexp.report.page import Section, tile, write_page
from seqexp.report.sections import baselines_section, record_section, training_sections
from seqexp.report.trackview import gene_view


def _tiles(results: RunResults) -> list[dict[str, str]]:
    shown = {
        "test_pearson": "test Pearson",
        "best_baseline_pearson": "best naive baseline",
        "elements_auprc": "AUPRC of elements",
        "macs3_auprc": "AUPRC of MACS3 peaks",
        "threshold_auprc": f"AUPRC of {results.peaks_label}",
        "peaks_auprc": f"AUPRC of {results.peaks_label}",
        "jaccard_macs3": "Jaccard with MACS3",
        "jaccard_threshold": f"Jaccard with {results.peaks_label}",
        "jaccard_peaks": f"Jaccard with {results.peaks_label}",
    }
    m = results.metrics
    nan = math.nan
    return [
        tile(label, float(m[key]), float(m.get(f"{key}_low", nan)), float(m.get(f"{key}_high", nan)))
        for key, label in shown.items()
        if isinstance(m.get(key), int | float) and not math.isnan(float(m[key]))
    ]


def _accuracy(results: RunResults) -> list[Section]:
    sections = [
        Section("data", "Data", "What was read, how it was split, and what was left out.").add_table(results.data),
    ]
    sections += training_sections(results.log)
    scatter = figures.predicted_against_measured(results.predictions, results.unit, results.metrics)
    text = "Genes of held-out chromosomes or segments. Intervals are 95 % bootstrap intervals over genes."
    sections.append(Section("expression", "Predicted against measured expression", text).add_figure(scatter))
    text = (
        "Ridge regressions and the training mean were computed in this run on the same genes and splits. "
        "The mean has no correlation by definition."
    )
    sections.append(baselines_section(results.models, "Test split", f"Pearson r, {results.unit}", text))
    return sections


def _elements(results: RunResults) -> list[Section]:
    sections = []
    if results.truth is not None:
        section = Section(
            "truth",
            "Elements against the planted truth",
            "The simulation knows which elements drive each gene. Every bin of every held-out window is ranked; "
            "the area under precision-recall is the score. A dot marks where a ranking ends, as peaks do: bins beyond "
            "it are tied, and their line runs at the precision of chance.",
        )
        if results.curves:
            curve = figures.precision_recall(results.curves, results.prevalence)
            section.add_figure(curve, narrow=True)
        sections.append(section.add_table(results.truth, ("model mask",)))
    if results.comparison is not None:
        text = (
            "Elements and peaks trimmed to the same number of base pairs. Overlap is in base pairs; the enrichment "
            "is over circular shifts of the elements within each window."
        )
        if "threshold_cutoff" in results.metrics:
            text += (
                " No reads were given: this is what lies above a threshold on a track, set to keep a fixed share of "
                "the genome, and no peak caller's test. Name reads under alignments: in dataset.yaml for macs3 "
                "callpeak."
            )
        sections.append(Section("peaks", f"Elements and {results.peaks_label}", text).add_table(results.comparison))
    if results.protocol is not None:
        text = (
            "The trained predictor with its mask replaced by a fixed one, at equal budgets, promoter open on both "
            "sides (the comparison of Su et al. 2025, Table 2, with the promoter handicap removed). The predictor was "
            "not trained again, so read the correlation, not the scale."
        )
        sections.append(
            Section("fixed", "Fixed masks for the same predictor", text).add_table(results.protocol.drop(columns="mse"))
        )
    if results.views:
        section = Section("genes", "Track views", "Held-out genes; the dashed red line is the TSS.")
        for view in results.views:
            section.add_figure(gene_view(view))
        sections.append(section)
    return sections


def write_dna_report(path: str | Path, results: RunResults) -> Path:
    """Write the page of a DNA run."""
    sections = [*_accuracy(results), *_elements(results), record_section(results.record, results.metrics)]
    for section in sections:
        section.notes += results.notes.get(section.key, [])
    footer = f"seqexp {results.record.get('seqexp', '')} · {results.record.get('started', '')}"
    return write_page(path, results.title, results.lead, _tiles(results), sections=sections, footer=footer)
