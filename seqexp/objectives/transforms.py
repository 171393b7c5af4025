"""From expression (as in the file) to target (as the network sees it), and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seqexp.core.errors import ConfigError, DataError

Values = TypeVar("Values", bound=Any)  # a float, an array or a tensor: affine steps work on all three
_Curve = tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], Callable[[NDArray[np.float64]], Any], str]

# name -> (forward, inverse, unit of the result given the unit of the input)
_CURVES: dict[str, _Curve] = {
    "identity": (lambda x: x, lambda y: y, "{}"),
    "log1p": (np.log1p, np.expm1, "ln({} + 1)"),
    "log2p1": (lambda x: np.log1p(x) / np.log(2.0), lambda y: np.expm1(y * np.log(2.0)), "log2({} + 1)"),
    "log10p1": (lambda x: np.log1p(x) / np.log(10.0), lambda y: np.expm1(y * np.log(10.0)), "log10({} + 1)"),
}
_SUFFIX = "-standardized"
TRANSFORMS = tuple(_CURVES) + tuple(name + _SUFFIX for name in _CURVES)


@dataclass(frozen=True)
class TargetTransform:
    """A monotone curve and, where asked for, the standardisation learned on the training split.

    Two scales matter. The *target* is what the loss sees: curve and standardisation. The *curve scale*, such as
    log2(TPM + 1), is what metrics and reports use, so that they mean the same with and without standardisation.

    Attributes
    ----------
    curve : str
        One of identity, log1p, log2p1, log10p1.
    is_standardized : bool
        Whether targets are shifted and scaled to mean 0 and standard deviation 1 on the training split.
    raw_unit : str
        Unit of the expression in the file.
    mean, std : float or tuple of float (G,)
        Fitted on the training split, for each of several targets; 0 and 1 without standardisation.
    is_fitted : bool
        Whether the transform may be used.
    """

    curve: str
    is_standardized: bool = False
    raw_unit: str = "TPM"
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    is_fitted: bool = False

    @property
    def name(self) -> str:
        """Name that :func:`make_transform` takes."""
        return self.curve + (_SUFFIX if self.is_standardized else "")

    @property
    def unit(self) -> str:
        """Unit of the curve scale, such as ``log2(TPM + 1)``: the unit of metrics and written predictions."""
        return _CURVES[self.curve][2].format(self.raw_unit)

    def fit(self, expression: ArrayLike) -> TargetTransform:
        """Return the transform fitted on expression (R,) or (R, G) of the training split, for every target apart.

        Raises
        ------
        DataError
            No values, values that are not finite or below 0 under a logarithm, or a constant to standardise.
        """
        values = self._checked(expression)
        if values.size == 0:
            raise DataError("no training genes to fit the target transform on", fix="check the splits")
        if not self.is_standardized:
            return replace(self, is_fitted=True)
        columns = _CURVES[self.curve][0](values).reshape(len(values), -1).T.copy()
        stds = [float(column.std()) for column in columns]
        for column, std in zip(columns, stds):
            if std <= 1e-12 * max(1.0, float(np.abs(column).max())):
                raise DataError(
                    f"all {column.size} training genes have the same expression",
                    expected="values that vary, since they are standardised",
                    fix=f"check the expression column, or use transform: {self.curve}",
                )
        means = [float(column.mean()) for column in columns]
        if len(columns) == 1:
            return replace(self, mean=means[0], std=stds[0], is_fitted=True)
        return replace(self, mean=tuple(means), std=tuple(stds), is_fitted=True)

    def forward(self, expression: ArrayLike) -> NDArray[np.float64]:
        """Expression as in the file to target, any shape."""
        return (self.curved(expression) - np.asarray(self.mean)) / np.asarray(self.std)

    def curved(self, expression: ArrayLike) -> NDArray[np.float64]:
        """Expression as in the file to the curve scale (:attr:`unit`), any shape."""
        self._require_fitted()
        return _CURVES[self.curve][0](self._checked(expression))

    def restore(self, target: Values) -> Values:
        """Target to the curve scale (:attr:`unit`): undoes the standardisation. Arrays and tensors alike."""
        self._require_fitted()
        if isinstance(self.mean, float):
            return target * self.std + self.mean
        own = np.asarray if isinstance(target, np.ndarray) else target.new_tensor
        return target * own(self.std) + own(self.mean)

    def inverse(self, target: ArrayLike) -> NDArray[np.float64]:
        """Target to expression in :attr:`raw_unit`, any shape."""
        return self.uncurved(self.restore(np.asarray(target, dtype=np.float64)))

    def uncurved(self, values: ArrayLike) -> NDArray[np.float64]:
        """Values on the curve scale (:attr:`unit`) to expression in :attr:`raw_unit`, any shape."""
        return np.asarray(_CURVES[self.curve][1](np.asarray(values, dtype=np.float64)))

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        mean, std = (value if isinstance(value, float) else list(value) for value in (self.mean, self.std))
        return {"name": self.name, "raw_unit": self.raw_unit, "mean": mean, "std": std}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TargetTransform:
        """Fitted transform from :meth:`state`.

        Raises
        ------
        ValueError
            Mean and standard deviation are not finite, or the latter not above zero.
        """
        blank, mean, std = make_transform(state["name"], raw_unit=state["raw_unit"]), state["mean"], state["std"]
        means, stds = np.asarray(mean, np.float64), np.asarray(std, np.float64)
        if means.shape != stds.shape or not (np.isfinite(means) & np.isfinite(stds) & (stds > 0)).all():
            raise ValueError(f"mean {mean} and std {std} of the transform")
        if means.ndim == 0:
            return replace(blank, mean=float(means), std=float(stds), is_fitted=True)
        return replace(blank, mean=tuple(means.tolist()), std=tuple(stds.tolist()), is_fitted=True)

    def _checked(self, expression: ArrayLike) -> NDArray[np.float64]:
        values = np.asarray(expression, dtype=np.float64)
        lowest = -np.inf if self.curve == "identity" else 0.0
        bad = ~np.isfinite(values) | (values < lowest)
        if bad.any():
            examples = ", ".join(f"{v:g}" for v in values[bad].ravel()[:3])
            raise DataError(
                f"{int(bad.sum())} expression values cannot be transformed by {self.name}: {examples}",
                expected="finite values" if self.curve == "identity" else "finite values of at least 0",
            )
        return values

    def _require_fitted(self) -> None:
        if not self.is_fitted:
            raise DataError(f"the target transform {self.name} is used before it was fitted on the training split")


def make_transform(name: str, raw_unit: str = "TPM") -> TargetTransform:
    """Unfitted transform by name.

    Parameters
    ----------
    name : str
        ``identity``, ``log1p``, ``log2p1`` or ``log10p1``, each optionally followed by ``-standardized``.
    raw_unit : str
        Unit of the expression column.

    Raises
    ------
    ConfigError
        No transform of that name.
    """
    if name not in TRANSFORMS:
        raise ConfigError(f"unknown transform {name!r}", expected="one of: " + ", ".join(TRANSFORMS))
    return TargetTransform(name.removesuffix(_SUFFIX), name.endswith(_SUFFIX), raw_unit)


@dataclass(frozen=True)
class ColumnScale:
    """Targets (S, G) of several genes, each shifted and scaled to mean 0 and standard deviation 1 of the training rows.

    Stands where a :class:`TargetTransform` stands for one gene. What it restores to is the scale of the values that it
    was given, such as ln(CP10K + 1); the way there from counts belongs to the data.

    Attributes
    ----------
    unit : str
        Unit of the values given, which is that of metrics and written predictions.
    mean, std : float64 array (G,)
        Fitted on the training split.
    """

    unit: str
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(cls, values: ArrayLike, unit: str, is_standardized: bool = True) -> ColumnScale:
        """Fit on the values (S, G) of training rows; a constant gene keeps its scale of 1.

        Raises
        ------
        DataError
            No rows, or values that are not finite.
        """
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
            raise DataError(f"training targets of shape {rows.shape}", expected="(S, G), not empty, finite")
        if not is_standardized:
            return cls(unit, np.zeros(rows.shape[1]), np.ones(rows.shape[1]))
        std = rows.std(axis=0)
        return cls(unit, rows.mean(axis=0), np.where(std > 1e-12, std, 1.0))

    @property
    def raw_unit(self) -> str:
        """The same as :attr:`unit`."""
        return self.unit

    def forward(self, values: ArrayLike) -> NDArray[np.float64]:
        """Values (..., G) in :attr:`unit` to targets."""
        return np.asarray((np.asarray(values, dtype=np.float64) - self.mean) / self.std)

    def restore(self, target: Values) -> Values:
        """Targets (..., G) to :attr:`unit`; arrays and tensors alike."""
        own = np.asarray if isinstance(target, np.ndarray) else target.new_tensor
        return target * own(self.std) + own(self.mean)

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"unit": self.unit, "means": self.mean.tolist(), "stds": self.std.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ColumnScale:
        """Fitted scale from :meth:`state`.

        Raises
        ------
        ValueError
            Means and standard deviations are not as many finite numbers, these above zero.
        """
        mean, std = np.asarray(state["means"]), np.asarray(state["stds"])
        is_fit = mean.ndim == 1 and mean.shape == std.shape and {mean.dtype.kind, std.dtype.kind} <= {"f", "i"}
        if not is_fit or not (np.isfinite(mean) & np.isfinite(std) & (std > 0)).all():
            raise ValueError("means and stds of the genes are not as many finite numbers")
        return cls(str(state["unit"]), mean.astype(np.float64), std.astype(np.float64))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColumnScale) and self.state() == other.state()


Transform = TargetTransform | ColumnScale


def transform_from_state(state: Mapping[str, Any]) -> Transform:
    """Whichever of the two a checkpoint holds.

    Raises
    ------
    DataError
        The state is damaged.
    """
    try:
        return ColumnScale.from_state(state) if "means" in state else TargetTransform.from_state(state)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"the transform of the checkpoint cannot be read: {error}", expected="a checkpoint written by seqexp fit"
        ) from error
