"""Genes with their start site, strand and measured expression, from GTF, GFF3, BED or a table with a header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.tables import is_missing, parse_numbers, read_table, require_column
from seqexp.dna.genome.annotation_lines import Sequences
from seqexp.dna.genome.gene_files import GeneColumns, read_rows, strip_version
from seqexp.dna.genome.gene_report import Drops, LoadReport
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap

_STRANDS = {"+": "+", "-": "-", "1": "+", "+1": "+", "-1": "-"}
UNANNOTATED = "measured, but not in the annotation"
_EXPECTED = "genes with expression and every covariate"
_FIXED = ("gene_id", "gene_name", "chrom", "tss", "strand")


class GeneTable:
    """Genes in the order of their file, one row each.

    Attributes
    ----------
    frame : DataFrame
        Columns gene_id, gene_name, chrom, tss (0-based position of the first transcribed base), strand, then the
        expression column and the covariates under their own names; index 0..n-1.
    report : LoadReport
        Rows read and dropped.
    expression : tuple of str
        Names of the expression columns.
    covariates : tuple of str
        Names of the covariate columns.
    sequences : Sequences
        What the file says about its chromosomes: lengths, other names.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        report: LoadReport,
        expression: tuple[str, ...] = (),
        covariates: Sequence[str] = (),
        *,
        sequences: Sequences | None = None,
    ) -> None:
        self.frame = frame.reset_index(drop=True)
        self.report = report
        self.expression = expression
        self.covariates = tuple(covariates)
        self.sequences = sequences or Sequences()

    @classmethod
    def read(
        cls,
        path: str | Path,
        columns: GeneColumns | None = None,
        expression: str | Sequence[str] | None = None,
        covariates: Sequence[str] = (),
        *,
        expression_path: str | Path | None = None,
        is_signed: bool = False,
    ) -> GeneTable:
        """Read a gene file.

        Parameters
        ----------
        path : path
            ``.gtf``, ``.gff``, ``.gff3``, ``.bed``, ``.tsv``, ``.txt`` or ``.csv``, each also with ``.gz``.
        columns : GeneColumns, optional
            Where the fields are; the default names of the format if left out.
        expression : str or sequence of str, optional
            Expression column or columns (attributes in a GTF or GFF3). None reads genes without expression.
        covariates : sequence of str
            Numeric columns that describe a gene.
        expression_path : path, optional
            Table with a header that holds the expression and covariate columns, joined by gene id.
        is_signed : bool
            Allow negative expression, for values that are logarithms or differences.

        Returns
        -------
        GeneTable
            Rows dropped and counted, in this order: filtered out by ``columns.keep``, without a strand (GTF and GFF3),
            not in the expression table, no expression (NaN in any of its columns, counted by column), no covariate
            (NaN), gene id already seen (the first row is kept; likewise in an expression table). Told too: genes that
            an annotation gives no gene line, genes of an expression table that the gene file lacks.

        Raises
        ------
        DataError
            A column is missing (the message lists those there are), a value is not a number, negative or infinite, a
            strand is unknown, a TSS is negative, or no gene is left.
        """
        path = Path(path)
        columns = columns or GeneColumns()
        targets = [expression] if isinstance(expression, str) else list(expression or ())
        rows = read_rows(path, columns)
        frame = rows.frame
        drops = Drops(path, rows)
        for column, allowed in columns.keep.items():
            require_column(frame, column, path, "genes.keep")
            frame = drops.keep(frame, frame[column].isin([str(v) for v in allowed]), f"other {column}")
        if rows.is_strand_optional:
            frame = drops.keep(frame, ~frame["strand"].isin([".", "?"]), "no strand")
        if expression_path is not None:
            known = set(rows.frame["gene_id"])
            wanted = (*targets, *covariates)
            frame = _join(frame, Path(expression_path), columns, wanted=wanted, known=known, drops=drops)
        value_path = Path(expression_path) if expression_path is not None else path
        numeric = [*targets, *covariates]
        for column in numeric:
            frame[column] = _numbers(frame, column, value_path, is_signed or column not in targets)
            reason = f"no {'expression' if column in targets else 'covariate'} ({column})"
            frame = drops.keep(frame, frame[column].notna(), reason)
        frame = drops.keep(frame, ~frame["gene_id"].duplicated(), "duplicate gene id")
        frame = _checked(frame, path, drops)
        report = drops.report(len(frame))
        return cls(frame[[*_FIXED, *numeric]], report, tuple(targets), covariates, sequences=rows.sequences)

    def __len__(self) -> int:
        return len(self.frame)

    def window(self, index: int, upstream_bp: int, downstream_bp: int) -> Interval:
        """Window around the TSS of one gene, in gene orientation.

        Parameters
        ----------
        index : int
            Row of the gene.
        upstream_bp, downstream_bp : int
            Bases before the TSS, and bases from the TSS on; the window is ``upstream_bp + downstream_bp`` long and the
            TSS is its base number ``upstream_bp`` once it is read in gene orientation.

        Returns
        -------
        Interval
            May reach beyond the chromosome.
        """
        row = self.frame.iloc[index]
        tss = int(row["tss"])
        if row["strand"] == "-":
            return Interval(row["chrom"], tss + 1 - downstream_bp, tss + 1 + upstream_bp, "-", row["gene_id"])
        return Interval(row["chrom"], tss - upstream_bp, tss + downstream_bp, "+", row["gene_id"])

    def windows(self, upstream_bp: int, downstream_bp: int) -> pd.DataFrame:
        """All windows as a table: chrom, start, end, strand, name (gene id), rows as in ``frame``."""
        chrom, strand = self.frame["chrom"], self.frame["strand"]
        windows = windows_around(chrom, self.frame["tss"].to_numpy(), strand, around_bp=(upstream_bp, downstream_bp))
        return windows.assign(name=self.frame["gene_id"])

    def select(self, rows: np.ndarray) -> GeneTable:
        """Table of some rows (bool mask or row numbers), renumbered from 0, with the report of the whole."""
        frame = self.frame.loc[rows] if np.asarray(rows).dtype == bool else self.frame.iloc[rows]
        return GeneTable(frame, self.report, self.expression, self.covariates, sequences=self.sequences)

    def without(self, is_dropped: NDArray[np.bool_], reason: str) -> GeneTable:
        """Table without some rows (bool mask), counted in its report under ``reason``."""
        if not is_dropped.any():
            return self
        table = self.select(~is_dropped)
        table.report = self.report.dropping(list(self.frame.loc[is_dropped, "gene_id"]), reason)
        return table

    def renamed(self, chroms: Mapping[str, str]) -> GeneTable:
        """Table with other chromosome names; those that are not named stay."""
        table = self.select(np.arange(len(self)))
        table.frame["chrom"] = [chroms.get(chrom, chrom) for chrom in table.frame["chrom"]]
        return table

    def outside(self, chrom_sizes: Mapping[str, int]) -> np.ndarray:
        """Which TSSs lie outside their chromosome, or on a chromosome that is not known, as bool (G,)."""
        names = NameMap(chrom_sizes)
        found = {chrom: names.find(chrom) for chrom in self.frame["chrom"].unique()}
        sizes = self.frame["chrom"].map({chrom: chrom_sizes[name] for chrom, name in found.items() if name}).fillna(0)
        return (self.frame["tss"] >= sizes).to_numpy()

    def require_inside(self, chrom_sizes: Mapping[str, int], where: str | Path) -> None:
        """Raise when a TSS lies outside its chromosome.

        Raises
        ------
        DataError
            With the number of such genes and the first of them.
        """
        is_outside = self.outside(chrom_sizes)
        if is_outside.any():
            first = self.frame[is_outside].iloc[0]
            raise DataError(
                f"{int(is_outside.sum())} genes have their TSS outside the chromosome",
                where=f"first {first['gene_id']} at {first['chrom']}:{first['tss']}, in {self.report.path}",
                expected=f"positions inside the sequences of {where}",
                fix="use the annotation of the same assembly (for 1-based positions set genes.base: 1), or leave the "
                "genes of the chromosome out with splits.exclude",
            )


def windows_around(
    chrom: pd.Series, tss: NDArray[np.integer], strand: pd.Series, *, around_bp: tuple[int, int]
) -> pd.DataFrame:
    """Windows round a base of each row (R,): chrom, start, end, strand; a row without strand is read forward."""
    upstream_bp, downstream_bp = around_bp
    is_reverse = (strand == "-").to_numpy()
    start = np.where(is_reverse, tss + 1 - downstream_bp, tss - upstream_bp)
    end = np.where(is_reverse, tss + 1 + upstream_bp, tss + downstream_bp)
    return pd.DataFrame({"chrom": chrom, "start": start, "end": end, "strand": strand})


def _join(
    frame: pd.DataFrame,
    path: Path,
    columns: GeneColumns,
    *,
    wanted: Sequence[str],
    known: Set[str],
    drops: Drops,
) -> pd.DataFrame:
    table = read_table(path)
    id_column = columns.expression_gene_id or columns.gene_id
    names = list(wanted)
    for column in (id_column, *names):
        require_column(table, column, path, "expression")
    table = table[[id_column, *names]].rename(columns={id_column: "_id"})
    table["_id"] = table["_id"].map(strip_version)
    table = table.assign(gene_id=table["_id"])
    table = drops.keep(table, ~is_missing(table["_id"]), "rows of the expression table without an id")
    table = drops.keep(table, ~table["_id"].duplicated(), "duplicate id in the expression table")
    table = table.set_index("_id")[names]
    drops.note([gene_id for gene_id in table.index if gene_id not in known], UNANNOTATED)
    is_known = frame["gene_id"].isin(table.index)
    if not is_known.any():
        raise DataError(
            "no gene id of the annotation occurs in the expression table",
            where=f"{path}, column {id_column}",
            expected=f"ids such as {', '.join(frame['gene_id'].head(3))}; the table has {', '.join(table.index[:3])}",
            fix="name the id column of the table under expression.gene_id, or under genes.gene_id the column or "
            f"attribute of the gene file that holds such ids; it has {', '.join(map(str, frame.columns[:20]))}",
        )
    frame = drops.keep(frame, is_known, "not in the expression table")
    return frame.drop(columns=[n for n in names if n in frame]).join(table, on="gene_id")


def _numbers(frame: pd.DataFrame, column: str, path: Path, is_signed: bool) -> pd.Series:
    """A column as float64; text that is not a number, infinities and forbidden signs are errors, NaN stays."""
    require_column(frame, column, path, "expression.column or covariates")
    values, is_no_number = parse_numbers(frame[column])
    for is_bad, what in (
        (is_no_number, "is not a number"),
        (np.isinf(values.to_numpy()), "is infinite"),
        ((values < 0).to_numpy() & (not is_signed), "is negative"),
    ):
        if is_bad.any():
            first = frame[is_bad].iloc[0]
            raise DataError(
                f"column {column!r} {what} in {int(is_bad.sum())} of {len(frame)} rows",
                where=f"first {first['gene_id']} = {first[column]}, in {path}",
                expected="finite numbers" + ("" if is_signed else " of at least 0; empty or NA where unknown"),
                fix="correct the table; for logarithms or differences set expression.signed: true",
            )
    return values


def _checked(frame: pd.DataFrame, path: Path, drops: Drops) -> pd.DataFrame:
    strands = frame["strand"].map(_STRANDS)
    for is_bad, what, expected in (
        (strands.isna(), "an unknown strand", "'+' or '-'"),
        (frame["tss"] < 0, "a negative TSS", "0-based positions; for 1-based ones set genes.base: 1"),
    ):
        if is_bad.any():
            first = frame[is_bad].iloc[0]
            raise DataError(
                f"{int(is_bad.sum())} genes have {what}",
                where=f"first {first['gene_id']}: {first['chrom']}:{first['tss']} {first['strand']!r}, in {path}",
                expected=expected,
                fix="correct the rows or remove them",
            )
    if frame.empty:
        raise DataError("no gene is left in the table", where=f"{path}; {drops.report(0).render()}", expected=_EXPECTED)
    return frame.assign(strand=strands)
