"""`seqexp data` from the command line: the simulated recipe offline, yeast and K562 from the mirror."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.cli.main import main
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.dna.genome.check import check_dataset
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.splits import assign, check_leaks


@pytest.fixture
def small_recipe(tmp_path) -> Path:
    """The shipped simulated recipe with fewer genes."""
    from seqexp.recipes.schema import find_recipe

    content = load_yaml(find_recipe("simulated_dna"))
    content["steps"][0]["with"].update(num_genes=60, num_chromosomes=6, mean_elements=2.0)
    dump_yaml(content, tmp_path / "recipe.yaml")
    return tmp_path / "recipe.yaml"


def test_simulated_dna_is_prepared_checked_and_skipped(small_recipe, tmp_path, capsys):
    out = tmp_path / "simulated"
    assert main(["data", "prepare", str(small_recipe), "--out", str(out)]) == 0
    assert f"wrote {out / 'dataset.yaml'}" in capsys.readouterr().out
    assert main(["data", "check", str(out / "dataset.yaml"), "--upstream-bp", "2048", "--downstream-bp", "2048"]) == 0
    assert "60 genes" in capsys.readouterr().out
    spec = load_dataset(out / "dataset.yaml")
    assert spec.truth is not None
    assert len(spec.tracks) >= 1
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert main(["data", "prepare", str(small_recipe), "--out", str(out)]) == 0
    assert "nothing left to do" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


def test_the_store_is_written_once_beside_the_dataset(small_recipe, tmp_path, capsys):
    out = tmp_path / "simulated"
    assert main(["data", "prepare", str(small_recipe), "--out", str(out), "--store"]) == 0
    assert "store: wrote sequence" in capsys.readouterr().out
    assert main(["data", "prepare", str(small_recipe), "--out", str(out), "--store"]) == 0
    assert "store: kept sequence" in capsys.readouterr().out


def test_a_wrong_setting_ends_in_one_message(small_recipe, tmp_path, capsys):
    content = load_yaml(small_recipe)
    content["steps"][0]["with"]["num_gnes"] = 3
    dump_yaml(content, small_recipe)
    assert main(["data", "prepare", str(small_recipe), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "num_gnes" in error
    assert "Traceback" not in error
    assert not (tmp_path / "out/dataset.yaml").exists()


def test_check_reports_a_broken_dataset(small_recipe, tmp_path, capsys):
    out = tmp_path / "simulated"
    main(["data", "prepare", str(small_recipe), "--out", str(out)])
    track = next(iter(load_dataset(out / "dataset.yaml").tracks.values()))
    track.write_bytes(track.read_bytes()[:2000])
    capsys.readouterr()
    assert main(["data", "check", str(out / "dataset.yaml")]) != 0
    assert track.name in "".join(capsys.readouterr())


def test_what_is_served_nowhere_names_its_origin_and_the_mirror(tmp_path, capsys):
    assert main(["data", "prepare", "k562_chr22", "--out", str(tmp_path / "k562")]) == 2
    error = capsys.readouterr().err
    assert "--mirror DIR" in error
    assert "public slices of hg38" in error


def test_an_unknown_recipe_lists_the_known(tmp_path, capsys):
    assert main(["data", "prepare", "yeats", "--out", str(tmp_path / "x")]) == 2
    assert "yeast/recipe.yaml" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_list_and_help(capsys):
    assert main(["data", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("gm12878", "k562", "k562_chr22", "simulated_dna", "yeast"))
    for command in ([], ["prepare"], ["check"]):
        with pytest.raises(SystemExit) as caught:
            main(["data", *command, "--help"])
        assert caught.value.code == 0
    assert "--store" in capsys.readouterr().out


def prepared(name: str, tmp_path: Path):
    mirror = os.environ.get("SEQEXP_MIRROR")
    if not mirror:
        pytest.skip("SEQEXP_MIRROR is unset: the real-data recipes are NOT tested")
    assert main(["data", "prepare", name, "--out", str(tmp_path / name), "--mirror", mirror]) == 0
    return load_dataset(tmp_path / name / "dataset.yaml")


def counts_and_overlaps(spec, upstream_bp: int, downstream_bp: int):
    genes = spec.read_genes()
    windows = genes.windows(upstream_bp, downstream_bp)
    labels = assign(genes, windows, spec.splits)
    check_leaks(genes, windows, labels)
    return {name: int((labels == name).sum()) for name in ("train", "val", "test", "none")}


@pytest.mark.realdata
def test_yeast(tmp_path):
    spec = prepared("yeast", tmp_path)
    report = check_dataset(spec, 700, 1348)
    assert report.ok, report.render()
    assert counts_and_overlaps(spec, 700, 1348) == {"train": 3887, "val": 931, "test": 1754, "none": 0}
    genes, reference = spec.read_genes(), spec.open_reference()
    starts = [reference.sequence(genes.window(i, 0, 3)) for i in range(len(genes))]
    assert len(genes) == 6572
    assert sum(start == "ATG" for start in starts) == 6568  # the TSS is 0-based and the start of the coding sequence


@pytest.mark.realdata
def test_k562_chr22(tmp_path):
    spec = prepared("k562_chr22", tmp_path)
    report = check_dataset(spec, 49_152, 49_152)
    assert report.ok, report.render()
    for half_bp in (49_152, 98_304):
        assert counts_and_overlaps(spec, half_bp, half_bp) == {"train": 66, "val": 19, "test": 67, "none": 0}
    genes = pd.read_csv(spec.genes, sep="\t")
    inside = genes["tss"].between(18_900_000, 23_299_999)
    np.testing.assert_allclose(genes.loc[~inside, "TPM_per_copy"], genes.loc[~inside, "K562_TPM"])
    ratio = (genes["K562_TPM"] / genes["TPM_per_copy"])[inside & (genes["K562_TPM"] > 0)]
    np.testing.assert_allclose(ratio, 3.893, atol=0.001)
    reference, tracks = spec.open_reference(), spec.open_tracks()
    assert all("N" not in reference.sequence(Interval("chr22", t - 50, t + 50)) for t in genes["tss"])
    around = [tracks.values(Interval("chr22", t - 500, t + 500)).mean(axis=0) for t in genes["tss"]]
    target = np.log10(1 + genes["TPM_per_copy"])
    for values in np.log10(1 + np.array(around)).T:
        assert np.corrcoef(values, target)[0, 1] > 0.4
