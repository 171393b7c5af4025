"""One split of a ``slides.yaml``: which way it is given, and every value of the right kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError, located
from seqexp.core.yaml_fields import file_path, flag, mapping, name_list, number, optional_path, whole_number
from seqexp.histology.slides.splits import SplitPlan

_SPLIT_KEYS = (
    "by",
    "train",
    "val",
    "test",
    "val_blocks_um",
    "val_share",
    "leave_one_out",
    "folds",
    "seed",
    "file",
    "blocks_um",
    "allow",
    "pretraining",
)


@dataclass(frozen=True)
class SplitSpec:
    """One named split of a description, and the leaks that it accepts.

    Parameters
    ----------
    plan : SplitPlan or None
        Lists of groups.
    folds : int or None
        Number of folds by ``by``; 0: leave one out. Folds are named ``split/group`` or ``split/number``.
    by : str
    seed : int
    file : Path or None
        Table of splits.
    blocks_um : float or None
        Side of blocks inside slides.
    allow : tuple of str
        Leaks that are accepted.
    pretraining : tuple of Path
        Manifests of the encoders that will be used.
    """

    plan: SplitPlan | None = None
    folds: int | None = None
    by: str = "patient"
    seed: int = 0
    file: Path | None = None
    blocks_um: float | None = None
    allow: tuple[str, ...] = ()
    pretraining: tuple[Path, ...] = ()


def read_split(entry: Any, path: Path, key: str) -> SplitSpec:
    """One entry under ``splits``, every value checked for its kind.

    Raises
    ------
    ConfigError
        A key is unknown, a value is of the wrong kind, or the split is given in no way or in two.
    DataError
        A group is in two lists.
    """
    entry = mapping(entry, path, key, _SPLIT_KEYS)
    flag(entry, "leave_one_out", path)
    kinds = [kind for kind in ("test", "leave_one_out", "folds", "file", "blocks_um") if entry.get(kind)]
    if len(kinds) != 1:
        raise ConfigError(
            f"{key} is given by {' and '.join(kinds) or 'nothing'}",
            where=path,
            expected="lists (train, val, test), leave_one_out: true, folds: K, file: TABLE or blocks_um: SIDE",
        )
    by = str(entry.get("by", "patient"))
    lists = {k: name_list(entry.get(k), path, f"{key}.{k}") for k in ("train", "val", "test")}
    lowest = {"val_blocks_um": 1.0, "val_share": 0.0}
    blocks = {k: number(entry, k, path, low=low, prefix=f"{key}.") for k, low in lowest.items() if k in entry}
    with located(f"{path}, {key}"):
        plan = SplitPlan(by, **lists, **blocks) if kinds == ["test"] else None  # type: ignore[arg-type]
    return SplitSpec(
        plan=plan,
        folds=_folds(entry, kinds, path, key),
        by=by,
        seed=whole_number(entry, "seed", path, low=0, high=2**63, default=0, prefix=f"{key}."),
        file=optional_path(entry, "file", path),
        blocks_um=number(entry, "blocks_um", path, low=1, prefix=f"{key}.") if kinds == ["blocks_um"] else None,
        allow=name_list(entry.get("allow"), path, f"{key}.allow"),
        pretraining=tuple(
            file_path(p, path, f"{key}.pretraining")
            for p in name_list(entry.get("pretraining"), path, f"{key}.pretraining")
        ),
    )


def _folds(entry: Mapping[str, Any], kinds: list[str], path: Path, key: str) -> int | None:
    if kinds == ["leave_one_out"]:
        return 0
    return whole_number(entry, "folds", path, low=3, prefix=f"{key}.") if kinds == ["folds"] else None
