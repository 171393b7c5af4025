"""Where a comparison looks: windows that both sides were asked about, and how they were found."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.dna.elements.gene_names import genes_of, unversioned
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap
from seqexp.dna.genome.regions import IntervalIndex, read_bed

WINDOWS_FILE = "windows.bed"
_TILE_BP = 1_000_000
_ASKED = re.compile(r"^# seqexp elements windows=(?P<file>\S+) num_windows=(?P<num>\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Places:
    """Windows to compare in.

    Attributes
    ----------
    windows : tuple of Interval
        Cut at the ends of their chromosomes.
    gene_ids : tuple of str
        Of each window: its gene, or a name of its own.
    told : str
        Which they are, for the reader.
    chroms : tuple of str
        Names of all chromosomes that could hold one.
    splits : tuple of str, optional
        Split of each gene.
    """

    windows: tuple[Interval, ...]
    gene_ids: tuple[str, ...]
    told: str
    chroms: tuple[str, ...]
    splits: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.windows)

    @classmethod
    def of_masks(cls, masks: BinScores, told: str) -> Places:
        """The windows of masks, as far as they lie on their chromosomes."""
        rows = range(len(masks))
        sizes = [masks.chrom_sizes[window.chrom] for window in masks.windows]
        cut = [replace(w, start=max(w.start, 0), end=min(max(w.end, 0), size)) for w, size in zip(masks.windows, sizes)]
        rows_inside = [row for row in rows if cut[row].width > 0]
        return cls(
            tuple(cut[row] for row in rows_inside),
            tuple(masks.gene_ids[row] for row in rows_inside),
            told,
            tuple(masks.chrom_sizes),
            None if masks.splits is None else tuple(masks.splits[row] for row in rows_inside),
        )

    def select(self, is_kept: Collection[bool], told: str) -> Places:
        """Some of the windows."""
        rows = np.flatnonzero(np.asarray(list(is_kept), dtype=bool)).tolist()
        windows, names = (tuple(of[row] for row in rows) for of in (self.windows, self.gene_ids))
        splits = None if self.splits is None else tuple(self.splits[row] for row in rows)
        return Places(windows, names, told, self.chroms, splits)  # type: ignore[arg-type]

    def within(self, asked: Places) -> Places:
        """Those windows that lie whole inside others; of genes that both name, inside the window of the same gene.

        Raises
        ------
        DataError
            There is none.
        """
        own = {name: window for window, name in zip(asked.windows, asked.gene_ids)}
        known = NameMap(asked.chroms)
        frames = [_frame(places.windows) for places in (self, asked)]
        covered = IntervalIndex(frames[1]).covered(frames[0])
        is_inside = list(covered == (frames[0]["end"] - frames[0]["start"]).to_numpy())
        if set(self.gene_ids) & set(own):
            is_inside = [
                name in own and known.find(window.chrom) == own[name].chrom and _contains(own[name], window)
                for window, name in zip(self.windows, self.gene_ids)
            ]
        if not any(is_inside):
            raise DataError(
                f"no window of {self.told} was looked at in the other side's run",
                where=asked.told,
                expected="windows that the elements of both sides were looked for in",
            )
        if all(is_inside):
            return self
        return self.select(is_inside, f"{self.told}, those of them that are in {asked.told}")

    def of_named_splits(self, names: pd.Series) -> Places:
        """The windows of the splits that named elements are in, where splits are known and every name is a gene's."""
        plain = unversioned(pd.Series(self.gene_ids, dtype=str))
        genes = set(genes_of(names, plain))
        if self.splits is None or not genes <= set(plain):
            return self
        named = {split for split, name in zip(self.splits, plain) if name in genes}
        if named == set(self.splits):
            return self
        told = f"{self.told}, split {' and '.join(sorted(named))}: no other gene has an element"
        return self.select([split in named for split in self.splits], told)


def read_places(path: str | Path) -> Places:
    """Windows of a BED file and their gene ids: the names, or ``chrom:start-end`` where there are none.

    Raises
    ------
    DataError
        The file is unreadable or empty, or a name comes twice.
    """
    frame = read_bed(path)
    windows = tuple(Interval(str(c), int(s), int(e)) for c, s, e in zip(frame["chrom"], frame["start"], frame["end"]))
    names = tuple(map(str, windows)) if "name" not in frame else tuple(frame["name"].astype(str))
    if not names or len(set(names)) != len(names):
        twice = next((name for name in names if names.count(name) > 1), "")
        found = f"window {twice!r} comes twice" if names else "no windows"
        raise DataError(found, where=path, expected="at least one window, each with a name of its own")
    return Places(windows, names, str(path), tuple(dict.fromkeys(window.chrom for window in windows)))


def asked_places(elements_path: str | Path) -> Places | None:
    """The windows that ``seqexp elements`` looked at, from the file that the first lines of its elements name.

    Raises
    ------
    DataError
        That file is missing or holds another number of windows.
    """
    match = _ASKED.search(_head(Path(elements_path)))
    if match is None:
        return None
    file = Path(elements_path).with_name(match["file"])
    if not file.is_file():
        raise DataError(
            "the windows of the elements are missing",
            where=file,
            expected="the file that seqexp elements wrote beside them",
            fix=f"keep it beside {Path(elements_path).name}, or remove the first line of the elements",
        )
    places = read_places(file)
    if len(places) != int(match["num"]):
        raise DataError(
            f"{len(places)} windows", where=file, expected=f"{match['num']}, as {Path(elements_path).name} says"
        )
    return places


def windows_comment(num_windows: int) -> str:
    """The line that :func:`asked_places` finds."""
    return f"seqexp elements windows={WINDOWS_FILE} num_windows={num_windows}"


def tiles(elements: pd.DataFrame, peaks: pd.DataFrame) -> Places:
    """Windows of 1 Mb on every chromosome that both sides have, from its start to the last interval on it.

    A chromosome of one side only was most likely not looked at on the other; it would eat up the budget. Names are
    those of the elements, peaks may use aliases.
    """
    partner = NameMap(peaks["chrom"].astype(str).unique())
    last = peaks.groupby("chrom")["end"].max()
    windows: list[Interval] = []
    for chrom, end in elements.groupby("chrom")["end"].max().items():
        other = partner.find(str(chrom))
        if other is not None:
            stop = int(max(end, last[other]))
            steps = range(0, stop, _TILE_BP)
            windows += [Interval(str(chrom), start, min(start + _TILE_BP, stop)) for start in steps]
    chroms = tuple(dict.fromkeys(window.chrom for window in windows))
    told = f"tiles of 1 Mb on the {len(chroms)} chromosomes that both sides have"
    return Places(tuple(windows), tuple(map(str, windows)), told, chroms)


def _head(path: Path) -> str:
    """The first lines of a text file, plain or gzip; nothing where it cannot be read, which its reader will tell."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8", errors="replace") as handle:
            return handle.read(4096)
    except (OSError, EOFError, zlib.error):
        return ""


def _frame(windows: tuple[Interval, ...]) -> pd.DataFrame:
    return pd.DataFrame([(w.chrom, w.start, w.end) for w in windows], columns=["chrom", "start", "end"])


def _contains(outer: Interval, inner: Interval) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end
