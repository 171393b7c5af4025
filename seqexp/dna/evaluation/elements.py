"""The element half of a finished run: files, peaks, comparison, planted truth, fixed masks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from seqexp.core.errors import MissingExtraError
from seqexp.core.files import atomic_path
from seqexp.dna.elements.bin_scores import BinScores, promoter_bins
from seqexp.dna.elements.calling import call_elements, kept_bins
from seqexp.dna.elements.files import write_element_files
from seqexp.dna.elements.places import Places
from seqexp.dna.evaluation import truth as planted
from seqexp.dna.evaluation.compare import in_windows, trim_to_budget
from seqexp.dna.evaluation.element_shape import element_shapes, shape_metrics, shape_table
from seqexp.dna.evaluation.matched import match_tables
from seqexp.dna.evaluation.protocol import fixed_mask_scores
from seqexp.dna.evaluation.results import ElementFindings, GeneView
from seqexp.dna.evaluation.signal_rules import RULE, track_rankings
from seqexp.dna.peaks.peak_sets import PEAK_FILES, PeakSet, find_peaks
from seqexp.objectives.contracts import ReadsMasks

if TYPE_CHECKING:
    from seqexp.dna.evaluation.collect import Collected
    from seqexp.dna.evaluation.settings import FinishSettings
    from seqexp.dna.loaders.data import SequenceData
    from seqexp.training.run import Run


@dataclass
class ElementResults:
    """What has been found so far, for metrics, files and track views."""

    masks: BinScores
    elements: pd.DataFrame
    peaks: PeakSet | None
    truth_table: pd.DataFrame | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    comparison: pd.DataFrame | None = None
    truth: pd.DataFrame | None = None
    protocol: pd.DataFrame | None = None
    curves: dict[str, tuple[np.ndarray, np.ndarray, float]] = field(default_factory=dict)
    prevalence: float = math.nan
    notes: dict[str, list[str]] = field(default_factory=dict)

    def findings(self, views: tuple[GeneView, ...]) -> ElementFindings:
        """What the page shows of it."""
        shapes = element_shapes(self.elements, self.masks)
        return ElementFindings(
            shapes,
            shape_table(shapes, self.masks),
            truth=self.truth,
            comparison=self.comparison,
            protocol=self.protocol,
            peaks_label=self.peaks.label if self.peaks else "peaks",
            curves=self.curves,
            prevalence=self.prevalence,
            views=views,
        )


def examine_elements(
    run: Run, data: SequenceData, collected: Collected, folder: Path, *, settings: FinishSettings
) -> ElementResults:
    """Write masks and elements, get peaks, and compare on the test genes."""
    masks = gather_masks(data, collected)
    budget = int(settings.kept_fraction * masks.values.shape[0] * data.window_bp)
    elements = call_elements(masks, budget_bp=budget)
    masks.save(folder / "masks.npz")
    write_element_files(masks, elements, folder)
    results = ElementResults(masks, elements, None, data.spec.read_truth())
    results.metrics |= {"budget_bp": budget, "num_elements": len(elements), "mask_mean": float(masks.values.mean())}
    results.metrics |= shape_metrics(element_shapes(elements, masks))
    try:
        results.peaks = get_peaks(data, folder, settings)
    except MissingExtraError as error:
        results.notes["peaks"] = [f"The comparison with MACS3 is missing: {error.found}. To get it: {error.fix}"]
        results.comparison = pd.DataFrame({"what": ["peaks"], "value": ["not available"]})
    test = collected.rows("test")
    if results.peaks is not None:
        results.metrics |= dict(results.peaks.facts().values())
        results.notes["peaks"] = list(results.peaks.notes)
        _compare(results, masks.select(test), settings, folder)
    if results.truth_table is not None:
        _score_truth(results, data, collected, test, settings=settings)
    if results.peaks is not None and isinstance(run.network, ReadsMasks):
        results.protocol = _protocol(run, data, collected, results, test=test, settings=settings)
        words = {results.peaks.label: results.peaks.kind}
        for row in results.protocol.itertuples():
            results.metrics[f"fixed_{words.get(str(row.mask), str(row.mask)).replace(' ', '_')}_pearson"] = row.pearson
    return results


def gather_masks(data: SequenceData, collected: Collected) -> BinScores:
    """Masks of all labelled genes with their windows."""
    table = collected.predictions
    windows = tuple(data.interval(int(index)) for index in table["index"])
    sizes = data.spec.open_reference().chrom_sizes
    assert collected.masks is not None
    return BinScores(
        tuple(table["gene_id"].astype(str)),
        windows,
        collected.masks,
        collected.bin_bp,
        sizes,
        splits=tuple(table["split"].astype(str)),
        tss_offset_bp=data.upstream_bp,
    )


def get_peaks(data: SequenceData, folder: Path, settings: FinishSettings) -> PeakSet | None:
    """Peaks from where the settings say, written to the run folder; None for data that have nothing to call them on.

    Files of peaks that an earlier report compared with are removed, unless they are the ones given.
    """
    given = {name: value for name, value in vars(settings.peaks).items() if value is not None}
    found = find_peaks(data.spec, folder, budget_fraction=settings.kept_fraction, **given)
    for kind, name in PEAK_FILES.items():
        is_given = settings.peaks.path is not None and settings.peaks.path.resolve() == (folder / name).resolve()
        if not is_given and (found is None or kind != found.kind):
            (folder / name).unlink(missing_ok=True)
    return found


def _compare(results: ElementResults, masks: BinScores, settings: FinishSettings, folder: Path) -> None:
    """Elements and peaks of the test genes: what ``elements --split test`` and ``compare`` make of this run."""
    assert results.peaks is not None
    budget_bp = int(settings.kept_fraction * masks.values.size * masks.bin_bp)
    places = Places.of_masks(masks, "windows of the test genes")
    matched = match_tables(call_elements(masks, budget_bp=budget_bp), results.peaks.table, places)
    if matched is None:
        results.notes.setdefault("peaks", []).append("No peak lies in the windows of the test genes.")
        results.comparison = _table(results.peaks.facts())
        return
    overlap, bounds, kind = matched.pooled, matched.bounds, results.peaks.kind
    with atomic_path(folder / "compare.tsv") as temporary:
        matched.per_gene.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    labels = {
        "windows of test genes": ("compare_num_windows", overlap.num_windows),
        "budget on each side (bp)": ("compare_budget_bp", matched.budget_bp),
        "elements inside peaks (precision)": ("overlap_precision", overlap.precision),
        "peaks inside elements (recall)": ("overlap_recall", overlap.recall),
        "Jaccard index": (f"jaccard_{kind}", overlap.jaccard),
        "median distance to the nearest peak (bp)": ("median_distance_bp", overlap.median_distance_bp),
        "enrichment over shifted elements": (f"enrichment_{kind}", overlap.enrichment),
        "z of the enrichment": (f"enrichment_{kind}_z", overlap.enrichment_z),
        "p of the enrichment (permutation)": (f"enrichment_{kind}_p", overlap.enrichment_p),
    }
    results.metrics |= dict(labels.values())
    for key, name in (("overlap_precision", "precision"), ("overlap_recall", "recall"), (f"jaccard_{kind}", "jaccard")):
        bound = bounds[name]
        results.metrics |= {f"{key}_low": bound.low, f"{key}_high": bound.high}
    results.comparison = _table({**results.peaks.facts(), **labels})


def _table(facts: Mapping[str, tuple[str, Any]]) -> pd.DataFrame:
    """What was found, for people."""
    shown = {what: f"{value:,.4g}" if isinstance(value, float) else value for what, (_, value) in facts.items()}
    rows = [(what, f"{value:,}" if isinstance(value, int) else value) for what, value in shown.items()]
    return pd.DataFrame(rows, columns=["what", "value"])


def _score_truth(
    results: ElementResults, data: SequenceData, collected: Collected, test: np.ndarray, *, settings: FinishSettings
) -> None:
    """Every ranking of test bins against the planted elements."""
    assert results.truth_table is not None
    masks = results.masks.select(test)
    positive = planted.planted_bins(results.truth_table, masks)
    signals = collected.signals[test]
    rankings = {"model mask": ("elements", masks.values)}
    for name, scores in track_rankings(signals, data.statistics).items():
        label, key = (name, "signal_rule") if name == RULE else (f"signal {name}", f"signal_{name}")
        rankings[label] = (key, scores)
    if results.peaks is not None:
        rankings[results.peaks.label] = (results.peaks.kind, planted.peak_scores(results.peaks.table, masks))
    results.prevalence = float(positive.mean())
    num = max(1, int(positive.sum()))
    rows = []
    for label, (key, scores) in rankings.items():
        bound = planted.score_truth(scores, positive)
        ranked = masks.with_values(scores, label)
        precision, recall = planted.at_budget(kept_bins(ranked, budget_bp=num * masks.bin_bp), positive)
        results.metrics |= {f"{key}_auprc": bound.value, f"{key}_auprc_low": bound.low, f"{key}_auprc_high": bound.high}
        results.metrics |= {f"{key}_precision": precision, f"{key}_recall": recall}
        rows.append((label, bound.value, bound.low, bound.high, precision, recall))
    results.curves = _curves(rankings, positive, results.metrics)
    if not results.curves:
        results.notes.setdefault("truth", []).append("No planted element lies in the windows of the test genes.")
    columns = ["ranking", "AUPRC", "95 % low", "95 % high", "precision at true budget", "recall at true budget"]
    results.truth = pd.DataFrame(rows, columns=columns)
    results.metrics["planted_prevalence"] = results.prevalence
    # The signal side of the comparison is its best ranking, whichever that is: the rule or one of the tracks.
    by_signal = [key for key, _ in rankings.values() if key.startswith("signal")]
    if by_signal:
        best = max(by_signal, key=lambda key: results.metrics[f"{key}_auprc"])
        for end in ("auprc", "auprc_low", "auprc_high", "precision", "recall"):
            results.metrics[f"signal_{end}"] = results.metrics[f"{best}_{end}"]


def _curves(
    rankings: Mapping[str, tuple[str, np.ndarray]], positive: np.ndarray, metrics: Mapping[str, Any]
) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """What the figure shows: model, signal rule, the best single track, peaks; nothing where nothing is planted."""
    if not positive.any():
        return {}
    tracks = [label for label, (key, _) in rankings.items() if key.startswith("signal_") and key != "signal_rule"]
    best = max(tracks, key=lambda label: metrics[f"{rankings[label][0]}_auprc"], default="")
    shown = [label for label in rankings if label not in tracks or label == best]
    titles = {best: f"best track: {best.removeprefix('signal ')}"}
    return {titles.get(label, label): planted.curve(rankings[label][1], positive) for label in shown}


def _protocol(
    run: Run,
    data: SequenceData,
    collected: Collected,
    results: ElementResults,
    *,
    test: np.ndarray,
    settings: FinishSettings,
) -> pd.DataFrame:
    """Test Pearson of the trained predictor under fixed masks, promoter open on every side."""
    assert results.peaks is not None
    masks = results.masks.select(test)
    local = in_windows(results.peaks.table, masks.windows, masks.gene_ids)
    peak_bins = planted.filled_bins(local, masks)
    budget = min(int(peak_bins.sum()), int(settings.kept_fraction * peak_bins.size)) * masks.bin_bp
    budget = max(budget, masks.bin_bp)
    trimmed = trim_to_budget(local, budget)
    promoter = promoter_bins(masks.values.shape[1], masks.bin_bp, data.upstream_bp, settings.promoter_bp)
    kept = {
        "elements": kept_bins(masks, budget_bp=budget),
        results.peaks.label: planted.filled_bins(trimmed, masks),
        "promoter only": np.zeros(masks.values.shape, dtype=bool),
        "everything open": np.ones(masks.values.shape, dtype=bool),
    }
    index = collected.predictions["index"].to_numpy()[test]
    by_row = {name: {int(i): of[row] | promoter for row, i in enumerate(index)} for name, of in kept.items()}
    return fixed_mask_scores(run.network, data.test_dataloader(), by_row, data.transform)
