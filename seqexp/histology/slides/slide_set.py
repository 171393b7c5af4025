"""A histology dataset: slides, spots and splits of a ``slides.yaml``, and the fold that a model is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError, DataError, located
from seqexp.core.files import fingerprint
from seqexp.core.tables import is_missing, read_csv
from seqexp.histology.slides.description import SetSpec, SplitSpec, load_set
from seqexp.histology.slides.joining import expected_pitch_um, join, require_inside, require_pitch
from seqexp.histology.slides.layouts import read_scale, read_spots
from seqexp.histology.slides.leaks import LeakAudit, PretrainingManifest, audit_leaks
from seqexp.histology.slides.orientation import require_orientation, require_proportions
from seqexp.histology.slides.panel import GenePanel
from seqexp.histology.slides.selection import GeneSelection
from seqexp.histology.slides.slide import Slide
from seqexp.histology.slides.splits import Labels, SplitPlan, group_k_fold, leave_one_out, read_labels, spatial_blocks
from seqexp.histology.slides.spots import SpotTable, concat
from seqexp.histology.slides.transforms import ExpressionTransform

Fitted = tuple[GeneSelection, ExpressionTransform]


@dataclass(frozen=True)
class Fold:
    """Everything that one training needs, fitted on its training spots.

    Parameters
    ----------
    name : str
        Of the split.
    spots : SpotTable
        S spots on the genes chosen.
    labels : str array (S,)
        train, val, test or none.
    selection : GeneSelection
        The genes, and the slides they were chosen on.
    transform : ExpressionTransform
        Fitted.
    targets : float32 array (S, G)
    audit : LeakAudit
        What was found; nothing in it leaks, or it was allowed by name.
    """

    name: str
    spots: SpotTable
    labels: Labels
    selection: GeneSelection
    transform: ExpressionTransform
    targets: NDArray[np.float32]
    audit: LeakAudit

    @property
    def panel(self) -> GenePanel:
        """The genes of the targets."""
        return self.selection.panel

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of one split."""
        return np.flatnonzero(self.labels == split)


class SlideSet:
    """The slides of a dataset folder. Images are opened (their headers) and spots read on first use.

    Parameters
    ----------
    spec : SetSpec
        The description; :meth:`open` reads it from a file.
    """

    def __init__(self, spec: SetSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self._opened: dict[str, Slide] = {}
        self._bins_um: dict[str, float | None] = {}

    @classmethod
    def open(cls, path: str | Path) -> SlideSet:
        """Open a ``slides.yaml``, or the folder that holds it; see :func:`load_set` for the errors."""
        return cls(load_set(path))

    @cached_property
    def slides(self) -> Mapping[str, Slide]:
        """The slides by name."""
        return {name: self.slide(name) for name in self.spec.slides}

    def slide(self, name: str) -> Slide:
        """One slide; the others may be broken."""
        if name not in self._opened:
            spec = self.spec.slides[name]
            beside = read_scale(spec.layout, spec.image, spec.paths, spec.options)
            self._opened[name] = Slide(
                spec.image, spec.mpp, name, max_image_mpx=spec.max_image_mpx, stated_beside=beside
            )
        return self._opened[name]

    @cached_property
    def spots(self) -> SpotTable:
        """Spots of all slides with counts and a position, on the genes that all slides have.

        Raises
        ------
        DataError
            Files cannot be read or joined, spots lie outside their image, or no gene is in all slides.
        """
        return concat([self.read(name) for name in self.spec.slides], self.aliases)

    def read(self, name: str) -> SpotTable:
        """Spots of one slide, with all its genes; errors as for :attr:`spots`."""
        spec, slide = self.spec.slides[name], self.slide(name)
        where = f"slide {name}: " + ", ".join(map(str, spec.paths.values()))
        raw = read_spots(spec.layout, spec.image, spec.paths, spec.options)
        table = join(raw, spec.origin(slide.mpp), where)
        require_orientation(table, where, spec.is_mirrored)
        require_inside(table, slide.width_px, slide.height_px, where)
        require_proportions(table, where)
        require_pitch(table, where, raw.pitch_um)
        self._bins_um[name] = raw.pitch_um
        return table

    def expected_pitch_um(self, table: SpotTable) -> float | None:
        """Distance of neighbours on a slide that was read: as its files state it, else that of the platform."""
        return expected_pitch_um(table, self._bins_um.get(table.slides[0]))

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Other gene names -> symbol, from the table of aliases; empty without one."""
        path = self.spec.aliases
        if path is None:
            return {}
        table = read_csv(path, sep="\t")
        if list(table.columns[:2]) != ["alias", "symbol"]:
            raise DataError("no table of aliases", where=path, expected="tab-separated columns alias, symbol")
        table = table[~is_missing(table["alias"]) & ~is_missing(table["symbol"])]
        return dict(zip(table["alias"], table["symbol"], strict=True))

    @cached_property
    def _plans(self) -> Mapping[str, tuple[SplitSpec, SplitPlan | None]]:
        plans: dict[str, tuple[SplitSpec, SplitPlan | None]] = {}
        for name, spec in self.spec.splits.items():
            if spec.folds is None:
                plans[name] = (spec, spec.plan)
                continue
            frame, by = self.spots.frame, spec.by
            with located(f"{self.spec.path}, splits.{name}"):
                folds = group_k_fold(frame, spec.folds, by, spec.seed) if spec.folds else leave_one_out(frame, by)  # type: ignore[arg-type]
            plans.update({f"{name}/{fold}": (spec, plan) for fold, plan in folds.items()})
        return plans

    @property
    def split_names(self) -> tuple[str, ...]:
        """Names of the splits; those of folds read ``split/fold``."""
        return tuple(self._plans)

    def split(self, name: str) -> Labels:
        """Split of every spot (S,): train, val, test or none.

        Raises
        ------
        ConfigError
            No split of that name.
        DataError
            A group or spot that it names is not there.
        """
        spec, plan = self._split(name)
        if plan is not None:
            with located(f"{self.spec.path}, splits.{name}"):
                return plan.labels(self.spots.frame)
        if spec.file is not None:
            return read_labels(spec.file, self.spots.frame)
        return spatial_blocks(self.spots.frame, float(spec.blocks_um or 0), seed=spec.seed)

    def fold(self, name: str, labels: Labels | None = None, fitted: Fitted | None = None) -> Fold:
        """Choose the genes and fit the transform on the training spots of a split, and audit the result.

        Parameters
        ----------
        name : str
            Of the split.
        labels : str array (S,), optional
            In place of the split's own.
        fitted : (GeneSelection, ExpressionTransform), optional
            Of other training spots: nothing is chosen or fitted, and genes are found by name or by Ensembl id.

        Raises
        ------
        ConfigError
            No split of that name.
        DataError
            Something leaks from test to training that the split does not allow by name.
        """
        spec, _ = self._split(name)
        labels = self.split(name) if labels is None else labels
        with located(f"{self.spec.path}, splits.{name}"):
            selection = self._select(labels) if fitted is None else fitted[0]
            spots = self.spots.on_panel(selection.panel, self.aliases)
            transform = self.spec.transform.fit(spots, labels) if fitted is None else fitted[1]
        manifests = [PretrainingManifest.read(path) for path in spec.pretraining]
        audit = audit_leaks(spots, labels, transform, selection, pretraining=manifests, allow=spec.allow)
        if fitted is None:  # what was fitted elsewhere is kept apart from the test by the labels given
            audit.require_ok(f"{self.spec.path}, splits.{name}")
        targets = transform.targets(spots, labels).astype(np.float32)
        return Fold(name, spots, labels, selection, transform, targets, audit)

    def fingerprint(self) -> str:
        """Identity of contents and settings: 16 hexadecimal digits; reads every file once."""
        return fingerprint(self.spec.files(), self.spec.settings)

    def _split(self, name: str) -> tuple[SplitSpec, SplitPlan | None]:
        if name not in self._plans:
            raise ConfigError(f"no split {name!r}", where=self.spec.path, expected="one of: " + ", ".join(self._plans))
        return self._plans[name]

    def _select(self, labels: Labels) -> GeneSelection:
        path = self.spec.gene_list
        if path is None:
            return self.spec.selector.fit(self.spots, labels)
        try:
            names = [line.split("\t")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"no list of genes: {error}", where=path, expected="a gene per line") from error
        columns = self.spots.panel.index_of([name for name in names if name], self.aliases)
        panel = self.spots.panel.take(columns)
        return GeneSelection(panel, -np.arange(len(panel), dtype=np.float64), self.spec.genes_chosen_on)
