"""Steps that recipes are made of: gene tables, joins with an annotation, filtered BED, tracks per DNA copy, packing."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, inside
from seqexp.core.tables import is_missing, numbers, parse_numbers, read_table, whole_numbers
from seqexp.dna.genome.bed_rows import read_rows, whole_positions
from seqexp.dna.genome.prepare_expression import counts_to_tpm
from seqexp.dna.genome.prepare_features import nucleosome_depleted
from seqexp.dna.genome.prepare_fragments import fragment_tracks
from seqexp.dna.genome.prepare_sequence import rename_chromosomes
from seqexp.dna.genome.prepare_tables import (
    covered_rows,
    join_annotation,
    plain_id,
    read_annotated,
    write_table,
)
from seqexp.dna.genome.prepare_tracks import copy_ratio, parse_segment, scale_track
from seqexp.recipes.runner import StepKind, StepResult

_BLOCK = 1 << 22


class Covered(TypedDict):
    """Regions that a gene's surroundings must lie in: a BED file, and how far to each side of the TSS."""

    bed: str
    flank_bp: int


class Folds(TypedDict):
    """Published folds: a comma-separated table, its column of gene ids and its column of folds."""

    table: str
    gene_id: str
    column: str


def gene_table(
    folder: Path,
    table: str,
    output: str,
    columns: Mapping[str, str],
    *,
    strand: str = "strand",
    tss_from: Sequence[str] | None = None,
    keep: Mapping[str, Sequence[str]] | None = None,
    drop: Mapping[str, Sequence[str]] | None = None,
    require: Sequence[str] = (),
    covered: Covered | None = None,
) -> StepResult:
    """Make a gene table of one row per gene, counting every row that is left out.

    Parameters
    ----------
    folder : Path
        Dataset folder; all paths are relative to it.
    table, output : str
        Tab-separated table with a header, in and out.
    columns : mapping
        Output column -> column of the table; ``gene_id``, ``chrom`` and ``tss`` (0-based) must be among them, ``tss``
        only if ``tss_from`` is not given.
    strand : str
        Column of the table with ``+`` and ``-``.
    tss_from : (str, str), optional
        Columns with start (0-based) and end (exclusive) of the gene: the TSS is the first base in gene orientation.
    keep, drop : mapping, optional
        Column of the table -> values to keep, or to leave out.
    require : sequence of str
        Columns that must hold a number.
    covered : mapping, optional
        ``bed`` and ``flank_bp``: leave out genes whose TSS +- flank is not wholly inside the intervals of the BED.

    Raises
    ------
    DataError
        A column is missing or no gene is left.
    """
    path = inside(folder, table)
    frame = read_table(path, "\t")
    used = [*columns.values(), strand, *(tss_from or ()), *(keep or {}), *(drop or {}), *require]
    _require_columns(frame, used, path)
    notes = [f"{len(frame)} genes in {Path(table).name}"]
    for column, values in (keep or {}).items():
        wanted = _texts(values)
        frame = _reduce(frame, frame[column].isin(wanted), f"{column} is not {', '.join(wanted)}", notes)
    for column, values in (drop or {}).items():
        unwanted = _texts(values)
        frame = _reduce(frame, ~frame[column].isin(unwanted), f"{column} is {', '.join(unwanted)}", notes)
    for column in require:
        frame = _reduce(frame, parse_numbers(frame[column])[0].notna(), f"no number in {column}", notes)
    genes = pd.DataFrame({new: frame[old] for new, old in columns.items()})
    genes["strand"] = frame[strand]
    if tss_from is not None:
        is_plus = (frame[strand] == "+").to_numpy()
        start, end = (whole_numbers(frame, column, path) for column in tss_from)
        genes["tss"] = np.where(is_plus, start, end - 1)
    else:
        genes["tss"] = whole_numbers(genes, "tss", path)
    if covered is not None:
        is_covered = covered_rows(genes, inside(folder, covered["bed"]), covered["flank_bp"])
        genes = _reduce(genes, is_covered, f"sequence missing within {covered['flank_bp']} bp of the TSS", notes)
    genes = _reduce(genes, ~genes["gene_id"].duplicated(), "a gene_id seen before", notes)
    return _write_genes(genes, folder, output, notes)


def cage_genes(
    folder: Path,
    table: str,
    gtf: str,
    output: str,
    *,
    gene_id: str,
    expression: Mapping[str, str],
    folds: Folds | None = None,
) -> StepResult:
    """Join a table of expression by Ensembl gene with the positions of a GTF; the TSS is the 5' end of the gene.

    Parameters
    ----------
    folder : Path
        Dataset folder; all paths are relative to it.
    table : str
        Comma-separated table of expression.
    gtf : str
        GENCODE or Ensembl annotation, gzipped or not.
    output : str
        Tab-separated gene table to write.
    gene_id : str
        Column of the table with Ensembl gene ids; versions are ignored on both sides.
    expression : mapping
        Output column -> column of the table.
    folds : mapping, optional
        ``table`` (comma-separated), its column ``gene_id`` and its ``column`` with the published split of each gene:
        becomes column ``fold``, and genes without one are left out. The note says which chromosomes each label holds,
        to compare with the splits of the dataset.

    Raises
    ------
    DataError
        A column is missing, the GTF holds no gene, or no gene is left.
    """
    path = inside(folder, table)
    frame = read_table(path, separator=",")
    _require_columns(frame, [gene_id, *expression.values()], path)
    notes = [f"{len(frame)} genes in {Path(table).name}"]
    values = pd.DataFrame({new: parse_numbers(frame[old])[0] for new, old in expression.items()})
    values.insert(0, "gene_id", frame[gene_id].map(plain_id))
    values = _reduce(values, ~values["gene_id"].duplicated(), "a gene_id seen before", notes)
    values = _reduce(values, values[list(expression)].notna().all(axis=1), "no number for the expression", notes)
    genes = join_annotation(values, read_annotated(inside(folder, gtf), notes), notes)
    if folds is not None:
        genes["fold"] = _folds(inside(folder, folds["table"]), folds["gene_id"], folds["column"], genes["gene_id"])
        genes = _reduce(genes, genes["fold"].notna(), "no fold", notes)
        for label in sorted(set(genes["fold"]) - {"train"}):
            notes.append(f"fold {label}: " + ", ".join(sorted(genes.loc[genes["fold"] == label, "chrom"].unique())))
    return _write_genes(genes, folder, output, notes)


def copy_corrected(
    folder: Path,
    tracks: Mapping[str, str],
    outputs: Mapping[str, str],
    amplified: str,
    *,
    reference: Sequence[str],
    estimate_from: Sequence[str],
    genes: str,
    genes_output: str,
    expression: str,
    corrected: str,
) -> StepResult:
    """Divide tracks and expression inside an amplified segment by how many more copies of it there are.

    The ratio is the median value of the track's own intervals in the amplified segment over that in the reference
    segments, averaged over ``estimate_from``. Tracks and expression are divided by the same number: reads and
    transcripts both grow with the copies, and correcting one alone would break their relation.

    Parameters
    ----------
    folder : Path
        Dataset folder; all paths are relative to it.
    tracks, outputs : mapping
        Track name -> bigWig to read, and to write.
    amplified : str
        Segment ``chrom:start-end``, 0-based half-open.
    reference : sequence of str
        Segments of ordinary copy number and similar gene density.
    estimate_from : sequence of str
        Tracks the ratio is measured on.
    genes, genes_output : str
        Gene table to read, and to write with one more column.
    expression, corrected : str
        Column to divide, and name of the new column.

    Raises
    ------
    DataError
        A track has no interval in one of the segments.
    """
    table = read_table(inside(folder, genes), "\t")
    _require_columns(table, ["chrom", "tss", expression], inside(folder, genes))
    ratios = {name: copy_ratio(inside(folder, tracks[name]), amplified, list(reference)) for name in estimate_from}
    ratio = float(np.mean(list(ratios.values())))
    for name, path in tracks.items():
        scale_track(inside(folder, path), inside(folder, outputs[name]), amplified, 1.0 / ratio)
    chrom, start, end = parse_segment(amplified)
    tss, values = whole_numbers(table, "tss", inside(folder, genes)), numbers(table, expression, inside(folder, genes))
    is_inside = ((table["chrom"] == chrom) & (tss >= start) & (tss < end)).to_numpy()
    table[corrected] = values / np.where(is_inside, ratio, 1.0)
    write_table(table, inside(folder, genes_output))
    measured = ", ".join(f"{name} {value:.2f}" for name, value in ratios.items())
    notes = (f"{amplified} has {ratio:.2f} times the signal of the reference segments ({measured})",
             f"{int(is_inside.sum())} genes and {len(tracks)} tracks divided by it there")  # fmt: skip
    return StepResult((*outputs.values(), genes_output), notes)


def restrict_bed(
    folder: Path, bed: str, output: str, chroms: Sequence[str], *, max_bp: int | None = None
) -> StepResult:
    """Keep the lines of a BED-like file (BED, narrowPeak) on some chromosomes, and up to some width.

    Parameters
    ----------
    folder : Path
        Dataset folder; paths are relative to it.
    bed, output : str
        File to read and gzipped file to write.
    chroms : sequence of str
        Chromosomes to keep.
    max_bp : int, optional
        Widest interval to keep.

    Raises
    ------
    DataError
        The file cannot be read, or no line is left.
    """
    path = inside(folder, bed)
    frame = read_rows(path)  # text, written back as it was
    if frame.shape[1] < 3:
        raise DataError(f"{frame.shape[1]} columns", where=path, expected="BED: chromosome, start, end, tabs between")
    named = frame.rename(columns={1: "start", 2: "end"})
    start, end = (whole_positions(named, column, path) for column in ("start", "end"))
    if (end < start).any():
        row = int(np.argmax(end < start))
        raise DataError(f"end {end[row]} before start {start[row]}", where=f"{path}, data row {row + 1}")
    notes = [f"{len(frame)} intervals in {Path(bed).name}"]
    frame = _reduce(frame, frame[0].isin(_texts(chroms)), f"not on {', '.join(_texts(chroms))}", notes)
    if max_bp is not None:
        frame = _reduce(frame, (end - start <= max_bp)[frame.index], f"wider than {max_bp} bp", notes)
    if frame.empty:
        raise DataError(f"no interval on {', '.join(_texts(chroms))}", where=path, expected="at least one")
    write_table(frame, inside(folder, output), header=False)
    return StepResult((output,), tuple(notes))


def decompress(folder: Path, source: str, output: str) -> StepResult:
    """Unpack a gzipped file: plain gzip cannot be read at random places.

    Raises
    ------
    DataError
        The file is no gzip or ends too early.
    """
    try:
        with (
            gzip.open(inside(folder, source), "rb") as incoming,
            atomic_path(inside(folder, output)) as temporary,
            open(temporary, "wb") as outgoing,
        ):
            shutil.copyfileobj(incoming, outgoing, _BLOCK)
    except (gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"cannot unpack: {error}", where=folder / source, expected="a whole gzip file") from error
    return StepResult((output,))


def compress(folder: Path, source: str, output: str) -> StepResult:
    """Pack a file with gzip, without name and time in its head, so that equal files stay equal."""
    path = inside(folder, source)
    with atomic_path(inside(folder, output)) as temporary:
        temporary.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return StepResult((output,))


def _folds(path: Path, gene_id: str, column: str, genes: pd.Series) -> pd.Series:
    """Published split of each gene (G,), missing where the table does not know the gene."""
    frame = read_table(path, separator=",")
    _require_columns(frame, [gene_id, column], path)
    known = frame[~is_missing(frame[column])]
    ids = known[gene_id].map(plain_id)
    return genes.map(dict(zip(ids, known[column], strict=True)))


def _texts(values: Sequence[object]) -> list[str]:
    """Values of a recipe as the cells of a table, which are text."""
    return [str(value) for value in values]


def _require_columns(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise DataError(
            f"no column {missing[0]!r}", where=path, expected="one of: " + ", ".join(map(str, frame.columns)),
            fix="correct the recipe",
        )  # fmt: skip


def _reduce(frame: pd.DataFrame, keep: pd.Series | np.ndarray, reason: str, notes: list[str]) -> pd.DataFrame:
    """Rows to keep; how many go and why is noted, never silent."""
    num_dropped = int(len(frame) - np.asarray(keep, dtype=bool).sum())
    if num_dropped:
        notes.append(f"{num_dropped} dropped: {reason}")
    return frame[np.asarray(keep, dtype=bool)]


def _write_genes(genes: pd.DataFrame, folder: Path, output: str, notes: list[str]) -> StepResult:
    if genes.empty:
        raise DataError("no gene is left", where=folder / output, expected="at least one", fix="; ".join(notes))
    write_table(genes, inside(folder, output))
    return StepResult((output,), (*notes, f"{len(genes)} genes kept"))


STEPS = {
    "gene_table": StepKind(gene_table),
    "cage_genes": StepKind(cage_genes),
    "copy_corrected": StepKind(copy_corrected),
    "restrict_bed": StepKind(restrict_bed),
    "nucleosome_depleted": StepKind(nucleosome_depleted),
    "decompress": StepKind(decompress),
    "compress": StepKind(compress),
    "rename_chromosomes": StepKind(rename_chromosomes),
    "fragment_tracks": StepKind(fragment_tracks),
    "counts_to_tpm": StepKind(counts_to_tpm),
}
