"""Ordered genes with symbols and Ensembl ids: finding, comparing and intersecting them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError

_VERSION = re.compile(r"\.\d+(?=$|_PAR_Y$)")
_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}")
_NO_ID = ("", "nan", "na", "<na>", "none", "null")


def _bare(name: str) -> str:
    return _VERSION.sub("", name)


def known_ids(ids: Iterable[object]) -> tuple[str, ...]:
    """Gene ids as files hold them, without version; empty where there is none, or where it stands for several genes."""
    names = [_bare(str(gene).strip()) for gene in ids]
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
        object.__setattr__(self, "ensembl", tuple(_bare(str(gene)) for gene in self.ensembl))
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
    def _ids(self) -> tuple[str, ...]:
        """Ensembl id of every gene without version, also where it stands in the place of the symbol; or nothing."""
        given = self.ensembl or ("",) * len(self)
        ids = [
            gene or (_bare(name) if _ENSEMBL.match(name) else "")
            for gene, name in zip(given, self.symbols, strict=True)
        ]
        times = Counter(ids)
        return tuple(gene if times[gene] == 1 else "" for gene in ids)

    @cached_property
    def _rows(self) -> dict[str, int]:
        """Column of every name; a symbol wins over an Ensembl id, upper case finds what is written otherwise."""
        rows: dict[str, int] = {}
        for names in (self.symbols, self._ids):
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

    def match(self, other: GenePanel, aliases: Mapping[str, str] | None = None) -> NDArray[np.int64]:
        """Column here of every gene of another panel, -1 where it has none; no column is given twice.

        A gene is found by its Ensembl id, else by its name as it is written, else by an alias or in other case; not by
        name where the ids say that it is another gene.
        """
        places = {gene: column for column, gene in enumerate(self._ids) if gene}
        columns = np.array([places.get(gene, -1) if gene else -1 for gene in other._ids], dtype=np.int64)
        own, theirs, taken = self._ids, set(other._ids) - {""}, set(columns.tolist())
        named = {symbol: column for column, symbol in enumerate(self.symbols)}
        ways: tuple[Callable[[int], int], ...] = (
            lambda place: named.get(other.symbols[place], -1),
            lambda place: self._rows.get(other._ids[place], -1),  # which may be the name of the gene here
            lambda place: self._column(other.symbols[place], aliases or {}),
        )
        for way in ways:
            for place in np.flatnonzero(columns < 0).tolist():
                column = way(place)
                is_other_gene = column >= 0 and bool(other._ids[place]) and own[column] in theirs
                if column >= 0 and column not in taken and not is_other_gene:
                    columns[place] = column
                    taken.add(column)
        return columns

    def num_in_other_case(self, other: GenePanel) -> int:
        """Genes of another panel that are found here by a name in other case alone, as those of man in a mouse are."""
        columns = self.match(other)
        pairs = (
            (self.symbols[c], other.symbols[i], self._ids[c], other._ids[i]) for i, c in enumerate(columns) if c >= 0
        )
        return sum(a != b and a.upper() == b.upper() and not (one and one == two) for a, b, one, two in pairs)

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
        columns = self.match(other, aliases)
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
        plain = _bare(name) if _ENSEMBL.match(name) else name
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
