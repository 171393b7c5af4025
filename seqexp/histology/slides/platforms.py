"""What a spot of each platform is: distance between centres, diameter, grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seqexp.core.errors import by_name

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
    bins_um : tuple of float
        Widths of bins that are usual where there is no one pitch.
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
    bins_um: tuple[float, ...] = ()

    def nearest_pitch_um(self, found_um: float) -> float | None:
        """The pitch of the platform, or the usual bin that is nearest by ratio; None without either."""
        if self.pitch_um is not None or not self.bins_um:
            return self.pitch_um
        return min(self.bins_um, key=lambda bin_um: max(bin_um / found_um, found_um / bin_um))


PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform("ST", 200.0, 100.0, "square", is_mirrored=False),
        Platform("Visium", 100.0, 55.0, "hex", is_mirrored=False),
        Platform("VisiumHD", None, None, "square", bins_um=(2.0, 8.0, 16.0)),
        Platform("Xenium", None, None, "none"),
        Platform("other", None, None, "none"),
    )
}


def platform_of(name: str) -> Platform:
    """Platform by name; another name is a ConfigError."""
    return by_name(PLATFORMS, name, "platform")
