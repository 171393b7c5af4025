"""What became of the rows of a gene file: kept, dropped or worth telling, counted with examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.dna.genome.gene_files import GeneRows


@dataclass(frozen=True)
class LoadReport:
    """What became of the rows of a gene file.

    Parameters
    ----------
    path : Path
        The file.
    num_read : int
        Rows read.
    dropped : mapping
        Rows dropped, by reason.
    examples : mapping
        The first gene ids dropped or noted, by reason.
    num_kept : int
        Genes in the table.
    noted : mapping
        Genes to be told of that were not dropped, by reason: without a gene line, or measured but not annotated.
    ignored : mapping
        Lines of the file that could not be read as genes, by reason.
    """

    path: Path
    num_read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    num_kept: int = 0
    noted: Mapping[str, int] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)

    @property
    def num_duplicates(self) -> int:
        """Rows dropped because an earlier row had the same gene id."""
        return self.dropped.get("duplicate gene id", 0)

    def render(self) -> str:
        """One line, such as ``genes.tsv: 100 rows, 97 genes; dropped 3 (3 duplicate gene id: G1, G2, …)``."""
        line = f"{self.path.name}: {self.num_read} rows, {self.num_kept} genes"
        if self.dropped:
            line += f"; dropped {sum(self.dropped.values())} ({'; '.join(map(self._told, self.dropped.items()))})"
        line += "".join(f"; {self._told(item)}" for item in self.noted.items())
        return line + "".join(f"; {count} {reason}" for reason, count in self.ignored.items())

    def dropping(self, gene_ids: Sequence[str], reason: str) -> LoadReport:
        """The report after some more genes were dropped."""
        dropped = {**self.dropped, reason: len(gene_ids)}
        examples = {**self.examples, reason: tuple(gene_ids[:3])}
        return replace(self, dropped=dropped, examples=examples, num_kept=self.num_kept - len(gene_ids))

    def noting(self, names: Sequence[str], reason: str) -> LoadReport:
        """The report with something else to be told of."""
        if not names:
            return self
        examples = {**self.examples, reason: tuple(names[:3])}
        return replace(self, noted={**self.noted, reason: len(names)}, examples=examples)

    def _told(self, item: tuple[str, int]) -> str:
        reason, count = item
        listed = self.examples.get(reason, ())
        return f"{count} {reason}: {', '.join(listed)}{', …' if count > len(listed) else ''}"


class Drops:
    """Counts dropped rows and what else is to be told, and remembers the first of each kind."""

    def __init__(self, path: Path, rows: GeneRows) -> None:
        self._path, self._num_read, self._ignored = path, len(rows.frame), rows.ignored
        self._dropped: dict[str, int] = {}
        self._noted: dict[str, int] = {}
        self._examples: dict[str, tuple[str, ...]] = {}
        for reason, gene_ids in rows.noted.items():
            self.note(gene_ids, reason)

    def keep(self, frame: pd.DataFrame, is_kept: pd.Series | np.ndarray, reason: str) -> pd.DataFrame:
        if not is_kept.all():
            self._dropped[reason] = int((~is_kept).sum())
            self._examples[reason] = tuple(frame.loc[~is_kept, "gene_id"].head(3))
        return frame[is_kept].copy()

    def note(self, gene_ids: Sequence[str], reason: str) -> None:
        if len(gene_ids):
            self._noted[reason], self._examples[reason] = len(gene_ids), tuple(gene_ids[:3])

    def report(self, num_kept: int) -> LoadReport:
        dropped, examples, noted = self._dropped, self._examples, self._noted
        return LoadReport(self._path, self._num_read, dropped, examples, num_kept, noted=noted, ignored=self._ignored)
