"""Evaluate a run of the DNA wing: predictions, baselines, elements, peaks, comparison and metrics into its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from seqexp.core.metrics_file import write_json
from seqexp.core.tables import read_csv
from seqexp.dna.evaluation.accuracy import accuracy, controls, target_table
from seqexp.dna.evaluation.collect import Collected, collect
from seqexp.dna.evaluation.elements import examine_elements
from seqexp.dna.evaluation.naive import beside_baselines
from seqexp.dna.evaluation.results import ElementFindings, RunResults
from seqexp.dna.evaluation.settings import FinishSettings
from seqexp.dna.evaluation.views import choose_genes, make_views
from seqexp.dna.loaders.data import SequenceData
from seqexp.loading.seen import require_unseen
from seqexp.objectives.model_table import ModelTable
from seqexp.training.predict import write_predictions
from seqexp.training.run import Run
from seqexp.training.sampling import score_samples


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
    metrics |= table.metrics | score_samples(run)
    elements = (
        examine_elements(run, data, collected, folder, settings=settings) if collected.masks is not None else None
    )
    if elements is not None:
        metrics |= elements.metrics
    write_json(folder / "metrics.json", metrics)
    findings = elements.findings(make_views(data, collected, elements, genes)) if elements else None
    notes = elements.notes if elements else {}
    return _results(run, data, collected, table, metrics=metrics, elements=findings, notes=notes)


def _results(
    run: Run,
    data: SequenceData,
    collected: Collected,
    table: ModelTable,
    *,
    metrics: dict[str, Any],
    elements: ElementFindings | None,
    notes: Mapping[str, list[str]],
) -> RunResults:
    spec, log_path = data.spec, run.folder / "logs" / "metrics.csv"
    tracks = ", ".join(data.statistics.track_names) or "none (DNA only)"
    model = type(run.network).__name__
    number = sum(p.numel() for p in run.network.parameters())
    figure = "test Pearson r" if len(collected.target_names) == 1 else "mean test Pearson r over targets"
    return RunResults(
        title=f"{spec.name}: {model} on {data.window_bp:,} bp windows",
        lead=f"{model}, {number:,} parameters, inputs: DNA and {tracks}. Test genes: {metrics['num_test']:,}, held out "
        f"by {spec.splits.by}.",
        verdict=table.verdict.sentence(figure, "genes"),
        metrics=metrics,
        predictions=collected.predictions,
        unit=run.transform.unit,
        target_names=collected.target_names,
        data=pd.DataFrame(_facts(run, data, metrics, tracks), columns=["what", "value"]),
        models=table.rows,
        record=run.record,
        kept=run.kept,
        targets=target_table(collected, metrics),
        log=read_csv(log_path, dtype=None, keep_default_na=True) if log_path.is_file() else None,
        elements=elements,
        notes=notes,
    )


def _facts(run: Run, data: SequenceData, metrics: dict[str, Any], tracks: str) -> list[tuple[str, str]]:
    """What was read, how it was split and what was left out, a row each."""
    spec = data.spec
    of = f"{spec.organism or 'organism not stated'}, {spec.assembly or 'assembly not stated'}"
    return [
        ("dataset", f"{spec.name}  ({of})"),
        ("window", f"{data.upstream_bp:,} bp upstream and {data.downstream_bp:,} bp downstream of the TSS"),
        ("tracks used as input", tracks),
        ("target", run.transform.unit),
        ("genes (train / validation / test)", " / ".join(str(metrics[f"num_{s}"]) for s in ("train", "val", "test"))),
        ("split", f"by {spec.splits.by}"),
        *(("note", note) for note in data.notes),
        ("gene table", data.genes.report.render()),
        ("leak check", data.leak_report.render()),
    ]
