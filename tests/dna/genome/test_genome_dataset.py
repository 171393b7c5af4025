"""dataset.yaml: what it may say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import yaml

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.opening import open_files
from seqexp.dna.genome.splits import assign


def edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_everything_is_resolved(shared_tiny_dataset: Path) -> None:
    spec = load_dataset(shared_tiny_dataset)
    folder = shared_tiny_dataset.parent
    assert spec == load_dataset(folder)
    assert spec.folder == folder
    assert (spec.name, spec.assembly, spec.transform, spec.missing) == ("tiny", "tiny1", "log2p1", "zero")
    assert spec.tracks == {"ATAC": folder / "atac.bw", "H3K27ac": folder / "h3k27ac.bw"}
    assert (spec.targets, spec.expression_unit, spec.covariates) == (("TPM",), "TPM", ("half_life",))
    assert spec.splits.val == ("chr5",)
    assert all(path.is_file() for path in spec.files())
    assert len(spec.files()) == 7
    truth = spec.read_truth()
    assert truth is not None
    assert len(truth) == len(spec.read_peaks("ATAC_peaks")) == 60
    blacklist = spec.read_blacklist(["1"])
    assert blacklist is not None
    assert blacklist.mask(Interval("1", 19_990, 20_010), 10).tolist() == [False, True]


def test_optional_keys_may_be_left_out(tiny_dataset: Path) -> None:
    content = yaml.safe_load(tiny_dataset.read_text())
    for key in ("organism", "assembly", "tracks", "missing", "transform", "blacklist", "covariates", "peaks", "truth"):
        del content[key]
    content["genes"] = {"path": "genes.tsv"}
    content["expression"] = {"column": "TPM"}
    tiny_dataset.write_text(yaml.safe_dump(content))
    spec = load_dataset(tiny_dataset)
    assert (spec.tracks, spec.peaks, spec.blacklist, spec.truth) == ({}, {}, None, None)
    assert spec.read_blacklist() is None
    assert spec.read_truth() is None
    _, tracks, genes = open_files(spec)
    assert tracks.names == ()
    assert len(genes) == 60


def test_features_and_motifs_are_files_but_no_part_of_what_is_learned(tiny_dataset: Path) -> None:
    plain = load_dataset(tiny_dataset)
    tiny_dataset.write_text(tiny_dataset.read_text() + "features: {blacklisted: blacklist.bed}\nmotifs: known.meme\n")
    with pytest.raises(DataError, match=r"missing files: .*known\.meme"):
        load_dataset(tiny_dataset)
    (tiny_dataset.parent / "known.meme").write_text("MEME version 4\n")
    spec = load_dataset(tiny_dataset)
    assert spec.features == {"blacklisted": tiny_dataset.parent / "blacklist.bed"}
    assert spec.motifs == tiny_dataset.parent / "known.meme"
    assert spec.motifs in spec.files()
    assert spec.fingerprint() == plain.fingerprint()
    edit(tiny_dataset, "features: {blacklisted: blacklist.bed}", "features: [blacklist.bed]")
    with pytest.raises(ConfigError, match="features"):
        load_dataset(tiny_dataset)


def test_open_files_and_choice_of_tracks(shared_tiny_dataset: Path) -> None:
    spec = load_dataset(shared_tiny_dataset)
    reference, tracks, genes = open_files(spec, ["H3K27ac"])
    assert tracks.names == ("H3K27ac",)
    assert list(reference.chrom_sizes) == sorted(genes.frame["chrom"].unique())
    with pytest.raises(ConfigError, match=r"no track 'DNase'(.|\n)*ATAC, H3K27ac"):
        spec.open_tracks(["DNase"])
    with pytest.raises(ConfigError, match=r"no peaks 'x'(.|\n)*ATAC_peaks"):
        spec.read_peaks("x")


def test_gene_chromosomes_take_the_names_of_the_fasta(tiny_dataset: Path) -> None:
    genes_path = tiny_dataset.parent / "genes.tsv"
    genes_path.write_text(genes_path.read_text().replace("chr", "").replace("om\t", "chrom\t", 1))
    _, _, genes = open_files(load_dataset(tiny_dataset))
    assert genes.frame["chrom"][0] == "chr1"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("transform:", "transfrom:", r"unknown key transfrom(.|\n)*did you mean transform"),
        ("{column: TPM", "{colum: TPM", r"unknown key expression\.colum(.|\n)*did you mean column"),
        ("val: [chr5]", "valid: [chr5]", r"unknown key splits\.valid(.|\n)*did you mean val"),
        ("gene_name: gene_name", "genename: gene_name", r"unknown key genes\.genename(.|\n)*gene_name"),
        ("missing: zero", "missing: zero\nmissing: nan", r"key 'missing' is written twice"),
        ("fasta: genome.fa\n", "", "key fasta is missing"),
        ("column: TPM, ", "", r"key expression\.column is missing"),
        ("missing: zero", "missing: none", r"missing: 'none'(.|\n)*zero, nan, error"),
        ("base: 0", "base: 2", r"genes\.base: 2"),
        ("unit: TPM", "signed: maybe", "signed: 'maybe'"),
        ("tracks: {ATAC: atac.bw, H3K27ac: h3k27ac.bw}", "tracks: [atac.bw]", "a mapping of names to paths"),
        ("ATAC: atac.bw", "ATAC: [atac.bw]", r"tracks\.ATAC"),
        ("covariates: [half_life]", "covariates: [TPM]", "'TPM' is both the expression column and a covariate"),
        ("covariates: [half_life]", "covariates: {a: 1}", "covariates.*|a list of names"),
        ("by: chromosome", "by: patient", r"splits\.by: 'patient'"),
        ("tss: tss", "tss: tss, start: start", "genes names tss and start"),
        ("expression: {column: TPM, unit: TPM}", "expression: TPM", "expression: 'TPM'"),
    ],
)
def test_wrong_settings(old: str, new: str, message: str, tiny_dataset: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_dataset(edit(tiny_dataset, old, new))
    assert "fix" in str(caught.value) or "expected" in str(caught.value)


def test_overlapping_splits_and_missing_files(tiny_dataset: Path) -> None:
    with pytest.raises(DataError, match=r"missing files: .*none\.bed"):
        load_dataset(edit(tiny_dataset, "blacklist.bed", "none.bed"))
    with pytest.raises(DataError, match="splits val and test overlap: chr6"):
        load_dataset(edit(tiny_dataset, "val: [chr5]", "val: [chr5, chr6]"))
    with pytest.raises(ConfigError, match="no such file"):
        load_dataset(tiny_dataset.parent / "none.yaml")


def test_fingerprint_follows_contents_and_settings(tiny_dataset: Path) -> None:
    first = load_dataset(tiny_dataset).fingerprint()
    assert first == load_dataset(tiny_dataset).fingerprint()
    second = load_dataset(edit(tiny_dataset, "missing: zero", "missing: nan")).fingerprint()
    third = load_dataset(edit(tiny_dataset, "val: [chr5]", "val: [chr4]")).fingerprint()
    (tiny_dataset.parent / "blacklist.bed").write_text("chr1\t0\t7\n")
    fourth = load_dataset(tiny_dataset).fingerprint()
    assert len({first, second, third, fourth}) == 4


def rewrite_track(path: Path, sizes: dict[str, int]) -> None:
    path.unlink()
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader(list(sizes.items()))
        for chrom in sizes:
            handle.addEntries([chrom], [10], ends=[20], values=[1.0])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"chr1": 40_001}, r"the FASTA is shorter than track ATAC: chr1 has 40000 bp, the track says 40001 bp"),
        ({"chr1": 40_000, "2": 39_999}, r"the FASTA is longer than track ATAC: chr2"),
        ({"NC_1": 40_000}, r"no chromosome name of atac\.bw occurs in genome\.fa"),
    ],
)
def test_files_of_different_assemblies(sizes: dict[str, int], message: str, tiny_dataset: Path) -> None:
    rewrite_track(tiny_dataset.parent / "atac.bw", sizes)
    with pytest.raises(DataError, match=message):
        open_files(load_dataset(tiny_dataset), ["ATAC"])


def test_genes_of_another_assembly(tiny_dataset: Path) -> None:
    path = tiny_dataset.parent / "genes.tsv"
    text = path.read_text()
    path.write_text(text.replace("chr", "contig").replace("contigom", "chrom"))
    with pytest.raises(DataError, match=r"no chromosome name of genes\.tsv occurs in genome\.fa"):
        open_files(load_dataset(tiny_dataset))
    first = text.split("\n")[1].split("\t")
    path.write_text(text.replace(f"\t{first[3]}\t", "\t99999\t", 1))
    with pytest.raises(DataError, match=r"1 genes have their TSS outside the chromosome(.|\n)*chr1:99999"):
        open_files(load_dataset(tiny_dataset))


def test_covariates_are_read(shared_tiny_dataset: Path) -> None:
    genes = load_dataset(shared_tiny_dataset).read_genes()
    assert genes.covariates == ("half_life",)
    assert np.isfinite(genes.frame["half_life"]).all()


def test_chromosomes_named_like_words_and_numbers(tiny_dataset: Path) -> None:
    """Unquoted in the description and in every file: each of them is a chromosome, and none is another."""
    names = ["NO", "on", "02", "1e5", "NA", "nan"]
    for file in ("genome.fa", "genes.tsv"):
        path = tiny_dataset.parent / file
        text = path.read_text()
        for number, name in enumerate(names, 1):
            text = text.replace(f">chr{number}\n", f">{name}\n").replace(f"\tchr{number}\t", f"\t{name}\t")
        path.write_text(text)
    (tiny_dataset.parent / "genome.fa.fai").unlink(missing_ok=True)
    edit(tiny_dataset, "tracks: {ATAC: atac.bw, H3K27ac: h3k27ac.bw}", "tracks: {}")
    edit(tiny_dataset, "train: rest, val: [chr5], test: [chr6]", "train: [NO, on, 02], val: NA, test: [nan, 1e5]")
    spec = load_dataset(tiny_dataset)
    _, _, genes = open_files(spec)
    windows = genes.windows(500, 500)
    labels = pd.Series(assign(genes, windows, spec.splits)).groupby(genes.frame["chrom"].to_numpy()).first()
    assert labels.to_dict() == {
        "NO": "train",
        "on": "train",
        "02": "train",
        "NA": "val",
        "nan": "test",
        "1e5": "test",
    }
    edit(tiny_dataset, "val: NA", "val: true")
    with pytest.raises(ConfigError, match=r"splits\.val: True(.|\n)*quotes"):
        load_dataset(tiny_dataset)


def test_names_of_tracks_are_text(tiny_dataset: Path) -> None:
    edit(tiny_dataset, "{ATAC: atac.bw, H3K27ac: h3k27ac.bw}", "{01: atac.bw, off: h3k27ac.bw}")
    assert list(load_dataset(tiny_dataset).tracks) == ["01", "off"]
    edit(tiny_dataset, "{01: atac.bw", "{1.50: atac.bw")
    with pytest.raises(ConfigError, match=r"tracks: 1\.5(.|\n)*quotes"):
        load_dataset(tiny_dataset)
