"""Which genes train, validate and test, by chromosome or by segment, and the proof that no window is shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap, name_key
from seqexp.dna.genome.regions import IntervalIndex

SPLITS = ("train", "val", "test")
REST = "rest"


@dataclass(frozen=True)
class SplitSpec:
    """Description of a split.

    Parameters
    ----------
    by : {"chromosome", "segment"}
        Whether the lists name chromosomes or stretches ``chrom:start-end`` (0-based, half-open, matched by TSS).
    train, val, test : tuple of str
        Members of each split; ``train`` may be ``("rest",)``: everything not named elsewhere.
    exclude : tuple of str
        Chromosomes or segments left out of every split.

    Raises
    ------
    ConfigError
        A list is empty, ``rest`` stands outside ``train``, or a segment cannot be read.
    DataError
        Two lists overlap.
    """

    by: Literal["chromosome", "segment"]
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.by not in ("chromosome", "segment"):
            raise ConfigError(f"splits.by: {self.by!r}", expected="chromosome or segment")
        for name, members in self.members().items():
            if not members and name != "exclude":
                raise ConfigError(f"splits.{name} is empty", expected="at least one chromosome or segment")
            if REST in members and (name != "train" or len(members) > 1):
                raise ConfigError(f"splits.{name}: {list(members)}", expected="'rest' alone, and for train only")
        if self.by == "segment":
            self.segments()
        for first, second in combinations(self.members(), 2):
            shared = self._shared(first, second)
            if shared:
                raise DataError(
                    f"splits {first} and {second} overlap: {', '.join(dict.fromkeys(shared))}",
                    where="splits",
                    expected="every stretch of the genome in one split only",
                    fix=f"remove it from splits.{first} or splits.{second}",
                )

    def members(self) -> dict[str, tuple[str, ...]]:
        """The four lists by name."""
        return {"train": self.train, "val": self.val, "test": self.test, "exclude": self.exclude}

    def segments(self) -> dict[str, list[Interval]]:
        """The four lists as intervals (split by segment only)."""
        return {name: [Interval.parse(m) for m in members if m != REST] for name, members in self.members().items()}

    def _shared(self, first: str, second: str) -> list[str]:
        """Members of the first list that overlap with one of the second."""
        members = [member for member in self.members()[first] if member != REST]
        if self.by == "chromosome":
            keys = {name_key(member) for member in self.members()[second] if member != REST}
            return [member for member in members if name_key(member) in keys]
        rows = ((name_key(s.chrom), s.start, s.end) for s in self.segments()[second])
        others = IntervalIndex(pd.DataFrame(rows, columns=["chrom", "start", "end"]))
        own = [Interval.parse(member) for member in members]
        wanted = pd.DataFrame(((name_key(s.chrom), s.start, s.end) for s in own), columns=["chrom", "start", "end"])
        return [member for member, is_hit in zip(members, others.overlaps(wanted)) if is_hit]


@dataclass(frozen=True)
class LeakReport:
    """What the leak check found.

    Parameters
    ----------
    counts : mapping
        Genes per split, and under ``none`` those in no split.
    overlapping : mapping
        Pair of splits such as ``train/test`` to the number of windows of the first that share a base with the second.
    shared_genes : tuple of str
        Gene ids that occur in more than one split.
    shared_names : tuple of str
        Gene names that occur in more than one split under different ids: copies of a gene, told but allowed.
    """

    counts: Mapping[str, int]
    overlapping: Mapping[str, int] = field(default_factory=dict)
    shared_genes: tuple[str, ...] = ()
    shared_names: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """No window and no gene is shared, and no split is empty."""
        return not any(self.overlapping.values()) and not self.shared_genes and all(self.counts[s] for s in SPLITS)

    def render(self) -> str:
        """One line for a log or a report."""
        genes = ", ".join(f"{name} {self.counts[name]}" for name in (*SPLITS, "none"))
        named = f"; {len(self.shared_names)} gene names in several splits" if self.shared_names else ""
        return f"genes: {genes}; windows shared between splits: {sum(self.overlapping.values())}{named}"


def assign(genes: GeneTable, windows: pd.DataFrame, spec: SplitSpec) -> NDArray[np.str_]:
    """Split of every gene.

    Parameters
    ----------
    genes : GeneTable
        G genes.
    windows : DataFrame
        Their windows, ``genes.windows(upstream_bp, downstream_bp)``.
    spec : SplitSpec
        The split.

    Returns
    -------
    str array (G,)
        ``train``, ``val``, ``test`` or ``none``. A gene is placed by its TSS. Where windows of two splits overlap,
        which happens only between segments of one chromosome, a gene becomes ``none``: train gives way to val and test,
        val gives way to test.

    Raises
    ------
    DataError
        A named chromosome has no gene (a misspelt name, most often), or a split ends up empty.
    """
    labels = _by_chromosome(genes, spec) if spec.by == "chromosome" else _by_segment(genes, spec)
    for yielding, keeping in (("val", ("test",)), ("train", ("val", "test"))):
        kept = windows[np.isin(labels, keeping)]
        rows = np.flatnonzero(labels == yielding)
        labels[rows[IntervalIndex(kept).overlaps(windows.iloc[rows])]] = "none"
    _require_filled(_counts(labels))
    return labels


def in_a_split(genes: GeneTable, spec: SplitSpec) -> NDArray[np.bool_]:
    """Which genes have their TSS in train, val or test (G,), before windows are compared; no name is questioned."""
    labels = _by_chromosome(genes, spec, is_strict=False) if spec.by == "chromosome" else _by_segment(genes, spec)
    return labels != "none"


def check_leaks(genes: GeneTable, windows: pd.DataFrame, labels: NDArray[np.str_]) -> LeakReport:
    """Prove that no window and no gene is shared between splits.

    Parameters
    ----------
    genes, windows
        As for :func:`assign`.
    labels : str array (G,)
        Split of every gene.

    Raises
    ------
    DataError
        Windows of two splits overlap, a gene is in two splits, or a split is empty.
    """
    overlapping = {}
    for first, second in combinations(SPLITS, 2):
        index = IntervalIndex(windows[labels == second])
        overlapping[f"{first}/{second}"] = int(index.overlaps(windows[labels == first]).sum())
    shared_genes = _shared(genes.frame["gene_id"].str.removesuffix("_PAR_Y"), labels)
    names = genes.frame["gene_name"].where(genes.frame["gene_name"] != genes.frame["gene_id"])
    report = LeakReport(_counts(labels), overlapping, shared_genes, _shared(names, labels))
    _require_filled(report.counts)
    if report.ok:
        return report
    pairs = ", ".join(f"{pair} {count}" for pair, count in overlapping.items() if count)
    listed = ", ".join(shared_genes[:5])
    raise DataError(
        f"the splits overlap: windows shared by {pairs}" if pairs else f"genes in several splits: {listed}",
        where="splits",
        expected="no base and no gene in the windows of two splits",
        fix="move the segments apart by a window, use shorter windows, or exclude one of the chromosomes",
    )


def _by_chromosome(genes: GeneTable, spec: SplitSpec, is_strict: bool = True) -> NDArray[np.str_]:
    chroms = genes.frame["chrom"]
    known = NameMap(chroms.unique())
    labels = dict.fromkeys(known.names, "train" if REST in spec.train else "none")
    for name, members in spec.members().items():
        for member in members:
            found = known.find(member)
            if found is not None:
                labels[found] = "none" if name == "exclude" else name
            elif is_strict and member != REST and name != "exclude":
                raise DataError(
                    f"splits.{name} names {member!r}, where no gene lies",
                    where=f"the genes lie on {', '.join(known.names[:30])}",
                    expected="chromosomes of the gene table",
                    fix=f"correct splits.{name}",
                )
    return chroms.map(labels).to_numpy().astype("<U5")


def _by_segment(genes: GeneTable, spec: SplitSpec) -> NDArray[np.str_]:
    labels = np.full(len(genes), "train" if REST in spec.train else "none", dtype="<U5")
    tss = genes.frame["tss"].to_numpy()
    keys = genes.frame["chrom"].map({chrom: name_key(chrom) for chrom in genes.frame["chrom"].unique()}).to_numpy()
    for name, segments in spec.segments().items():
        for segment in segments:
            inside = (keys == name_key(segment.chrom)) & (tss >= segment.start) & (tss < segment.end)
            labels[inside] = "none" if name == "exclude" else name
    return labels


def _counts(labels: NDArray[np.str_]) -> dict[str, int]:
    return {name: int((labels == name).sum()) for name in (*SPLITS, "none")}


def _require_filled(counts: Mapping[str, int]) -> None:
    empty = [name for name in SPLITS if not counts[name]]
    if empty:
        raise DataError(
            f"no gene is left in split {' and '.join(empty)}",
            where=f"splits: {', '.join(f'{name} {count}' for name, count in counts.items())} genes",
            expected="genes in train, val and test",
            fix=f"give splits.{empty[0]} chromosomes or segments that hold genes",
        )


def _shared(values: pd.Series, labels: NDArray[np.str_]) -> tuple[str, ...]:
    table = pd.DataFrame({"value": values.to_numpy(), "split": labels})
    table = table[np.isin(labels, SPLITS) & table["value"].notna().to_numpy()]
    num_splits = table.groupby("value", sort=False)["split"].nunique()
    return tuple(str(value) for value in num_splits.index[num_splits > 1])
