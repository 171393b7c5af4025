"""What a model reads of each spot: pixels at one scale, features at several."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import nn

from seqexp.core.errors import ConfigError
from seqexp.histology.loaders.cache import SpotArray, SpotCache
from seqexp.histology.loaders.handmade import colour_features, texture_features
from seqexp.histology.slides import Slide, SlideSet, SpotTable

Maker = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

PATCH_PX = 224
ENCODER_BATCH = 32
# Widths of patches, in multiples of PATCH_PX pixels at full resolution, and how wide they are read.
SCALES = {"colour": ((1.0, PATCH_PX),), "texture": ((0.5, 112), (1.0, 112), (2.0, 112), (4.0, 112))}
_MAKERS: dict[str, Maker] = {"colour": colour_features, "texture": texture_features}
_VERSION = 1  # raise when a feature changes: what was cached before is then not used
FEATURES = ("none", *_MAKERS)


def read_patches(
    cache: SpotCache, spots: SpotTable, slides: Mapping[str, Slide], side_px: int, *, side_um: float | None
) -> SpotArray:
    """Patches of all spots, uint8 (S, P, P, 3); ``side_um`` None: as wide as 224 px at full resolution."""

    def compute(slide: Slide, centres: NDArray[np.float64]) -> NDArray[np.uint8]:
        return slide.read_patches_um(centres, side_um or PATCH_PX * slide.mpp, side_px)

    return cache.get("patches", {"side_um": side_um, "side_px": side_px}, spots, slides, compute=compute)


def read_features(cache: SpotCache, spots: SpotTable, slides: Mapping[str, Slide], kind: str) -> NDArray[np.float32]:
    """Hand-made features of all spots (S, F), all scales side by side.

    Raises
    ------
    ConfigError
        No features of that name.
    """
    if kind not in FEATURES:
        raise ConfigError(f"features: {kind!r}", where="data", expected="one of: " + ", ".join(FEATURES))
    if kind == "none":
        return np.zeros((len(spots), 0), np.float32)
    parts = []
    for factor, side_px in SCALES[kind]:

        def compute(slide: Slide, centres: NDArray[np.float64], f: float = factor, p: int = side_px) -> NDArray[Any]:
            return _MAKERS[kind](slide.read_patches_um(centres, f * PATCH_PX * slide.mpp, p))

        settings = {"factor": factor, "side_px": side_px, "version": _VERSION}
        values = cache.get(f"{kind}-{factor:g}x", settings, spots, slides, compute=compute)
        parts.append(values[np.arange(len(spots))])
    return np.concatenate(parts, axis=1)


def encoder_features(
    cache: SpotCache,
    spots: SpotTable,
    slides: Mapping[str, Slide],
    encoder: nn.Module,
    *,
    side_px: int,
    side_um: float | None,
    progress: Callable[[int], None] = lambda num_spots: None,
) -> NDArray[np.float32]:
    """Features (S, D) of a frozen patch encoder, cached under the hash of its weights.

    Parameters
    ----------
    encoder : nn.Module
        Pixels (B, 3, P, P) from 0 to 1 to (B, D).
    progress : callable
        Told the number of spots done, batch by batch.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def compute(slide: Slide, centres: NDArray[np.float64]) -> NDArray[np.float32]:
        encoder.to(device).eval()
        parts = []
        for first in range(0, len(centres), ENCODER_BATCH):
            batch = centres[first : first + ENCODER_BATCH]
            patches = torch.from_numpy(slide.read_patches_um(batch, side_um or PATCH_PX * slide.mpp, side_px))
            with torch.inference_mode():
                parts.append(
                    encoder(rearrange(patches.to(device), "b h w c -> b c h w").float() / 255).float().cpu().numpy()
                )
            progress(len(batch))
        return np.concatenate(parts)

    settings = {"weights": weights_hash(encoder), "side_px": side_px, "side_um": side_um, "augmentation": "none"}
    name = f"encoder-{type(encoder).__name__}"
    return cache.get(name, settings, spots, slides, compute=compute)[np.arange(len(spots))]


def weights_hash(module: nn.Module) -> str:
    """Identity of an encoder: its architecture as torch prints it, and every weight."""
    digest = hashlib.sha256(repr(module).encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def scaled_by_slide(features: NDArray[np.float32], slide: NDArray[np.int64]) -> NDArray[np.float32]:
    """Features with mean 0 and standard deviation 1 on every slide: stain and scanner differ between slides.

    Uses the images of a slide as a whole, also of a test slide; no expression.
    """
    out = np.empty_like(features)
    for number in np.unique(slide):
        rows = slide == number
        out[rows] = (features[rows] - features[rows].mean(0)) / (features[rows].std(0) + 1e-6)
    return out


def cache_of(slides: SlideSet, folder: Path | None) -> SpotCache:
    """The cache of a data set: ``cache`` beside its ``slides.yaml``, unless a folder is given."""
    return SpotCache(folder or Path(slides.spec.path).parent / "cache")
