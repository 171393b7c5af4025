"""The report of a DNA run, section by section, from results that are already computed."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from seqexp.dna.evaluation.results import ElementFindings, RunResults
from seqexp.report import dna_figures as figures
from seqexp.report.page import Section, tile, write_page
from seqexp.report.sections import baselines_section, record_section, sampling_sections, training_sections
from seqexp.report.trackview import gene_view, told

MOST_SCATTERS = 6  # of several targets


def write_dna_report(path: str | Path, results: RunResults) -> Path:
    """Write the page of a DNA run."""
    sections = _accuracy(results)
    if results.elements is not None:
        sections += _elements(results, results.elements)
    sections.append(record_section(results.record, results.metrics))
    for section in sections:
        section.notes += results.notes.get(section.key, [])
    footer = f"seqexp {results.record.get('seqexp', '')} · {results.record.get('started', '')}"
    title, lead, verdict = results.title, results.lead, results.verdict
    return write_page(path, title, lead, _tiles(results), sections=sections, footer=footer, verdict=verdict)


def _tiles(results: RunResults) -> list[dict[str, str]]:
    peaks = results.elements.peaks_label if results.elements else ""
    shown = {
        "test_pearson": "test Pearson",
        "best_baseline_pearson": "best naive baseline",
        "lead_over_baseline": "lead over it",
        "elements_auprc": "AUPRC of elements",
        "macs3_auprc": "AUPRC of MACS3 peaks",
        "threshold_auprc": f"AUPRC of {peaks}",
        "peaks_auprc": f"AUPRC of {peaks}",
        "jaccard_macs3": "Jaccard with MACS3",
        "jaccard_threshold": f"Jaccard with {peaks}",
        "jaccard_peaks": f"Jaccard with {peaks}",
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
    sections += training_sections(results.log, results.kept)
    text = "Genes of held-out chromosomes or segments. Intervals are 95 % bootstrap intervals over genes."
    section = Section("expression", "Predicted against measured expression", text)
    if results.targets is not None:
        section.add_table(results.targets, ("mean over targets",))
    for target in results.target_names[:MOST_SCATTERS]:
        section.add_figure(
            figures.predicted_against_measured(results.predictions, results.unit, results.metrics, target)
        )
    sections.append(section)
    text = (
        "Ridge regressions and the training mean were computed in this run on the same genes and splits. "
        "The mean has no correlation by definition."
    )
    text += " Figures are means over the targets." if len(results.target_names) > 1 else ""
    label = f"Pearson r, {results.unit}"
    sections.append(baselines_section(results.models, "Test split", label, text, unit=results.unit))
    return sections + sampling_sections(results.metrics, results.unit)


def _elements(results: RunResults, found: ElementFindings) -> list[Section]:
    text = (
        "Stretches that the mask keeps at the budget of the run. Distances run from the TSS of the element's gene to "
        "its nearest base, 0 where it holds the TSS."
    )
    shapes = Section("shapes", "Elements: number, length, distance to the TSS", text).add_table(found.shape_table)
    sections = [shapes.add_figure(figures.element_shapes(found.shapes))]
    if found.truth is not None:
        sections.append(_truth(found, found.truth))
    if found.comparison is not None:
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
        sections.append(Section("peaks", f"Elements and {found.peaks_label}", text).add_table(found.comparison))
    if found.protocol is not None:
        text = (
            "The trained predictor with its mask replaced by a fixed one, at equal budgets, promoter open on both "
            "sides (the comparison of Su et al. 2025, Table 2, with the promoter handicap removed). The predictor was "
            "not trained again, so read the correlation, not the scale."
        )
        names = {"kept": "share kept", "pearson": "test r", "low": "95 % low", "high": "95 % high"}
        table = found.protocol.drop(columns="mse").rename(columns=names)
        sections.append(Section("fixed", "Fixed masks for the same predictor", text).add_table(table))
    return [*sections, _views(found)] if found.views else sections


def _truth(found: ElementFindings, truth: pd.DataFrame) -> Section:
    section = Section(
        "truth",
        "Elements against the planted truth",
        "The simulation knows which elements drive each gene. Every bin of every held-out window is ranked; "
        "the area under precision-recall is the score. A dot marks where a ranking ends, as peaks do: bins beyond "
        "it are tied, and their line runs at the precision of chance.",
    )
    if found.curves:
        areas = ", ".join(f"{name} {area:.3f}" for name, (_, _, area) in found.curves.items())
        told = f"Precision against recall of planted elements; areas: {areas}; random {found.prevalence:.3f}"
        section.add_figure(figures.precision_recall(found.curves, found.prevalence), narrow=True, alt=told)
    return section.add_table(truth, ("model mask",))


def _views(found: ElementFindings) -> Section:
    text = (
        "Which genes, and why, stands in the table. Signals are in the units of their files, the mask has none; the "
        "dashed red line is the TSS. Genes are all those of the dataset's gene file, measured or not: a line for the "
        "body, boxes for exons, an arrow at the TSS along the strand; a short arrow alone where the file has no body."
    )
    section = Section("genes", "Track views", text)
    rows = [(v.title.split("  ")[0], f"{v.chrom}:{v.start:,}-{v.end:,} ({v.strand})", v.why) for v in found.views]
    section.add_table(pd.DataFrame(rows, columns=["gene (split)", "window", "shown because"]))
    for view in found.views:
        section.add_figure(gene_view(view), alt=told(view))
    return section
