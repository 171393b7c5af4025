"""Tracks behind the recipe steps: copy ratio of a segment, and a track scaled inside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.bigwig import open_bigwig
from seqexp.dna.genome.bigwig_writer import open_writer


def parse_segment(text: str) -> tuple[str, int, int]:
    """``chrom:start-end`` as chromosome, start and end (0-based, half-open)."""
    chrom, _, bounds = text.rpartition(":")
    start, _, end = bounds.replace(",", "").partition("-")
    if not chrom or not start.isdigit() or not end.isdigit() or int(start) >= int(end):
        raise ConfigError(f"not a segment: {text!r}", expected="chrom:start-end with start < end")
    return chrom, int(start), int(end)


def copy_ratio(path: Path, amplified: str, reference: list[str]) -> float:
    """Median value of the intervals of a bigWig in one segment, over the median in the reference segments."""
    inside = np.median(_values(path, [amplified]))
    outside = np.median(_values(path, reference))
    if not (outside > 0 and inside > 0):
        raise DataError(f"median signal {inside} against {outside}", where=path, expected="signal in all segments")
    return float(inside / outside)


def scale_track(path: Path, output: Path, segment: str, factor: float) -> None:
    """Copy a bigWig, with the values of intervals centred inside ``segment`` (0-based, half-open) times ``factor``."""
    name, start, end = parse_segment(segment)
    source = open_bigwig(path)
    try:
        sizes = source.chroms()
        with open_writer(output, sizes) as writer:
            for chrom in sizes:
                starts, ends, values = source.intervals(chrom, 0, sizes[chrom])
                centre = (starts + ends) // 2
                is_inside = (chrom == name) & (centre >= start) & (centre < end)
                writer.add(chrom, starts, ends, np.where(is_inside, values.astype(np.float64) * factor, values))
    finally:
        source.close()


def _values(path: Path, segments: list[str]) -> np.ndarray:
    source = open_bigwig(path)
    try:
        parts = []
        for segment in segments:
            chrom, start, end = parse_segment(segment)
            if chrom not in source.chroms():
                raise DataError(f"no chromosome {chrom}", where=path, expected=", ".join(source.chroms()))
            parts.append(source.intervals(chrom, start, min(end, source.chroms()[chrom])).values)
    finally:
        source.close()
    found = np.concatenate(parts)
    if not found.size:
        raise DataError(f"no signal in {', '.join(segments)}", where=path, expected="intervals with values")
    return found
