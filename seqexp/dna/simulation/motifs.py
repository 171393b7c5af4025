"""Transcription-factor motifs: random position weight matrices and sampled sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)


@dataclass(frozen=True)
class Motif:
    """A binding preference and what binding does.

    Attributes
    ----------
    name : str
    probabilities : float64 (W, C)
        Base probabilities per position, C = A, C, G, T.
    weight : float
        Effect of one site on log2 expression at distance 0; negative for a repressor.
    """

    name: str
    probabilities: NDArray[np.float64]
    weight: float

    @property
    def width(self) -> int:
        return len(self.probabilities)

    def sample(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """One site drawn from the matrix, forward strand; uint8 codes (W,)."""
        cumulative = self.probabilities.cumsum(axis=1)
        return (rng.random((self.width, 1)) > cumulative[:, :3]).sum(axis=1).astype(np.uint8)


def reverse_complement(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reverse complement of base codes (L,), A0 C1 G2 T3 other 4."""
    return COMPLEMENT[codes[::-1]]


def random_motif(name: str, width: int, weight: float, information: float, *, rng: np.random.Generator) -> Motif:
    """A motif whose positions carry on average ``information`` bits of 2.

    Every position has one preferred base with a Dirichlet remainder; the preference is drawn so that some
    positions are nearly fixed and some nearly free, as in catalogued motifs.
    """
    preferred = rng.integers(0, 4, width)
    sharpness = np.clip(rng.normal(information / 2, 0.15, width), 0.1, 0.97)
    probabilities = rng.dirichlet(np.ones(4), width) * (1 - sharpness[:, None]) * 0.6 + (1 - sharpness[:, None]) * 0.1
    probabilities[np.arange(width), preferred] += sharpness
    return Motif(name, probabilities / probabilities.sum(axis=1, keepdims=True), weight)
