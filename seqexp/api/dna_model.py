"""A trained network on DNA: ask it about intervals, genes and sequences."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from seqexp.api.answer import answer, loader, mask_set
from seqexp.api.model import Model
from seqexp.api.predict import facts_of
from seqexp.api.request import Given, open_spec, resolve
from seqexp.api.what import as_request
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.calling import call_elements
from seqexp.dna.genome.genes import GeneTable
from seqexp.objectives.contracts import Embeds, Selects
from seqexp.training.asking import ask

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class DnaModel(Model):
    """A trained network on DNA; see :func:`seqexp.api.load.load`.

    Notes
    -----
    ``what`` in its methods is an interval ("chr1:1,000-2,000:+", 0-based half-open), an ``Interval``, a table with
    chrom, start and end, a BED file, ids or names of genes, a gene file, DNA as text or by name, a FASTA file, or
    several of one kind. Where windows lie: :mod:`seqexp.dna.genome.laying`. ``fasta`` is another genome, ``tracks`` are
    bigWigs by name in place of those of the data set, ``tss_offset_bp`` is the base of DNA that is the TSS.
    """

    def predict(self, what: Any = None, *, num_samples: int = 0, **where: Any) -> pd.DataFrame:
        """Predict expression.

        Parameters
        ----------
        what : optional
            See the notes of the class; by default all labelled genes of the data set.
        num_samples : int
            Draws of a network that predicts a distribution: adds ``sample_mean`` and ``sample_sd``.
        **where
            ``fasta``, ``tracks``, ``tss_offset_bp``.

        Returns
        -------
        DataFrame
            A row per item, by id: window, ``seen`` (train, val, no or unknown), ``prediction`` in ``attrs["unit"]``,
            ``prediction_raw`` in ``attrs["raw_unit"]``.

        Raises
        ------
        DataError, ConfigError
            One message for what cannot be used.
        """
        if what is None:
            return self._predict_data()
        table = answer(self.run, self.given(what, **where), num_samples=num_samples).table.set_index("id")
        table.attrs |= {"unit": self.unit, "raw_unit": self.run.transform.raw_unit}
        return table

    @property
    def select(self) -> Callable[..., pd.DataFrame]:
        """``select(what, **where)``: what the network keeps, a row per bin.

        Columns id, chrom, start, end, strand, mask (in [0, 1]); bins along the forward strand.
        Networks without a selector have no such attribute.
        """
        self._require(Selects, "selects nothing: it is no network with select()")
        return self._select

    @property
    def elements(self) -> Callable[..., pd.DataFrame]:
        """``elements(what, budget_fraction=0.1, threshold=None, **where)``: intervals kept from the masks.

        ``budget_fraction`` is the share of all base pairs that is kept. Columns chrom, start, end, id, strand, score
        (mean mask). Networks without a selector have no such attribute.
        """
        self._require(Selects, "selects nothing: it is no network with select()")
        return self._elements

    @property
    def embed(self) -> Callable[..., pd.DataFrame]:
        """``embed(what, **where)``: embeddings, a row per item, columns ``NAME_0``, ``NAME_1``, …

        Networks without embeddings have no such attribute.
        """
        self._require(Embeds, "has no embeddings: it is no network with embed()")
        return self._embed

    def plot(
        self,
        what: Any,
        *,
        peaks: str | Path | pd.DataFrame | None = None,
        genes: str | Path | None = None,
        budget_fraction: float = 0.1,
        **where: Any,
    ) -> Figure:
        """Draw one window: tracks, mask, elements, peaks and genes.

        Parameters
        ----------
        what
            One interval, gene or sequence; see the notes of the class.
        peaks : path or DataFrame, optional
            Peaks to draw; by default the first set of the data set.
        genes : path, optional
            A GTF, GFF3, BED or table of genes to draw; by default those of the data set.
        budget_fraction : float
            Share of the window kept as elements.
        **where
            ``fasta``, ``tracks``, ``tss_offset_bp``.
        """
        from seqexp.api.plot import plot_window  # matplotlib is slow to import

        given = self.given(what, **where)
        return plot_window(self.run, given, peaks=peaks, genes=genes, budget_fraction=budget_fraction)

    def given(
        self,
        what: Any,
        *,
        fasta: str | Path | None = None,
        tracks: Mapping[str, str | Path] | None = None,
        tss_offset_bp: int | None = None,
    ) -> Given:
        """The windows of what is asked, ready to be read; what has to be told of them goes to standard error."""
        request = as_request(
            what,
            lambda: self.annotation,
            fasta=None if fasta is None else Path(fasta),
            tracks={name: Path(path) for name, path in (tracks or {}).items()},
            tss_offset_bp=tss_offset_bp,
        )
        given = resolve(request, facts_of(self.run), self.dataset_path)
        for note in given.notes:
            print(f"note: {note}", file=sys.stderr)
        return given

    def masks(self, given: Given) -> BinScores:
        """Masks of given windows."""
        taken: list[tuple[np.ndarray, np.ndarray]] = []

        def question(batch: Any) -> tuple[np.ndarray, np.ndarray]:
            mask = self.network.select(batch).mask  # type: ignore[operator]
            return batch.index.cpu().numpy(), mask.float().cpu().numpy()

        ask(self.run, loader(self.run, given), question, taken.append)
        return mask_set(given, np.concatenate([mask for _, mask in taken]))

    @property
    def dataset_path(self) -> Path:
        """The ``dataset.yaml`` of the run, or what was given in its place."""
        return Path(self.run.datamodule.path)  # type: ignore[attr-defined]

    @cached_property
    def annotation(self) -> GeneTable:
        """All genes of the data set's annotation, with expression or without."""
        spec = open_spec(self.dataset_path)
        return GeneTable.read(spec.genes, spec.columns)

    def _select(self, what: Any, **where: Any) -> pd.DataFrame:
        masks = self.masks(self.given(what, **where))
        starts, num_bins = masks.turned(masks.starts()), masks.values.shape[1]
        bins = {
            "id": np.repeat(np.array(masks.gene_ids, dtype=object), num_bins),
            "chrom": np.repeat(np.array([window.chrom for window in masks.windows], dtype=object), num_bins),
            "start": starts.ravel(),
            "end": starts.ravel() + masks.bin_bp,
            "strand": np.repeat(np.array([window.strand for window in masks.windows], dtype=object), num_bins),
            "mask": masks.turned(masks.values).ravel(),
        }
        table = pd.DataFrame(bins)
        table.attrs |= {"unit": "mask in [0, 1]"}
        return table

    def _elements(
        self, what: Any, budget_fraction: float = 0.1, threshold: float | None = None, **where: Any
    ) -> pd.DataFrame:
        masks = self.masks(self.given(what, **where))
        budget_bp = None if threshold is not None else int(budget_fraction * masks.values.size * masks.bin_bp)
        elements = call_elements(masks, budget_bp, threshold).rename(columns={"gene_id": "id"})
        elements.attrs |= {"unit": "score: mean mask in [0, 1]"}
        return elements

    def _embed(self, what: Any, **where: Any) -> pd.DataFrame:
        given = self.given(what, **where)
        return self._embedded(loader(self.run, given), pd.Index(given.laid.frame["id"], name="id"))

    def _facts(self) -> list[str]:
        facts = facts_of(self.run)
        upstream_bp, downstream_bp, bin_bp = facts.window_bp
        window = f"window {upstream_bp:,} + {downstream_bp:,} bp, signals in bins of {bin_bp} bp"
        return [window, f"tracks {', '.join(facts.tracks)}" if facts.tracks else "DNA alone"]
