"""The report of a histology run, section by section, from results that are already computed."""

from __future__ import annotations

import math
from pathlib import Path

from seqexp.histology.evaluation.results import TissueResults
from seqexp.report import tissue_figures as figures
from seqexp.report.page import Section, tile, write_page
from seqexp.report.sections import baselines_section, record_section, training_sections

_TILES = {
    "test_pcc_mean": "mean r over genes, test slides",
    "best_baseline_pcc_mean": "best naive baseline",
    "test_pcc_median": "median r over genes",
    "shuffled_pcc_mean": "same, spots shuffled",
}


def write_tissue_report(path: str | Path, results: TissueResults) -> Path:
    """Write the page of a histology run."""
    sections = [*_accuracy(results), *_pictures(results), record_section(results.record, results.metrics)]
    metrics, nan = results.metrics, math.nan
    tiles = [
        tile(label, float(metrics[key]), metrics.get(f"{key}_low", nan), metrics.get(f"{key}_high", nan))
        for key, label in _TILES.items()
        if key in metrics
    ]
    footer = f"seqexp {results.record.get('seqexp', '')} · {results.record.get('started', '')}"
    return write_page(
        path, results.title, results.lead, tiles, sections=sections, footer=footer, verdict=results.verdict
    )


def _accuracy(results: TissueResults) -> list[Section]:
    text = "What was read, how it was split, which genes were chosen on which spots, and what was left out."
    data = Section("data", "Data", text).add_table(results.data)
    data.add_code("leak audit", results.audit)
    sections = [data]
    sections += training_sections(results.log)
    text = (
        "Pearson r of each gene over the spots of a slide, averaged over genes, then over slides. Intervals are 95 % "
        "bootstrap intervals over genes. Baselines were fitted in this run on the same training spots."
    )
    sections.append(baselines_section(results.models, "Test slides", "mean Pearson r over genes", text))
    if results.truth is not None:
        text = (
            "The simulation knows what each gene follows. Colour at the spot, size of the nuclei, colour of the eight "
            "neighbours, or nothing that can be seen: there a mean r away from 0 would be a leak."
        )
        sections.append(Section("truth", "By what a gene follows", text).add_table(results.truth, ("this model",)))
    return [*sections, Section("slides", "Slide by slide").add_table(results.slides)]


def _pictures(results: TissueResults) -> list[Section]:
    sections = []
    if results.maps:
        text = "The genes that the model predicts best on the validation spots: the choice does not flatter the test."
        section = Section("maps", "Genes on the tissue", text)
        for shown in results.maps:
            section.add_figure(figures.tissue_maps(shown, results.unit))
        sections.append(section.add_figure(figures.gene_scatter(results.maps[0].genes, results.unit)))
    if results.stains is not None:
        text = "What the learned unmixing of a gene sees in one patch: its first stain, after the activation."
        sections.append(Section("stains", "Learned stains", text).add_figure(figures.stain_maps(results.stains)))
    text = "Ten best and ten worst genes on the test slides. Ranked by the test itself: read it as a description."
    section = Section("genes", "Genes", text).add_figure(figures.gene_ranking(results.ranking))
    return [*sections, section.add_table(results.genes)]
