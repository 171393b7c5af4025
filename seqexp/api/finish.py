"""Finish a run folder: predictions, baselines, elements, peaks, comparison, metrics and the report."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from seqexp.core.errors import DataError
from seqexp.dna.evaluation.finish import evaluate_run
from seqexp.dna.evaluation.settings import FinishSettings
from seqexp.histology.evaluation.finish import evaluate_tissue
from seqexp.histology.evaluation.results import TissueResults
from seqexp.histology.loaders.data import SpotData
from seqexp.report.dna_page import write_dna_report
from seqexp.report.tissue_page import write_tissue_report
from seqexp.training.folder import own_run
from seqexp.training.run import Run


class Wing(NamedTuple):
    """What finishes a run: ``evaluate(run, data, settings)`` gives results, ``draw(path, results)`` writes the page."""

    evaluate: Callable[..., Any]
    draw: Callable[..., Path]


def _evaluate_tissue(run: Run, data: SpotData, settings: FinishSettings) -> TissueResults:
    settings.require_none_of_elements("it is a run on tissue, which has no elements")
    return evaluate_tissue(run, data, settings.beside)


# By what a data module says it is of, as its attribute ``wing``.
WINGS = {
    "dna": Wing(evaluate_run, write_dna_report),
    "histology": Wing(_evaluate_tissue, write_tissue_report),
}


def finish_run(run_dir: str | Path, settings: FinishSettings | None = None) -> dict[str, Any]:
    """Evaluate the best checkpoint of a run and write everything a run folder holds.

    Returns
    -------
    dict
        Flat metrics, as in ``metrics.json``; their keys are listed in the architecture page.

    Raises
    ------
    DataError
        No run in the folder, it cannot be written, or another process works in it.
    """
    folder = Path(run_dir)
    with own_run(folder):
        return _finish(folder, settings or FinishSettings())


def _finish(folder: Path, settings: FinishSettings) -> dict[str, Any]:
    run = Run.open(folder)
    wing = WINGS.get(getattr(run.datamodule, "wing", ""))
    if wing is None:
        raise DataError(
            f"data of type {type(run.datamodule).__name__}",
            where=folder,
            expected=f"a data module whose attribute wing is one of: {', '.join(WINGS)}",
        )
    results = wing.evaluate(run, run.datamodule, settings)
    wing.draw(folder / "report.html", results)
    return results.metrics


def summary(metrics: dict[str, Any]) -> str:
    """The few lines printed at the end: accuracy beside its baselines, elements beside peaks and signals."""
    lead = ("lead over that baseline", "lead_over_baseline")
    rows = [("test Pearson", "test_pearson"), ("best naive baseline", "best_baseline_pearson"), lead]
    if "test_pcc_mean" in metrics:
        rows = [("mean r over genes", "test_pcc_mean"), ("best naive baseline", "best_baseline_pcc_mean"), lead]
        rows += [("same, spots shuffled", "shuffled_pcc_mean")]
    rows += [("AUPRC of elements", "elements_auprc"), ("AUPRC of the best signal", "signal_auprc")]
    for kind, name in (("macs3", "MACS3 peaks"), ("threshold", "the threshold"), ("peaks", "the peaks given")):
        rows += [(f"AUPRC of {name}", f"{kind}_auprc"), (f"Jaccard with {name}", f"jaccard_{kind}")]
    lines = [f"  compared with {metrics['peaks_from']}"] if "peaks_from" in metrics else []
    for label, key in rows:
        value = metrics.get(key)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        low, high = metrics.get(f"{key}_low", math.nan), metrics.get(f"{key}_high", math.nan)
        interval = f"  [{low:.3f}, {high:.3f}]" if math.isfinite(low) and math.isfinite(high) else ""
        lines.append(f"  {label:<30}{value:.3f}{interval}")
    return "\n".join(lines)
