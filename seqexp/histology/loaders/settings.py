"""Settings of the data module that cannot be."""

from __future__ import annotations

from typing import Any, Protocol

from seqexp.core.errors import ConfigError
from seqexp.histology.slides import platform_of


class SpotSettings(Protocol):
    """What :class:`~seqexp.histology.loaders.data.SpotData` was asked for."""

    patch_px: int
    neighbourhood: int
    patch_um: float | None
    scale_features: str
    features_kind: str
    feature_encoder: Any


def check_settings(data: SpotSettings) -> None:
    """Refuse settings of :class:`SpotData` that cannot be."""
    for name, lowest in (("patch_px", 0), ("batch_size", 1), ("num_workers", 0), ("slides_per_batch", 0)):
        if getattr(data, name) < lowest:
            raise ConfigError(f"{name}: {getattr(data, name)}", where="data", expected=f"at least {lowest}")
    if data.neighbourhood and data.neighbourhood % 2 != 1:
        raise ConfigError(f"neighbourhood: {data.neighbourhood}", where="data", expected="0, or an odd side")
    if data.patch_um is not None and data.patch_um <= 0:
        raise ConfigError(f"patch_um: {data.patch_um}", where="data", expected="a width above 0")
    if data.scale_features not in ("slide", "train", "none"):
        raise ConfigError(f"scale_features: {data.scale_features!r}", expected="slide, train or none")
    if not data.patch_px and data.features_kind == "none" and data.feature_encoder is None:
        raise ConfigError("patch_px: 0 and features: none", where="data", expected="patches, features or both")


def require_square(platforms: Any) -> None:
    """Refuse blocks of an array whose rows and columns are no square grid."""
    for name in dict.fromkeys(platforms):
        if platform_of(name).grid != "square":
            raise ConfigError(
                f"neighbourhood on {name}, whose grid is {platform_of(name).grid}",
                where="data",
                expected="a platform with a square grid, such as ST",
                fix="neighbourhood: 0",
            )
