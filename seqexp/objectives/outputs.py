"""What every model returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class ModelOutput:
    """Prediction of a batch and what else the loss or the analysis may need.

    Attributes
    ----------
    prediction : Tensor (B, G)
        In the units of the (possibly standardised) target.
    penalties : dict of str to Tensor ()
        Scalars to add to the loss, by name and without their weight, such as the KL of a selector in nats.
    selection : object, optional
        Output of a selector; anything with a ``mask`` (B, N) in [0, 1].
    embedding : Tensor (B, D), optional
        Pooled representation, for analysis only.
    per_row : dict of str to Tensor (B, ...)
        What evaluation needs of every row beside its prediction, such as the mask of a selector; handed on by
        ``predict_step`` under these names.
    """

    prediction: Tensor
    penalties: dict[str, Tensor] = field(default_factory=dict)
    selection: Any | None = None
    embedding: Tensor | None = None
    per_row: dict[str, Tensor] = field(default_factory=dict)
