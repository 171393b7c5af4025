"""Evaluate a histology run: predictions, scores beside baselines, an AnnData file, and what a page shows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError, MissingExtraError
from seqexp.core.metrics_file import write_json
from seqexp.core.tables import numbers, read_csv, read_table, whole_numbers
from seqexp.histology.evaluation.annotated import write_h5ad
from seqexp.histology.evaluation.metrics import Predicted, accuracy
from seqexp.histology.evaluation.naive import LABELS, naive_predictions
from seqexp.histology.evaluation.pictures import slide_maps, stain_maps
from seqexp.histology.evaluation.results import Array, GeneRanking, TissueResults
from seqexp.histology.evaluation.retrieval import retrieval
from seqexp.histology.evaluation.table import beside_baselines, pooled_metrics, score, truth_table
from seqexp.histology.loaders.data import SpotData
from seqexp.loading.seen import require_unseen
from seqexp.objectives.contracts import MapsPixels
from seqexp.objectives.model_table import ModelTable
from seqexp.training.predict import predict_run, write_predictions
from seqexp.training.run import Run
from seqexp.training.sampling import score_samples

_NUM_DRAWN, _NUM_LISTED = 4, 10


def evaluate_tissue(run: Run, data: SpotData, beside: tuple[Path, ...] = ()) -> TissueResults:
    """Evaluate a run on its data and write everything its folder holds but the page.

    Parameters
    ----------
    run : Run
        Opened from its best checkpoint.
    data : SpotData
        Its data, set up.
    beside : tuple of Path
        Finished control runs on the same split.

    Raises
    ------
    DataError
        No test spot is left that the checkpoint has not seen, or a control run that is not on the same spots.
    """
    require_unseen(len(data.fold.rows("test")), "test", "spot", data.path)
    predicted = _predict(run, data)
    write_predictions(predicted.table, run.folder / "predictions.tsv")
    try:
        write_h5ad(run.folder / "predictions.h5ad", predicted)
    except MissingExtraError as error:
        print(f"predictions.h5ad is left out: {error}", file=sys.stderr)
    controls = {f"control: {Path(path).resolve().name}": _control(path, predicted) for path in beside}
    named = {"this model": predicted.values, **controls, **naive_predictions(data)}
    models = beside_baselines(data, named)
    metrics: dict[str, Any] = {"seed": run.record.get("seed"), "split": data.split, **accuracy(predicted)}
    metrics |= {**models.metrics, **pooled_metrics(data, named), "num_test_seen": data.num_test_seen}
    metrics |= retrieval(run.network, data) | score_samples(run)
    truth, of_effects = truth_table(data, named) or (None, {})
    metrics |= of_effects
    write_json(run.folder / "metrics.json", metrics)
    return _results(run, predicted, metrics, models, named=named, truth=truth)


def _predict(run: Run, data: SpotData) -> Predicted:
    table = predict_run(run)
    values = np.full(data.values.shape, np.nan)
    columns = [f"prediction_{name}" for name in data.target_names]
    values[table["index"].to_numpy()] = table[columns].to_numpy(np.float64)
    return Predicted(data, table, values)


def _control(folder: Path, predicted: Predicted) -> Array:
    """Predictions of a control run for the same spots and genes."""
    path = Path(folder) / "predictions.tsv"
    if not path.is_file():
        raise DataError(
            "no predictions", where=path, expected="a finished run", fix=f"seqexp report --run-dir {folder}"
        )
    table = read_table(path)
    needed = ["index", "slide", "split", *(f"prediction_{name}" for name in predicted.data.target_names)]
    same = set(needed) <= set(table) and len(table) == len(predicted.table)
    if not same or (table[["slide", "split"]].to_numpy() != predicted.table[["slide", "split"]].to_numpy()).any():
        raise DataError("other spots, genes or splits", where=path, expected="a run on the same split of the same data")
    values = np.full(predicted.values.shape, np.nan)
    columns = [f"prediction_{name}" for name in predicted.data.target_names]
    rows = whole_numbers(table, "index", path).to_numpy()
    values[rows] = np.stack([numbers(table, column, path) for column in columns], axis=1)
    return values


def _results(
    run: Run,
    predicted: Predicted,
    metrics: dict[str, Any],
    models: ModelTable,
    *,
    named: dict[str, Array],
    truth: pd.DataFrame | None,
) -> TissueResults:
    data, test = predicted.data, predicted.test
    fold, spec = data.fold, data.slides.spec
    log_path = run.folder / "logs" / "metrics.csv"
    model, number = type(run.network).__name__, sum(p.numel() for p in run.network.parameters())
    ranking = GeneRanking(test.per_gene, score(data, named["texture_ridge"], "test").per_gene, LABELS["texture_ridge"])
    slides = {"slide": test.slides, "spots": test.num_spots, "mean r": list(test.per_slide.values())}
    slides |= {"genes without r": np.isnan(test.pearson).sum(1)}
    shown = _shown_genes(predicted)
    return TissueResults(
        title=f"{spec.name}: {model}, {data.split}",
        lead=f"{model}, {number:,} parameters. {len(fold.panel)} genes in {data.transform.unit}; "
        f"{len(fold.rows('test')):,} test spots on slides {', '.join(test.slides)}.",
        metrics=metrics,
        unit=data.transform.unit,
        data=_facts(predicted),
        models=models.rows,
        verdict=models.verdict.sentence("mean Pearson r over genes", "genes"),
        slides=pd.DataFrame(slides),
        genes=_listed_genes(list(fold.panel), ranking),
        audit=fold.audit.render(),
        record=run.record,
        kept=run.kept,
        shown=_why(predicted, shown),
        ranking=ranking,
        maps=slide_maps(predicted, shown),
        log=read_csv(log_path, dtype=None, keep_default_na=True) if log_path.is_file() else None,
        truth=truth,
        stains=stain_maps(run.network, predicted, shown) if isinstance(run.network, MapsPixels) else None,
    )


def _facts(predicted: Predicted) -> pd.DataFrame:
    """What was read and how it was split, a row per fact."""
    data, fold, spec = predicted.data, predicted.data.fold, predicted.data.slides.spec
    facts = [
        ("dataset", f"{spec.name}: {spec.description}"),
        ("split", f"{data.split}: test slides {', '.join(predicted.test.slides)}"),
        ("spots (train / validation / test)", " / ".join(str(len(fold.rows(s))) for s in ("train", "val", "test"))),
        ("genes", f"{len(fold.panel)}, chosen on {', '.join(fold.selection.fitted_on)}"),
        ("target", data.transform.unit),
        ("input", _inputs(data)),
        *(("note", note) for note in data.notes),
        *((f"slide {name}", report.render()) for name, report in fold.spots.reports.items()),
    ]
    return pd.DataFrame(facts, columns=["what", "value"])


def _inputs(data: SpotData) -> str:
    parts = []
    if data.patch_px:
        width = f"{data.patch_um:g} um" if data.patch_um else "224 px at full resolution"
        parts.append(f"patches of {width}, read at {data.patch_px} px")
    if data.features_kind != "none":
        parts.append(f"hand-made features: {data.features_kind}, scaled by {data.scale_features}")
    return "; ".join(parts)


def _listed_genes(symbols: list[str], ranking: GeneRanking) -> pd.DataFrame:
    """Best and worst genes on the test slides."""
    order = np.argsort(np.where(np.isfinite(ranking.r), -ranking.r, np.inf), kind="stable")
    listed = np.r_[order[:_NUM_LISTED], order[-_NUM_LISTED:]]
    genes = {"gene": np.array(symbols)[listed], "test r": ranking.r[listed], "ridge r": ranking.baseline[listed]}
    return pd.DataFrame(genes)


def _shown_genes(predicted: Predicted) -> np.ndarray:
    """Columns of the genes predicted best on the validation spots: the choice does not flatter the test."""
    r = predicted.val.per_gene
    return np.argsort(-np.where(np.isfinite(r), r, -np.inf), kind="stable")[:_NUM_DRAWN]


def _why(predicted: Predicted, genes: np.ndarray) -> pd.DataFrame:
    """The genes drawn, with their figures and the reason."""
    val, test = predicted.val.per_gene[genes], predicted.test.per_gene[genes]
    why = [f"place {place} of {len(predicted.val.per_gene)} by validation r" for place in range(1, len(genes) + 1)]
    names = np.array(list(predicted.data.fold.panel))[genes]
    return pd.DataFrame({"gene": names, "validation r": val, "test r": test, "shown because": why})
