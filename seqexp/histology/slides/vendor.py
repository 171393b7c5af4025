"""Whole-slide images of scanners, read by OpenSlide."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seqexp.core.errors import DataError
from seqexp.core.optional import require
from seqexp.histology.slides.image_file import Level, corrupt
from seqexp.histology.slides.scale import Stated, microns_of


class VendorSlide:
    """A slide in the format of a scanner (SVS, NDPI, MIRAX, …). What was not scanned is white.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    DataError
        OpenSlide cannot read it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._openslide = require("openslide", "histology")
        self._opened: tuple[int, Any] | None = None
        slide = self._slide()
        sizes = zip(slide.level_dimensions, slide.level_downsamples, strict=True)
        self.levels = tuple(Level(width, height, float(scale)) for (width, height), scale in sizes)
        self.stated = _stated(
            slide.properties.get(self._openslide.PROPERTY_NAME_MPP_X),
            slide.properties.get(self._openslide.PROPERTY_NAME_MPP_Y),
        )

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> NDArray[np.uint8]:
        """Pixels (height, width, 3) of a rectangle inside a level.

        Raises
        ------
        DataError
            The region cannot be decoded.
        """
        scale = self.levels[level].downsample
        try:
            region = self._slide().read_region((round(x * scale), round(y * scale)), level, (width, height))
        except self._openslide.OpenSlideError as error:
            self._opened = None  # openslide refuses everything after its first error
            raise corrupt(self.path, error) from error
        white = Image.new("RGBA", region.size, "white")
        white.alpha_composite(region)
        return np.asarray(white.convert("RGB"))

    def _slide(self) -> Any:
        """The open file of this process."""
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                self._opened = (os.getpid(), self._openslide.OpenSlide(self.path))
            except self._openslide.OpenSlideUnsupportedFormatError as error:
                raise DataError(
                    "OpenSlide does not know this format",
                    where=self.path,
                    expected="a whole scanner file with all its parts",
                    fix="download it again, or export it as a tiled TIFF",
                ) from error
            except self._openslide.OpenSlideError as error:
                raise corrupt(self.path, error) from error
        return self._opened[1]


def _stated(x: str | None, y: str | None) -> Stated | None:
    told = f"openslide.mpp-x {x}" + ("" if y in (None, x) else f", openslide.mpp-y {y}")
    return Stated.read(told, lambda: tuple(None if text is None else microns_of(text) for text in (x, y)))  # type: ignore[arg-type,return-value]
