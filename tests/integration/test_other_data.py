"""A checkpoint opened on data that are not its own: its scales stay, and what it has seen is never called test."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.dna.genome.reference import Reference
from seqexp.dna.models.masked import save_kept
from seqexp.training.checkpoints import read_checkpoint
from seqexp.training.fit import run_fit
from seqexp.training.predict import predict_run
from seqexp.training.run import Run

PARTS = "seqexp.dna"
NETWORK = {"num_tracks": 2, "width": 8, "bin_bp": 32, "dilations": [1], "num_covariates": 1}


def config(folder: Path, dataset: Path) -> Path:
    content = {
        "model": {
            "network": {"class_path": "seqexp.dna.models.baselines.ConvExpression", "init_args": NETWORK},
            "lr": 0.01,
        },
        "data": {
            "class_path": "seqexp.dna.loaders.data.SequenceData",
            "init_args": {"dataset": str(dataset), "upstream_bp": 256, "downstream_bp": 256, "signal_bin_bp": 32},
        },
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
    }
    dump_yaml(content, folder / "c.yaml")
    return folder / "c.yaml"


@pytest.fixture(scope="module")
def run_dir(shared_tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known")
    text = shared_tiny_dataset.read_text().replace("transform: log2p1", "transform: log2p1-standardized")
    shutil.copytree(shared_tiny_dataset.parent, folder / "data")
    (folder / "data" / "dataset.yaml").write_text(text)
    run_fit(folder / "run", [str(config(folder, folder / "data"))])
    return folder / "run"


@pytest.fixture
def other(run_dir: Path, tmp_path: Path) -> Path:
    """A copy of the data of the run, which the test may change."""
    shutil.copytree(run_dir.parent / "data", tmp_path / "other")
    return tmp_path / "other"


def opened(run_dir: Path, dataset: Path, *flags: str) -> Run:
    return Run.open(run_dir, overrides=[f"--data.init_args.dataset={dataset}", *flags])


def edit_genes(dataset: Path, rows: Any, **columns: Any) -> None:
    table = pd.read_csv(dataset / "genes.tsv", sep="\t")
    for column, change in columns.items():
        table.loc[rows, column] = change(table.loc[rows, column])
    table.to_csv(dataset / "genes.tsv", sep="\t", index=False)


def edit_description(dataset: Path, **changes: Any) -> None:
    dump_yaml({**load_yaml(dataset / "dataset.yaml"), **changes}, dataset / "dataset.yaml")


def test_untouched_rows_keep_their_prediction_bit_for_bit(run_dir: Path, other: Path) -> None:
    """Whatever happens to the other genes, which the data call training genes: values, covariates, presence."""
    before = predict_run(Run.open(run_dir))
    edit_genes(other, slice(0, 39), half_life=lambda v: v * 7 + 3, TPM=lambda v: v * 100)
    after = predict_run(opened(run_dir, other))
    changed = before["prediction"].to_numpy() != after["prediction"].to_numpy()
    assert changed[:40].any()  # their own covariates
    assert not changed[40:].any()
    assert np.array_equal(before["target"][40:], after["target"][40:])
    table = pd.read_csv(other / "genes.tsv", sep="\t")
    table[5:].to_csv(other / "genes.tsv", sep="\t", index=False)
    fewer = predict_run(opened(run_dir, other)).set_index("gene_id")["prediction"]
    kept = before.set_index("gene_id")["prediction"].loc[table["gene_id"][40:]]
    np.testing.assert_allclose(fewer.loc[kept.index], kept, rtol=1e-5)  # other batches, other order of sums


def test_tracks_are_found_by_name(run_dir: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = predict_run(Run.open(run_dir))
    tracks = load_yaml(other / "dataset.yaml")["tracks"]
    swapped = {"H3K27ac": tracks["H3K27ac"], "more": tracks["ATAC"], "ATAC": tracks["ATAC"]}
    edit_description(other, tracks=swapped)
    after = predict_run(opened(run_dir, other))
    assert np.array_equal(before["prediction"], after["prediction"])
    told = capsys.readouterr().err
    assert "in the order of the checkpoint: ATAC, H3K27ac" in told
    assert "not read, because the checkpoint was trained without them: more" in told
    after = predict_run(Run.open(run_dir, overrides=['--data.init_args.tracks=["H3K27ac","ATAC"]']))
    assert np.array_equal(before["prediction"], after["prediction"])


@pytest.mark.parametrize("source", ["files", "store"])
def test_the_store_gives_tracks_by_name_too(run_dir: Path, other: Path, source: str) -> None:
    tracks = load_yaml(other / "dataset.yaml")["tracks"]
    edit_description(other, tracks=dict(reversed(tracks.items())))
    flags = [f"--data.init_args.source={source}"]
    wanted = predict_run(Run.open(run_dir))["prediction"]
    np.testing.assert_allclose(predict_run(opened(run_dir, other, *flags))["prediction"], wanted, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("changes", "flags", "message"),
    [
        ({"tracks": {"ATAC": "atac.bw", "dnase": "h3k27ac.bw"}}, [], "ATAC, H3K27ac; the data give ATAC, dnase"),
        ({"tracks": {"ATAC": "atac.bw"}}, [], "the data give ATAC"),
        ({}, ['--data.init_args.tracks=["ATAC"]'], "the data give ATAC"),
        ({"covariates": []}, [], "reads the covariates half_life; the dataset has none"),
        ({"transform": "identity"}, [], r"predicts log2\(TPM \+ 1\), the dataset gives TPM"),
        ({"expression": {"column": "TPM", "unit": "CPM"}}, [], r"gives log2\(CPM \+ 1\)"),
    ],
)
def test_what_cannot_be_matched_is_refused(
    run_dir: Path, other: Path, changes: dict[str, Any], flags: list[str], message: str
) -> None:
    edit_description(other, **changes)
    with pytest.raises((ConfigError, DataError), match=message):
        opened(run_dir, other, *flags)


def test_seen_genes_are_no_test_by_id(run_dir: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_description(other, splits={"by": "chromosome", "train": "rest", "val": ["chr6"], "test": ["chr1"]})
    assert main(["test", "--run-dir", str(run_dir), f"--data.init_args.dataset={other}"]) == 2
    told = capsys.readouterr().err
    assert "10 of 10 test genes of these data are not scored as test" in told
    assert "was trained on 10 (G000, G001, G002, G003, G004, …)" in told
    assert "no test gene is left" in told
    assert "Traceback" not in told
    edit_description(other, splits={"by": "chromosome", "train": "rest", "val": ["chr1"], "test": ["chr5"]})
    run = opened(run_dir, other)
    assert "was chosen by 10" in capsys.readouterr().err
    frame = predict_run(run)
    assert set(frame.loc[frame["chrom"] == "chr5", "split"]) == {"val"}
    assert dict(frame.groupby("chrom")["seen"].first()) == {
        **{f"chr{n}": "train" for n in range(1, 5)},
        "chr5": "val",
        "chr6": "no",
    }


def test_only_unseen_genes_are_scored(run_dir: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_genes(other, [50, 51, 52], gene_id=lambda v: ["G001", "G002", "G041"])
    table = pd.read_csv(other / "genes.tsv", sep="\t")
    table[50:].to_csv(other / "genes.tsv", sep="\t", index=False)
    more = pd.concat([table[50:], table[3:25]])
    more.to_csv(other / "genes.tsv", sep="\t", index=False)
    edit_description(other, splits={"by": "chromosome", "train": ["chr1"], "val": ["chr2"], "test": ["chr6"]})
    run = opened(run_dir, other)
    told = capsys.readouterr().err
    assert "3 of 10 test genes" in told
    assert "trained on 2 (G001, G002), now train" in told
    assert "chosen by 1 (G041), now val" in told
    assert "val genes of these data are not scored as val" in told
    assert run.score("test")["test_num"] == 7
    frame = predict_run(run)
    assert (frame["split"] == "test").sum() == 7
    assert run.datamodule.num_test_seen == 3


def test_seen_genes_are_known_by_their_place(run_dir: Path, other: Path) -> None:
    """New ids and other chromosome names for the same sequence; then another sequence under the old names."""
    edit_genes(other, slice(None), gene_id=lambda v: "new_" + v, chrom=lambda v: v.str.replace("chr", "scaffold_"))
    fasta = (other / "genome.fa").read_text()
    (other / "genome.fa").write_text(fasta.replace(">chr", ">scaffold_"))
    (other / "genome.fa.fai").unlink(missing_ok=True)
    for name in ("atac.bw", "h3k27ac.bw"):
        _rename_chromosomes(other / name)
    splits = {"by": "chromosome", "train": "rest", "val": ["scaffold_5"], "test": ["scaffold_1"]}
    edit_description(other, splits=splits, blacklist=None, peaks={}, truth=None)
    assert (opened(run_dir, other).datamodule.labels[:10] == "train").all()
    letters = str.maketrans("ACGT", "CATG")
    lines = fasta.splitlines()
    changed = [line if line.startswith(">") else line.translate(letters) for line in lines]
    (other / "genome.fa").write_text("\n".join(changed).replace(">chr", ">scaffold_") + "\n")
    (other / "genome.fa.fai").unlink(missing_ok=True)
    assert (opened(run_dir, other).datamodule.labels[:10] == "test").all()


def _rename_chromosomes(path: Path) -> None:
    import pyBigWig

    with pyBigWig.open(str(path)) as source:
        sizes = list(source.chroms().items())
        rows = {chrom: source.intervals(chrom) for chrom in source.chroms()}
    with pyBigWig.open(str(path), "w") as target:
        target.addHeader([(chrom.replace("chr", "scaffold_"), size) for chrom, size in sizes])
        for chrom, found in rows.items():
            starts, ends, values = map(list, zip(*found))
            target.addEntries([chrom.replace("chr", "scaffold_")] * len(starts), starts, ends=ends, values=values)


def test_wider_windows_reach_what_was_seen(run_dir: Path, other: Path) -> None:
    """A new gene beside a training gene is new in narrow windows and not in wide ones."""
    table = pd.read_csv(other / "genes.tsv", sep="\t")
    beside = table.iloc[[50, 51]].assign(
        gene_id=["N1", "N2"], chrom="chr1", tss=table["tss"][4] + np.array([700, 1600])
    )
    rest = table[table["chrom"].isin(["chr5", "chr6"])]
    pd.concat([rest, beside]).to_csv(other / "genes.tsv", sep="\t", index=False)
    edit_description(other, splits={"by": "chromosome", "train": ["chr5"], "val": ["chr6"], "test": ["chr1"]})
    assert opened(run_dir, other).datamodule.labels[-2:].tolist() == ["test", "test"]
    wide = [f"--data.init_args.{side}_bp=512" for side in ("upstream", "downstream")]
    assert opened(run_dir, other, *wide).datamodule.labels[-2:].tolist() == ["train", "test"]


def test_the_reference_identifies_sequences_not_names(run_dir: Path) -> None:
    saved = read_checkpoint(run_dir / "checkpoints" / "best.ckpt")["SequenceData"]["seen"]
    sizes = Reference(run_dir.parent / "data" / "genome.fa").chrom_sizes
    assert {name: int(value.split(":")[0]) for name, value in saved["chromosomes"].items()} == {
        name: sizes[name] for name in ("chr1", "chr2", "chr3", "chr4", "chr5")
    }
    assert len(set(saved["chromosomes"].values())) == 5


def test_a_checkpoint_without_the_facts(run_dir: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = other / "old.ckpt"
    content = read_checkpoint(run_dir / "checkpoints" / "best.ckpt")
    content["SequenceData"] = {"transform": content["SequenceData"]["transform"]}
    torch.save(content, path)
    before = predict_run(Run.open(run_dir))
    after = predict_run(Run.open(run_dir, path))
    assert np.array_equal(before["prediction"], after["prediction"])
    assert "seen" not in after
    assert "does not say what it was trained on" in capsys.readouterr().err
    with pytest.raises(DataError, match="does not say what it was trained on"):
        Run.open(run_dir, path, [f"--data.init_args.dataset={other}"])
    content["SequenceData"] = {**content["SequenceData"], "seen": {"genes": 3}}
    torch.save(content, path)
    with pytest.raises(DataError, match="cannot be read"):
        Run.open(run_dir, path)


def test_frozen_masks_belong_to_the_rows_of_a_table(run_dir: Path, other: Path, tmp_path: Path) -> None:
    """Masks are kept per row: on another table they would be those of other genes."""
    save_kept(tmp_path / "kept.npz", np.ones((60, 16), dtype=bool), 256, bin_bp=32)
    content = load_yaml(config(tmp_path, other))
    content["model"]["network"] = {
        "class_path": "seqexp.dna.models.masked.MaskedExpression",
        "init_args": {
            "stem": {"class_path": f"{PARTS}.encoders.conv.SequenceStem", "init_args": {"width": 8, "bin_bp": 32}},
            "predictor": {"class_path": f"{PARTS}.encoders.conv.ConvEncoder", "init_args": {"width": 8}},
            "head": {
                "class_path": f"{PARTS}.heads.expression.ExpressionHead",
                "init_args": {"width": 8, "num_covariates": 1},
            },
            "masks": str(tmp_path / "kept.npz"),
        },
    }
    dump_yaml(content, tmp_path / "c.yaml")
    run_fit(tmp_path / "run", [str(tmp_path / "c.yaml")])
    assert len(predict_run(Run.open(tmp_path / "run"))) == 60
    table = pd.read_csv(other / "genes.tsv", sep="\t")
    table[::-1].to_csv(other / "genes.tsv", sep="\t", index=False)
    with pytest.raises(DataError, match="something for each row of the table it was trained on"):
        Run.open(tmp_path / "run")


def test_training_goes_on_with_the_same_data_only(run_dir: Path, other: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run_dir, tmp_path / "run")
    edit_genes(other, [3], gene_id=lambda v: "another")
    with pytest.raises(DataError, match="training and validation genes"):
        run_fit(run, [], [f"--data.init_args.dataset={other}", "--trainer.max_epochs=2"], resume=True)
    run_fit(run, [], ["--trainer.max_epochs=2"], resume=True)
