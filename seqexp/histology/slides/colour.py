"""From the samples a file stores to the colours a viewer shows: 8-bit RGB on white."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

# Raised whenever a file may be read in other colours than before: what was computed of it is then made anew.
COLOURS_VERSION = 2

Model = Literal["grey", "rgb", "palette", "cmyk", "ycbcr", "lab"]
NUM_COLOURS: dict[Model, int] = {"grey": 1, "rgb": 3, "palette": 1, "cmyk": 4, "ycbcr": 3, "lab": 3}


@dataclass(frozen=True)
class SampleFormat:
    """What the samples of a pixel mean.

    Parameters
    ----------
    model : str
        What the first samples are.
    white : int
        Highest value of a sample: 255, 65535, 4095 where 12 bits are stored in 16, 1 where a pixel is a bit.
    alpha : int or None
        Sample that says how opaque a pixel is.
    is_premultiplied : bool
        Colours are stored as they look on black.
    is_inverted : bool
        Of grey and inks: 0 is white.
    palette : uint8 array (K, 3), optional
    """

    model: Model = "rgb"
    white: int = 255
    alpha: int | None = None
    is_premultiplied: bool = False
    is_inverted: bool = False
    palette: NDArray[np.uint8] | None = None

    @property
    def is_plain(self) -> bool:
        """Stored as it is shown."""
        return self.model == "rgb" and self.white == 255 and self.alpha is None

    def to_rgb(self, samples: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Colours (H, W, 3) of samples (H, W, S), transparent ones mixed with white."""
        if self.is_plain:
            return samples[:, :, :3]  # type: ignore[return-value]
        colours = samples[:, :, : NUM_COLOURS[self.model]]
        if self.model == "palette":
            assert self.palette is not None
            rgb = self.palette[np.minimum(colours[:, :, 0].astype(np.int64), len(self.palette) - 1)]
        elif self.model in ("grey", "rgb"):
            rgb = np.broadcast_to(self._scaled(colours, self.is_inverted), (*colours.shape[:2], 3))
        else:
            rgb = _converted(self._scaled(colours, self.is_inverted), self.model)
        if self.alpha is None:
            return rgb
        return _on_white(rgb, self._scaled(samples[:, :, self.alpha, None]), self.is_premultiplied)

    def _scaled(self, samples: NDArray[np.generic], is_inverted: bool = False) -> NDArray[np.uint8]:
        if self.white == 255 and samples.dtype == np.uint8:
            return 255 - samples if is_inverted else samples  # type: ignore[return-value,operator]
        table = 255 - self._table if is_inverted else self._table
        return table[np.minimum(samples.astype(np.uint16), self.white)]

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        return np.rint(np.arange(self.white + 1) * (255 / self.white)).astype(np.uint8)


def _on_white(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], is_premultiplied: bool) -> NDArray[np.uint8]:
    opaque = alpha.astype(np.uint16)
    if is_premultiplied:
        return np.minimum(rgb + (255 - opaque), 255).astype(np.uint8)
    # 255² fits: both products are at most 255 * 255 and sum to no more
    return ((rgb * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)


def _converted(values: NDArray[np.uint8], model: Model) -> NDArray[np.uint8]:
    """CMYK, YCbCr and CIELAB (a and b signed, as TIFF stores them) as Pillow shows them."""
    name = {"cmyk": "CMYK", "ycbcr": "YCbCr", "lab": "LAB"}[model]
    size = (values.shape[1], values.shape[0])
    image = Image.frombytes(name, size, np.ascontiguousarray(values).tobytes(), "raw", name)
    if model == "lab":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
        assert converted is not None
        image = converted
    return np.asarray(image.convert("RGB"))
