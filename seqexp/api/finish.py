"""Finish a run folder: predictions, baselines, elements, peaks, comparison, metrics and the report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.metrics_file import write_json
from seqexp.core.tables import numbers, read_csv, read_table
from seqexp.dna.evaluation.collect import Collected, collect
from seqexp.dna.evaluation.elements import ElementResults, examine_elements
from seqexp.dna.evaluation.naive import model_table
from seqexp.dna.evaluation.settings import FinishSettings
from seqexp.dna.evaluation.views import choose_genes, make_views
from seqexp.dna.loaders.data import SequenceData
from seqexp.histology.evaluation.finish import finish_tissue
from seqexp.histology.loaders.data import SpotData
from seqexp.loading.seen import require_unseen
from seqexp.objectives.bootstrap import bootstrap_interval
from seqexp.objectives.metrics import pearson, regression_scores
from seqexp.report.dna_page import RunResults, write_dna_report
from seqexp.training.folder import own_run
from seqexp.training.predict import write_predictions
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
    collected = collect(run)
    if collected.masks is None:
        settings.require_none_of_elements(f"{type(run.network).__name__} selects no elements")
    genes, controls = choose_genes(collected, settings.genes), _controls(settings.beside, collected)
    require_unseen(len(collected.rows("test")), "test", "gene", data.path)
    write_predictions(collected.predictions, folder / "predictions.tsv")
    metrics: dict[str, Any] = {"seed": run.record.get("seed"), **accuracy(collected)}
    metrics["num_test_seen"] = data.num_test_seen
    table, naive = model_table(collected, controls)
    metrics |= naive
    elements = (
        examine_elements(run, data, collected, folder, settings=settings) if collected.masks is not None else None
    )
    if elements is not None:
        metrics |= elements.metrics
    write_json(folder / "metrics.json", metrics)
    results = _results(run, data, collected, table, metrics=metrics, elements=elements, genes=genes)
    write_dna_report(folder / "report.html", results)
    return metrics


def accuracy(collected: Collected) -> dict[str, float]:
    """Regression metrics of validation and test genes, Pearson with its 95 % interval."""
    metrics: dict[str, float] = {}
    for split in ("val", "test"):
        part = collected.predictions.iloc[collected.rows(split)]
        prediction, target = part["prediction"].to_numpy(float), part["target"].to_numpy(float)
        metrics[f"num_{split}"] = len(part)
        scores = regression_scores(prediction, target)
        metrics |= {f"{split}_{key}": getattr(scores, key) for key in ("pearson", "spearman", "mse", "mae", "r2")}
        bound = bootstrap_interval(pearson, prediction, target)
        metrics |= {f"{split}_pearson_low": bound.low, f"{split}_pearson_high": bound.high}
    metrics["num_train"] = len(collected.rows("train"))
    return metrics


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


def _controls(folders: tuple[Path, ...], collected: Collected) -> dict[str, np.ndarray]:
    """Predictions of control runs for the same genes, by name of their folder."""
    found: dict[str, np.ndarray] = {}
    for folder in folders:
        path = Path(folder) / "predictions.tsv"
        if not path.is_file():
            raise DataError(
                "no predictions", where=path, expected="a finished run", fix=f"seqexp report --run-dir {folder}"
            )
        other = read_table(path).set_index("gene_id")
        predicted = numbers(other, "prediction", path)
        missing = set(collected.predictions["gene_id"]) - set(other.index)
        if missing:
            raise DataError(f"{len(missing)} genes are missing", where=path, expected="a run on the same genes")
        own = collected.predictions.set_index("gene_id")
        if (other.loc[own.index, "split"] != own["split"]).any():
            raise DataError("genes are split in another way", where=path, expected="a run with the same splits")
        found[Path(folder).resolve().name] = predicted.loc[own.index].to_numpy()
    return found


def _results(
    run: Run,
    data: SequenceData,
    collected: Collected,
    table: pd.DataFrame,
    *,
    metrics: dict[str, Any],
    elements: ElementResults | None,
    genes: list[int],
) -> RunResults:
    spec = data.spec
    tracks = ", ".join(data.statistics.track_names) or "none (DNA only)"
    model = type(run.network).__name__
    log_path = run.folder / "logs" / "metrics.csv"
    facts = [
        (
            "dataset",
            f"{spec.name}  ({spec.organism or 'organism not stated'}, {spec.assembly or 'assembly not stated'})",
        ),
        ("window", f"{data.upstream_bp:,} bp upstream and {data.downstream_bp:,} bp downstream of the TSS"),
        ("tracks used as input", tracks),
        ("target", run.transform.unit),
        ("genes (train / validation / test)", " / ".join(str(metrics[f"num_{s}"]) for s in ("train", "val", "test"))),
        ("split", f"by {spec.splits.by}"),
        *(("note", note) for note in data.notes),
        ("gene table", data.genes.report.render()),
        ("leak check", data.leak_report.render()),
    ]
    number = sum(p.numel() for p in run.network.parameters())
    return RunResults(
        title=f"{spec.name}: {model} on {data.window_bp:,} bp windows",
        lead=f"{model}, {number:,} parameters, inputs: DNA and {tracks}. Test genes: {metrics['num_test']:,}, held out "
        f"by {spec.splits.by}.",
        metrics=metrics,
        predictions=collected.predictions,
        unit=run.transform.unit,
        data=pd.DataFrame(facts, columns=["what", "value"]),
        models=table,
        record=run.record,
        log=read_csv(log_path, dtype=None, keep_default_na=True) if log_path.is_file() else None,
        truth=elements.truth if elements else None,
        comparison=elements.comparison if elements else None,
        peaks_label=elements.peaks.label if elements and elements.peaks else "peaks",
        protocol=elements.protocol if elements else None,
        curves=elements.curves if elements else {},
        prevalence=elements.prevalence if elements else math.nan,
        views=make_views(data, collected, elements, genes) if elements else [],
        notes=elements.notes if elements else {},
    )
