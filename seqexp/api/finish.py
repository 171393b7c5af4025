"""Finish a run folder: predictions, baselines, elements, peaks, comparison, metrics and the report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from seqexp.core.errors import DataError
from seqexp.dna.evaluation.finish import evaluate_run
from seqexp.dna.evaluation.settings import FinishSettings
from seqexp.dna.loaders.data import SequenceData
from seqexp.histology.evaluation.finish import finish_tissue
from seqexp.histology.loaders.data import SpotData
from seqexp.report.dna_page import write_dna_report
from seqexp.training.folder import own_run
from seqexp.training.run import Run


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
    data = run.datamodule
    if isinstance(data, SpotData):
        settings.require_none_of_elements("it is a run on tissue, which has no elements")
        return finish_tissue(run, data, settings.beside)
    if not isinstance(data, SequenceData):
        raise DataError(f"data of type {type(data).__name__}", where=folder, expected="SequenceData or SpotData")
    results = evaluate_run(run, data, settings)
    write_dna_report(folder / "report.html", results)
    return results.metrics


def summary(metrics: dict[str, Any]) -> str:
    """The few lines printed at the end: accuracy beside its baselines, elements beside peaks and signals."""
    rows = [("test Pearson", "test_pearson"), ("best naive baseline", "best_baseline_pearson")]
    if "test_pcc_mean" in metrics:
        rows = [("mean r over genes", "test_pcc_mean"), ("best naive baseline", "best_baseline_pcc_mean")]
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
