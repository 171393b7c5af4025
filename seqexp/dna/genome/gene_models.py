"""The genes that reach into some windows, as the gene file of a dataset has them: bodies, strands, and exons if any."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.tables import parse_numbers
from seqexp.dna.genome.annotation_lines import Sequences, read_features
from seqexp.dna.genome.gene_files import GeneColumns, is_annotation, is_table, read_rows, strip_version
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap

_EXONS = ("exon", "CDS")


@dataclass(frozen=True)
class GeneModel:
    """One gene on the genome; positions 0-based, half-open.

    Attributes
    ----------
    gene_id, name, strand : str
    tss : int
        First transcribed base.
    start, end : int
        Gene body; of a file that knows the TSS alone, that base.
    exons : tuple of (start, end)
        Empty where the file has none.
    """

    gene_id: str
    name: str
    strand: str
    tss: int
    start: int
    end: int
    exons: tuple[tuple[int, int], ...] = ()


def genes_in(path: Path, columns: GeneColumns, windows: Sequence[Interval]) -> list[tuple[GeneModel, ...]]:
    """Genes of a file, measured or not, in each of some windows, from left to right.

    Parameters
    ----------
    path : Path
        GTF, GFF3, BED or table.
    columns : GeneColumns
        Where its fields are.
    windows : sequence of Interval
        Their chromosome names may be others of the same chromosomes.
    """
    frame = read_rows(path, columns).frame
    known = NameMap({window.chrom for window in windows})
    place = {chrom: known.find(str(chrom)) for chrom in frame["chrom"].unique()}
    frame = frame.assign(chrom=frame["chrom"].map(place))
    frame = frame[frame["chrom"].notna()].drop_duplicates(["gene_id", "chrom", "tss"])
    body = _bodies(frame, columns if is_table(path) else GeneColumns())
    frame = frame.assign(start=body["start"], end=body["end"]).sort_values("start", kind="stable")
    exons = _exons(path, columns.gene_id, windows, place) if is_annotation(path) else {}
    found = []
    for window in windows:
        is_there = (frame["chrom"] == window.chrom) & (frame["start"] < window.end) & (frame["end"] > window.start)
        rows = [row for _, row in frame[is_there].iterrows()]
        found.append(tuple(_model(row, exons.get((str(row["gene_id"]), window.chrom), ())) for row in rows))
    return found


def _model(row: pd.Series, exons: Collection[tuple[int, int]]) -> GeneModel:
    names = [str(row[name]) for name in ("gene_id", "gene_name", "strand")]
    tss, start, end = (int(row[name]) for name in ("tss", "start", "end"))
    return GeneModel(names[0], names[1], names[2], tss, start, end, tuple(sorted(exons)))


def _bodies(frame: pd.DataFrame, columns: GeneColumns) -> pd.DataFrame:
    """Start and end of every gene; the TSS base where the file has no stretch that holds it."""
    tss = frame["tss"].to_numpy(np.int64)
    bodies = pd.DataFrame({"start": tss, "end": tss + 1}, index=frame.index)
    if columns.start in frame and columns.end in frame:
        start, end = (parse_numbers(frame[name].astype(str))[0].to_numpy() for name in (columns.start, columns.end))
        start = start - columns.base
        holds = (start <= tss) & (tss < end)
        bodies.loc[holds, "start"], bodies.loc[holds, "end"] = start[holds].astype(int), end[holds].astype(int)
    return bodies


def _exons(
    path: Path, gene_id: str, windows: Sequence[Interval], place: Mapping[str, str | None]
) -> dict[tuple[str, str], set[tuple[int, int]]]:
    """Exons in the windows by gene and chromosome, of lines that name their gene."""
    found: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for feature in read_features(path, Sequences()):
        chrom = place.get(feature.chrom) if feature.kind in _EXONS else None
        if chrom is not None and any(
            w.chrom == chrom and w.start < feature.end and w.end > feature.start for w in windows
        ):
            owner = feature.parsed().get(gene_id)
            if owner:
                found.setdefault((strip_version(owner), chrom), set()).add((feature.start, feature.end))
    return found
