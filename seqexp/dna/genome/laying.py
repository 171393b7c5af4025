"""Where the window of a network is laid for what somebody asks about: an interval, a gene, a sequence by itself.

- An interval as long as the window is the window, read along its strand.
- Any other interval lends its anchor, which takes the place of the TSS: its first base along its strand, or, where it
  has no strand, its centre (base ``width // 2``, read forward).
- A gene lends its TSS.
- A record of a FASTA is a chromosome of its own. One as long as the window is the window; others are cut, or filled
  with N, evenly at both ends, unless it is said which of their bases is the TSS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.tables import is_missing
from seqexp.dna.genome.genes import GeneTable, windows_around
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import resolve_names
from seqexp.dna.genome.placing import find_chromosomes
from seqexp.dna.genome.reference import Reference

COLUMNS = ["id", "chrom", "start", "end", "strand"]


@dataclass(frozen=True)
class Laid:
    """Windows of one length, with who they are.

    Attributes
    ----------
    frame : DataFrame
        id (each once), chrom (as in the FASTA), start, end, strand of every window, further columns of its origin;
        index 0..R-1. A window may reach beyond its chromosome.
    kind : str
        ``interval``, ``gene`` or ``sequence``.
    notes : tuple of str
        What has to be told: rows left out, ids made up, windows filled with N.
    """

    frame: pd.DataFrame
    kind: str
    notes: tuple[str, ...] = ()

    @property
    def windows(self) -> list[Interval]:
        """The windows in the order of the frame."""
        rows = self.frame[["chrom", "start", "end", "strand", "id"]].itertuples(index=False)
        return [Interval(str(c), int(s), int(e), str(strand), str(name)) for c, s, e, strand, name in rows]

    def telling(self, *notes: str) -> Laid:
        """The same with more to tell; empty notes are left out."""
        return replace(self, notes=(*self.notes, *(note for note in notes if note)))


def lay_on_intervals(table: pd.DataFrame, file: str | Path, reference: Reference, around_bp: tuple[int, int]) -> Laid:
    """Windows of intervals; see the head of this module.

    Parameters
    ----------
    table : DataFrame
        chrom, start, end (0-based, half-open) and, where known, strand and name; a name becomes the id.
    file : str or Path
        What the table is called in messages.
    reference : Reference
        Chromosomes are found in it by alias too; rows on others are left out and told.
    around_bp : (int, int)
        Bases of the window before the TSS, and from it on.

    Raises
    ------
    DataError
        No interval; none on a chromosome of the FASTA; one that is empty or not on its chromosome; an odd strand.
    """
    if table.empty:
        raise DataError("no intervals", where=file, expected="at least one interval")
    resolved = resolve_names(table, reference.chrom_sizes, file, reference.path)
    rows = resolved.table
    strand = rows["strand"].astype(str) if "strand" in rows else pd.Series(".", index=rows.index)
    _refuse(rows, ~strand.isin(["+", "-", "."]), file, "a strand other than +, - and .", expected="+, - or .")
    start, end = rows["start"].to_numpy(np.int64), rows["end"].to_numpy(np.int64)
    _refuse(rows, end <= start, file, "no base", expected="start < end")
    sizes = rows["chrom"].map(reference.chrom_sizes).to_numpy(np.int64)
    is_whole = end - start == sum(around_bp)
    is_off = np.where(is_whole, (start >= sizes) | (end <= 0), (start < 0) | (end > sizes))
    _refuse(rows, is_off, file, "bases beyond the end of their chromosome", expected=f"places in {reference.path}")
    anchor = np.where(strand == "+", start, np.where(strand == "-", end - 1, start + (end - start) // 2))
    windows = windows_around(rows["chrom"], anchor, strand, around_bp=around_bp)
    windows["start"] = np.where(is_whole, start, windows["start"])
    windows["end"] = np.where(is_whole, end, windows["end"])
    names = rows["name"].astype(str) if "name" in rows else pd.Series(".", index=rows.index)
    places = [str(Interval(*row)) for row in zip(rows["chrom"], start.tolist(), end.tolist(), strand)]
    is_named = ~(is_missing(names) | (names == ".").to_numpy())
    ids, note = _each_once(np.where(is_named, names, np.array(places, dtype=object)))
    laid = Laid(windows.assign(id=ids)[COLUMNS], "interval").telling(resolved.told, note)
    return _told_of_ends(laid, reference.chrom_sizes)


def lay_on_genes(genes: GeneTable, reference: Reference, around_bp: tuple[int, int]) -> Laid:
    """Windows of genes; the frame has gene_name too.

    Raises
    ------
    DataError
        No gene lies on a chromosome of the FASTA, or a TSS lies outside its chromosome.
    """
    found = find_chromosomes(genes, reference)
    is_lost = ~genes.frame["chrom"].isin(list(found)).to_numpy()
    lost = ", ".join(map(str, genes.frame.loc[is_lost, "chrom"].unique()[:5]))
    placed = genes.without(is_lost, "on chromosomes that the FASTA lacks").renamed(found)
    placed.require_inside(reference.chrom_sizes, reference.path)
    windows = placed.windows(*around_bp).rename(columns={"name": "id"})
    note = f"{int(is_lost.sum()):,} of {len(genes):,} genes are left out: the FASTA lacks {lost}" if lost else ""
    laid = Laid(windows[COLUMNS].assign(gene_name=placed.frame["gene_name"]), "gene").telling(note)
    return _told_of_ends(laid, reference.chrom_sizes)


def lay_on_records(
    sizes: Mapping[str, int], file: str | Path, around_bp: tuple[int, int], tss_offset_bp: int | None = None
) -> Laid:
    """Windows of sequences by themselves, read as they are written.

    Parameters
    ----------
    sizes : mapping
        Name of a record to its length in bp.
    file : str or Path
        What they are called in messages.
    around_bp : (int, int)
        Bases of the window before the TSS, and from it on.
    tss_offset_bp : int, optional
        Base of every record, counted from 0, that is the TSS; by default records are cut or filled evenly.

    Raises
    ------
    DataError
        A record is empty, or ends before the TSS.
    """
    upstream_bp, window_bp = around_bp[0], sum(around_bp)
    frame = pd.DataFrame({"id": list(sizes), "chrom": list(sizes), "start": 0, "end": list(sizes.values())})
    length = frame["end"].to_numpy(np.int64)
    least = 0 if tss_offset_bp is None else tss_offset_bp
    if least < 0:
        raise DataError(f"the TSS at base {least} of every sequence", expected="0 or more")
    too_short = "no base" if tss_offset_bp is None else f"no base {least:,}, which is to be the TSS"
    _refuse(frame, length <= least, file, too_short, expected="sequences that hold it", what="sequences")
    start = (length - window_bp) // 2 if tss_offset_bp is None else np.full(len(frame), tss_offset_bp - upstream_bp)
    frame = frame.assign(start=start, end=start + window_bp, strand="+")[COLUMNS]
    num_filled, num_cut = int((length < window_bp).sum()), int((length > window_bp).sum())
    how = "evenly at both ends" if tss_offset_bp is None else f"so that base {tss_offset_bp:,} is the TSS"
    notes = [f"{num_filled:,} sequences are shorter than the window of {window_bp:,} bp: filled with N, {how}"]
    notes = notes if num_filled else []
    notes += [f"{num_cut:,} sequences are longer than the window of {window_bp:,} bp: cut, {how}"] * (num_cut > 0)
    return Laid(frame, "sequence", tuple(notes))


def _told_of_ends(laid: Laid, sizes: Mapping[str, int]) -> Laid:
    over = (laid.frame["start"] < 0) | (laid.frame["end"] > laid.frame["chrom"].map(dict(sizes)))
    note = f"{int(over.sum()):,} of {len(over):,} windows reach beyond the ends of their chromosome, where bases read N"
    return laid.telling(note if over.any() else "")


def _refuse(
    rows: pd.DataFrame,
    is_bad: Sequence[bool] | NDArray[np.bool_] | pd.Series,
    file: str | Path,
    found: str,
    *,
    expected: str,
    what: str = "intervals",
) -> None:
    bad = np.asarray(is_bad, dtype=bool)
    if bad.any():
        first = rows.iloc[int(np.argmax(bad))]
        raise DataError(
            f"{int(bad.sum()):,} of {len(rows):,} {what} have {found}",
            where=f"{file}, first {first['chrom']}:{first['start']}-{first['end']}",
            expected=expected,
        )


def _each_once(names: Iterable[object]) -> tuple[list[str], str]:
    """Names with ``_2``, ``_3`` behind those that come again, and what to tell of them."""
    counts: dict[str, int] = {}
    given: dict[str, None] = {}
    num_numbered = 0
    for name in map(str, names):
        number = counts.get(name, 0) + 1
        own = name if number == 1 else f"{name}_{number}"
        while own in given:
            number += 1
            own = f"{name}_{number}"
        num_numbered += own != name
        counts[name] = number
        given[own] = None
    told = f"{num_numbered:,} names come more than once and were numbered, such as NAME_2"
    return list(given), told if num_numbered else ""
