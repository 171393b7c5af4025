"""her2st and a small Visium section, as they come."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from seqexp.cli.main import main
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.histology.slides import SlideSet, spot_graph
from seqexp.histology.slides.check import check_slides
from seqexp.histology.slides.joining import Origin, join
from seqexp.histology.slides.orientation import array_layout, require_orientation, require_proportions
from seqexp.histology.slides.spaceranger import read_spaceranger
from seqexp.histology.slides.st_files import read_st

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def mirror() -> Path:
    folder = os.environ.get("SEQEXP_MIRROR")
    if not folder:
        pytest.skip("SEQEXP_MIRROR is unset: slides are NOT tested on real data")
    return Path(folder)


@pytest.fixture(scope="module")
def her2st(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> SlideSet:
    folder = tmp_path_factory.mktemp("her2st") / "her2st"
    assert main(["data", "prepare", "her2st", "--out", str(folder), "--mirror", str(mirror)]) == 0
    return SlideSet.open(folder)


def test_her2st_spots_are_those_of_the_files(her2st: SlideSet, mirror: Path) -> None:
    assert {name: len(her2st.spots.rows_of(name)) for name in her2st.spots.slides} == {
        "B4": 283,
        "C2": 187,
        "C3": 180,
        "C4": 184,
    }
    table = her2st.read("C3")
    raw = pd.read_csv(mirror / "her2st" / "counts" / "C3.tsv.gz", sep="\t", index_col=0)
    barcode = table.frame["barcode"].iloc[17]
    assert np.array_equal(
        table.counts[17].toarray().ravel(), raw.loc[barcode].groupby(level=0, sort=False).sum().to_numpy()
    )


@pytest.mark.filterwarnings("ignore:.*decompression bomb")  # Pillow, asked by the test itself, warns of large images
def test_her2st_patches_are_those_of_the_images(her2st: SlideSet, mirror: Path) -> None:
    slide, spots = her2st.slides["C2"], her2st.spots.take(her2st.spots.rows_of("C2"))
    row = spots.frame.iloc[40]
    patch = slide.read_patch_um((row["x_um"], row["y_um"]), 224 * slide.mpp, 224)
    with Image.open(mirror / "her2st" / "images" / "C2.jpg") as image:
        left, top = round(row["x_px"]) - 112, round(row["y_px"]) - 112
        wanted = np.asarray(image.crop((left, top, left + 224, top + 224)))
    assert np.abs(patch.astype(int) - wanted.astype(int)).mean() < 2


def test_her2st_folds_never_choose_genes_on_the_test_section(her2st: SlideSet) -> None:
    for name in her2st.split_names:
        fold = her2st.fold(name)
        assert fold.targets.shape == (834, 250)
        assert not set(fold.selection.fitted_on) & set(fold.spots.frame["slide"].to_numpy()[fold.rows("test")])
        assert np.isfinite(fold.targets).all()


@pytest.mark.parametrize(
    ("name", "mpp", "num_spots"), [("her2st/B4", 0.688, 283), ("her2st_lowres/A1", 3.2, 346), ("mob/MOB2", 4.46, 407)]
)
def test_legacy_sections_lie_upright_in_their_images(mirror: Path, name: str, mpp: float, num_spots: int) -> None:
    folder, section = name.split("/")
    files = mirror / folder / "counts" / f"{section}.tsv.gz", mirror / folder / "spots" / f"{section}_selection.tsv"
    table = join(read_st(*files), Origin(section, section, "patient", mpp, platform="ST"), name)
    assert len(table) == num_spots
    require_orientation(table, name)
    require_proportions(table, name)
    layout = array_layout(table.frame)
    assert layout is not None
    assert layout.is_upright
    assert layout.off_steps.max() < 1


def test_visium_section(mirror: Path) -> None:
    raw = read_spaceranger(mirror / "visium_mini" / "section1")
    assert len(raw.positions)
    frame = raw.positions.assign(slide="s", platform="Visium", x_um=raw.positions["x_px"], y_um=raw.positions["y_px"])
    graph = spot_graph(frame.reset_index(drop=True), "hex")
    assert np.diff(graph.indptr).max() <= 6
    table = join(raw, Origin("s", "s", "patient", 1.0, platform="Visium"), "visium_mini")
    require_orientation(table, "visium_mini")
    require_proportions(table, "visium_mini")


@pytest.mark.parametrize(("mpp", "status"), [(0.688, "ok"), (0.73, "warn"), (0.63, "warn")])
def test_the_scale_of_her2st_is_that_of_its_pitch(
    mpp: float, status: str, her2st: SlideSet, mirror: Path, tmp_path: Path
) -> None:
    slide = load_yaml(her2st.spec.path)["slides"]["C2"]
    files = {key: str(her2st.spec.path.parent / slide[key]) for key in ("counts", "spots")}
    slide = {**slide, **files, "image": str(mirror / "her2st" / "images" / "C2.jpg"), "mpp": mpp}
    content = {"name": "C2", "platform": "ST", "layout": "st", "slides": {"C2": slide}, "genes": {"num": 10}}
    dump_yaml({**content, "splits": {"blocks": {"blocks_um": 1000}}}, tmp_path / "slides.yaml")
    rows = {row.what: row for row in check_slides(SlideSet.open(tmp_path)).rows}
    assert (rows["image"].status, rows["pitch"].status, rows["tissue"].status) == ("ok", status, "ok")
