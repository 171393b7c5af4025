"""Evaluate a run of the DNA wing: predictions, baselines, elements, peaks, comparison and metrics into its folder."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from seqexp.core.metrics_file import write_json
from seqexp.core.tables import read_csv
from seqexp.dna.evaluation.accuracy import accuracy, controls
from seqexp.dna.evaluation.collect import Collected, collect
from seqexp.dna.evaluation.elements import ElementResults, examine_elements
from seqexp.dna.evaluation.naive import beside_baselines
from seqexp.dna.evaluation.results import RunResults
from seqexp.dna.evaluation.settings import FinishSettings
from seqexp.dna.evaluation.views import choose_genes, make_views
from seqexp.dna.loaders.data import SequenceData
from seqexp.loading.seen import require_unseen
from seqexp.training.predict import write_predictions
from seqexp.training.run import Run


def evaluate_run(run: Run, data: SequenceData, settings: FinishSettings) -> RunResults:
    """Evaluate a run on its data and write everything its folder holds but the page.

    Parameters
    ----------
    run : Run
        Opened from its best checkpoint.
    data : SequenceData
        Its data, set up.
    settings : FinishSettings

    Returns
    -------
    RunResults
        What the page shows; ``metrics`` is what ``metrics.json`` holds.

    Raises
    ------
    ConfigError
        Settings about elements for a network that selects none, or a gene to draw that is not there.
    DataError
        No test gene that the checkpoint has not seen, or a control run on other genes.
    """
    folder, collected = run.folder, collect(run, data)
    if collected.masks is None:
        settings.require_none_of_elements(f"{type(run.network).__name__} selects no elements")
    genes, beside = choose_genes(collected, settings.genes), controls(settings.beside, collected)
    require_unseen(len(collected.rows("test")), "test", "gene", data.path)
    write_predictions(collected.predictions, folder / "predictions.tsv")
    metrics: dict[str, Any] = {"seed": run.record.get("seed"), **accuracy(collected)}
    metrics["num_test_seen"] = data.num_test_seen
    table = beside_baselines(collected, beside)
    metrics |= table.metrics
    elements = (
        examine_elements(run, data, collected, folder, settings=settings) if collected.masks is not None else None
    )
    if elements is not None:
        metrics |= elements.metrics
    write_json(folder / "metrics.json", metrics)
    return _results(run, data, collected, table.rows, metrics=metrics, elements=elements, genes=genes)


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
