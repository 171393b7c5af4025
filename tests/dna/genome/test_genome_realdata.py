"""The real yeast genome and human chromosome 22, from the folder named by SEQEXP_MIRROR."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from seqexp.dna.genome.gene_files import GeneColumns
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.regions import IntervalIndex, covered_bp, read_bed
from seqexp.dna.genome.tracks import TrackSet

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def mirror() -> Path:
    folder = os.environ.get("SEQEXP_MIRROR")
    if not folder:
        pytest.skip("REAL DATA NOT TESTED: set SEQEXP_MIRROR to the folder that holds yeast/ and k562_chr22_hg38/")
    return Path(folder)


def test_yeast(mirror: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = mirror / "yeast"
    reference = Reference(folder / "sacCer3.fa.gz")
    assert sum(reference.chrom_sizes.values()) == 12_157_105
    table = folder / "genes.expression.tsv.gz"
    genes = GeneTable.read(table, GeneColumns(tss="tss_annot", keep={"biotype": ["protein_coding"]}), "TPM_S288C_mean")
    assert len(genes) > 6_500
    genes.require_inside(reference.chrom_sizes, reference.path)

    gtf = GeneTable.read(folder / "sacCer3.R64-1-1.96.gtf.gz", GeneColumns(keep={"gene_biotype": ["protein_coding"]}))
    assert len(gtf) == 6_600
    both = genes.frame.merge(gtf.frame, on="gene_id")
    assert (both["tss_x"] == both["tss_y"]).all()
    assert (both["strand_x"] == both["strand_y"]).all()
    # The annotated start of a coding gene is its start codon, on either strand.
    nuclear = np.flatnonzero((gtf.frame["chrom"] != "chrM").to_numpy())
    for strand in ("+", "-"):
        rows = [row for row in nuclear if gtf.frame["strand"][row] == strand]
        assert np.mean([reference.sequence(gtf.window(row, 0, 3)) == "ATG" for row in rows]) > 0.99

    tracks = TrackSet({"ATAC": folder / "ATAC_SRR1822137.cut_sites.bw"})
    assert {c: reference.chrom_sizes[c] for c in tracks.chrom_sizes} == tracks.chrom_sizes
    sampled = range(0, len(genes), 20)
    promoter = np.mean([tracks.values(genes.window(row, 300, 0), 300, "sum")[0, 0] for row in sampled])
    body = np.mean([tracks.values(genes.window(row, -200, 500), 300, "sum")[0, 0] for row in sampled])
    assert promoter > 1.5 * body


def test_k562_chr22(mirror: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = mirror / "k562_chr22_hg38"
    reference = Reference(folder / "chr22.hg38.partial.fa.gz")
    assert reference.chrom_sizes == {"chr22": 50_818_468}
    covered = read_bed(folder / "covered.hg38.bed")
    inside = covered.iloc[int((covered["end"] - covered["start"]).argmax())]
    window = Interval("22", inside["start"] + 10_000, inside["start"] + 206_608, "-")
    assert (reference.codes(window) < 4).mean() > 0.95
    assert (reference.codes(Interval("chr22", 0, 100_000)) == 4).all()

    columns = GeneColumns(gene_id="Ensembl_ID", gene_name="symbol", chrom="chr")
    genes = GeneTable.read(folder / "genes.with_expression.tsv.gz", columns, "K562_TPM")
    assert genes.report.num_read == 517
    assert genes.report.dropped["no expression (K562_TPM)"] == 55
    assert genes.report.num_duplicates == 517 - 55 - len(genes)

    names = {"DHS": "K562_DHS", "ATAC": "K562_ATAC", "H3K27ac": "K562_H3K27ac"}
    tracks = TrackSet({key: folder / f"{stem}.candidate_readsPerKb.bw" for key, stem in names.items()})
    signals = tracks.values(window, 128)
    assert signals.shape == (1536, 3)
    assert (signals.sum(axis=0) > 0).all()
    peaks = read_bed(folder / "K562_DHS.macs2_peaks.narrowPeak.gz")
    assert len(peaks) == 26_612
    assert IntervalIndex(peaks).overlaps(peaks).all()
    assert covered_bp(read_bed(folder / "GRCh38_unified_blacklist.bed.gz")) > 1_000_000
