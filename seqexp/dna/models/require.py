"""Does a network fit the data it is about to be trained on? What the data cannot fill in is checked before any step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from seqexp.core.errors import ConfigError
from seqexp.dna.loaders.windows import CONTACT

if TYPE_CHECKING:
    from seqexp.dna.loaders.statistics import DataStatistics


def require_one_width(parts: Mapping[str, Any], width: int | None) -> int:
    """The width D of all parts, which is ``width`` where one was asked for.

    Raises
    ------
    ConfigError
        They differ.
    """
    widths = {name: int(part.width) for name, part in parts.items()}
    widths |= {} if width is None else {"width": width}
    if len(set(widths.values())) > 1:
        raise ConfigError(
            f"parts of different widths: {', '.join(f'{name} {value}' for name, value in widths.items())}",
            where="model.network",
            expected="one width for all",
            fix="write width once, in the init_args of the network, and leave it out of its parts",
        )
    return next(iter(widths.values()))


def require_signals(statistics: DataStatistics, num_tracks: int, num_contacts: int) -> None:
    """Refuse another number of tracks or contacts than a network was built for; a config has them filled in."""
    names = statistics.track_names
    found = (sum(name != CONTACT for name in names), names.count(CONTACT))
    if found != (num_tracks, num_contacts):
        raise ConfigError(
            f"the data have {found[0]} tracks and {found[1]} contact channels ({', '.join(names) or 'none'}), "
            f"the network is built for {num_tracks} and {num_contacts}",
            where="model.network: num_tracks, num_contacts",
            expected=f"num_tracks: {found[0]}, num_contacts: {found[1]}",
        )


def require_fit(network: nn.Module, statistics: DataStatistics) -> None:
    """Compare bins and covariates of the data with what a network does with them.

    A part that reads covariates has ``num_covariates``; a network that bins has ``bin_bp``.

    Raises
    ------
    ConfigError
        Covariates that no part reads; bins that the data's do not divide, or that do not divide the window.
    """
    names = statistics.covariates
    if names and not any(getattr(part, "num_covariates", 0) for part in network.modules()):
        raise ConfigError(
            f"the data have {len(names)} covariates ({', '.join(names)}), which no part of the network reads",
            where="model.network; dataset.yaml: covariates",
            expected="a head that reads covariates",
            fix="take another head, or leave covariates out of dataset.yaml",
        )
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
