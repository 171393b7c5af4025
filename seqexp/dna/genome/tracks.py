"""Signals along the genome: windows of several bigWig tracks, binned, with a stated policy for missing values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.bigwig import BigWig, Summary, open_bigwig
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap, name_key

Missing = Literal["zero", "nan", "error"]
Aggregate = Literal["mean", "max", "sum"]


class TrackSet:
    """Random access to several bigWig files as one table of signals.

    Parameters
    ----------
    paths : mapping
        Track name to bigWig file; the order is the order of the last axis. May be empty.
    missing : {"zero", "nan", "error"}
        What a base without a value is: zero signal, NaN, or an error. Bases outside the chromosome, and
        chromosomes that one track does not list, are missing values too.

    Attributes
    ----------
    names : tuple of str
        Track names.
    chrom_sizes : dict
        Length in bp of every chromosome that at least one track lists.

    Raises
    ------
    DataError
        A file is missing, is not a bigWig, is cut short, or was made on another assembly than the others.

    Notes
    -----
    Objects can be pickled and used after a fork.
    """

    def __init__(self, paths: Mapping[str, str | Path], missing: Missing = "zero") -> None:
        if missing not in get_args(Missing):
            raise ConfigError(f"missing: {missing!r}", expected="one of zero, nan, error")
        self.paths = {name: Path(path) for name, path in paths.items()}
        self.names = tuple(self.paths)
        self.missing = missing
        self._handles: list[BigWig] = []
        sizes = [handle.chroms() for handle in self._open()]
        self._sizes: dict[str, dict[str, int]] = dict(zip(self.names, sizes))
        self._maps = [NameMap(of_track) for of_track in sizes]
        self.chrom_sizes = self._union()

    def values(self, interval: Interval, bin_bp: int = 1, agg: Aggregate = "mean") -> NDArray[np.float32]:
        """Signals of a window.

        Parameters
        ----------
        interval : Interval
            May reach beyond the chromosome. Strand ``-`` turns the window round: the first bin is the one of highest
            coordinates.
        bin_bp : int
            Width of a bin; must divide the width of the window.
        agg : {"mean", "max", "sum"}
            How the bases of a bin are summarised, exactly and in float64. Under the policy ``nan`` only bases with
            a value count, and a bin without any is NaN; under ``zero`` a base without a value counts as 0.

        Returns
        -------
        float32 array (N, T)
            ``N = width / bin_bp`` bins of T tracks.

        Raises
        ------
        DataError
            A value is missing and the policy is ``error``; a file cannot be read.
        ConfigError
            The width is not a multiple of ``bin_bp``, or ``agg`` is unknown.
        """
        if bin_bp < 1 or interval.width % bin_bp:
            raise ConfigError(
                f"a window of {interval.width} bp cannot be cut into bins of {bin_bp} bp",
                where=str(interval),
                expected="a window width that is a multiple of bin_bp",
            )
        if agg not in get_args(Aggregate):
            raise ConfigError(f"agg: {agg!r}", expected="one of mean, max, sum")
        signals = np.empty((interval.width // bin_bp, len(self.names)), dtype=np.float32)
        for track, handle in enumerate(self._open()):
            bases = self._bases(track, handle, interval)
            bins = bases if bin_bp == 1 else summarise(bases.reshape(-1, bin_bp), agg, self.missing)
            signals[:, track] = bins[::-1] if interval.is_reverse else bins
        return signals

    def close(self) -> None:
        """Close the files; the next read opens them again."""
        for handle in self._handles:
            handle.close()
        self._handles = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handles": []}

    def __repr__(self) -> str:
        return f"TrackSet({', '.join(self.names) or 'no tracks'}; missing={self.missing})"

    def sizes_of(self, name: str) -> dict[str, int]:
        """Chromosome lengths in bp in the header of one track."""
        return dict(self._sizes[name])

    def only(self, name: str) -> TrackSet:
        """One of the tracks by itself."""
        return TrackSet({name: self.paths[name]}, self.missing)

    def chroms_with_values(self, name: str) -> list[str]:
        """Chromosomes, under the names of the track, on which it has a value at all."""
        return self._open()[self.names.index(name)].chroms_with_values()

    def summary(self, name: str) -> Summary:
        """Bases with a value, least and largest value of one track; see :meth:`BigWig.summary`."""
        return self._open()[self.names.index(name)].summary()

    def _open(self) -> list[BigWig]:
        if not self._handles:
            self._handles = [open_bigwig(path) for path in self.paths.values()]
        return self._handles

    def _union(self) -> dict[str, int]:
        union: dict[str, int] = {}
        owner: dict[str, str] = {}
        by_key: dict[str, str | None] = {}  # None: two names of one file share the key, and only exact names count
        for name in self.names:
            added = []
            for chrom, size in self._sizes[name].items():
                known = chrom if chrom in union else by_key.get(name_key(chrom))
                if known is None:
                    union[chrom], owner[chrom] = size, name
                    added.append(chrom)
                elif union[known] != size:
                    raise DataError(
                        f"{chrom} has {size} bp in track {name} and {union[known]} bp in track {owner[known]}",
                        where=self.paths[name],
                        expected="tracks of one assembly",
                        fix="lift the track over, or use the file made on the same assembly",
                    )
            for chrom in added:
                key = name_key(chrom)
                by_key[key] = None if key in by_key else chrom
        return union

    def _bases(self, track: int, handle: BigWig, interval: Interval) -> NDArray[np.float32]:
        """Values per base (L,) in forward orientation, missing values by policy."""
        name = self.names[track]
        chrom = self._maps[track].find(interval.chrom)
        size = 0 if chrom is None else self._sizes[name][chrom]
        start, end = max(interval.start, 0), min(interval.end, size)
        found = handle.values(chrom, start, end) if chrom is not None and start < end else None
        if found is not None and end - start == interval.width:
            bases = found
        else:
            bases = np.full(interval.width, np.nan, dtype=np.float32)
            if found is not None:
                bases[start - interval.start : end - interval.start] = found
        if self.missing == "zero":
            np.copyto(bases, 0, where=np.isnan(bases))
        elif self.missing == "error" and np.isnan(bases).any():
            first = interval.start + int(np.argmax(np.isnan(bases)))
            raise DataError(
                f"track {name} has no value for {int(np.isnan(bases).sum())} of {interval.width} bases",
                where=f"{interval}, first at {interval.chrom}:{first}, in {self.paths[name]}",
                expected="a value for every base, because missing is 'error'",
                fix="set missing: zero or missing: nan",
            )
        return bases


def summarise(bins: NDArray[np.float32], agg: Aggregate, missing: str) -> NDArray[np.float64]:
    """Bins (N, bin_bp) to one value each (N,), in float64; under ``nan`` of the bases that have one."""
    if missing != "nan" or not np.isnan(bins).any():
        if agg == "max":
            return bins.max(axis=1).astype(np.float64)
        total = bins.sum(axis=1, dtype=np.float64)
        return total / bins.shape[1] if agg == "mean" else total
    is_present = ~np.isnan(bins)
    counts = is_present.sum(axis=1)
    if agg == "max":
        result = np.where(is_present, bins, -np.inf).max(axis=1).astype(np.float64)
    else:
        result = np.where(is_present, bins, 0).sum(axis=1, dtype=np.float64)
    if agg == "mean":
        result /= np.maximum(counts, 1)
    result[counts == 0] = np.nan
    return result
