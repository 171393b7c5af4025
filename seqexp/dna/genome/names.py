"""Chromosome names: the same chromosome under the names of two files, or one clear error."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from seqexp.core.errors import DataError

_MITOCHONDRION = {"m", "mt", "mtdna", "mito", "mitochondrion"}
_PREFIX = re.compile(r"^(?:chromosome|chr)[ _.-]?(?=.)")
_UCSC_SCAFFOLD = re.compile(r"^(?:un|[0-9]{1,2}[lr]?|[xywz])_([a-z]{1,6}[0-9]{5,9})v([0-9]+)(?:_(?:random|alt|fix))?$")


def name_key(name: str) -> str:
    """Key of a chromosome whatever its spelling.

    Equal are ``chr1``, ``Chr1``, ``CHR1``, ``chr01``, ``chromosome_1`` and ``1``; ``chrM``, ``MT`` and ``Mito``; and
    an accession with its UCSC name (``GL000220.1``, ``chrUn_GL000220v1``). Numbers that stand for a sex chromosome (23
    for X) and RefSeq accessions (NC_000001.11) depend on the genome and are not guessed.
    """
    key = _PREFIX.sub("", name.strip().lower())
    if key in _MITOCHONDRION:
        return "mt"
    if scaffold := _UCSC_SCAFFOLD.match(key):
        return f"{scaffold[1]}.{scaffold[2]}"
    return key.lstrip("0") or "0" if key.isdigit() else key


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


@dataclass(frozen=True)
class Resolved:
    """A table under the chromosome names of another file.

    Attributes
    ----------
    table : DataFrame
        The rows whose chromosome is known there, under its name there; index 0..n-1.
    lost : mapping
        Rows left out, by chromosome of the table.
    told : str
        One sentence on what was left out; empty where nothing was.
    """

    table: pd.DataFrame
    lost: Mapping[str, int] = field(default_factory=dict)
    told: str = ""


def resolve_names(
    table: pd.DataFrame, names: Iterable[str], table_file: str | Path, names_file: str | Path
) -> Resolved:
    """Bring a table with a column ``chrom`` to the chromosome names of another file.

    Every table of intervals passes here where it enters, so that all that follows may compare names as they are.

    Parameters
    ----------
    table : DataFrame
        With a column chrom.
    names : iterable of str
        Chromosomes of the other file, most often the FASTA.
    table_file, names_file : path or str
        What the two are called in messages.

    Raises
    ------
    DataError
        The table has rows and not one is on a chromosome of the other file.
    """
    chroms = table["chrom"].astype(str)
    found = match_names(chroms.unique(), names, table_file, names_file)
    renamed = chroms.map(found)
    is_known = renamed.notna().to_numpy()
    kept = table[is_known].assign(chrom=renamed[is_known].astype(str)).reset_index(drop=True)
    lost = {str(chrom): int(count) for chrom, count in chroms[~is_known].value_counts(sort=False).items()}
    if not lost:
        return Resolved(kept)
    told = f"{sum(lost.values()):,} of {len(table):,} rows of {_short(table_file)} are left out: "
    return Resolved(kept, lost, told + f"no chromosome of {_short(names_file)} is named {_some(list(lost))}")


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
    wanted, available = list(dict.fromkeys(map(str, wanted))), list(available)
    known = NameMap(available)
    found = {name: partner for name in wanted if (partner := known.find(name)) is not None}
    if wanted and not found:
        raise DataError(
            f"no chromosome name of {_short(wanted_file)} occurs in {_short(available_file)}",
            where=f"names of {wanted_file}: {_some(wanted)}; of {available_file}: {_some(available)}",
            expected="the same chromosome names (chr1, CHR1, chr01 and 1, chrM and MT are taken as equal)",
            fix="use files of the same assembly, or rename the chromosomes of one of them (RefSeq accessions by the "
            "assembly report)",
        )
    return found


def _short(file: str | Path) -> str:
    return Path(file).name


def _some(names: list[str], limit: int = 4) -> str:
    listed = ", ".join(names[:limit]) or "no chromosome"
    return listed + (f", … ({len(names)} in all)" if len(names) > limit else "")
