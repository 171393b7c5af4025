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
    mean, std : float
        Fitted on the training split; 0 and 1 without standardisation.
    is_fitted : bool
        Whether the transform may be used.
    """

    curve: str
    is_standardized: bool = False
    raw_unit: str = "TPM"
    mean: float = 0.0
    std: float = 1.0
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
        """Return the transform fitted on the expression values of the training split.

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
        curved = _CURVES[self.curve][0](values)
        std = float(curved.std())
        if std <= 1e-12 * max(1.0, float(np.abs(curved).max())):
            raise DataError(
                f"all {values.size} training genes have the same expression",
                expected="values that vary, since they are standardised",
                fix=f"check the expression column, or use transform: {self.curve}",
            )
        return replace(self, mean=float(curved.mean()), std=std, is_fitted=True)

    def forward(self, expression: ArrayLike) -> NDArray[np.float64]:
        """Expression as in the file to target, any shape."""
        return (self.curved(expression) - self.mean) / self.std

    def curved(self, expression: ArrayLike) -> NDArray[np.float64]:
        """Expression as in the file to the curve scale (:attr:`unit`), any shape."""
        self._require_fitted()
        return _CURVES[self.curve][0](self._checked(expression))

    def restore(self, target: Values) -> Values:
        """Target to the curve scale (:attr:`unit`): undoes the standardisation. Arrays and tensors alike."""
        self._require_fitted()
        return target * self.std + self.mean

    def inverse(self, target: ArrayLike) -> NDArray[np.float64]:
        """Target to expression in :attr:`raw_unit`, any shape."""
        return np.asarray(_CURVES[self.curve][1](self.restore(np.asarray(target, dtype=np.float64))))

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"name": self.name, "raw_unit": self.raw_unit, "mean": self.mean, "std": self.std}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TargetTransform:
        """Fitted transform from :meth:`state`."""
        blank = make_transform(state["name"], raw_unit=state["raw_unit"])
        return replace(blank, mean=float(state["mean"]), std=float(state["std"]), is_fitted=True)

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
