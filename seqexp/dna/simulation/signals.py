"""Epigenomic tracks: fragments drawn from a noisy background and from open elements, piled up per base."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seqexp.dna.simulation.config import SimulationConfig
from seqexp.dna.simulation.layout import Element, Layout

Fragments = dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
REGION_BP = 5_000


def draw_fragments(
    layout: Layout, config: SimulationConfig, rng: np.random.Generator, *, is_broad: bool = False
) -> Fragments:
    """Sorted fragments (starts, ends) per chromosome, as an ATAC or, with ``is_broad``, a histone experiment gives.

    The background rate varies from region to region. A histone mark lies on the nucleosomes on both sides of the
    open element, is wider, and has its own height.
    """
    by_chrom: dict[str, list[Element]] = {chrom: [] for chrom in layout.chrom_sizes}
    for element in layout.elements:
        if element.is_open:
            by_chrom[element.chrom].append(element)
    fragments = {}
    for chrom, size in layout.chrom_sizes.items():
        num_regions = -(-size // REGION_BP)
        rates = config.background_per_kb / 1000 * REGION_BP * rng.lognormal(-0.045, 0.3, num_regions)
        regions = np.repeat(np.arange(num_regions), rng.poisson(rates))
        middles = [regions * REGION_BP + rng.integers(0, REGION_BP, len(regions))]
        middles += [_peak(element, config, rng, is_broad) for element in by_chrom[chrom]]
        middle = np.concatenate(middles)
        length = rng.integers(60, 181, len(middle))
        start = np.clip(middle - length // 2, 0, size - 1)
        end = np.minimum(start + length, size)
        order = np.lexsort((end, start))
        fragments[chrom] = (start[order], end[order])
    return fragments


def _peak(element: Element, config: SimulationConfig, rng: np.random.Generator, is_broad: bool) -> NDArray[np.int64]:
    """Fragment middles of one open element."""
    height = config.peak_fragments * rng.lognormal(0, config.peak_spread) * (1.5 if is_broad else 1.0)
    number = int(rng.poisson(height))
    width = element.end - element.start
    offset = rng.normal(0, width / 3.5, number)
    if is_broad:
        offset = offset * 1.5 + rng.choice([-1, 1], number) * (width / 2 + 60)
    return (element.centre + offset).astype(np.int64)


def pile_up(starts: NDArray[np.int64], ends: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """Fragments over every base of a chromosome; float32 (L,)."""
    change = np.bincount(starts, minlength=size + 1) - np.bincount(ends, minlength=size + 1)
    return change[:size].cumsum().astype(np.float32)
