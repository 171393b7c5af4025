"""Steps that turn public files into a dataset: on miniatures checked by hand, and against the mirror's own results."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pyreadr
import pytest

from seqexp.core.errors import DataError, MissingExtraError
from seqexp.core.yaml import load_yaml
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.prepare import compress
from seqexp.dna.genome.prepare_expression import counts_to_tpm
from seqexp.dna.genome.prepare_fragments import fragment_tracks
from seqexp.dna.genome.prepare_sequence import rename_chromosomes
from seqexp.dna.genome.reference import Reference
from seqexp.recipes.schema import find_recipe, load_recipe

NAMES = {"I": "chrI", "Mito": "chrM"}
FASTA = ">I dna:chromosome\nACGTA\nCgT\n>Mito\nTTNTT\nTT\n"
# chrI has 8 bp, chrM 7: [0, 4), [2, 4), [2, 8) and [6, 7)
FRAGMENTS = "I\t0\t4\nI\t2\t4\nchrI\t2\t8\nMito\t6\t7\n"
GTF = "\n".join(
    f'{chrom}\tsgd\t{kind}\t{start}\t{end}\t.\t{strand}\t.\tgene_id "{gene}"; gene_biotype "{biotype}";'
    for chrom, kind, start, end, strand, gene, biotype in [
        ("I", "gene", 11, 40, "+", "A", "protein_coding"),
        ("I", "exon", 11, 20, "+", "A", "protein_coding"),
        ("I", "exon", 16, 25, "+", "A", "protein_coding"),  # 15 bp with the one before
        ("I", "exon", 36, 40, "+", "A", "protein_coding"),  # 20 bp in all
        ("Mito", "gene", 1, 100, "-", "B", "tRNA"),
        ("Mito", "exon", 1, 100, "-", "B", "tRNA"),
    ]
)
COUNTS = pd.DataFrame({"s1": [20, 100, 7], "s2": [0, 5, 7], "other": [9, 9, 9]}, index=["A", "B", "unknown"])


def test_chromosomes_are_renamed_and_packed_with_bgzip(tmp_path: Path) -> None:
    (tmp_path / "in.fa.gz").write_bytes(gzip.compress(FASTA.encode()))
    result = rename_chromosomes(tmp_path, "in.fa.gz", "genome.fa.gz", NAMES)
    assert gzip.decompress((tmp_path / "genome.fa.gz").read_bytes()).decode() == (
        ">chrI\nACGTA\nCgT\n>chrM\nTTNTT\nTT\n"
    )
    assert result.outputs == ("genome.fa.gz", "genome.fa.gz.fai", "genome.fa.gz.gzi")
    assert (tmp_path / "genome.fa.gz.fai").read_text() == "chrI\t8\t6\t5\t6\nchrM\t7\t22\t5\t6\n"
    assert (tmp_path / "genome.fa.gz.gzi").read_bytes() == bytes(8)  # one block: no others to list
    assert Reference(tmp_path / "genome.fa.gz").sequence(Interval("chrI", 3, 8)).upper() == "TACGT"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b">V\nAC\n", "'V' has no new name"), (gzip.compress(FASTA.encode())[:-12], "cannot read the FASTA")],
    ids=["unknown", "cut"],
)
def test_a_fasta_that_cannot_be_renamed(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "in.fa").write_bytes(content)
    with pytest.raises(DataError, match=message):
        rename_chromosomes(tmp_path, "in.fa", "out.fa.gz", NAMES)
    assert not (tmp_path / "out.fa.gz").exists()


@pytest.fixture
def fragments(tmp_path: Path) -> Path:
    (tmp_path / "genome.fa").write_text(FASTA.replace(">I", ">chrI").replace(">Mito", ">chrM"))
    (tmp_path / "in.bedpe.gz").write_bytes(gzip.compress(FRAGMENTS.encode()))
    return tmp_path


def test_cuts_and_coverage_are_counted_per_base(fragments: Path) -> None:
    result = fragment_tracks(fragments, "in.bedpe.gz", "genome.fa", cuts="cuts.bw", coverage="coverage.bw", names=NAMES)
    with pyBigWig.open(str(fragments / "cuts.bw")) as cuts, pyBigWig.open(str(fragments / "coverage.bw")) as coverage:
        assert cuts.chroms() == coverage.chroms() == {"chrI": 8, "chrM": 7}
        assert np.nan_to_num(cuts.values("chrI", 0, 8)).tolist() == [1, 0, 2, 2, 0, 0, 0, 1]
        assert np.nan_to_num(coverage.values("chrI", 0, 8)).tolist() == [1, 1, 3, 3, 1, 1, 1, 1]
        assert cuts.intervals("chrM") == ((6, 7, 2.0),)  # a fragment of one base is cut twice there
        assert coverage.intervals("chrI") == ((0, 2, 1.0), (2, 4, 3.0), (4, 8, 1.0))
    assert result.notes == ("4 fragments in in.bedpe.gz",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("I\t4\t4", "end 4 not behind start 4"),
        ("I\t4\t9", "ends at 9 of chrI"),
        ("II\t0\t1", "'II' has no new name"),
        ("I\tx\t4", "'x' in column 'start'"),
    ],
)
def test_fragments_that_cannot_be(fragments: Path, line: str, message: str) -> None:
    (fragments / "in.bedpe.gz").write_bytes(gzip.compress(f"{FRAGMENTS}{line}\n".encode()))
    with pytest.raises(DataError, match=message):
        fragment_tracks(fragments, "in.bedpe.gz", "genome.fa", cuts="a.bw", coverage="b.bw", names=NAMES)


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    (tmp_path / "genes.gtf").write_text(GTF + "\n")
    COUNTS.to_csv(tmp_path / "counts.tsv", sep="\t")
    pyreadr.write_rds(str(tmp_path / "counts.RDS"), COUNTS.reset_index(names="gene"))
    return tmp_path


@pytest.mark.parametrize("counts", ["counts.tsv", "counts.RDS"])
def test_tpm_of_two_samples_by_hand(counted: Path, counts: str) -> None:
    result = counts_to_tpm(counted, counts, "genes.gtf", "out.tsv", samples=["s1", "s2"], column="TPM", names=NAMES)
    # s1: 20 reads on 20 bp and 100 on 100 bp: half each. s2: none, and all.
    table = pd.read_csv(counted / "out.tsv", sep="\t", index_col=0)
    assert table["TPM"].to_dict() == {"A": 250_000.0, "B": 750_000.0}
    assert table["exon_len"].to_dict() == {"A": 20, "B": 100}
    assert table["tss_annot"].to_dict() == {"A": 10, "B": 99}
    assert table[["chrom", "biotype"]].to_numpy().tolist() == [["chrI", "protein_coding"], ["chrM", "tRNA"]]
    assert result.notes == (
        f"3 genes counted in {counts}",
        "1 dropped: gene_id not in the annotation",
        "2 genes with the mean TPM of 2 samples",
    )


@pytest.mark.parametrize(
    ("counts", "samples", "message"),
    [
        ("counts.tsv", ["s3"], "no sample 's3'"),
        ("genes.RDS", ["s1"], "cannot read the R object"),
        ("strangers.tsv", ["s1"], "no gene of the counts"),
    ],
)
def test_counts_that_cannot_be_used(counted: Path, counts: str, samples: list[str], message: str) -> None:
    (counted / "genes.RDS").write_text("no R object")
    (counted / "strangers.tsv").write_text("\ts1\nX\t1\n")
    with pytest.raises(DataError, match=message):
        counts_to_tpm(counted, counts, "genes.gtf", "out.tsv", samples=samples, column="TPM", names=NAMES)


def test_without_pyreadr_the_extra_is_named(counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyreadr", None)
    with pytest.raises(MissingExtraError, match=r"seqexp\[recipes\]"):
        counts_to_tpm(counted, "counts.RDS", "genes.gtf", "out.tsv", samples=["s1"], column="TPM", names=NAMES)


def test_packed_files_are_equal_files(tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text("chrI\t1\t2\n")
    (tmp_path / "b.bed").write_text("chrI\t1\t2\n")
    for name in ("a", "b"):
        compress(tmp_path, f"{name}.bed", f"{name}.bed.gz")
    assert (tmp_path / "a.bed.gz").read_bytes() == (tmp_path / "b.bed.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.bed.gz").read_bytes()) == b"chrI\t1\t2\n"


def yeast_step(name: str) -> dict:
    """Parameters of a step of the shipped recipe, as it makes yeast from its origins."""
    recipe = load_recipe(find_recipe("yeast"))
    return dict(next(step.parameters for step in recipe.steps_from_origins if step.use == name))


@pytest.fixture
def mirror() -> Path:
    folder = os.environ.get("SEQEXP_MIRROR")
    if not folder:
        pytest.skip("SEQEXP_MIRROR is unset: the steps are NOT compared with real files")
    return Path(folder) / "yeast"


@pytest.mark.realdata
def test_yeast_tpm_is_that_of_the_mirror(tmp_path: Path, mirror: Path) -> None:
    (tmp_path / "sources").mkdir()
    shutil.copy(mirror / "RNAseq_S288C_WT.counts.tsv.gz", tmp_path / "counts.tsv.gz")
    shutil.copy(mirror / "sacCer3.R64-1-1.96.gtf.gz", tmp_path / "sources/R64-1-1.96.gtf.gz")
    settings = {**yeast_step("counts_to_tpm"), "counts": "counts.tsv.gz"}  # as text: the origin is an RDS
    counts_to_tpm(tmp_path, **settings)
    made = pd.read_csv(tmp_path / settings["output"], sep="\t", keep_default_na=False)
    theirs = pd.read_csv(mirror / "genes.expression.tsv.gz", sep="\t", keep_default_na=False)
    exact = [column for column in made if column != "TPM_S288C_mean"]
    pd.testing.assert_frame_equal(made[exact], theirs[exact])
    np.testing.assert_allclose(made["TPM_S288C_mean"], theirs["TPM_S288C_mean"], rtol=1e-12)


def fragments_behind(cuts: np.ndarray, coverage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of fragments that have these tracks; which end belongs to which start does not change them."""
    begun, ended = np.zeros(len(cuts) + 1, np.int64), np.zeros(len(cuts) + 1, np.int64)
    rise = np.diff(coverage, prepend=0)
    for place in range(len(cuts)):
        begun[place] = rise[place] + ended[place]
        ended[place + 1] = cuts[place] - begun[place]
    return np.repeat(np.arange(len(begun)), begun), np.repeat(np.arange(len(ended)), ended)


@pytest.mark.realdata
def test_yeast_tracks_are_those_of_the_mirror(tmp_path: Path, mirror: Path) -> None:
    settings, lines = yeast_step("fragment_tracks"), []
    tracks = {"cuts": "ATAC_SRR1822137.cut_sites.bw", "coverage": "ATAC_SRR1822137.fragment_coverage.bw"}
    theirs = {kind: pyBigWig.open(str(mirror / name)) for kind, name in tracks.items()}
    sizes = theirs["cuts"].chroms()
    for chrom, size in sizes.items():
        pair = [np.nan_to_num(theirs[kind].values(chrom, 0, size, numpy=True)).astype(np.int64) for kind in tracks]
        lines += [f"{chrom}\t{start}\t{end}\n" for start, end in zip(*fragments_behind(*pair), strict=True)]
    assert len(lines) == 467_908
    (tmp_path / "sources").mkdir()
    (tmp_path / settings["fragments"]).write_bytes(gzip.compress("".join(lines).encode(), 1))
    for suffix in ("", ".fai", ".gzi"):
        shutil.copy(mirror / f"sacCer3.fa.gz{suffix}", tmp_path / (settings["fasta"] + suffix))
    fragment_tracks(tmp_path, **settings)
    for kind in tracks:
        with pyBigWig.open(str(tmp_path / settings[kind])) as made:
            assert made.chroms() == sizes
            for chrom, size in sizes.items():
                ours, expected = (
                    np.nan_to_num(handle.values(chrom, 0, size, numpy=True)) for handle in (made, theirs[kind])
                )
                np.testing.assert_array_equal(ours, expected)


@pytest.mark.realdata
def test_yeast_sequence_is_that_of_the_mirror(tmp_path: Path, mirror: Path) -> None:
    settings = yeast_step("rename_chromosomes")
    text = gzip.decompress((mirror / "sacCer3.fa.gz").read_bytes())
    origin = text
    for old, new in settings["names"].items():
        origin = origin.replace(f">{new}\n".encode(), f">{old} dna:chromosome {old} REF\n".encode())
    assert origin.count(b" REF\n") == 17
    (tmp_path / "sources").mkdir()
    (tmp_path / settings["fasta"]).write_bytes(gzip.compress(origin, 1))
    rename_chromosomes(tmp_path, **settings)
    assert gzip.decompress((tmp_path / "genome.fa.gz").read_bytes()) == text
    assert (tmp_path / "genome.fa.gz.fai").read_bytes() == (mirror / "sacCer3.fa.gz.fai").read_bytes()


@pytest.mark.realdata
def test_sums_of_yeasts_origins_are_those_of_the_mirrors_content(mirror: Path) -> None:
    import hashlib

    content = load_yaml(find_recipe("yeast"))
    packed = {source["name"]: mirror.parent / source["mirror"] for source in content["sources"]}
    steps = [step["with"] for step in content["without_mirror"]["steps"] if step["use"] == "compress"]
    outputs = {step["source"]: step["output"] for step in steps}
    known = [source for source in content["without_mirror"]["sources"] if source["sha256"]]
    assert [source["name"] for source in known] == ["sources/tata.bed", "sources/plusone_nucdyad.bed"]
    for source in known:
        text = gzip.decompress(packed[outputs[source["name"]]].read_bytes())
        assert (len(text), hashlib.sha256(text).hexdigest()) == (source["bytes"], source["sha256"])
