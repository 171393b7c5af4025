"""Scores of the bins of many windows, and where these lie on the genome; in memory and as ``masks.npz``.

With that file elements can be called and compared again without the model.

Everything per bin is in gene orientation: the first bin is the most upstream one. It is turned along the genome where
intervals and tracks are written (:mod:`seqexp.dna.elements.calling`, :meth:`BinScores.merged`), and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from seqexp.core.arrays import UNREADABLE
from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path
from seqexp.core.tables import MAX_POSITION_BP
from seqexp.dna.elements.merging import Combine, merge_windows
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import Resolved, resolve_names

_VERSION = 1
_ROUNDING = 1e-6  # a sigmoid in single precision may end a last digit beyond 1


def promoter_bins(num_bins: int, bin_bp: int, tss_bp: int, promoter_bp: int) -> NDArray[np.bool_]:
    """Bins (N,), in gene orientation, that touch the ``promoter_bp`` around the TSS."""
    starts = np.arange(num_bins) * bin_bp
    low, high = tss_bp - promoter_bp // 2, tss_bp + (promoter_bp + 1) // 2
    return (starts < high) & (starts + bin_bp > low) & (high > low)


@dataclass(frozen=True)
class BinScores:
    """One row of scores per gene window, such as the masks of a selector.

    Attributes
    ----------
    gene_ids : tuple of str
        R genes, each once.
    windows : tuple of Interval
        Window of each gene, with its strand; may reach beyond the chromosome.
    values : float32 array (R, N)
        Scores, in gene orientation.
    bin_bp : int
        Bases per bin.
    chrom_sizes : mapping
        Length of each chromosome in bp; bases outside are never kept.
    splits : tuple of str, optional
        Split of each gene.
    tss_offset_bp : int, optional
        Offset of the TSS base in every window, gene orientation.
    what : str
        What the values are. ``mask``: weights in [0, 1]; anything else, such as ``signal rule``: any number, ranked and
        called as masks are.
    unit : str
        Unit of the values, such as that of a track; masks and ranks have none.

    Raises
    ------
    DataError
        Shapes and widths do not fit together, a gene occurs twice, a value is not finite or a mask outside [0, 1],
        the length of a chromosome is not known, or a window or the TSS lies outside.
    """

    gene_ids: tuple[str, ...]
    windows: tuple[Interval, ...]
    values: NDArray[np.float32]
    bin_bp: int
    chrom_sizes: Mapping[str, int]
    splits: tuple[str, ...] | None = None
    tss_offset_bp: int | None = None
    what: str = "mask"
    unit: str = ""

    def __post_init__(self) -> None:
        widths = {window.width for window in self.windows}
        expected = self.values.shape[1] * self.bin_bp if self.values.ndim == 2 else -1
        lengths = {len(self.windows), len(self.gene_ids), len(self.splits or self.gene_ids)}
        if lengths != {len(self.values)} or widths - {expected} or self.bin_bp < 1:
            told = f"{len(self.windows)} windows of {sorted(widths)[:3]} bp"
            raise DataError(
                f"{self.what} values of shape {self.values.shape} for {told}",
                expected=f"one row per window, bins of {self.bin_bp} bp",
            )
        unknown = sorted({window.chrom for window in self.windows} - set(self.chrom_sizes))
        if unknown:
            raise DataError(f"chromosome {unknown[0]!r} has no known length", expected="names of the FASTA")
        self._require_places()
        if len(set(self.gene_ids)) < len(self.gene_ids):
            twice = next(name for name in self.gene_ids if self.gene_ids.count(name) > 1)
            raise DataError(f"gene {twice!r} has two windows", expected="one window per gene")
        if not np.isfinite(self.values).all():
            found = f"{int((~np.isfinite(self.values)).sum())} {self.what} values are not finite"
            raise DataError(found, expected="numbers")
        is_outside = (self.values < -_ROUNDING) | (self.values > 1 + _ROUNDING)
        if self.what == "mask" and is_outside.any():
            row = int(np.argmax(is_outside.any(axis=1)))
            raise DataError(
                f"{int(is_outside.sum())} mask values lie outside [0, 1]",
                where=f"gene {self.gene_ids[row]}: {self.values[row].min():.4g} to {self.values[row].max():.4g}",
                expected="masks in [0, 1], or a file that says what else it holds, as those of a benchmark do",
            )

    def _require_places(self) -> None:
        """Refuse lengths that no chromosome has, windows beside their chromosome and a TSS outside the windows."""
        for gene_id, window in zip(self.gene_ids, self.windows, strict=True):
            size = self.chrom_sizes[window.chrom]
            if not (0 < size <= MAX_POSITION_BP and window.start < size and window.end > 0):
                raise DataError(
                    f"window {window.start:,} to {window.end:,} on {window.chrom!r} of {size:,} bp",
                    where=f"gene {gene_id}",
                    expected="a window that touches its chromosome",
                )
        width = self.values.shape[1] * self.bin_bp
        if self.tss_offset_bp is not None and not 0 <= self.tss_offset_bp <= width:
            raise DataError(f"TSS at offset {self.tss_offset_bp:,}", expected=f"0 to {width:,}, inside the windows")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_reverse(self) -> NDArray[np.bool_]:
        """Which windows lie on the minus strand, (R,)."""
        return np.array([window.is_reverse for window in self.windows], dtype=bool)

    def turned(self, values: ArrayLike) -> NDArray[Any]:
        """Values (R, N, ...) of bins with the rows of minus-strand genes turned round.

        From gene orientation to the forward strand, for who writes intervals; or from there to gene orientation.
        """
        turned = np.array(values)
        turned[self.is_reverse] = turned[self.is_reverse, ::-1]
        return turned

    def with_values(self, values: ArrayLike, what: str, unit: str = "") -> BinScores:
        """The same windows with other scores (R, N), gene orientation."""
        return replace(self, values=np.asarray(values, np.float32), what=what, unit=unit)

    def resolve(self, table: pd.DataFrame, file: str | Path) -> Resolved:
        """A table of intervals under the chromosome names of the masks.

        Raises
        ------
        DataError
            No chromosome of the table is among those of the masks.
        """
        return resolve_names(table, self.chrom_sizes, file, "the genome of the masks")

    def starts(self) -> NDArray[np.int64]:
        """Lowest base of every bin (R, N) on the genome; may lie outside the chromosome."""
        first = np.array([window.start for window in self.windows], dtype=np.int64)
        offsets = np.arange(self.values.shape[1]) * self.bin_bp
        return first[:, None] + np.where(self.is_reverse[:, None], offsets[::-1], offsets)

    def widths(self) -> NDArray[np.int64]:
        """Bases of every bin (R, N) that lie on the chromosome."""
        starts = self.starts()
        sizes = np.array([self.chrom_sizes[window.chrom] for window in self.windows], dtype=np.int64)[:, None]
        return np.maximum(np.minimum(starts + self.bin_bp, sizes) - np.maximum(starts, 0), 0)

    def tss(self) -> NDArray[np.int64]:
        """Position of the TSS base of every window on the genome (R,); where it is not known, the middle."""
        width = self.values.shape[1] * self.bin_bp
        offset = width // 2 if self.tss_offset_bp is None else self.tss_offset_bp
        starts = np.array([window.start for window in self.windows], dtype=np.int64)
        return starts + np.where(self.is_reverse, width - 1 - offset, offset)

    def promoter(self, promoter_bp: int) -> NDArray[np.bool_]:
        """Bins (N,), gene orientation, that touch the ``promoter_bp`` bases around the TSS; the same for all genes.

        Raises
        ------
        DataError
            It is not known where the TSS lies.
        """
        if self.tss_offset_bp is None:
            raise DataError("the masks do not say where the TSS lies", expected="masks with a TSS offset")
        return promoter_bins(self.values.shape[1], self.bin_bp, self.tss_offset_bp, promoter_bp)

    def select(self, rows: ArrayLike) -> BinScores:
        """The masks of some genes, by row number."""
        chosen = np.asarray(rows, dtype=np.int64)
        names, windows = (tuple(of[row] for row in chosen.tolist()) for of in (self.gene_ids, self.windows))
        splits = None if self.splits is None else tuple(self.splits[row] for row in chosen.tolist())
        return replace(self, gene_ids=names, windows=windows, values=self.values[chosen], splits=splits)  # type: ignore[arg-type]

    def of_split(self, split: str) -> BinScores:
        """The masks of one split.

        Raises
        ------
        DataError
            The masks carry no splits, or no gene is in this one.
        """
        rows = [row for row, name in enumerate(self.splits or ()) if name == split]
        if not rows:
            known = ", ".join(sorted(set(self.splits or ()))) or "none: the masks carry no splits"
            raise DataError(f"no gene in split {split!r}", expected=f"one of {known}")
        return self.select(rows)

    def merged(self, combine: Combine = "max") -> pd.DataFrame:
        """One genome-wide track: chrom, start, end, value; clipped to the chromosomes, runs of equal value joined.

        Parameters
        ----------
        combine : {"max", "mean"}
            What a base covered by several windows gets.
        """
        starts = np.array([window.start for window in self.windows], dtype=np.int64)
        chroms = np.array([window.chrom for window in self.windows], dtype=object)
        return merge_windows(
            chroms, starts, self.turned(self.values), self.bin_bp, chrom_sizes=self.chrom_sizes, combine=combine
        )

    def save(self, path: str | Path) -> None:
        """Write everything as compressed npz, whole or not at all."""
        rows = {
            "gene_ids": np.array(self.gene_ids, dtype=np.str_),
            "chrom": np.array([w.chrom for w in self.windows], dtype=np.str_),
            "start": np.array([w.start for w in self.windows], dtype=np.int64),
            "end": np.array([w.end for w in self.windows], dtype=np.int64),
            "strand": np.array([w.strand for w in self.windows], dtype=np.str_),
        }
        if self.splits is not None:
            rows["splits"] = np.array(self.splits, dtype=np.str_)
        if self.tss_offset_bp is not None:
            rows["tss_offset_bp"] = np.array(self.tss_offset_bp, dtype=np.int64)
        sizes = {f"size:{name}": np.array(size, dtype=np.int64) for name, size in self.chrom_sizes.items()}
        rows |= {"version": np.array(_VERSION), "bin_bp": np.array(self.bin_bp), **sizes}
        rows |= {"what": np.array(self.what, dtype=np.str_), "unit": np.array(self.unit, dtype=np.str_)}
        with atomic_path(path) as temporary, open(temporary, "wb") as handle:
            np.savez_compressed(handle, values=self.values.astype(np.float32), **rows)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> BinScores:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            The file is missing, damaged, no mask file, or was written by another version.
        """
        expected = "masks.npz of a run"
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
                held = dict(content)
            if int(held["version"]) != _VERSION:
                raise DataError(f"masks of version {int(held['version'])}", where=path, expected=f"version {_VERSION}")
            place = (held[name].tolist() for name in ("chrom", "start", "end", "strand"))
            return cls(
                gene_ids=tuple(held["gene_ids"].tolist()),
                windows=tuple(Interval(*row) for row in zip(*place)),
                values=held["values"],
                bin_bp=int(held["bin_bp"]),
                chrom_sizes={k.removeprefix("size:"): int(v) for k, v in held.items() if k.startswith("size:")},
                splits=tuple(held["splits"].tolist()) if "splits" in held else None,
                tss_offset_bp=int(held["tss_offset_bp"]) if "tss_offset_bp" in held else None,
                what=str(held.get("what", "score" if held.get("is_score", False) else "mask")),  # earlier files say so
                unit=str(held.get("unit", "")),
            )
        except DataError as error:
            raise DataError(
                error.found, where=f"{path}: {error.where or 'all genes'}", expected=error.expected
            ) from error
        except FileNotFoundError as error:
            raise DataError("no such file", where=path, expected=expected) from error
        except KeyError as error:
            raise DataError(f"not a mask file: it holds no {error}", where=path, expected=expected) from error
        except UNREADABLE as error:
            raise DataError(f"not readable as masks: {error}", where=path, expected=expected) from error
