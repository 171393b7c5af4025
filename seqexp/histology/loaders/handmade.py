"""Features of a patch that need no training: colour, stain and texture statistics.

They are what a model of histology has to beat: a ridge regression on them is printed beside every model.
"""

from __future__ import annotations

from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

Floats = NDArray[np.float32]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BLURS = (1, 2, 4)  # of the texture, in pixels
STAINED = (0.3, 0.5, 0.7, 0.9)  # optical density of haematoxylin
GLASS = 215  # a pixel brighter than this in every channel shows no tissue
CHUNK = 32

# Optical densities of haematoxylin and eosin: Ruifrok and Johnston, "Quantification of histochemical staining by color
# deconvolution" (2001); the third row is what is left.
HEMATOXYLIN_EOSIN = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])


def stain_matrix() -> NDArray[np.float64]:
    """Unit optical densities (3, 3) of haematoxylin, eosin and the residual, one stain a row."""
    residual = np.cross(*HEMATOXYLIN_EOSIN)
    rows = np.vstack([HEMATOXYLIN_EOSIN, residual])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@overload
def optical_density(patches: NDArray[np.uint8]) -> Floats: ...


@overload
def optical_density(patches: Tensor) -> Tensor: ...


def optical_density(patches: NDArray[np.uint8] | Tensor) -> Floats | Tensor:
    """-ln((I + 1) / 256) of each 8-bit channel, 0 for white (Beer and Lambert), in float32."""
    if isinstance(patches, Tensor):
        return -torch.log((patches.float() + 1) / 256)
    return -np.log((patches.astype(np.float32) + 1) / 256)


def colour_features(patches: NDArray[np.uint8]) -> Floats:
    """Mean, standard deviation and quantiles of each colour (S, 21), in optical density."""
    values = optical_density(patches).reshape(len(patches), -1, 3)
    return _moments(values)


def texture_features(patches: NDArray[np.uint8]) -> Floats:
    """Colour, stain and texture (S, 110) of patches (S, P, P, 3).

    Five channels (optical density of red, green and blue; haematoxylin; eosin): moments and quantiles, what is left
    after blurs of three widths, their gradients, correlations between channels; shares of stained and bare area.
    """
    parts = [_texture(patches[first : first + CHUNK]) for first in range(0, len(patches), CHUNK)]
    return np.concatenate(parts) if parts else np.zeros((0, 110), np.float32)


def _texture(patches: NDArray[np.uint8]) -> Floats:
    density = optical_density(patches)
    stains = density @ np.linalg.inv(stain_matrix()).astype(np.float32)
    channels = np.concatenate([density, stains[..., :2]], axis=-1)
    flat = channels.reshape(len(patches), -1, 5)
    parts = [_moments(flat)]
    for blur in BLURS:
        smooth = ndimage.gaussian_filter(channels, (0, blur, blur, 0))
        rest = channels - smooth
        spread = rest.std((1, 2))
        edges = np.hypot(ndimage.sobel(smooth, 1), ndimage.sobel(smooth, 2))
        parts += [spread, np.abs(rest).mean((1, 2)) / (spread + 1e-6), edges.mean((1, 2)), edges.std((1, 2))]
    parts += [(stains[..., 0] > level).mean((1, 2))[:, None] for level in STAINED]
    parts.append((patches.min(-1) > GLASS).mean((1, 2))[:, None])
    parts.append(_correlations(flat))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _moments(values: Floats) -> Floats:
    """Mean, standard deviation and quantiles over pixels of (S, pixels, channels)."""
    parts = [values.mean(1), values.std(1), *np.quantile(values, QUANTILES, axis=1)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _correlations(values: Floats) -> Floats:
    """Correlation of each pair of channels over pixels; 0 where a channel is constant."""
    centred = values - values.mean(1, keepdims=True)
    covariance = np.einsum("npi,npj->nij", centred, centred) / values.shape[1]
    spread = np.sqrt(np.einsum("nii->ni", covariance))
    scaled = covariance / (spread[:, :, None] * spread[:, None] + 1e-9)
    first, second = np.triu_indices(values.shape[2], 1)
    return scaled[:, first, second]
