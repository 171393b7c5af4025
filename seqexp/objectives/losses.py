"""Losses by name, and regression on one. Each gives a value per row: a mean over gathered rows counts each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from seqexp.core.errors import DataError, by_name
from seqexp.objectives.contracts import Batch, Losses
from seqexp.objectives.outputs import ModelOutput


@dataclass(frozen=True)
class Loss:
    """A loss and the point prediction that belongs to it.

    Attributes
    ----------
    name : str
        Name in a config.
    elementwise : callable
        Raw output (B, P·G) and target (B, G) to loss (B, G).
    point : callable
        Raw output (B, P·G) to the predicted target (B, G).
    num_parameters : int
        P, the network outputs needed per target.
    """

    name: str
    elementwise: Callable[[Tensor, Tensor], Tensor]
    point: Callable[[Tensor], Tensor]
    num_parameters: int = 1

    def rows(self, output: Tensor, target: Tensor) -> Tensor:
        """Loss of each row (B,), the mean over its targets.

        Raises
        ------
        DataError
            The network's output does not have the shape the loss needs.
        """
        wanted = (target.shape[0], target.shape[-1] * self.num_parameters)
        if target.ndim != 2 or tuple(output.shape) != wanted:
            raise DataError(
                f"the network gave outputs of shape {tuple(output.shape)} for targets of shape {tuple(target.shape)}",
                expected=f"outputs of shape {wanted} for the loss {self.name!r}",
                fix="set the number of outputs of the head, or choose another loss",
            )
        return self.elementwise(output.float(), target.float()).mean(dim=-1)

    def output(self, raw: Tensor, **shown: dict[str, Tensor]) -> ModelOutput:
        """What a network returns for its raw output (B, P·G): the point prediction, with what else it shows."""
        return ModelOutput(self.point(raw.float()), raw, **shown)


def _gaussian(output: Tensor, target: Tensor) -> Tensor:
    """Negative log likelihood with a learned variance (nats); the log variance is held in [-10, 10]."""
    mean, log_variance = output.chunk(2, dim=-1)
    log_variance = log_variance.clamp(-10.0, 10.0)
    return 0.5 * (log_variance + (target - mean).square() * torch.exp(-log_variance) + 1.8378770664093453)


def _poisson(output: Tensor, target: Tensor) -> Tensor:
    """Poisson deviance-like loss on a log rate: exp(output) - target · output, without the constant."""
    return torch.exp(output) - target * output


def _same(output: Tensor) -> Tensor:
    return output


LOSSES: dict[str, Loss] = {
    "mse": Loss("mse", lambda o, t: (o - t).square(), _same),
    "mae": Loss("mae", lambda o, t: (o - t).abs(), _same),
    "huber": Loss("huber", lambda o, t: F.huber_loss(o, t, reduction="none"), _same),
    "poisson-nll": Loss("poisson-nll", _poisson, torch.exp),
    "gaussian-nll": Loss("gaussian-nll", _gaussian, lambda o: o.chunk(2, dim=-1)[0], num_parameters=2),
}


def make_loss(name: str) -> Loss:
    """Loss by name; another name is a ConfigError."""
    return by_name(LOSSES, name, "loss")


def regression(output: ModelOutput, batch: Batch, loss: Loss, penalties: dict[str, Tensor] | None = None) -> Losses:
    """Regression of the target on what a network gave for a batch, as the one term ``regression``.

    Raises
    ------
    DataError
        The output does not have the shape that the loss needs.
    """
    raw = output.prediction if output.raw is None else output.raw
    return Losses({"regression": loss.rows(raw, batch.target)}, penalties or {}, output)
