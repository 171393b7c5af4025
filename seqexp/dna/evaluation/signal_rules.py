"""Rankings of bins by the signals alone: what a selector must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.dna.loaders.windows import CONTACT

# The rule of Su et al. 2025, released code: H3K27ac, DNase, log10(1 + Hi-C contacts with the TSS).
SEQ2EXP_WEIGHTS, SEQ2EXP_THRESHOLDS = (0.4, 0.4, 0.2), (1.5, 0.2, 1.0)

RULE = "signal rule"


def tracks_of(names: Sequence[str]) -> list[int]:
    """Which of the signals are tracks: contacts, which say where a bin lies and not what it does, are none."""
    return [number for number, name in enumerate(names) if name != CONTACT]


def track_rankings(signals: NDArray[np.floating], statistics: DataStatistics) -> dict[str, NDArray[np.float32]]:
    """Scores (R, N) of bins by :func:`signal_rule` (:data:`RULE`) and by each track (its name), without contacts.

    Parameters
    ----------
    signals : array (R, N, T + K)
        Tracks, and contacts where the data have them, as ``statistics`` names them.
    statistics : DataStatistics
        Of the training windows, whose high quantiles are the thresholds of the rule.

    Returns
    -------
    dict of str to float32 array (R, N)
        Empty without tracks.
    """
    tracks = tracks_of(statistics.track_names)
    if not tracks:
        return {}
    rule = signal_rule(signals[..., tracks], statistics.high_quantile()[tracks])
    single = {statistics.track_names[number]: np.asarray(signals[..., number], np.float32) for number in tracks}
    return {RULE: rule, **single}


def signal_rule(
    signals: NDArray[np.floating],
    high: NDArray[np.floating] | Sequence[float],
    weights: Sequence[float] | None = None,
) -> NDArray[np.float32]:
    """The fixed rule a selector must beat: the weighted mean over tracks of signal / threshold; 1 is at threshold.

    Parameters
    ----------
    signals : array (R, N, T)
    high : array (T,)
        Threshold of each track: a high quantile of the training windows.
    weights : sequence of T floats, optional
        Equal by default.

    Returns
    -------
    float32 array (R, N)
        Zero throughout without tracks.

    Notes
    -----
    Source: the rule that the released hard selector of Su et al. 2025 comes close to, with thresholds taken from the
    training split. :func:`seq2exp_rule` is that rule with its own constants.
    """
    num_tracks = signals.shape[-1]
    shares = np.ones(num_tracks) if weights is None else np.asarray(weights, np.float64)
    if len(np.asarray(high)) != num_tracks or shares.shape != (num_tracks,) or (shares < 0).any():
        raise DataError(
            f"{len(np.asarray(high))} thresholds, weights {weights}", expected=f"one per track, {num_tracks}"
        )
    if num_tracks == 0 or not shares.any():
        return np.zeros(signals.shape[:-1], dtype=np.float32)
    relative = np.nan_to_num(signals).astype(np.float64) / np.maximum(np.asarray(high, np.float64), 1e-6)
    return np.asarray(relative @ (shares / shares.sum()), dtype=np.float32)


def seq2exp_rule(signals: NDArray[np.floating]) -> NDArray[np.float32]:
    """0.4 H3K27ac + 0.4 DNase + 0.2 log10(1 + Hi-C), minus the same mixture of their thresholds; above 0 is selected.

    Parameters
    ----------
    signals : array (R, N, 3) or (R, N, 2)
        H3K27ac, DNase and, where there is a third, log10(1 + contacts with the TSS), in the units of the published
        tracks. Without contacts the other two share their weight.
    """
    num = signals.shape[-1]
    if num not in (2, 3):
        raise DataError(f"{num} tracks", expected="H3K27ac, DNase and possibly log10(1 + Hi-C contacts)")
    weights = np.array(SEQ2EXP_WEIGHTS[:num]) / sum(SEQ2EXP_WEIGHTS[:num])
    over = np.nan_to_num(signals).astype(np.float64) - np.array(SEQ2EXP_THRESHOLDS[:num])
    return np.asarray(over @ weights, dtype=np.float32)
