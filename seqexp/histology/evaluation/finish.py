"""Finish the folder of a histology run: predictions, scores beside baselines, an AnnData file and the report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from seqexp.core.errors import DataError, MissingExtraError
from seqexp.core.files import atomic_path
from seqexp.core.metrics_file import write_json
from seqexp.core.optional import require
from seqexp.core.tables import numbers, read_csv, read_table, whole_numbers
from seqexp.histology.evaluation.metrics import Predicted, accuracy, retrieval
from seqexp.histology.evaluation.naive import LABELS, model_table, naive_predictions, score, truth_table
from seqexp.histology.loaders.data import SpotData
from seqexp.histology.models.mclstexp import MclSTExp
from seqexp.histology.models.nsl import NSL
from seqexp.loading.seen import require_unseen
from seqexp.report import tissue_figures as figures
from seqexp.report.tissue_page import TissueResults, write_tissue_report
from seqexp.training.predict import predict_run, write_predictions
from seqexp.training.run import Run

Array = NDArray[np.float64]
_NUM_DRAWN, _NUM_STAINS, _NUM_LISTED = 4, 4, 10


def finish_tissue(run: Run, data: SpotData, beside: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Evaluate the best checkpoint of a run and write everything its folder holds.

    Returns
    -------
    dict
        Flat metrics, as in ``metrics.json``.
    """
    folder = run.folder
    require_unseen(len(data.fold.rows("test")), "test", "spot", data.path)
    predicted = _predict(run, data)
    write_predictions(predicted.table, folder / "predictions.tsv")
    try:
        write_h5ad(folder / "predictions.h5ad", predicted)
    except MissingExtraError as error:
        print(f"predictions.h5ad is left out: {error}", file=sys.stderr)
    controls = {f"control: {Path(path).resolve().name}": _control(path, predicted) for path in beside}
    named = {"this model": predicted.values, **controls, **naive_predictions(data)}
    models, naive = model_table(data, named)
    metrics: dict[str, Any] = {"seed": run.record.get("seed"), "split": data.split, **accuracy(predicted), **naive}
    metrics["num_test_seen"] = data.num_test_seen
    if isinstance(run.network, MclSTExp):
        metrics |= retrieval(run.network, data)
    truth = truth_table(data, named)
    metrics |= truth[1] if truth else {}
    write_json(folder / "metrics.json", metrics)
    results = _results(run, predicted, metrics, models, named=named)
    results.truth = truth[0] if truth else None
    write_tissue_report(folder / "report.html", results)
    return metrics


def write_h5ad(path: Path, predicted: Predicted) -> None:
    """AnnData that scanpy and squidpy open: X is the prediction, layer ``measured``, ``obsm["spatial"]`` in pixels."""
    anndata = require("anndata", "histology")
    frame = predicted.data.fold.spots.frame
    rows = np.flatnonzero(np.isfinite(predicted.values).all(1))
    obs = frame.iloc[rows].assign(split=predicted.data.fold.labels[rows].astype(str))
    names = [f"{slide}_{barcode}" for slide, barcode in zip(obs["slide"], obs["barcode"])]
    # plain Python strings: files with pandas' own string type cannot be opened by older versions of anndata
    obs = obs.astype({column: object for column in obs if not pd.api.types.is_numeric_dtype(obs[column])})
    obs.index = pd.Index(names, dtype=object)
    symbols = pd.Index(list(predicted.data.fold.panel), dtype=object)
    var = pd.DataFrame({"test_pcc": predicted.test.per_gene}, index=symbols)
    table = anndata.AnnData(predicted.values[rows].astype(np.float32), obs=obs, var=var)
    table.layers["measured"] = predicted.data.values[rows]
    table.obsm["spatial"] = obs[["x_px", "y_px"]].to_numpy(np.float64)
    table.uns["unit"] = predicted.data.transform.unit
    with atomic_path(path) as temporary:
        table.write_h5ad(temporary)


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
    run: Run, predicted: Predicted, metrics: dict[str, Any], models: pd.DataFrame, *, named: dict[str, Array]
) -> TissueResults:
    data, test = predicted.data, predicted.test
    fold, spec = data.fold, data.slides.spec
    log_path = run.folder / "logs" / "metrics.csv"
    model, number = type(run.network).__name__, sum(p.numel() for p in run.network.parameters())
    unit = data.transform.unit
    sizes = " / ".join(str(len(fold.rows(s))) for s in ("train", "val", "test"))
    facts = [
        ("dataset", f"{spec.name}: {spec.description}"),
        ("split", f"{data.split}: test slides {', '.join(test.slides)}"),
        ("spots (train / validation / test)", sizes),
        ("genes", f"{len(fold.panel)}, chosen on {', '.join(fold.selection.fitted_on)}"),
        ("target", unit),
        ("input", _inputs(data)),
        *(("note", note) for note in data.notes),
        *((f"slide {name}", report.render()) for name, report in fold.spots.reports.items()),
    ]
    order = np.argsort(np.where(np.isfinite(test.per_gene), -test.per_gene, np.inf), kind="stable")
    listed = np.r_[order[:_NUM_LISTED], order[-_NUM_LISTED:]]
    baseline = score(data, named["texture_ridge"], "test").per_gene
    symbols = np.array(list(fold.panel))
    genes = {"gene": symbols[listed], "test r": test.per_gene[listed], "ridge r": baseline[listed]}
    slides = {"slide": test.slides, "spots": test.num_spots, "mean r": list(test.per_slide.values())}
    slides |= {"genes without r": np.isnan(test.pearson).sum(1)}
    return TissueResults(
        title=f"{spec.name}: {model}, {data.split}",
        lead=f"{model}, {number:,} parameters. {len(fold.panel)} genes in {unit}; "
        f"{len(fold.rows('test')):,} test spots on slides {', '.join(test.slides)}.",
        metrics=metrics,
        data=pd.DataFrame(facts, columns=["what", "value"]),
        models=models,
        slides=pd.DataFrame(slides),
        genes=pd.DataFrame(genes),
        audit=fold.audit.render(),
        record=run.record,
        log=read_csv(log_path, dtype=None, keep_default_na=True) if log_path.is_file() else None,
        ranking=figures.gene_ranking(test.per_gene, baseline, LABELS["texture_ridge"]),
        **_drawn(run, predicted),
    )


def _inputs(data: SpotData) -> str:
    parts = []
    if data.patch_px:
        width = f"{data.patch_um:g} um" if data.patch_um else "224 px at full resolution"
        parts.append(f"patches of {width}, read at {data.patch_px} px")
    if data.features_kind != "none":
        parts.append(f"hand-made features: {data.features_kind}, scaled by {data.scale_features}")
    return "; ".join(parts)


def _drawn(run: Run, predicted: Predicted) -> dict[str, Any]:
    """Maps and scatter of the genes predicted best on the validation spots; stain maps where the model has stains."""
    data, fold = predicted.data, predicted.data.fold
    val = np.where(np.isfinite(predicted.val.per_gene), predicted.val.per_gene, -np.inf)
    chosen = np.argsort(-val, kind="stable")[:_NUM_DRAWN]
    frame, drawn = fold.spots.frame, []
    first: list[tuple[str, Array, Array, float]] = []
    for number, name in enumerate(predicted.test.slides):
        rows = fold.rows("test")
        rows = rows[frame["slide"].to_numpy()[rows] == name]
        genes = [
            (list(fold.panel)[g], data.values[rows, g], predicted.values[rows, g], predicted.test.pearson[number, g])
            for g in chosen
        ]
        first = first or genes
        points = frame[["x_um", "y_um"]].to_numpy(np.float64)[rows]
        drawn.append(figures.tissue_maps(data.slides.slides[name], points, genes, data.transform.unit))
    pictures: dict[str, Any] = {"maps": drawn[:2], "scatter": figures.gene_scatter(first, data.transform.unit)}
    if isinstance(run.network, NSL):
        pictures["stains"] = _stains(run.network, predicted, chosen)
    return pictures


def _stains(network: NSL, predicted: Predicted, genes: NDArray[np.int64]) -> Any:
    """First stain of some genes on the test patch with the widest spread of colour."""
    data = predicted.data
    slide = data.slides.slides[predicted.test.slides[0]]
    rows = data.fold.rows("test")
    patches = data.patches[rows] if data.patches is not None else None
    assert patches is not None
    row = rows[int(patches.reshape(len(rows), -1).std(1).argmax())]
    centre = data.fold.spots.frame[["x_um", "y_um"]].to_numpy(np.float64)[row]
    patch = slide.read_patch_um(centre, data.patch_um or 224 * slide.mpp, 224)
    named = []
    for gene in genes[:_NUM_STAINS].tolist():
        with torch.no_grad():
            maps = network.pixel_maps(torch.from_numpy(patch)[None], gene)
        named.append((list(data.fold.panel)[gene], maps[0, 0].numpy().astype(np.float64)))
    return figures.stain_maps(patch, named)
