"""One window as a figure: what the network reads there, what it keeps, and what is known of the place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from seqexp.api.answer import answer
from seqexp.api.request import Given
from seqexp.core.errors import ConfigError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.calling import call_elements
from seqexp.dna.evaluation.results import GeneView, Spans
from seqexp.dna.evaluation.views import spans_in
from seqexp.dna.genome.gene_files import GeneColumns
from seqexp.dna.genome.gene_models import GeneModel, genes_in
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import resolve_names
from seqexp.dna.genome.peak_files import read_peak_file
from seqexp.report.trackview import gene_view
from seqexp.training.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_window(
    run: Run,
    given: Given,
    *,
    peaks: str | Path | pd.DataFrame | None = None,
    genes: str | Path | None = None,
    budget_fraction: float = 0.1,
) -> Figure:
    """Draw one window, for :meth:`seqexp.api.dna_model.DnaModel.plot`, which says what the settings are.

    Raises
    ------
    ConfigError
        No window, or several.
    """
    if len(given.dataset) != 1:
        raise ConfigError(f"{len(given.dataset):,} windows in one figure", expected="one interval, gene or sequence")
    found, window = answer(run, given), given.laid.windows[0]
    signals = given.dataset[0].signals[0].numpy()
    tracks = {name: signals[:, track] for track, name in enumerate(given.dataset.track_names)}
    upstream_bp = given.dataset.tss_bp
    label, table = _peaks(given, peaks)
    row = found.table.iloc[0]
    return gene_view(
        GeneView(
            title=_title(row, found.targets),
            chrom=window.chrom,
            start=window.start,
            end=window.end,
            strand=window.strand,
            tss=window.end - 1 - upstream_bp if window.is_reverse else window.start + upstream_bp,
            signals={name: values for name, values in tracks.items() if np.isfinite(values).any()},
            mask=None if found.masks is None else found.masks.values[0],
            elements=_elements(found.masks, window, budget_fraction),
            peaks=spans_in(table, window.chrom, window.start, window.end),
            peaks_label=label,
            genes=_genes(given, window, genes),
            gene_id=str(row["id"]),
        )
    )


def _title(row: pd.Series, targets: tuple[str, ...]) -> str:
    """Who it is, whether the network has seen it, and what it predicts."""
    figures = [f"{name}: predicted {row[f'prediction_{name}']:.2f}" for name in targets if name]
    told = "; ".join(figures) or f"predicted {row['prediction']:.2f}"
    seen = {"train": ", trained on", "val": ", chosen by", "no": ", never seen"}.get(str(row["seen"]), "")
    return f"{row.get('gene_name') or row['id']}{seen}  {told} {row['unit']}"


def _elements(masks: BinScores | None, window: Interval, budget_fraction: float) -> Spans:
    if masks is None:
        return []
    found = call_elements(masks, budget_bp=int(budget_fraction * masks.values.size * masks.bin_bp))
    return spans_in(found, window.chrom, window.start, window.end)


def _peaks(given: Given, peaks: str | Path | pd.DataFrame | None) -> tuple[str, pd.DataFrame | None]:
    """Name and table of the peaks, under the chromosome names of the window."""
    if peaks is None:
        name = next(iter(given.spec.peaks), None) if given.spec is not None else None
        return ("peaks", None) if name is None or given.spec is None else (name, given.spec.read_peaks(name))
    is_table = isinstance(peaks, pd.DataFrame)
    label = "peaks" if is_table else Path(peaks).name.split(".")[0]
    table = peaks if is_table else read_peak_file(Path(peaks))
    file = "the peaks given" if is_table else peaks
    return label, resolve_names(table, given.bases.chrom_sizes, file, given.bases.path).table


def _genes(given: Given, window: Interval, genes: str | Path | None) -> tuple[GeneModel, ...]:
    if genes is not None:
        return genes_in(Path(genes), GeneColumns(), [window])[0]
    return () if given.spec is None else genes_in(given.spec.genes, given.spec.columns, [window])[0]
