"""``check_dataset`` finds every problem of a folder at once and tells them in one table."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from Bio import bgzf

from seqexp.core.check import CheckReport
from seqexp.core.errors import DataError
from seqexp.dna.genome.check import check_dataset
from seqexp.dna.genome.dataset import load_dataset


def check(path: Path) -> CheckReport:
    return check_dataset(load_dataset(path), 300, 500)


def errors_of(report: CheckReport) -> dict[str, str]:
    return {f"{row.file}: {row.what}": row.found for row in report.errors}


def test_good_dataset(shared_tiny_dataset: Path) -> None:
    report = check(shared_tiny_dataset)
    assert report.ok
    assert {row.status for row in report.rows} == {"ok"}
    report.require_ok()
    text = report.render()
    assert text.endswith("0 errors, 0 warnings: the files belong together")
    lines = text.split("\n")[:-2]
    column = lines[0].index("found")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)
    for told in ("6 with 240,000 bp", "30 +, 30 -", "60 rows, 60 genes", "6 equal to the FASTA", "train 40, val 10"):
        assert told in text


def test_every_error_is_collected(tiny_dataset: Path) -> None:
    folder = tiny_dataset.parent
    bigwig = folder / "atac.bw"
    bigwig.write_bytes(bigwig.read_bytes()[:3_000])
    genes = (folder / "genes.tsv").read_text().split("\n")
    cells = genes[1].split("\t")
    cells[5] = "-3"
    (folder / "genes.tsv").write_text("\n".join([genes[0], "\t".join(cells), *genes[2:]]))
    (folder / "blacklist.bed").write_text("chr1\t50\t20\n")
    (folder / "peaks.narrowPeak").write_text("contig7\t5\t20\n")
    report = check(tiny_dataset)
    assert errors_of(report) == {
        "atac.bw: track ATAC": "the bigWig is truncated: its end mark is missing",
        "genes.tsv: expression": "column 'TPM' is negative in 1 of 60 rows",
        "blacklist.bed: blacklist": "1 intervals are empty, negative or turned round",
        "peaks.narrowPeak: inside chromosomes": "no chromosome name of peaks.narrowPeak occurs in genome.fa",
    }
    text = report.render()
    assert "4 errors" in text
    assert "error in genes.tsv: column 'TPM'" in text
    assert "G000 = -3" in text
    with pytest.raises(DataError, match=r"4 errors in the dataset(.|\n)*truncated(.|\n)*negative"):
        report.require_ok()


def test_corrupt_bgzip_is_found_although_the_index_is_good(tiny_dataset: Path) -> None:
    folder = tiny_dataset.parent
    path = folder / "genome.fa.gz"
    with bgzf.BgzfWriter(str(path), "wb") as handle:
        handle.write((folder / "genome.fa").read_bytes())
    tiny_dataset.write_text(tiny_dataset.read_text().replace("genome.fa", "genome.fa.gz"))
    assert check(tiny_dataset).ok
    content, modified = bytearray(path.read_bytes()), path.stat()
    content[-200:-190] = b"\xff" * 10
    path.write_bytes(content)
    os.utime(path, ns=(modified.st_atime_ns, modified.st_mtime_ns))
    found = errors_of(check(tiny_dataset))
    assert "the bgzip FASTA is corrupt" in found["genome.fa.gz: opens"]  # where the last record ends


def test_assembly_bounds_and_splits(tiny_dataset: Path) -> None:
    folder = tiny_dataset.parent
    fasta = (folder / "genome.fa").read_text()
    (folder / "genome.fa").write_text(fasta[: fasta.index(">chr6") + 6 + 61 * 100])
    (folder / "genome.fa.fai").unlink(missing_ok=True)
    tiny_dataset.write_text(tiny_dataset.read_text().replace("val: [chr5]", "val: [chr55]"))
    found = errors_of(check(tiny_dataset))
    assert set(found) == {
        "genes.tsv: chromosomes",
        "atac.bw: chromosome sizes",
        "h3k27ac.bw: chromosome sizes",
        "dataset.yaml: splits",
        "blacklist.bed: inside chromosomes",
        "peaks.narrowPeak: inside chromosomes",
        "truth.tsv: inside chromosomes",
    }
    assert "the FASTA is shorter than track ATAC: chr6 has 6000 bp" in found["atac.bw: chromosome sizes"]
    assert "splits.val names 'chr55'" in found["dataset.yaml: splits"]


def test_warnings_do_not_fail(tiny_dataset: Path) -> None:
    folder = tiny_dataset.parent
    genes = (folder / "genes.tsv").read_text().rstrip("\n").split("\n")
    (folder / "genes.tsv").write_text("\n".join([*(row.replace("\t-\t", "\t+\t") for row in genes), genes[1]]) + "\n")
    with open(folder / "blacklist.bed", "a") as handle:
        handle.write("chr2\t39990\t40010\n")
    report = check_dataset(load_dataset(tiny_dataset), 5_000, 5_000)
    assert report.ok
    told = {row.what: row.found for row in report.rows if row.status == "warn"}
    assert told["strands"] == "60 +, 0 -"
    assert told["rows"] == "61 rows, 60 genes; dropped 1 (1 duplicate gene id: G000)"
    assert "reach past a chromosome end" in told["windows"]
    assert "1 end past their chromosome" in told["inside chromosomes"]


def test_a_block_that_no_record_begins_in_is_read_too(tiny_dataset: Path) -> None:
    path = tiny_dataset.parent / "genome.fa.gz"
    lines = (tiny_dataset.parent / "genome.fa").read_text()
    with bgzf.BgzfWriter(str(path), "wb") as handle:
        rng = np.random.default_rng(0)
        long = "".join(rng.choice(list("ACGT"), 300_000))
        handle.write((lines + ">chr7\n" + long + "\n>chr8\n" + "A" * 100_000 + "\n").encode())
    tiny_dataset.write_text(tiny_dataset.read_text().replace("genome.fa", "genome.fa.gz"))
    assert check(tiny_dataset).ok
    content = bytearray(path.read_bytes())
    middle = len(content) * 3 // 4
    content[middle : middle + 10] = b"\xff" * 10
    path.write_bytes(content)
    assert list(errors_of(check(tiny_dataset))) == ["genome.fa.gz: content"]


@pytest.mark.parametrize("is_damaged", [False, True])
def test_no_file_is_left_open(tiny_dataset: Path, is_damaged: bool) -> None:
    track = tiny_dataset.parent / "atac.bw"
    if is_damaged:
        track.write_bytes(track.read_bytes()[:3000])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        check_dataset(load_dataset(tiny_dataset), 512, 512)
        gc.collect()
    assert [str(one.message) for one in seen if issubclass(one.category, ResourceWarning)] == []


@pytest.mark.parametrize("make", [lambda tpm: np.log2(tpm + 1), lambda tpm: -3 * tpm])
def test_a_covariate_made_from_the_expression_is_told(tiny_dataset: Path, make: Callable[[float], float]) -> None:
    path = tiny_dataset.with_name("genes.tsv")
    table = pd.read_csv(path, sep="\t")
    assert "rank correlation" not in check(tiny_dataset).render()
    table.assign(half_life=table["TPM"].map(make)).to_csv(path, sep="\t", index=False)
    assert "made from the expression?" in check(tiny_dataset).render()
