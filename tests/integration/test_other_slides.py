"""A checkpoint of the histology wing on slides that are not its own: genes, scales, numbers and what it has seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from simulated_tissue import small_tissue

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.training.checkpoints import read_checkpoint
from seqexp.training.fit import run_fit
from seqexp.training.predict import predict_run
from seqexp.training.run import Run

SIZES = {"num_genes": 8, "num_features": 21, "width": 16, "num_heads": 2, "head_width": 8, "exclude": "slide"}
RETRIEVAL = {"class_path": "seqexp.histology.models.mclstexp.MclSTExp", "init_args": SIZES}


def write_config(path: Path, network: dict[str, Any], dataset: Path, **data: Any) -> Path:
    init = {"dataset": str(dataset), "split": "patient", "patch_px": 0, "features": "colour", **data}
    content = {
        "model": {"network": network},
        "data": {"class_path": "seqexp.histology.loaders.data.SpotData", "init_args": init},
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
    }
    dump_yaml(content, path)
    return path


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that remembers spots and scales features by its training spots: everything that can be fitted."""
    folder = tmp_path_factory.mktemp("known-slides")
    shutil.copytree(small_tissue().parent, folder / "data", ignore=shutil.ignore_patterns("cache"))
    config = write_config(folder / "c.yaml", RETRIEVAL, folder / "data", scale_features="train")
    run_fit(folder / "run", [str(config)])
    return folder / "run"


@pytest.fixture
def other(run_dir: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run_dir.parent / "data", tmp_path / "other")


def opened(run_dir: Path, dataset: Path, *flags: str) -> Run:
    return Run.open(run_dir, overrides=[f"--data.init_args.dataset={dataset}", *flags])


def edit_counts(dataset: Path, slide: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = dataset / f"{slide}.tsv.gz"
    change(pd.read_csv(path, sep="\t", index_col=0)).to_csv(path, sep="\t")


def edit_description(dataset: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = load_yaml(dataset / "slides.yaml")
    change(content)
    dump_yaml(content, dataset / "slides.yaml")


def by_spot(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(["slide", "barcode"]).sort_index()


def predicted(frame: pd.DataFrame) -> pd.DataFrame:
    return by_spot(frame).filter(like="prediction_")


def test_untouched_spots_keep_their_prediction_bit_for_bit(run_dir: Path, other: Path) -> None:
    """Other counts on the training slides would choose other genes, fit other scales and be remembered otherwise."""
    before = predict_run(Run.open(run_dir))
    for slide in ("P1_1", "P1_2"):
        edit_counts(other, slide, lambda table: table * np.arange(1, table.shape[1] + 1)[::-1] ** 2)
    after = predict_run(opened(run_dir, other))
    pd.testing.assert_frame_equal(predicted(after), predicted(before), check_exact=True)
    test = before["split"] == "test"
    targets = before.filter(like="target_").columns
    assert np.array_equal(after.loc[test, targets], before.loc[test, targets])
    assert not np.array_equal(after.loc[~test, targets], before.loc[~test, targets])


def test_other_images_move_no_other_spot(run_dir: Path, other: Path) -> None:
    """Features are scaled by the training spots of the checkpoint, not by those of the data at hand."""
    from PIL import Image

    before = predicted(predict_run(Run.open(run_dir)))
    picture = other / "P1_1.png"
    Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)
    after = predicted(predict_run(opened(run_dir, other)))
    moved = (after != before).any(axis=1)
    assert set(moved[moved].index.get_level_values("slide")) == {"P1_1"}


def test_numbers_of_slides_follow_their_names(run_dir: Path, other: Path) -> None:
    """A spot is never answered from its own slide, whatever the order of the slides."""
    edit_description(other, lambda content: content.update(slides=dict(reversed(content["slides"].items()))))
    before, after = (predicted(predict_run(run)) for run in (Run.open(run_dir), opened(run_dir, other)))
    pd.testing.assert_frame_equal(after, before, rtol=1e-5, atol=1e-6)


def test_genes_are_found_by_name_or_refused(run_dir: Path, other: Path) -> None:
    genes = read_checkpoint(run_dir / "checkpoints" / "best.ckpt")["SpotData"]["genes"]
    before = predict_run(Run.open(run_dir))
    for slide in ("P1_1", "P1_2", "P2_1", "P2_2"):
        edit_counts(other, slide, lambda table: table[table.columns[::-1]].assign(EXTRA=10_000))
    after = predict_run(opened(run_dir, other))
    assert list(after.filter(like="prediction_").columns) == [f"prediction_{gene}" for gene in genes]
    pd.testing.assert_frame_equal(predicted(after), predicted(before), check_exact=True)
    for slide in ("P1_1", "P1_2", "P2_1", "P2_2"):
        edit_counts(other, slide, lambda table: table.drop(columns=genes[2]))
    with pytest.raises(DataError, match=f"1 of 8 genes are not among the .*{genes[2]}"):
        opened(run_dir, other)


def test_training_spots_are_no_test(run_dir: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splits = {"turned": {"train": ["P2"], "test": ["P1"], "val_blocks_um": 600}}
    edit_description(other, lambda content: content.update(splits=splits))
    flags = [f"--data.init_args.dataset={other}", "--data.init_args.split=turned"]
    assert main(["test", "--run-dir", str(run_dir), *flags]) == 2
    told = capsys.readouterr().err
    assert "50 of 50 test spots of these data are not scored as test" in told
    assert "was trained on" in told
    assert "was chosen by" in told
    assert "no test spot is left" in told
    run = Run.open(run_dir, overrides=flags)
    frame, own = by_spot(predict_run(run)), by_spot(predict_run(Run.open(run_dir)))
    seen = own["split"].where(own["split"] != "test", "no")
    assert (frame["seen"] == seen.loc[frame.index]).all()
    assert run.datamodule.num_test_seen == 50


def new_slide(dataset: Path, name: str, patient: str, new_image: bool, like: str = "P1_1") -> None:
    """A test slide made from the files of another, under a name and a patient of its own."""
    from PIL import Image

    pixels = np.asarray(Image.open(dataset / f"{like}.png"))
    Image.fromarray(pixels[:, ::-1].copy() if new_image else pixels).save(dataset / f"{name}.png")
    if not new_image:
        shutil.copy(dataset / f"{like}.png", dataset / f"{name}.png")

    def change(content: dict[str, Any]) -> None:
        slide = {**content["slides"][like], "image": f"{name}.png", "section": name, "patient": patient}
        content["slides"] = {name: slide, **{k: v for k, v in content["slides"].items() if k.startswith("P2")}}
        content["splits"] = {"new": {"train": ["P2"], "test": [patient], "val_blocks_um": 600}}

    edit_description(dataset, change)


@pytest.mark.parametrize(
    ("name", "patient", "new_image", "num_test"),
    [("X", "P9", True, 25), ("X", "P9", False, 0), ("P1_2", "P9", True, 0), ("X", "P1", True, 0)],
    ids=["new", "image of a training slide", "name of a training slide", "patient of a training slide"],
)
def test_slides_are_known_by_image_name_or_patient(
    run_dir: Path, other: Path, name: str, patient: str, new_image: bool, num_test: int
) -> None:
    new_slide(other, name, patient, new_image)
    run = opened(run_dir, other, "--data.init_args.split=new")
    labels = run.datamodule.fold.labels[run.datamodule.fold.spots.rows_of(name)]
    assert (labels == "test").sum() == num_test
    assert any("genes are the 8 of the checkpoint" in note for note in run.datamodule.notes) == (name == "X")
    if num_test:
        assert run.score("test")["test_num"] == num_test


def test_another_pitch_of_pixels_is_told(run_dir: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run_dir / "checkpoints" / "best.ckpt"
    content = read_checkpoint(path)
    content["SpotData"]["mpp"] = [0.5, 0.6]
    torch.save(content, other / "other.ckpt")
    Run.open(run_dir, other / "other.ckpt")
    assert "microns per pixel differ from those of the training data (0.5 to 0.6)" in capsys.readouterr().err


def test_a_checkpoint_without_the_facts(run_dir: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = read_checkpoint(run_dir / "checkpoints" / "best.ckpt")
    content["SpotData"] = {name: content["SpotData"][name] for name in ("transform", "genes")}
    torch.save(content, other / "old.ckpt")
    before, after = predict_run(Run.open(run_dir)), predict_run(Run.open(run_dir, other / "old.ckpt"))
    assert "does not say what it was trained on" in capsys.readouterr().err
    pd.testing.assert_frame_equal(after, before.drop(columns="seen"), check_exact=True)
    with pytest.raises(DataError, match="does not say what it was trained on"):
        Run.open(run_dir, other / "old.ckpt", [f"--data.init_args.dataset={other}"])
    content["SpotData"]["seen"] = {"P1_1": 3}
    torch.save(content, other / "old.ckpt")
    with pytest.raises(DataError, match="cannot be read"):
        Run.open(run_dir, other / "old.ckpt")


def test_training_goes_on_with_the_same_slides_only(run_dir: Path, other: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run_dir, tmp_path / "run")
    edit_counts(other, "P1_1", lambda table: table * np.arange(1, table.shape[1] + 1) ** 3)
    flags = [f"--data.init_args.dataset={other}", "--trainer.max_epochs=2"]
    with pytest.raises(DataError, match="the data are not those that the run was trained on"):
        run_fit(run, [], flags, resume=True)
    run_fit(run, [], ["--trainer.max_epochs=2"], resume=True)


def test_options_about_elements_are_refused_on_tissue(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--run-dir", str(run_dir), "--track", "ATAC", "--genes", "a"]) == 2
    assert "--track, --genes would have no effect: it is a run on tissue" in capsys.readouterr().err


def test_networks_that_read_patches_need_some(tmp_path: Path) -> None:
    nsl = {"class_path": "seqexp.histology.models.nsl.NSL", "init_args": {"num_genes": 8}}
    config = write_config(tmp_path / "c.yaml", nsl, small_tissue())
    with pytest.raises(ConfigError, match="the data have none"):
        run_fit(tmp_path / "run", [str(config)])
    assert not (tmp_path / "run").exists()
