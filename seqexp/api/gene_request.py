"""Genes that somebody asks about: those of a file, or by id or name in the annotation of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.tables import read_table
from seqexp.dna.genome.dataset import DatasetSpec
from seqexp.dna.genome.gene_files import TABLES, GeneColumns, read_rows, strip_version
from seqexp.dna.genome.genes import GeneTable

_NUM_NAMED = 5


def read_genes_of(path: Path) -> tuple[GeneTable, GeneColumns]:
    """Genes of a file, whether they have expression or not, and the columns they were read by.

    A table has the columns gene_id, chrom, strand, and tss or start and end, all counted from 0.

    Raises
    ------
    DataError
        As of :meth:`seqexp.dna.genome.genes.GeneTable.read`.
    """
    columns = GeneColumns()
    if path.is_file() and path.name.lower().removesuffix(".gz").endswith(TABLES):
        has = read_table(path).columns
        columns = GeneColumns(tss="tss" if "tss" in has or "start" not in has else None)
    return GeneTable.read(path, columns), columns


def find_genes(genes: GeneTable, names: Sequence[str]) -> GeneTable:
    """Genes of an annotation by id or name, in the order asked.

    Raises
    ------
    DataError
        No gene is asked for, one is not there, or a name is that of several genes.
    """
    wanted = list(dict.fromkeys(strip_version(str(name)) for name in names))
    by_id = {gene_id: row for row, gene_id in enumerate(genes.frame["gene_id"].astype(str))}
    by_name = genes.frame.groupby(genes.frame["gene_name"].astype(str)).indices
    absent = [name for name in wanted if name not in by_id and name not in by_name]
    if absent or not wanted:
        shown = ", ".join(absent[:_NUM_NAMED]) + (", …" if len(absent) > _NUM_NAMED else "")
        raise DataError(
            f"{len(absent):,} of {len(wanted):,} genes are not in the annotation: {shown}" if wanted else "no genes",
            where=genes.report.path,
            expected=f"ids or names of its {len(genes):,} genes, such as {', '.join(genes.frame['gene_id'].head(3))}",
        )
    twice = [name for name in wanted if name not in by_id and len(by_name[name]) > 1]
    if twice:
        ids = genes.frame["gene_id"].iloc[by_name[twice[0]]]
        raise DataError(
            f"{len(ids)} genes are named {twice[0]}", where=genes.report.path, expected=f"an id: {', '.join(ids)}"
        )
    rows = [by_id[name] if name in by_id else int(by_name[name][0]) for name in wanted]
    return genes.select(np.array(list(dict.fromkeys(rows)), dtype=np.int64))


def covariates_of(
    path: Path, columns: GeneColumns, names: Sequence[str], spec: DatasetSpec | None = None
) -> pd.DataFrame | None:
    """Covariates (G, F) of the genes of a file that have them, by gene id; None where the file lacks a column.

    Parameters
    ----------
    path : Path
        What holds them.
    columns : GeneColumns
    names : sequence of str
        Covariates of the checkpoint.
    spec : DatasetSpec, optional
        The data set that the file belongs to, which may keep covariates in a table of their own.
    """
    if not names:
        return None
    has = spec.covariates if spec is not None else read_rows(path, columns).frame.columns
    if not set(names) <= set(has):
        return None
    genes, table = (path, None) if spec is None else (spec.genes, spec.expression_path)
    frame = GeneTable.read(genes, columns, None, names, expression_path=table).frame
    return frame.set_index("gene_id")[list(names)]
