"""Does a network fit the data it is about to be trained on? One message that names both numbers, before any step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from seqexp.core.errors import ConfigError

if TYPE_CHECKING:
    from seqexp.dna.loaders.statistics import DataStatistics


def require_fit(network: nn.Module, statistics: DataStatistics) -> None:
    """Compare covariates and bins of the data with what the parts of a network say of themselves.

    A part that reads covariates has ``num_covariates``; a network that bins has ``bin_bp``. Tracks are each system's
    own affair, since some read contacts as one more track and some do not.

    Raises
    ------
    ConfigError
        Covariates that no part reads or another number of them; bins that the data's do not divide, or that do not
        divide the window.
    """
    _require_covariates(network, statistics.covariates)
    bin_bp = int(getattr(network, "bin_bp", 1))
    if statistics.bin_bp and bin_bp % statistics.bin_bp:
        raise ConfigError(
            f"signals come in bins of {statistics.bin_bp} bp, the model works in bins of {bin_bp} bp",
            where="data: signal_bin_bp; model: bin_bp",
            expected=f"signal_bin_bp: a divisor of {bin_bp}",
        )
    if statistics.window_bp % bin_bp:
        longer = -(-statistics.window_bp // bin_bp) * bin_bp
        raise ConfigError(
            f"windows of {statistics.window_bp:,} bp, a model that works in bins of {bin_bp} bp",
            where="data: upstream_bp + downstream_bp; model: bin_bp",
            expected="a window that is a multiple of the bin",
            fix=f"make the window {longer:,} bp long",
        )


def _require_covariates(network: nn.Module, names: tuple[str, ...]) -> None:
    """Every part that reads covariates reads those of the data, and covariates of the data are read by some part."""
    read = {name or "network": int(part.num_covariates) for name, part in network.named_modules() if _reads(part)}
    wrong = {name: num for name, num in read.items() if num != len(names)}
    if not wrong and (read or not names):
        return
    listed = f" ({', '.join(names)})" if names else ""
    has = (
        ", ".join(f"{name}.num_covariates is {num}" for name, num in wrong.items())
        or "no part of the network reads them"
    )
    raise ConfigError(
        f"the data have {len(names)} covariates{listed}; {has}",
        where="model: num_covariates; dataset.yaml: covariates",
        expected="equal numbers",
        fix=f"set num_covariates: {len(names)}" + (", or leave covariates out of dataset.yaml" if names else ""),
    )


def _reads(part: nn.Module) -> bool:
    return isinstance(getattr(part, "num_covariates", None), int)
