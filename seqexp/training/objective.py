"""Named losses added up with the weights of the config."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.objectives.contracts import Losses, NeedsWeights, Trains


def require_trainable(network: nn.Module, weights: Mapping[str, float]) -> None:
    """Refuse a network that does not say what it is trained on, or a part of it that nothing would teach.

    Raises
    ------
    ConfigError
        Names the method, or the weight that is missing.
    """
    if not isinstance(network, Trains):
        raise ConfigError(
            f"{type(network).__name__} has no method `losses`",
            where="model: network",
            expected="losses(batch) -> Losses, see seqexp.objectives.contracts",
            fix="for regression: return regression(self(batch), batch, make_loss('mse'))",
        )
    untaught = {} if not isinstance(network, NeedsWeights) else network.needed_weights
    for name, otherwise in untaught.items():
        if not weights.get(name):
            raise ConfigError(
                f"{type(network).__name__} has a part that only the penalty {name!r} teaches, without a weight",
                where="model: loss_weights",
                expected=f"{name}: 1.0" + (f", or {otherwise}" if otherwise else ""),
            )


def require_known(losses: Losses, weights: Mapping[str, float]) -> None:
    """Refuse a weight for a loss that the network does not give.

    Raises
    ------
    ConfigError
        Lists those it gives.
    """
    unknown = [name for name in weights if name not in losses.terms and name not in losses.penalties]
    if unknown:
        raise ConfigError(
            f"the network gives no loss {unknown[0]!r}",
            where="model: loss_weights",
            expected="some of: " + ", ".join([*losses.terms, *losses.penalties]),
        )


def total(losses: Losses, weights: Mapping[str, float], ramp: float = 1.0) -> Tensor:
    """What is minimised (): terms with weight 1 unless another is given, and ``ramp`` times the weighted penalties."""
    terms = [weights.get(name, 1.0) * value.mean() for name, value in losses.terms.items()]
    penalties = [ramp * weight * losses.penalties[name] for name, weight in weights.items() if name in losses.penalties]
    return reduce(add, [*terms, *penalties])


def rows(losses: Losses, weights: Mapping[str, float], num_rows: int) -> Tensor:
    """Weighted sum of the terms for each row (B,), without a gradient; a term of the whole batch counts for each."""
    return reduce(
        add, [weights.get(name, 1.0) * value.detach().expand(num_rows) for name, value in losses.terms.items()]
    )
