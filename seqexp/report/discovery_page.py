"""The page of a discovery benchmark: per world one table and its figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seqexp.dna.benchmark.results import DiscoveryResults, WorldSummary
from seqexp.report.figures import colour_of, interval_bars
from seqexp.report.page import Section, tile, write_page
from seqexp.report.style import MODEL, SIGNAL, TRUTH, house_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HOW = (
    "Every ranking scores the same bins of the same test windows; each keeps the same share of every window; the "
    "promoter is kept for all and counts for none. AUPRC and AUROC: against the planted elements, intervals over "
    "genes, trained rankings as mean over seeds. precision, recall: the best bins of all windows together, as many "
    "as are planted. kept: share of the free bins kept (less than asked where a ranking runs out of peaks); own "
    "share: what the selector itself keeps. retrain r: test Pearson of a predictor trained anew on the kept bins "
    "alone; pattern r: of one that is shown where they lie and nothing else. sufficiency and comprehensiveness: test "
    "Pearson of a predictor trained on random masks from the kept bins alone, and what it loses without them; shifts: "
    "mean absolute change of its prediction, in units of the target; for at most 500 test genes."
)


def write_discovery_report(path: Path, results: DiscoveryResults) -> Path:
    """Write the page of a discovery benchmark."""
    method, tiles, sections = results.method, [], []
    for world in results.worlds:
        own = world.rankings[world.rankings["ranking"] == method].iloc[0]
        column = "AUPRC" if "AUPRC" in world.rankings else "retrain r"
        if column in own:
            low, high = (own.get(f"{column.split()[0]} {end}", math.nan) for end in ("low", "high"))
            tiles.append(tile(f"{method}: {column}, {world.name}", float(own[column]), float(low), float(high)))
        sections.append(_section(world, method))
        sections += [_enrichment(world.name, name, table) for name, table in world.enrichments.items()]
    lead = f"{method} beside {len(results.worlds[0].rankings) - 1} other rankings of bins. Plan: {results.plan}."
    return write_page(path, results.title, lead, tiles, sections=sections, footer="seqexp benchmark discovery")


def _section(world: WorldSummary, method: str) -> Section:
    rankings = world.rankings
    genes = " / ".join(f"{number:,}" for number in world.num_genes.values())
    facts = f"Genes (train / validation / test): {genes}. Budget: {world.budget:.2%} of the free bins."
    if math.isfinite(world.prevalence):
        facts += f" Planted: {world.prevalence:.2%}."
    if math.isfinite(world.open_accuracy[0]):
        r, low, high = world.open_accuracy
        facts += f" Reader with everything open: r = {r:.3f} [{low:.3f}, {high:.3f}]."
    section = Section(world.name, f"World: {world.name}", f"{facts} Peaks: {world.peaks_from}. {_HOW}")
    shown = rankings[[name for name in rankings if not str(name).startswith("curve_")]]
    section.add_table(shown, (method,))
    if "AUPRC" in rankings:
        bars = rankings.rename(columns={"ranking": "name", "AUPRC": "value", "AUPRC low": "low", "AUPRC high": "high"})
        section.add_figure(interval_bars(_marked(bars, method), "Planted elements", "AUPRC"))
    if "retrain r" in rankings:
        renamed = {"ranking": "name", "retrain r": "value", "retrain low": "low", "retrain high": "high"}
        read = rankings[rankings["retrain r"].notna()]
        bars = read.rename(columns=renamed).sort_values("value", ascending=False)
        title = f"Trained anew on {world.budget:.1%} of the bases"
        if math.isfinite(world.open_accuracy[0]):
            title += f" (on all: {world.open_accuracy[0]:.3f})"
        section.add_figure(interval_bars(_marked(bars, method), title, "test Pearson r"))
    section.add_figure(accuracy_against_budget(world.curve, world.budget, method))
    if len(world.sizes):
        section.add_table(world.sizes).add_figure(area_against_genes(world.sizes))
    if world.lead:
        closest = min(world.lead, key=lambda name: world.lead[name])
        section.notes.append(f"{method} leads by at least {world.lead[closest]:+.3f} AUPRC ({closest} comes next).")
    return section


def _marked(bars: pd.DataFrame, method: str) -> pd.DataFrame:
    """Bars whose colours follow from their names: the method under test is the model."""
    return bars.assign(name=[f"{name} (model)" if name == method else name for name in bars["name"]])


def _colour(name: str, method: str) -> str:
    if name == method:
        return MODEL
    if "Seq2Exp" in name:
        return TRUTH
    return SIGNAL if name.startswith(("top", "activity")) else colour_of(name)


def accuracy_against_budget(curve: pd.DataFrame, budget: float, method: str) -> Figure:
    """Test Pearson from the best bins alone, against the share of bins kept.

    Parameters
    ----------
    curve : DataFrame
        Shares as index, one column per ranking.
    budget : float
        The budget of the table, marked.
    method : str
        Ranking drawn thick.
    """
    with house_style():
        figure = new_figure(7.2, 3.8)
        axis = figure.subplots()
        styles, markers = ("-", "--", ":", "-."), "osv^D"
        used: dict[str, int] = {}
        for name in curve.iloc[-1].sort_values(ascending=False).index:  # the legend runs as the lines end
            colour = _colour(str(name), method)
            number = used.get(colour, 0)
            used[colour] = number + 1
            width, style = 2.4 if name == method else 1.1, styles[number % len(styles)]
            (line,) = axis.plot(curve.index, curve[name], style, color=colour, lw=width, label=str(name))
            line.set(marker=markers[number % len(markers)], markersize=3.5)
        axis.axvline(budget, color="#cccccc", lw=0.8, zorder=0)
        axis.set_xscale("log")
        axis.set_xticks(list(curve.index), [f"{share:.0%}" for share in curve.index])
        axis.minorticks_off()
        axis.set(xlabel="share of free bins kept", ylabel="test Pearson r", title="Accuracy from the best bins alone")
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def area_against_genes(sizes: pd.DataFrame) -> Figure:
    """AUPRC by number of training genes, with intervals over test genes."""
    with house_style():
        figure = new_figure(7.2, 3.2)
        axis = figure.subplots()
        value = sizes["auprc"].to_numpy(float)
        errors = np.vstack([value - sizes["auprc_low"], sizes["auprc_high"] - value])
        axis.errorbar(sizes["genes"], value, yerr=errors, color=MODEL, marker="o", ms=4, capsize=2, lw=1.6)
        axis.set_xscale("log")
        axis.set_xticks(list(sizes["genes"]), [f"{int(number):,}" for number in sizes["genes"]])
        axis.minorticks_off()
        axis.set(xlabel="training genes", ylabel="AUPRC", title="How much data discovery takes")
    return figure


def _enrichment(world: str, name: str, table: pd.DataFrame) -> Section:
    text = (
        "Overlap of the selected bases with known features over two nulls: the kept pattern turned round its window, "
        "and the pattern of another gene in its place, which keeps distances to the TSS."
    )
    section = Section(f"enrichment_{world}_{name}", f"Known features in the bases kept by {name}, {world}", text)
    order = table.sort_values(["q_exchanged", "enrichment_exchanged"], ascending=[True, False])
    return section.add_table(order.head(25))
