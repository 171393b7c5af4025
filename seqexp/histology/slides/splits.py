"""Which spots train, validate and test: by patient, section, slide or study, from a table, or by blocks of a slide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.tables import read_table

SPLITS = ("train", "val", "test")
REST = "rest"
GROUPS = ("patient", "section", "slide", "study")
Group = Literal["patient", "section", "slide", "study"]
Labels = NDArray[np.str_]


@dataclass(frozen=True)
class SplitPlan:
    """Groups of spots that train, validate and test.

    Parameters
    ----------
    by : {"patient", "section", "slide", "study"}
        What the lists name.
    train, val, test : tuple of str
        Members; ``train`` may be ``("rest",)``: everything not named elsewhere.
    val_blocks_um : float, optional
        Instead of ``val``: square blocks of this side, cut out of the training slides, validate. For data with too few
        patients to spare one; early stopping is then flattered, the test is not.
    val_share : float
        Share of the blocks that validate.
    seed : int
        Which ones.

    Raises
    ------
    ConfigError
        ``by`` is unknown, a list is empty, or ``rest`` stands outside ``train``.
    DataError
        A group is in two lists.
    """

    by: Group
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    val_blocks_um: float | None = None
    val_share: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in GROUPS:
            raise ConfigError(f"splits.by: {self.by!r}", expected="one of: " + ", ".join(GROUPS))
        members = {"train": self.train, "val": self.val, "test": self.test}
        if self.val_blocks_um is not None and (self.val or self.val_blocks_um <= 0 or not 0 < self.val_share < 1):
            raise ConfigError(
                f"val_blocks_um: {self.val_blocks_um}, val_share: {self.val_share}, val: {list(self.val)}",
                expected="blocks above 0 um, a share between 0 and 1, and no list of val beside them",
            )
        for name, groups in members.items():
            if not groups and not (name == "val" and self.val_blocks_um is not None):
                raise ConfigError(
                    f"split {name} is empty",
                    expected="at least one group; a validation split apart from the test split is compulsory",
                )
            if REST in groups and (name != "train" or len(groups) > 1):
                raise ConfigError(f"split {name}: {list(groups)}", expected="'rest' alone, and for train only")
        for first, second in combinations(members, 2):
            shared = sorted(set(members[first]) & set(members[second]))
            if shared:
                raise DataError(
                    f"{self.by} {', '.join(shared)} is in {first} and in {second}",
                    expected=f"every {self.by} in one split only",
                    fix=f"remove it from {first} or {second}",
                )

    def labels(self, frame: pd.DataFrame) -> Labels:
        """Split of every spot (S,): train, val, test or none.

        Raises
        ------
        DataError
            A named group has no spot.
        """
        groups = frame[self.by].astype(str).to_numpy()
        labels = np.full(len(frame), "train" if REST in self.train else "none", dtype="<U5")
        for name in SPLITS:
            for group in getattr(self, name):
                is_member = groups == group
                labels[is_member] = name
                if not is_member.any() and group != REST:
                    known = ", ".join(dict.fromkeys(groups.tolist()))
                    raise DataError(f"split {name} names {self.by} {group!r}, which has no spot", expected=known)
        if self.val_blocks_um is not None:
            self._cut_blocks(frame, labels, self.val_blocks_um)
        return labels

    def _cut_blocks(self, frame: pd.DataFrame, labels: Labels, side_um: float) -> None:
        """Relabel whole blocks of every training slide from train to val, at least one of each."""
        generator = np.random.default_rng(self.seed)
        blocks = _blocks(frame, side_um)
        for slide in dict.fromkeys(frame["slide"][labels == "train"]):
            rows = np.flatnonzero((labels == "train") & (frame["slide"] == slide).to_numpy())
            names = np.unique(blocks[rows])
            if len(names) < 2:
                raise DataError(
                    f"the training spots of slide {slide} lie in one block of {side_um:g} um",
                    where="splits: val_blocks_um",
                    expected="blocks small enough that some validate and others train",
                )
            chosen = generator.permutation(names)[: max(1, round(self.val_share * len(names)))]
            labels[rows[np.isin(blocks[rows], chosen)]] = "val"


def leave_one_out(frame: pd.DataFrame, by: Group = "patient") -> dict[str, SplitPlan]:
    """One plan per group: it is tested on, the next group (in order of names, round the end) validates, the rest train.

    Raises
    ------
    DataError
        There are fewer than three groups.
    """
    groups = _groups(frame, by, 3)
    following = groups[1:] + groups[:1]
    return {test: SplitPlan(by, (REST,), (val,), (test,)) for test, val in zip(groups, following, strict=True)}


def group_k_fold(frame: pd.DataFrame, num_folds: int, by: Group = "patient", seed: int = 0) -> dict[str, SplitPlan]:
    """K plans ``0`` … ``K - 1``: groups are shuffled and dealt; fold k is tested on, fold k + 1 validates.

    Raises
    ------
    ConfigError
        Fewer than three folds.
    DataError
        There are fewer groups than folds.
    """
    if num_folds < 3:
        raise ConfigError(f"{num_folds} folds", expected="at least 3: train, validation and test")
    groups = _groups(frame, by, num_folds)
    shuffled = np.random.default_rng(seed).permutation(groups)
    folds = [tuple(sorted(str(group) for group in part)) for part in np.array_split(shuffled, num_folds)]
    return {str(k): SplitPlan(by, (REST,), folds[(k + 1) % num_folds], folds[k]) for k in range(num_folds)}


def spatial_blocks(
    frame: pd.DataFrame, side_um: float, shares: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> Labels:
    """Split inside slides by square blocks, dealt at random with the shares of train, val and test.

    Neighbouring spots still meet at the borders of blocks, and all patients are in all splits: the audit has to be told
    that this is meant.
    """
    codes, names = pd.factorize(_blocks(frame, side_um))
    order = np.random.default_rng(seed).permutation(len(names))
    bounds = np.cumsum(np.asarray(shares) / np.sum(shares))[:-1] * len(names)
    which = np.searchsorted(bounds, order + 0.5)
    return np.asarray(SPLITS)[which][codes]


def _blocks(frame: pd.DataFrame, side_um: float) -> NDArray[np.str_]:
    """Name of the square block of its slide that each spot lies in (S,)."""
    places = [np.floor(frame[axis] / side_um).astype(int).astype(str) for axis in ("x_um", "y_um")]
    return frame["slide"].astype(str).str.cat(places, sep="/").to_numpy(dtype=str)


def read_labels(path: Path, frame: pd.DataFrame) -> Labels:
    """Split of every spot from a table with columns slide, split and, for single spots, barcode; others are none.

    Raises
    ------
    DataError
        The table cannot be read, lacks a column, gives one spot two splits, or names a spot or slide that is not there.
    """
    table = read_table(path, "\t")
    table = table if table.shape[1] > 1 else read_table(path, ",")
    if not {"slide", "split"} <= set(table) or not set(table["split"]) <= {*SPLITS, "none"}:
        raise DataError("no table of splits", where=path, expected="columns slide, split (train, val, test, none)")
    keys = ["slide", "barcode"] if "barcode" in table else ["slide"]
    wanted, spots = pd.MultiIndex.from_frame(table[keys]), pd.MultiIndex.from_frame(frame[keys].astype(str))
    if wanted.has_duplicates:
        raise DataError(f"{wanted[wanted.duplicated()][0]} has two splits", where=path, expected="one split each")
    absent = wanted[~wanted.isin(spots)]
    if len(absent):
        raise DataError(f"{len(absent)} rows name no spot: {absent[0]}", where=path, expected=", ".join(keys))
    rows = wanted.get_indexer(spots)
    return np.where(rows < 0, "none", table["split"].to_numpy(dtype="<U5")[rows])


def _groups(frame: pd.DataFrame, by: Group, least: int) -> list[str]:
    if by not in GROUPS:
        raise ConfigError(f"splits.by: {by!r}", expected="one of: " + ", ".join(GROUPS))
    groups = sorted(frame[by].astype(str).unique())
    if len(groups) < least:
        raise DataError(
            f"{len(groups)} of {by}: {', '.join(groups)}",
            expected=f"at least {least}, to train, validate and test on different ones",
            fix="write out the splits by section, and allow what they share",
        )
    return groups
