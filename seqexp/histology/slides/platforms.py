"""What a spot of each platform is: distance between centres, diameter, grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seqexp.core.errors import ConfigError

Grid = Literal["square", "hex", "none"]


@dataclass(frozen=True)
class Platform:
    """Geometry of a platform.

    Parameters
    ----------
    name : str
        Name used in descriptions and tables.
    pitch_um, diameter_um : float or None
        Distance between the centres of neighbouring spots, and diameter of one; None where the data decide.
    grid : {"square", "hex", "none"}
        ``hex`` counts as the 10x files do: columns of one row differ by 2, those of the next row lie between them.
    is_mirrored : bool or None
        Whether the image shows the array as in a mirror; None where both occur. Visium HD images are taken of the
        slide that the tissue was moved from, face to face: most are mirror images.
    """

    name: str
    pitch_um: float | None
    diameter_um: float | None
    grid: Grid
    is_mirrored: bool | None = None


PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform("ST", 200.0, 100.0, "square", is_mirrored=False),
        Platform("Visium", 100.0, 55.0, "hex", is_mirrored=False),
        Platform("VisiumHD", None, None, "square"),
        Platform("Xenium", None, None, "none"),
        Platform("other", None, None, "none"),
    )
}


def platform_of(name: str) -> Platform:
    """Platform by name.

    Raises
    ------
    ConfigError
        No platform of that name.
    """
    if name not in PLATFORMS:
        raise ConfigError(f"unknown platform {name!r}", expected="one of: " + ", ".join(PLATFORMS))
    return PLATFORMS[name]
