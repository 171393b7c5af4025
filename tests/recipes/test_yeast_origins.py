"""The shipped yeast recipe from its origins: every file in small, from a local server."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pyBigWig
import pyreadr
import pytest

from seqexp.cli.main import main
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.dna.genome.dataset import load_dataset
from seqexp.recipes.schema import find_recipe

GENES = [("I", 101, 160, "+", "YA1"), ("II", 201, 300, "-", "YB1"), ("Mito", 11, 40, "+", "Q1")]
GTF = "".join(
    f'{chrom}\tsgd\t{kind}\t{start}\t{end}\t.\t{strand}\t.\tgene_id "{gene}"; gene_biotype "protein_coding";\n'
    for chrom, start, end, strand, gene in GENES
    for kind in ("gene", "exon")
)
COUNTS = pd.DataFrame(
    {"gene": ["YA1", "YB1", "Q1"], **{f"S288C_WT_RNAseq_{i}": [60, 100, 30] for i in (1, 2, 3)}, "other": [1, 2, 3]}
)
MEME = "MEME version 4\n\nALPHABET= ACGT\n"


@pytest.fixture
def origins(tmp_path: Path) -> dict[str, bytes]:
    """Content of each origin by the name of its source."""
    pyreadr.write_rds(str(tmp_path / "counts.RDS"), COUNTS)
    fasta = "".join(f">{name} dna\n{'ACGTACGTAC' * 40}\n" for name in ("I", "II", "Mito"))
    return {
        "sources/toplevel.fa.gz": gzip.compress(fasta.encode()),
        "sources/R64-1-1.96.gtf.gz": gzip.compress(GTF.encode()),
        "sources/atac.bedpe.gz": gzip.compress(b"I\t90\t120\nII\t280\t310\n"),
        "sources/rnaseq.RDS": (tmp_path / "counts.RDS").read_bytes(),
        "sources/tata.bed": b"chrI\t60\t68\tYA1\t0\t+\n",
        "sources/plusone_nucdyad.bed": b"chrII\t100\t200\tYB1\t0\t-\n",
        "sources/macisaac.meme": MEME.encode(),
        "sources/swissregulon.meme": MEME.encode(),
    }


def test_yeast_is_made_from_its_origins(tmp_path: Path, server, origins: dict[str, bytes], capsys) -> None:
    content = load_yaml(find_recipe("yeast"))
    for source in content["without_mirror"]["sources"]:
        path = "/" + source["name"].rpartition("/")[2]
        server.serve(path, origins[source["name"]])
        source.update(url=server.url + path, sha256=None, bytes=None)
    dump_yaml(content, tmp_path / "recipe.yaml")
    command = ["data", "prepare", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "yeast")]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "3 genes with the mean TPM of 3 samples" in told
    assert "1 dropped: chrom is chrM" in told

    spec = load_dataset(tmp_path / "yeast" / "dataset.yaml")
    genes = spec.read_genes()
    assert genes.frame["gene_id"].tolist() == ["YA1", "YB1"]
    assert genes.frame["tss"].tolist() == [100, 299]
    table = pd.read_csv(tmp_path / "yeast/genes.tsv.gz", sep="\t")
    assert table["TPM"].tolist() == pytest.approx([1e6 / 3, 1e6 / 3])  # a read per base in each of three genes
    with pyBigWig.open(str(spec.tracks["ATAC_cuts"])) as cuts:
        assert cuts.intervals("chrI") == ((90, 91, 1.0), (119, 120, 1.0))
    assert {path.name for path in spec.features.values()} == {"tata.bed.gz", "ndr.bed.gz"}
    assert gzip.decompress((tmp_path / "yeast/macisaac.meme.gz").read_bytes()).decode() == MEME

    server.requests.clear()
    assert main(command) == 0
    assert "nothing left to do" in capsys.readouterr().out
    assert server.requests == []
