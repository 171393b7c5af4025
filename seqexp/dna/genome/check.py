"""Do the files of a dataset belong together? Names, sizes, bounds, strands and values, compared before any work."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.check import Asker, CheckReport
from seqexp.core.errors import DataError
from seqexp.core.tables import require_column
from seqexp.dna.genome.check_contacts import check_contacts
from seqexp.dna.genome.dataset import DatasetSpec, compare_sizes
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.motifs import read_meme
from seqexp.dna.genome.names import NameMap, match_names
from seqexp.dna.genome.reference import UNKNOWN, Reference
from seqexp.dna.genome.regions import covered_bp, read_intervals
from seqexp.dna.genome.splits import assign, check_leaks
from seqexp.dna.genome.tracks import TrackSet

_NUM_SAMPLED = 200


def check_dataset(spec: DatasetSpec, upstream_bp: int, downstream_bp: int) -> CheckReport:
    """Open every file of a dataset and compare them.

    Parameters
    ----------
    spec : DatasetSpec
        The dataset.
    upstream_bp, downstream_bp : int
        Window around the TSS that is going to be used, in gene orientation.

    Returns
    -------
    CheckReport
        Every problem found, not just the first one: a file that cannot be read ends only the questions about itself.

    Notes
    -----
    A bgzip FASTA is read once from end to end, since a broken block shows only then. Signals and bases are looked at in
    up to 200 windows, evenly spread over the gene table.
    """
    ask = Asker()
    reference = _check_fasta(ask, spec)
    genes = _check_genes(ask, spec)
    windows = None if genes is None else genes.windows(upstream_bp, downstream_bp)
    if genes is not None and reference is not None:
        _check_positions(ask, spec, genes, reference, upstream_bp, downstream_bp)
    for name in spec.tracks:
        _check_track(ask, spec, name, reference, genes, (upstream_bp, downstream_bp))
    if genes is not None and windows is not None:
        ask("dataset.yaml", "splits", lambda: check_leaks(genes, windows, assign(genes, windows, spec.splits)).render())
    sizes = None if reference is None else reference.chrom_sizes
    if spec.blacklist is not None:
        _check_intervals(ask, spec, spec.blacklist, "blacklist", sizes)
    for name, path in spec.peaks.items():
        _check_intervals(ask, spec, path, f"peaks {name}", sizes)
    for name, path in spec.features.items():
        _check_intervals(ask, spec, path, f"feature {name}", sizes)
    if spec.motifs is not None:
        motifs = spec.motifs
        ask(motifs.name, "motifs", lambda: f"{len(read_meme(motifs))} motifs")
    if spec.truth is not None:
        _check_intervals(ask, spec, spec.truth, "truth", sizes)
        if genes is not None:
            ask(spec.truth.name, "planted elements", lambda: _truth(spec, genes))
    if spec.contacts is not None and sizes is not None:
        check_contacts(ask, spec.contacts, sizes, genes)
    return CheckReport(tuple(ask.rows))


def _check_fasta(ask: Asker, spec: DatasetSpec) -> Reference | None:
    file = spec.fasta.name
    reference = ask.value(file, "opens", spec.open_reference)
    if reference is not None:
        total = sum(reference.chrom_sizes.values())
        ask(file, "sequences", lambda: f"{len(reference.chrom_sizes)} with {total:,} bp")
        ask(file, "content", lambda: _read_through(spec.fasta))
    return reference


def _read_through(path: Path) -> str:
    if not path.name.lower().endswith((".gz", ".bgz")):
        return "plain text"
    try:
        with gzip.open(path) as handle:
            while handle.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"the bgzip FASTA is corrupt: {error}", where=path, expected="whole blocks", fix="download it again"
        ) from error
    return "bgzip, every block whole"


def _check_genes(ask: Asker, spec: DatasetSpec) -> GeneTable | None:
    file = spec.genes.name
    plain = ask.value(file, "genes", lambda: GeneTable.read(spec.genes, spec.columns))
    if plain is not None:
        ask(file, "strands", lambda: _strands(plain))
    genes = ask.value(file, "expression", spec.read_genes)
    if genes is not None:
        ask(file, "rows", lambda: (genes.report.render().split(": ", 1)[1], not genes.report.dropped))
        values = genes.frame[spec.expression].to_numpy()
        ask(file, spec.expression, lambda: _range(values, spec.expression_unit))
        for column in spec.covariates:
            ask(file, column, lambda column=column: _range(genes.frame[column].to_numpy(), ""))  # type: ignore[misc]
    return genes


def _strands(genes: GeneTable) -> tuple[str, bool]:
    num_forward = int((genes.frame["strand"] == "+").sum())
    return f"{num_forward} +, {len(genes) - num_forward} -", 0 < num_forward < len(genes)


def _range(values: np.ndarray, unit: str) -> tuple[str, bool]:
    low, middle, high = np.min(values), np.median(values), np.max(values)
    zeros = f", {np.mean(values == 0):.0%} zero" if low >= 0 else ""
    return f"{low:.4g} to {high:.4g} {unit}, median {middle:.4g}{zeros}".replace(" ,", ","), bool(low < high)


def _check_positions(
    ask: Asker, spec: DatasetSpec, genes: GeneTable, reference: Reference, upstream_bp: int, downstream_bp: int
) -> None:
    file, sizes = spec.genes.name, reference.chrom_sizes

    def names() -> tuple[str, bool]:
        chroms = list(genes.frame["chrom"].unique())
        found = match_names(chroms, sizes, spec.genes, spec.fasta)
        lacking = [chrom for chrom in chroms if chrom not in found]
        told = f"{len(found)} of {len(chroms)} in the FASTA"
        return told + (f"; not {', '.join(lacking[:5])}" if lacking else ""), not lacking

    def padded() -> tuple[str, bool]:
        windows = genes.windows(upstream_bp, downstream_bp)
        known = NameMap(sizes)
        limit = windows["chrom"].map({c: sizes.get(known.find(c) or "", 0) for c in windows["chrom"].unique()})
        num_past = int(((windows["start"] < 0) | (windows["end"] > limit)).sum())
        return f"{num_past} of {len(genes)} reach past a chromosome end and are padded", num_past <= 0.1 * len(genes)

    ask(file, "chromosome names", names)
    ask(file, "TSS inside chromosome", lambda: _inside(genes, sizes, spec.fasta))
    ask(file, "windows", padded)
    ask(spec.fasta.name, "bases in windows", lambda: _known_bases(genes, reference, upstream_bp, downstream_bp))


def _inside(genes: GeneTable, sizes: Mapping[str, int], fasta: Path) -> str:
    genes.require_inside(sizes, fasta)
    return f"all {len(genes)}"


def _sampled(genes: GeneTable, names: Mapping[str, int]) -> list[int]:
    known = NameMap(names)
    is_known = genes.frame["chrom"].map({c: c in known for c in genes.frame["chrom"].unique()}).to_numpy(bool)
    rows = np.flatnonzero(is_known)
    return [
        int(row) for row in rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _NUM_SAMPLED)).astype(int))]
    ]


def _known_bases(genes: GeneTable, reference: Reference, upstream_bp: int, downstream_bp: int) -> tuple[str, bool]:
    rows = _sampled(genes, reference.chrom_sizes)
    windows = [genes.window(row, upstream_bp, downstream_bp) for row in rows]
    share = float(np.mean([(reference.codes(window) != UNKNOWN).mean() for window in windows]))
    return f"{share:.1%} are A, C, G or T ({len(rows)} windows)", share > 0.9


def _check_track(
    ask: Asker,
    spec: DatasetSpec,
    name: str,
    reference: Reference | None,
    genes: GeneTable | None,
    around_bp: tuple[int, int],
) -> None:
    file = spec.tracks[name].name
    track = ask.value(file, f"track {name}", lambda: TrackSet({name: spec.tracks[name]}, spec.missing))
    if track is None:
        return
    if reference is not None:
        sizes = track.sizes_of(name)

        def names() -> tuple[str, bool]:
            num_found = len(match_names(sizes, reference.chrom_sizes, spec.tracks[name], spec.fasta))
            return f"{num_found} of {len(sizes)} in the FASTA", num_found == len(sizes)

        ask(file, "chromosome names", names)
        ask(file, "chromosome sizes", lambda: compare_sizes(reference, track, name))
    ask(file, "values", lambda: _track_values(track, name))
    if genes is not None:
        ask(file, "signal in windows", lambda: _signal(track, genes, around_bp))


def _track_values(track: TrackSet, name: str) -> tuple[str, bool]:
    summary = track.summary(name)
    if not summary["nBasesCovered"]:
        raise DataError("the track holds no value", where=track.paths[name], expected="a signal")
    low, high, share = summary["minVal"], summary["maxVal"], summary["nBasesCovered"] / sum(track.chrom_sizes.values())
    if not np.isfinite([low, high]).all():
        raise DataError("the track holds infinite values", where=track.paths[name], expected="finite numbers")
    told = f"{low:.4g} to {high:.4g}, {share:.1%} of bases have a value"
    return told + (", some negative" if low < 0 else ""), low >= 0 and low < high


def _signal(track: TrackSet, genes: GeneTable, around_bp: tuple[int, int]) -> tuple[str, bool]:
    rows = _sampled(genes, track.chrom_sizes)
    windows = [genes.window(row, *around_bp) for row in rows]
    share = float(np.mean([bool((np.nan_to_num(track.values(window)) != 0).any()) for window in windows]))
    return f"{share:.1%} of {len(rows)} windows have some", share > 0.5


def _check_intervals(ask: Asker, spec: DatasetSpec, path: Path, what: str, sizes: Mapping[str, int] | None) -> None:
    frame = ask.value(path.name, what, lambda: read_intervals(path))
    if frame is None:
        return
    ask(path.name, what, lambda: (f"{len(frame):,} intervals, {covered_bp(frame):,} bp", len(frame) > 0))
    if sizes is not None and len(frame):
        ask(path.name, "inside chromosomes", lambda: _bounds(frame, path, sizes, spec.fasta))


def _bounds(frame: pd.DataFrame, path: Path, sizes: Mapping[str, int], fasta: Path) -> tuple[str, bool]:
    found = match_names(frame["chrom"].unique(), sizes, path, fasta)
    limits = frame["chrom"].map({chrom: sizes[name] for chrom, name in found.items()})
    num_past = int((frame["end"] > limits).sum())
    told = f"{int(limits.notna().sum()):,} on chromosomes of the FASTA"
    return told + (f", {num_past} end past their chromosome" if num_past else ""), num_past == 0


def _truth(spec: DatasetSpec, genes: GeneTable) -> tuple[str, bool]:
    truth = spec.read_truth()
    assert truth is not None  # only asked when the dataset names one
    for column in ("gene_id", "effect"):
        require_column(truth, column, spec.truth or "", "truth")
    num_known = int(truth["gene_id"].astype(str).isin(genes.frame["gene_id"]).sum())
    return f"{num_known} of {len(truth)} belong to a gene of the table", num_known == len(truth)
