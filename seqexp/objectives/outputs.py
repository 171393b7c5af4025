"""What every network returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class ModelOutput:
    """Prediction of a batch and what else evaluation may need of it.

    Attributes
    ----------
    prediction : Tensor (B, G)
        The point prediction, in the units of the (possibly standardised) target.
    raw : Tensor (B, P * G), optional
        What a loss with several numbers per target reads, such as mean and log-variance; see
        :meth:`seqexp.objectives.losses.Loss.output`.
    per_row : dict of str to Tensor (B, ...)
        What evaluation needs of every row beside its prediction, such as the mask of a selector; handed on by
        ``predict_step`` under these names.
    logged : dict of str to Tensor ()
        Figures for the logs, beside losses and metrics.
    """

    prediction: Tensor
    raw: Tensor | None = None
    per_row: dict[str, Tensor] = field(default_factory=dict)
    logged: dict[str, Tensor] = field(default_factory=dict)
