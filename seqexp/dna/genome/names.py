"""Chromosome names: the same chromosome under the names of two files, or one clear error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from seqexp.core.errors import DataError

_MITOCHONDRION = {"m", "mt", "mito", "mitochondrion"}


def name_key(name: str) -> str:
    """Key of a chromosome whatever its spelling: one for ``chr1``, ``Chr1`` and ``1``, one for ``chrM`` and ``MT``."""
    key = name.lower()
    if key.startswith("chr") and len(key) > 3:
        key = key[3:].lstrip("_") or key
    return "mt" if key in _MITOCHONDRION else key


class NameMap:
    """Looks a chromosome up in the names of one file, by exact name first and by alias second.

    Parameters
    ----------
    names : iterable of str
        Names used in the file.

    Notes
    -----
    Two names of one file that share a key (``chr1`` and ``1`` both present) are found by exact name only.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        counts = Counter(name_key(name) for name in self.names)
        self._by_key = {name_key(name): name for name in self.names if counts[name_key(name)] == 1}
        self._exact = frozenset(self.names)

    def find(self, name: str) -> str | None:
        """Name in the file, or None."""
        return name if name in self._exact else self._by_key.get(name_key(name))

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None


def match_names(
    wanted: Iterable[str], available: Iterable[str], wanted_file: str | Path, available_file: str | Path
) -> dict[str, str]:
    """Map each name of one file to the name of the same chromosome in another file.

    Returns
    -------
    dict
        Name in ``wanted_file`` to name in ``available_file``; names without a partner are left out.

    Raises
    ------
    DataError
        Not a single name has a partner, although both files have names.
    """
    wanted, available = list(dict.fromkeys(wanted)), list(available)
    known = NameMap(available)
    found = {name: partner for name in wanted if (partner := known.find(name)) is not None}
    if wanted and not found:
        raise DataError(
            f"no chromosome name of {Path(wanted_file).name} occurs in {Path(available_file).name}",
            where=f"{wanted_file} has {_some(wanted)}; {available_file} has {_some(available)}",
            expected="the same chromosome names (chr1 and 1, chrM and MT are taken as equal)",
            fix="use files of the same assembly, or rename the chromosomes of one of them",
        )
    return found


def _some(names: list[str], limit: int = 4) -> str:
    listed = ", ".join(names[:limit]) or "no chromosome"
    return listed + (f", … ({len(names)} in all)" if len(names) > limit else "")
