"""Spots and their raw counts: where each one lies, on which slide, of which patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from seqexp.core.errors import DataError
from seqexp.histology.slides.panel import GenePanel

COLUMNS = (
    *("barcode", "x_px", "y_px", "x_um", "y_um", "row", "column"),
    *("slide", "section", "patient", "study", "platform", "total_counts"),
)
NO_GRID = -1


@dataclass(frozen=True)
class JoinReport:
    """What became of the rows while files were joined.

    Parameters
    ----------
    num_kept : int
        Spots in the table.
    dropped : mapping
        Reason -> how many spots or genes went.
    examples : mapping
        Reason -> up to five names of them.
    notes : tuple of str
        What was read otherwise than it stands.
    """

    num_kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def with_dropped(self, reason: str, names: Iterable[str]) -> JoinReport:
        """The report with one more reason; without names it stays as it is."""
        names = list(names)
        if not names:
            return self
        dropped, examples = {**self.dropped, reason: len(names)}, {**self.examples, reason: tuple(names[:5])}
        return replace(self, dropped=dropped, examples=examples)

    def with_note(self, note: str) -> JoinReport:
        """The report with one more note."""
        return replace(self, notes=(*self.notes, note))

    def render(self) -> str:
        """One line for a log."""
        parts = [f"{n} dropped: {reason} ({', '.join(self.examples[reason])} …)" for reason, n in self.dropped.items()]
        return "; ".join([f"{self.num_kept} spots", *parts, *self.notes])


@dataclass(frozen=True)
class SpotTable:
    """Spots of one or more slides with their raw counts.

    Parameters
    ----------
    frame : DataFrame
        One row per spot, index 0 … S-1, columns :data:`COLUMNS`. ``x`` runs to the right with the grid ``column``,
        ``y`` down with the grid ``row``; both are -1 on platforms without a grid. ``total_counts`` is the sum over all
        genes measured and stays when genes are left out.
    counts : CSR matrix (S, G)
        Raw counts, int32.
    panel : GenePanel
        The genes of the columns.
    reports : mapping
        Slide -> what its join dropped.

    Raises
    ------
    DataError
        A barcode occurs twice on a slide, a slide has no patient, or sizes differ.
    """

    frame: pd.DataFrame
    counts: sparse.csr_matrix
    panel: GenePanel
    reports: Mapping[str, JoinReport] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.counts.shape != (len(self.frame), len(self.panel)):
            raise DataError(
                f"counts are {self.counts.shape[0]} x {self.counts.shape[1]} for {len(self.frame)} spots and "
                f"{len(self.panel)} genes"
            )
        missing = [column for column in COLUMNS if column not in self.frame]
        if missing:
            raise DataError(f"the spot table lacks {', '.join(missing)}", expected=", ".join(COLUMNS))
        _require_unique_barcodes(self.frame)
        _require_patients(self.frame)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def slides(self) -> tuple[str, ...]:
        """Names of the slides, in order of appearance."""
        return tuple(dict.fromkeys(self.frame["slide"]))

    def rows_of(self, slide: str) -> NDArray[np.int64]:
        """Rows of one slide.

        Raises
        ------
        DataError
            No spot is on it.
        """
        rows = np.flatnonzero((self.frame["slide"] == slide).to_numpy())
        if not len(rows):
            raise DataError(f"no spots on slide {slide!r}", expected="one of: " + ", ".join(self.slides))
        return rows

    def take(self, rows: ArrayLike) -> SpotTable:
        """Some spots, in the order given (positions or a mask)."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        frame = self.frame.iloc[rows].reset_index(drop=True)
        return replace(self, frame=frame, counts=self.counts[rows])

    def on_panel(self, panel: GenePanel, aliases: Mapping[str, str] | None = None) -> SpotTable:
        """The table with the genes of ``panel``, in its order; ``total_counts`` stay those of all genes measured.

        Raises
        ------
        DataError
            A gene of the panel is not in the table.
        """
        if panel == self.panel:
            return self
        columns = self.panel.match(panel, aliases)
        if (columns < 0).any():
            absent = [panel.symbols[i] for i in np.flatnonzero(columns < 0)]
            raise DataError(
                f"{len(absent)} of {len(panel)} genes are not among the {len(self.panel)} of the slides: "
                + ", ".join(absent[:5]),
                expected="every gene, by Ensembl id, symbol or alias",
                fix="add the genes to the slides that lack them, or give a table of aliases",
            )
        return replace(self, counts=self.counts[:, columns].tocsr(), panel=panel)


def concat(tables: Sequence[SpotTable], aliases: Mapping[str, str] | None = None) -> SpotTable:
    """Spots of several tables, on the genes that all of them have; each report tells how many genes went.

    Raises
    ------
    DataError
        No gene is in all tables, or a slide is in two of them.
    """
    if not tables:
        raise DataError("no spot table to put together", expected="at least one slide")
    panel = reduce(lambda first, second: first.intersect(second, aliases), (table.panel for table in tables))
    parts, reports = [], {}
    for table in tables:
        own = table.panel.match(panel, aliases)
        if (own < 0).any():
            raise DataError(
                f"genes mean different things on the slides: {panel.symbols[int(np.argmin(own))]}",
                where=f"slide {', '.join(table.reports)}",
                expected="one symbol and one Ensembl id for a gene",
                fix="correct its symbol or id, or give a table of aliases",
            )
        lost = np.setdiff1d(np.arange(len(table.panel)), own)
        parts.append(table.counts[:, own])
        for slide, report in table.reports.items():
            reason = "genes that another slide lacks"
            reports[slide] = report.with_dropped(reason, (table.panel.symbols[i] for i in lost))
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    return SpotTable(frame, sparse.vstack(parts, format="csr"), panel, reports)


def _require_unique_barcodes(frame: pd.DataFrame) -> None:
    is_twice = frame.duplicated(["slide", "barcode"]).to_numpy()
    if is_twice.any():
        named = frame[is_twice]
        raise DataError(
            f"{int(is_twice.sum())} barcodes occur twice: {', '.join(named['barcode'].astype(str)[:5])}",
            where=f"slide {named['slide'].iloc[0]}",
            expected="every barcode once per slide",
            fix="remove the repeated rows of the spot file",
        )


def _require_patients(frame: pd.DataFrame) -> None:
    is_empty = (frame["patient"].isna() | (frame["patient"].astype(str).str.strip() == "")).to_numpy()
    if is_empty.any():
        raise DataError(
            f"slide {frame['slide'][is_empty].iloc[0]} has no patient",
            where="slides.yaml",
            expected="the patient (donor) of every slide: splits are made by patient",
            fix="add patient: NAME to the slide",
        )
