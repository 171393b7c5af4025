"""The k562 and gm12878 recipes from end to end, with small files behind their real paths on a local server."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from seqexp.cli.data import step_functions
from seqexp.core.errors import DataError
from seqexp.dna.genome.check import check_dataset
from seqexp.dna.genome.dataset import load_dataset
from seqexp.recipes.download import Patience
from seqexp.recipes.runner import prepare
from seqexp.recipes.schema import LOCK_FILE, find_recipe, load_recipe

CHROMS = {"chr1": 60_000, "chr3": 60_000, "chr21": 60_000, "chr22": 60_000, "chrX": 60_000}
FOLDS = {"chr1": "train", "chr3": "valid", "chr21": "valid", "chr22": "test", "chrX": "test"}


@pytest.fixture
def small_world(server, tmp_path):
    """Serve small files at the paths of the shipped URLs; gives a function that loads a recipe pointing at them."""
    rng = np.random.default_rng(0)
    genes = [(f"ENSG{i:011d}", list(CHROMS)[i % 5], 5_000 * (1 + i // 5), "+-"[i % 2]) for i in range(50)]
    fasta = "".join(f">{c}\n{''.join(rng.choice(list('ACGTacgt'), n))}\n" for c, n in CHROMS.items())
    gtf = "".join(
        f'{chrom}\tHAVANA\tgene\t{tss + 1}\t{tss + 1}\t.\t{strand}\t.\tgene_id "{gene}.7"; gene_name "N{gene}";\n'
        for gene, chrom, tss, strand in genes
    )
    header = "ENSID,Gene name,K562_CAGE_128*3_sum,GM12878_CAGE_128*3_sum\n"
    table = header + "".join(f"{gene},N,{i * 1.5},{i * 2.5}\n" for i, (gene, *_) in enumerate(genes))
    folds = "ENSID,chrom,fold_11\n" + "".join(f"{g},{c[3:]},{FOLDS[c]}\n" for g, c, *_ in genes)
    with pyBigWig.open(str(tmp_path / "t.bw"), "w") as track:
        track.addHeader(list(CHROMS.items()))
        for chrom, size in CHROMS.items():
            starts = np.arange(0, size - 100, 100)
            track.addEntries(chrom, starts.tolist(), values=rng.gamma(1.0, size=starts.size).tolist(), span=50)
    content = {
        "hg38.fa.gz": gzip.compress(fasta.encode()),
        "bigWig": (tmp_path / "t.bw").read_bytes(),
        "ENCFF356LFX.bed.gz": gzip.compress(b"chr1\t0\t100\n"),
        "fromXpresso.csv": (table + "ENSG99999999999,N,1,1\n").encode(),
        "18377genes.csv": folds.encode(),
        "annotation.gtf.gz": gzip.compress(gtf.encode()),
    }

    def local(name: str):
        recipe = load_recipe(find_recipe(name))
        sources = []
        for source in recipe.sources:
            path = urlsplit(source.url).path
            body = next(body for end, body in content.items() if path.endswith(end))
            server.serve(path, body, faults=["break", "503"])
            sources.append(replace(source, url=server.url + path))
        return replace(recipe, sources=tuple(sources), disk_bytes=None)

    return local


@pytest.mark.parametrize(("name", "factor"), [("k562", 1.5), ("gm12878", 2.5)])
def test_a_full_size_recipe_from_its_real_paths(small_world, server, tmp_path, name, factor):
    recipe = small_world(name)
    result = prepare(recipe, tmp_path / name, step_functions(), patience=Patience(4, 0.0, 5.0))
    assert any("1 dropped: gene_id not in the annotation" in note for note in result.notes)
    assert {"fold test: chr22, chrX", "fold valid: chr21, chr3"} <= set(result.notes)
    spec = load_dataset(result.dataset)
    genes = pd.read_csv(spec.genes, sep="\t")
    assert sorted(genes["CAGE"]) == [i * factor for i in range(50)]
    labels = {chrom: "valid" if chrom in spec.splits.val else "test" for chrom in (*spec.splits.val, *spec.splits.test)}
    assert (genes["chrom"].map(labels).fillna("train") == genes["fold"]).all()
    report = check_dataset(spec, 1000, 1000)
    assert report.ok, report.render()
    lock = json.loads((tmp_path / name / LOCK_FILE).read_text())
    assert all(len(record["sha256"]) == 64 for record in lock["sources"].values())
    ranges = [request for request in server.requests if request[1]]
    assert len(ranges) == 2 * len(recipe.sources)  # each body broke once and was resumed after one 503
    before = len(server.requests)
    prepare(recipe, tmp_path / name, step_functions())
    assert len(server.requests) == before


def test_the_accessions_of_the_papers():
    urls = {name: [s.url for s in load_recipe(find_recipe(name)).sources] for name in ("k562", "gm12878")}
    for name, accessions in {"k562": ("ENCFF465GBD", "ENCFF414OGC"), "gm12878": ("ENCFF798KYP", "ENCFF960FMM")}.items():
        for accession in accessions:
            assert f"https://www.encodeproject.org/files/{accession}/@@download/{accession}.bigWig" in urls[name]


def test_a_truncated_genome_leaves_no_dataset(small_world, server, tmp_path):
    recipe = small_world("k562")
    path = urlsplit(recipe.sources[0].url).path
    server.serve(path, server.plans[path].body[:-500], has_length=False)  # the server itself holds half a file
    with pytest.raises(DataError, match="cannot unpack"):
        prepare(recipe, tmp_path / "out", step_functions(), patience=Patience(4, 0.0, 5.0))
    assert not (tmp_path / "out/dataset.yaml").exists()
    assert not (tmp_path / "out/genome.fa").exists()
