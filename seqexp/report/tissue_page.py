"""The report of a histology run, section by section, from results that are already computed."""

from __future__ import annotations

import math
from pathlib import Path

from seqexp.histology.evaluation.results import SlideMap, TissueResults
from seqexp.report import tissue_figures as figures
from seqexp.report.page import UNDEFINED, Section, tile, write_page
from seqexp.report.sections import baselines_section, record_section, sampling_sections, training_sections

_TILES = {
    "test_pcc_mean": "mean r over genes, test slides",
    "best_baseline_pcc_mean": "best naive baseline",
    "lead_over_baseline": "lead over it",
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
    sections += training_sections(results.log, results.kept)
    text = (
        "Pearson r of each gene over the spots of a slide, averaged over genes, then over slides. Intervals are 95 % "
        "bootstrap intervals over genes. Baselines were fitted in this run on the same training spots."
    )
    label = "mean Pearson r over genes"
    sections.append(baselines_section(results.models, "Test slides", label, text, unit=results.unit))
    sections += sampling_sections(results.metrics, results.unit)
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
        section = Section("maps", "Genes on the tissue", text).add_table(results.shown)
        for shown in results.maps:
            told = f"Slide {shown.slide}: H&E, measured and predicted expression, {results.unit}. {_told(shown)}"
            section.add_figure(figures.tissue_maps(shown, results.unit), alt=told)
        first = results.maps[0]
        told = f"Predicted against measured expression on slide {first.slide}, {results.unit}. {_told(first)}"
        sections.append(section.add_figure(figures.gene_scatter(first.genes, results.unit), alt=told))
    if results.stains is not None:
        text = "What the learned unmixing of a gene sees in one patch: its first stain, after the activation."
        told = f"A patch of slide {results.stains.slide} and the first stain of {', '.join(results.stains.maps)} in it"
        figure = figures.stain_maps(results.stains)
        sections.append(Section("stains", "Learned stains", text).add_figure(figure, alt=told))
    text = "Ten best and ten worst genes on the test slides. Ranked by the test itself: read it as a description."
    ranking = results.ranking
    told = f"Pearson r of every gene on the test slides in falling order: this model, and {ranking.label}"
    section = Section("genes", "Genes", text).add_figure(figures.gene_ranking(ranking), alt=told)
    return [*sections, section.add_table(results.genes)]


def _told(shown: SlideMap) -> str:
    """Correlations of the genes of a map in words, for those who do not see it."""
    return "Pearson r: " + ", ".join(f"{g.name} {UNDEFINED if math.isnan(g.r) else f'{g.r:.2f}'}" for g in shown.genes)
