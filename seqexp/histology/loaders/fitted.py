"""What a checkpoint keeps of the slides it was trained on: genes, scales, numbers of slides, and what it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.histology.loaders.seen_spots import SeenSpots
from seqexp.histology.slides import ExpressionTransform, GenePanel, GeneSelection, SlideSet
from seqexp.objectives.transforms import ColumnScale

_SAME_SCALE = 0.05  # of microns per pixel


@dataclass(frozen=True)
class Fitted:
    """Everything of the training slides that a run needs again.

    Attributes
    ----------
    scale : ColumnScale
        Of the targets that the network sees.
    selection : GeneSelection
        Genes predicted, in the order of the columns.
    expression : ExpressionTransform
        From counts to the unit of the targets.
    feature_mean, feature_std : tuple of float
        Of the training spots' features; empty where features are not scaled by them.
    slides, patients : tuple of str
        In the order of their numbers in a batch, which a network that remembers spots remembers too.
    mpp : tuple of float
        Lowest and highest microns per pixel of the slides.
    seen : SeenSpots
    """

    scale: ColumnScale
    selection: GeneSelection
    expression: ExpressionTransform
    feature_mean: tuple[float, ...]
    feature_std: tuple[float, ...]
    slides: tuple[str, ...]
    patients: tuple[str, ...]
    mpp: tuple[float, float]
    seen: SeenSpots

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        panel = self.selection.panel
        return {
            "transform": self.scale.state(),
            "genes": list(panel.symbols),
            "ensembl": None if panel.ensembl is None else list(panel.ensembl),
            "gene_scores": [float(score) for score in self.selection.scores],
            "genes_chosen_on": list(self.selection.fitted_on),
            "expression": self.expression.state(),
            "feature_mean": list(self.feature_mean),
            "feature_std": list(self.feature_std),
            "slides": list(self.slides),
            "patients": list(self.patients),
            "mpp": list(self.mpp),
            "seen": self.seen.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Fitted:
        """From :meth:`state`.

        Raises
        ------
        DataError
            The state is damaged.
        """
        try:
            ensembl = state["ensembl"]
            panel = GenePanel(tuple(state["genes"]), None if ensembl is None else tuple(ensembl))
            scores = np.asarray(state["gene_scores"], dtype=np.float64)
            lowest, highest = (float(value) for value in state["mpp"])
            return cls(
                scale=ColumnScale.from_state(state["transform"]),
                selection=GeneSelection(panel, scores, tuple(state["genes_chosen_on"])),
                expression=ExpressionTransform.from_state(state["expression"]),
                feature_mean=tuple(state["feature_mean"]),
                feature_std=tuple(state["feature_std"]),
                slides=tuple(state["slides"]),
                patients=tuple(state["patients"]),
                mpp=(lowest, highest),
                seen=SeenSpots.from_state(state["seen"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"what the checkpoint says of its data cannot be read: {error}",
                expected="a checkpoint written by seqexp fit",
                fix="use another checkpoint of the run, or train again",
            ) from error

    def notes(self, slides: SlideSet, is_fixed_width: bool) -> list[str]:
        """What has to be told where the checkpoint is opened on slides that it was not trained with."""
        new = [name for name in slides.spec.slides if name not in self.slides]
        told = []
        if new:
            told.append(
                f"genes are the {len(self.selection.panel)} of the checkpoint, found by name on {', '.join(new)}"
            )
        if slides.spec.transform.unit != self.expression.unit:
            told.append(f"targets are in {self.expression.unit}, as trained, not in {slides.spec.transform.unit}")
        low, high = self.mpp[0] * (1 - _SAME_SCALE), self.mpp[1] * (1 + _SAME_SCALE)
        other = [f"{name} ({slide.mpp:.3g})" for name, slide in slides.slides.items() if not low <= slide.mpp <= high]
        if other and not is_fixed_width:
            told.append(
                f"microns per pixel differ from those of the training data ({self.mpp[0]:.3g} to {self.mpp[1]:.3g}): "
                f"patches of {', '.join(other)} are of another width on the tissue, because patch_um is not set"
            )
        return told

    def require_same(self, state: Mapping[str, Any], where: Path) -> None:
        """Refuse to go on training a checkpoint, given by its state, on data other than it began with.

        Raises
        ------
        DataError
            Names what differs.
        """
        own, differing = self.state(), []
        for name in own:
            if name in state and own[name] != state[name]:
                differing.append({"transform": "scale of the targets", "seen": "slides or splits"}.get(name, name))
        if differing:
            raise DataError(
                f"the data are not those that the run was trained on; they differ in: {', '.join(differing)}",
                where=where,
                expected="the data of the run, unchanged",
                fix="restore the data and their settings, or start a new run",
            )


def numbered(names: Any, known: tuple[str, ...] = ()) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Numbers of names (S,), and the names by number: known ones keep theirs, others follow as they appear."""
    order = tuple(dict.fromkeys([*known, *(str(name) for name in names)]))
    number = {name: place for place, name in enumerate(order)}
    return np.array([number[str(name)] for name in names], dtype=np.int64), order
