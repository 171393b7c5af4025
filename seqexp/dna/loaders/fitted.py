"""What a checkpoint keeps of the data it was trained on: every scale fitted there, and the genes it has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.tracks import Missing
from seqexp.dna.loaders.seen_genes import SeenGenes
from seqexp.dna.loaders.windows import CONTACT
from seqexp.objectives.transforms import TargetTransform, make_transform


@dataclass(frozen=True)
class CovariateScale:
    """Mean and standard deviation of the training genes' covariates.

    Attributes
    ----------
    names : tuple of str (F,)
    mean, std : tuple of float (F,)
        A covariate that does not vary has ``std`` 1.
    """

    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def fit(cls, genes: GeneTable, names: Sequence[str], is_train: NDArray[np.bool_]) -> CovariateScale:
        """Fit on the genes marked (G,)."""
        train = genes.frame[list(names)].to_numpy(np.float64)[is_train]
        std = train.std(axis=0)
        return cls(tuple(names), tuple(train.mean(axis=0).tolist()), tuple(np.where(std > 0, std, 1.0).tolist()))

    def apply(self, genes: GeneTable) -> NDArray[np.float32]:
        """Standardised covariates (G, F) of a gene table that has them."""
        return self.scaled(genes.frame[list(self.names)].to_numpy(np.float64))

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standardised covariates (G, F) of values (G, F)."""
        return ((values - np.asarray(self.mean)) / np.asarray(self.std)).astype(np.float32)

    def require_in(self, spec: DatasetSpec) -> list[str]:
        """Check that a dataset has the covariates, and tell of those that are not read.

        Raises
        ------
        DataError
            It lacks one.
        """
        missing = [name for name in self.names if name not in spec.covariates]
        if missing:
            raise DataError(
                f"the checkpoint reads the covariates {', '.join(self.names)}; the dataset has "
                f"{', '.join(spec.covariates) or 'none'}",
                where=spec.path,
                expected=f"covariates: [{', '.join(self.names)}]",
                fix="add the columns to the gene table and name them under covariates",
            )
        extra = [name for name in spec.covariates if name not in self.names]
        told = f"covariates that are not read, because the checkpoint was trained without them: {', '.join(extra)}"
        return [told] if extra else []


def require_transform(transform: TargetTransform, spec: DatasetSpec) -> None:
    """Check that a dataset holds expression in the unit that a checkpoint was trained on, under the same curve.

    Raises
    ------
    DataError
        Another unit or another curve.
    """
    own = make_transform(spec.transform, raw_unit=spec.expression_unit)
    if (own.curve, own.raw_unit) != (transform.curve, transform.raw_unit):
        raise DataError(
            f"the checkpoint predicts {transform.unit}, the dataset gives {own.unit}",
            where=f"{spec.path}: expression.unit, transform",
            expected=f"expression in {transform.raw_unit or 'the unit of the training data'}, "
            f"transform: {transform.curve}",
            fix="convert the expression column, or state its unit as the training data do",
        )


def require_targets(known: Sequence[str], spec: DatasetSpec) -> None:
    """Check that a dataset has the expression columns of a checkpoint; one alone may have any name.

    Raises
    ------
    DataError
        Others, or in another order.
    """
    if len(spec.targets) != len(known) or (len(known) > 1 and spec.targets != tuple(known)):
        raise DataError(
            f"the checkpoint predicts {', '.join(known) if len(known) > 1 else 'one target'}; the dataset has the "
            f"expression columns {', '.join(spec.targets)}",
            where=f"{spec.path}: expression",
            expected=f"columns: [{', '.join(known)}]" if len(known) > 1 else "column: NAME",
        )


def chosen_tracks(
    known: Sequence[str], spec: DatasetSpec, wanted: Sequence[str] | None, has_contacts: bool
) -> tuple[list[str], list[str]]:
    """Tracks to read for a checkpoint, in its order, and what has to be told of them.

    Parameters
    ----------
    known : sequence of str
        Signals of the checkpoint, contacts last.
    wanted : sequence of str, optional
        Tracks asked for in the settings.
    has_contacts : bool
        Contacts asked for in the settings.

    Raises
    ------
    ConfigError
        The settings or the dataset give other tracks, or contacts where there were none.
    """
    names = [name for name in known if name != CONTACT]
    given = list(spec.tracks if wanted is None else wanted)
    lacking = [name for name in names if name not in given]
    is_other = sorted(given) != sorted(names) if wanted is not None else bool(lacking)
    if is_other or has_contacts != (CONTACT in known):
        have = [*given, *([CONTACT] if has_contacts else [])]
        raise ConfigError(
            f"the checkpoint reads the signals {', '.join(known) or 'none'}; the data give {', '.join(have) or 'none'}",
            where=f"{spec.path}: tracks; data: tracks, contacts",
            expected="the signals of the checkpoint, by name",
            fix="name the tracks in dataset.yaml as the training data did, and leave out data.tracks and data.contacts",
        )
    extra = [name for name in given if name not in names]
    notes = [f"tracks that are not read, because the checkpoint was trained without them: {', '.join(extra)}"]
    notes = notes if extra else []
    if [name for name in given if name in names] != names:
        notes.append(f"tracks are read in the order of the checkpoint: {', '.join(names)}")
    return names, notes


@dataclass(frozen=True)
class Fitted:
    """Everything of the training data that a run needs again.

    Attributes
    ----------
    transform : TargetTransform
    tracks : tuple of str (T,)
        Signals in the order of their channels, contacts last.
    covariates : CovariateScale
    window_bp : tuple of int
        ``upstream_bp``, ``downstream_bp`` and ``signal_bin_bp``.
    rows : str
        Identity of the gene table, for networks that know genes by their row.
    seen : SeenGenes
    missing : str
        What a base without a value in a track was: ``zero``, ``nan`` or ``error``.
    target_names : tuple of str (G,)
        Expression columns; one alone has no name.
    """

    transform: TargetTransform
    tracks: tuple[str, ...]
    covariates: CovariateScale
    window_bp: tuple[int, int, int]
    rows: str
    seen: SeenGenes
    missing: Missing = "zero"
    target_names: tuple[str, ...] = ("",)

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        scale = {name: list(getattr(self.covariates, name)) for name in ("names", "mean", "std")}
        return {
            "transform": self.transform.state(),
            "tracks": list(self.tracks),
            "covariates": scale,
            "window_bp": list(self.window_bp),
            "rows": self.rows,
            "seen": self.seen.state(),
            "missing": self.missing,
            "target_names": list(self.target_names),
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
            upstream_bp, downstream_bp, signal_bin_bp = (int(value) for value in state["window_bp"])
            return cls(
                TargetTransform.from_state(state["transform"]),
                tuple(state["tracks"]),
                CovariateScale(*(tuple(state["covariates"][name]) for name in ("names", "mean", "std"))),
                (upstream_bp, downstream_bp, signal_bin_bp),
                str(state["rows"]),
                SeenGenes.from_state(state["seen"]),
                state.get("missing", "zero"),
                tuple(state.get("target_names", ("",))),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"what the checkpoint says of its data cannot be read: {error}",
                expected="a checkpoint written by seqexp fit",
                fix="use another checkpoint of the run, or train again",
            ) from error

    def match(
        self, spec: DatasetSpec, tracks: Sequence[str] | None, has_contacts: bool, window_bp: tuple[int, int, int]
    ) -> tuple[list[str], list[str]]:
        """Tracks to read from a dataset for this checkpoint, in its order, and what has to be told of the dataset.

        Raises
        ------
        ConfigError, DataError
            See :func:`chosen_tracks`, :func:`require_transform` and :meth:`CovariateScale.require_in`.
        """
        require_transform(self.transform, spec)
        require_targets(self.target_names, spec)
        names, notes = chosen_tracks(self.tracks, spec, tracks, has_contacts)
        notes += self.covariates.require_in(spec)
        if window_bp != self.window_bp:
            own, trained = ("{:,} + {:,} bp in bins of {:,} bp".format(*w) for w in (window_bp, self.window_bp))
            notes.append(f"windows are {own}; the checkpoint was trained on {trained}")
        return names, notes

    def require_same(self, state: Mapping[str, Any], where: Path) -> None:
        """Refuse to go on training a checkpoint, given by its state, on data other than it began with.

        Raises
        ------
        DataError
            Names what differs.
        """
        differing = []
        if "seen" in state:
            other = Fitted.from_state(state)
            names = ("tracks", "covariates", "window_bp", "rows", "target_names")
            differing = [name for name in names if getattr(self, name) != getattr(other, name)]
            differing += [] if self.seen.frame.equals(other.seen.frame) else ["training and validation genes"]
        if TargetTransform.from_state(state["transform"]) != self.transform:
            differing.append("scale of the target")
        if differing:
            raise DataError(
                f"the data are not those that the run was trained on; they differ in: {', '.join(differing)}",
                where=where,
                expected="the data of the run, unchanged",
                fix="restore the data and their settings, or start a new run",
            )


def row_identity(genes: GeneTable) -> str:
    """Identity of the rows of a gene table: 16 hexadecimal digits of ids and places, in their order."""
    ids, *places = (genes.frame[column].astype(str) for column in ("gene_id", "chrom", "tss", "strand"))
    return hashlib.sha256("\n".join(ids.str.cat(places, sep="\t")).encode()).hexdigest()[:16]
