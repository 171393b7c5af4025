"""`seqexp.load` of a run on tissue: spots of its own slides, or of others."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from simulated_tissue import small_tissue

import seqexp
from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import dump_yaml
from seqexp.training.fit import run_fit
from seqexp.training.predict import predict_run
from seqexp.training.run import Run

SIZES = {"num_genes": 8, "num_features": 21, "width": 16, "num_heads": 2, "head_width": 8, "exclude": "slide"}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tissue-model")
    shutil.copytree(small_tissue().parent, folder / "data", ignore=shutil.ignore_patterns("cache"))
    data = {"dataset": str(folder / "data"), "split": "patient", "patch_px": 0, "features": "colour"}
    network = {"class_path": "seqexp.histology.models.mclstexp.MclSTExp", "init_args": SIZES}
    content = {
        "model": {"network": network},
        "data": {"class_path": "seqexp.histology.loaders.data.SpotData", "init_args": data},
        "trainer": {"accelerator": "cpu", "max_epochs": 1},
        "run": {"progress": "none"},
    }
    dump_yaml(content, folder / "c.yaml")
    run_fit(folder / "run", [str(folder / "c.yaml")])
    return folder / "run"


def test_spots_of_its_own_slides_and_of_others(run_dir: Path, tmp_path: Path) -> None:
    own = predict_run(Run.open(run_dir))
    model = seqexp.load(run_dir)
    table = model.predict()
    genes = [name for name in own if name.startswith("prediction_")]
    assert len(genes) == 8
    assert np.array_equal(table[genes], own[genes])
    assert table.attrs["unit"] == own["unit"].iloc[0]
    shutil.copytree(run_dir.parent / "data", tmp_path / "other")
    assert np.array_equal(model.predict(tmp_path / "other" / "slides.yaml")[genes], own[genes])
    for part in ("MclSTExp", "8 genes", f"predicts {table.attrs['unit']}"):
        assert part in repr(model)


def test_embeddings_of_spots(run_dir: Path) -> None:
    model = seqexp.load(run_dir)
    embedded = model.embed()
    assert embedded.index.names == ["slide", "barcode"]
    assert len(embedded) == len(model.predict())
    assert {name.rpartition("_")[0] for name in embedded} == {"image", "expression"}
    assert np.isfinite(embedded.to_numpy()).all()


def test_what_is_no_slide_set(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = seqexp.load(run_dir)
    assert not hasattr(model, "select")
    with pytest.raises(DataError, match="not a slide set"):
        model.predict("cells.h5ad")
    with pytest.raises((DataError, ConfigError), match="no such file"):
        model.predict(tmp_path / "none.yaml")
    (tmp_path / "r.bed").write_text("chr1\t1\t2\n")
    words = ["--bed", str(tmp_path / "r.bed"), "--out", str(tmp_path / "out")]
    assert main(["predict", "--run", str(run_dir), *words]) == 2
    assert "windows of DNA for a run on SpotData" in capsys.readouterr().err
