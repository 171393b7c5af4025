"""Ordered genes with symbols and Ensembl ids: finding, comparing and intersecting them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError

_VERSION = re.compile(r"\.\d+(?=$|_PAR_Y$)")
_NO_ID = ("", "nan", "na", "<na>", "none", "null")


def known_ids(ids: Iterable[object]) -> tuple[str, ...]:
    """Gene ids as files hold them, without version; empty where there is none, or where it stands for several genes."""
    names = [_VERSION.sub("", str(gene).strip()) for gene in ids]
    names = ["" if name.lower() in _NO_ID else name for name in names]
    times = Counter(names)
    return tuple(name if times[name] == 1 else "" for name in names)


@dataclass(frozen=True)
class GenePanel:
    """The genes of the columns of a table, in order.

    Parameters
    ----------
    symbols : tuple of str
        Gene symbols (G,), each once.
    ensembl : tuple of str or None
        Ensembl ids of the same genes without version; empty where unknown (:func:`known_ids`).

    Raises
    ------
    DataError
        A symbol is empty, a symbol or an Ensembl id occurs twice, or the two lists differ in length.
    """

    symbols: tuple[str, ...]
    ensembl: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(str(symbol) for symbol in self.symbols))
        if any(not symbol.strip() for symbol in self.symbols):
            place = next(i for i, symbol in enumerate(self.symbols) if not symbol.strip())
            raise DataError(f"gene {place + 1} of {len(self.symbols)} has no name", expected="a name for every gene")
        _require_unique(self.symbols, "gene symbols")
        if self.ensembl is None:
            return
        object.__setattr__(self, "ensembl", tuple(_VERSION.sub("", str(gene)) for gene in self.ensembl))
        if len(self.ensembl) != len(self.symbols):
            raise DataError(f"{len(self.symbols)} symbols and {len(self.ensembl)} Ensembl ids", expected="one id each")
        _require_unique([gene for gene in self.ensembl if gene], "Ensembl ids")

    def __len__(self) -> int:
        return len(self.symbols)

    def __iter__(self) -> Iterator[str]:
        return iter(self.symbols)

    @cached_property
    def fingerprint(self) -> str:
        """Identity of the symbols and their order: 16 hexadecimal digits."""
        return hashlib.sha256("\0".join(self.symbols).encode()).hexdigest()[:16]

    @cached_property
    def _rows(self) -> dict[str, int]:
        """Column of every name; a symbol wins over an Ensembl id, upper case finds what is written otherwise."""
        rows: dict[str, int] = {}
        for names in (self.symbols, self.ensembl or ()):
            for index, name in enumerate(names):
                if name:
                    rows.setdefault(name, index)
        for name, index in list(rows.items()):
            rows.setdefault(name.upper(), index)
        return rows

    def find(self, names: Iterable[str], aliases: Mapping[str, str] | None = None) -> NDArray[np.int64]:
        """Column of each gene, -1 where there is none.

        Parameters
        ----------
        names : iterable of str
            Symbols or Ensembl ids (with or without version).
        aliases : mapping, optional
            Other name -> symbol; asked for names that are not found otherwise.
        """
        return np.array([self._column(str(name), aliases or {}) for name in names], dtype=np.int64)

    def index_of(self, names: Iterable[str], aliases: Mapping[str, str] | None = None) -> NDArray[np.int64]:
        """Like :meth:`find`, and every gene must be there.

        Raises
        ------
        DataError
            A gene is not in the panel, or two names mean the same gene.
        """
        names = [str(name) for name in names]
        columns = self.find(names, aliases)
        absent = [name for name, column in zip(names, columns, strict=True) if column < 0]
        if absent:
            raise DataError(
                f"{len(absent)} of {len(names)} genes are not among the {len(self)} of the panel: "
                + ", ".join(absent[:5]),
                expected="symbols or Ensembl ids of the panel, or aliases that lead to them",
                fix="remove them, or give a table of aliases",
            )
        if len(set(columns.tolist())) < len(columns):
            first = next(n for n, c in zip(names, columns, strict=True) if (columns == c).sum() > 1)
            raise DataError(f"gene {first!r} is asked for under two names", expected="every gene once")
        return columns

    def take(self, columns: Sequence[int] | NDArray[np.int64]) -> GenePanel:
        """The genes of some columns, in that order."""
        ensembl = None if self.ensembl is None else tuple(self.ensembl[i] for i in columns)
        return GenePanel(tuple(self.symbols[i] for i in columns), ensembl)

    def intersect(self, other: GenePanel, aliases: Mapping[str, str] | None = None) -> GenePanel:
        """The genes of this panel that the other has too, in the order and under the names of this one.

        Raises
        ------
        DataError
            There is no such gene.
        """
        columns = self.find(other.symbols, aliases)
        if other.ensembl is not None and self.ensembl is not None:
            columns = np.where(columns < 0, self.find(other.ensembl), columns)
        shared = np.unique(columns[columns >= 0])
        if not len(shared):
            raise DataError(
                f"gene tables do not intersect: {', '.join(self.symbols[:3])} … and {', '.join(other.symbols[:3])} …",
                expected="some genes under the same symbol or Ensembl id",
                fix="give the Ensembl ids of both, or a table of aliases; check that both are of one organism",
            )
        return self.take(shared)

    def require_equal(self, other: GenePanel, where: str = "") -> None:
        """Check that another panel has the same genes in the same order.

        Raises
        ------
        DataError
            It has not; the message names the first difference.
        """
        if self.symbols == other.symbols:
            return
        pairs = zip(self.symbols, other.symbols, strict=False)
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(self), len(other)))
        names = [panel.symbols[first] if first < len(panel) else "nothing" for panel in (self, other)]
        raise DataError(
            f"the gene panels differ: {len(self)} and {len(other)} genes, column {first} is {names[0]} and {names[1]}",
            where=where or None,
            expected="the same genes in the same order",
            fix="bring the table on the panel with SpotTable.on_panel",
        )

    def _column(self, name: str, aliases: Mapping[str, str]) -> int:
        plain = _VERSION.sub("", name) if name.startswith("ENS") else name
        for candidate in (name, plain, name.upper(), aliases.get(name), aliases.get(name.upper())):
            if candidate is not None and candidate in self._rows:
                return self._rows[candidate]
        return -1


def _require_unique(names: Sequence[str], what: str) -> None:
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
        raise DataError(
            f"{len(twice)} {what} occur twice: {', '.join(twice[:5])}",
            expected="every gene once",
            fix="sum the columns of one gene, or use Ensembl ids to tell them apart",
        )
