"""Files of one section and one scale: exchanged names, other sections and other scales are never taken as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_slides import write_tiny_slides
from tiny_visium import MPP, positions, write_description, write_section

from seqexp.core.errors import DataError
from seqexp.histology.slides import SlideSet
from seqexp.histology.slides.check import check_slides
from seqexp.histology.slides.st_files import read_st

Change = Callable[[pd.DataFrame], pd.DataFrame]


def legacy(folder: Path, change: Change = lambda t: t, rename: Change = lambda t: t, lacking: int = 0) -> list[str]:
    """A leaning strip of 60 spots under tissue, on which few places are also there with x and y exchanged."""
    places = [(x, y) for y in range(1, 13) for x in range(y, y + 5)]
    spots = pd.DataFrame(places, columns=["x", "y"]).assign(pixel_x=lambda t: t.x * 50, pixel_y=lambda t: t.y * 50)
    table = pd.DataFrame({"A": range(60), "B": 1}, index=[f"{x}x{y}" for x, y in places])
    rename(table.iloc[lacking:]).to_csv(folder / "counts.tsv", sep="\t")
    change(spots).to_csv(folder / "spots.tsv", sep="\t", index=False)
    return read_st(folder / "counts.tsv", folder / "spots.tsv").barcodes.tolist()


def exchanged_names(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis(["x".join(reversed(name.split("x"))) for name in table.index])


EXCHANGED = {"x": "y", "y": "x"}


def test_names_that_mean_y_before_x_are_found_although_many_join(tmp_path: Path) -> None:
    assert len(legacy(tmp_path)) == 60
    with pytest.raises(DataError, match="y before x"):
        legacy(tmp_path, rename=exchanged_names)
    with pytest.raises(DataError, match="y before x"):  # what the handedness of the array cannot see
        legacy(tmp_path, lambda t: t.rename(columns={**EXCHANGED, "pixel_x": "pixel_y", "pixel_y": "pixel_x"}))
    with pytest.raises(DataError, match="y before x"):  # a table with a few spots less
        legacy(tmp_path, rename=exchanged_names, lacking=4)


def test_depth_tells_where_counts_list_every_place_of_the_array(tmp_path: Path) -> None:
    places = [(x, y) for x in range(1, 13) for y in range(1, 13)]
    is_tissue = [x < 6 for x, _ in places]
    spots = pd.DataFrame(places, columns=["x", "y"]).assign(pixel_x=lambda t: t.x, pixel_y=lambda t: t.y)
    spots.assign(selected=np.asarray(is_tissue).astype(int)).to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    table = pd.DataFrame({"A": [100 if is_in else 1 for is_in in is_tissue]}, index=[f"{x}x{y}" for x, y in places])
    table.to_csv(tmp_path / "c.tsv", sep="\t")
    assert len(read_st(tmp_path / "c.tsv", tmp_path / "s.tsv").positions) == 60
    exchanged_names(table).to_csv(tmp_path / "c.tsv", sep="\t")
    with pytest.raises(DataError, match="y before x"):
        read_st(tmp_path / "c.tsv", tmp_path / "s.tsv")


def test_counts_and_positions_of_two_sections_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="10 of 60 spots with counts have no position, and 12 of 62 positions no counts"
    ):
        legacy(
            tmp_path,
            lambda t: pd.concat([t.iloc[10:], t.iloc[:12].assign(x=lambda s: s.x + 30)], ignore_index=True),
        )
    assert len(legacy(tmp_path, lambda t: t.iloc[20:])) == 60  # positions of a part: no contradiction


def test_spots_beside_the_tissue_that_are_deeper_are_told(tmp_path: Path) -> None:
    """Every Visium section has the same barcodes: only depth says whose positions these are."""
    write_tiny_slides(tmp_path)
    spots = pd.read_csv(tmp_path / "A1_spots.tsv", sep="\t")
    table = pd.read_csv(tmp_path / "A1.tsv", sep="\t", index_col=0)
    spots.assign(selected=(spots.x > 4).astype(int)).to_csv(tmp_path / "A1_spots.tsv", sep="\t", index=False)
    table.iloc[(spots.x <= 4).to_numpy()] //= 20
    table.to_csv(tmp_path / "A1.tsv", sep="\t")
    assert "more counts" not in SlideSet.open(tmp_path).read("A1").reports["A1"].render()
    spots.assign(selected=(spots.x <= 4).astype(int)).to_csv(tmp_path / "A1_spots.tsv", sep="\t", index=False)
    told = SlideSet.open(tmp_path).read("A1").reports["A1"].render()
    assert "more counts than 100% of those under tissue" in told


# ---------------------------------------------------------------------------------------------------------------- scale


def sparse_section(folder: Path, **slide: object) -> SlideSet:
    """Every fourth spot of the tiny section: none has a neighbour, as in examples that are cut down to be small."""
    write_section(folder)
    frame = positions().iloc[[0, 3, 9, 12, 18]]
    frame.to_csv(folder / "spatial" / "tissue_positions.csv", index=False)
    write_description(folder, **slide)
    return SlideSet.open(folder)


def test_spots_without_neighbours_tell_the_scale_too(tmp_path: Path) -> None:
    assert len(sparse_section(tmp_path).read("s1")) == 5
    for mpp in (MPP / 2, MPP * 2):
        write_description(tmp_path, mpp=mpp)
        with pytest.raises(DataError, match=f"{50 * mpp:g} um apart"):
            SlideSet.open(tmp_path).read("s1")


@pytest.mark.parametrize("is_chessboard", [False, True])
def test_legacy_spots_without_neighbours(tmp_path: Path, is_chessboard: bool) -> None:
    path = write_tiny_slides(tmp_path)
    spots = pd.read_csv(tmp_path / "A1_spots.tsv", sep="\t")
    keep = (spots.x + spots.y) % 2 == 0 if is_chessboard else (spots.x % 3 == 0) & (spots.y % 2 == 0)
    spots[keep].to_csv(tmp_path / "A1_spots.tsv", sep="\t", index=False)
    path.write_text(path.read_text().replace("mpp: 4.0", "mpp: 2.0"))
    if is_chessboard:  # arrays of twice as many spots are counted so, and their pitch is another
        assert len(SlideSet.open(path).read("A1")) == keep.sum()
        return
    with pytest.raises(DataError, match="100 um apart"):
        SlideSet.open(path).read("A1")


def test_positions_in_microns_are_called_so(tmp_path: Path) -> None:
    write_section(tmp_path)
    frame = positions()
    for column in ("pxl_row_in_fullres", "pxl_col_in_fullres"):
        frame[column] *= MPP
    frame.to_csv(tmp_path / "spatial" / "tissue_positions.csv", index=False)
    Image.new("RGB", (700, 700)).save(tmp_path / "full.png")
    with pytest.raises(DataError, match="if the positions are microns, divide them by mpp"):
        SlideSet.open(tmp_path).read("s1")


@pytest.mark.parametrize(("diameter", "is_right"), [(32.5, True), (36.0, True), (65.0, False), (16.0, False)])
def test_scale_factors_of_another_section_are_refused(tmp_path: Path, diameter: float, is_right: bool) -> None:
    write_section(tmp_path)
    factors = {"tissue_hires_scalef": 0.5, "spot_diameter_fullres": diameter}
    (tmp_path / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    (tmp_path / "full.png").rename(tmp_path / "tissue_hires_image.png")
    write_description(tmp_path, image="tissue_hires_image.png", mpp=2 * MPP)
    if is_right:
        np.testing.assert_allclose(SlideSet.open(tmp_path).read("s1").frame["x_px"], positions().iloc[:, 5] / 2)
        return
    with pytest.raises(DataError, match="spot_diameter_fullres"):
        SlideSet.open(tmp_path).read("s1")


# ------------------------------------------------------------------------------------------------------------- platform


def test_a_layout_tells_its_platform_where_the_description_does_not(tmp_path: Path) -> None:
    write_section(tmp_path)
    content = json.loads((tmp_path / "slides.yaml").read_text())
    del content["platform"]
    (tmp_path / "slides.yaml").write_text(json.dumps(content))
    assert set(SlideSet.open(tmp_path).read("s1").frame["platform"]) == {"Visium"}
    frame = positions()
    frame[["pxl_row_in_fullres", "pxl_col_in_fullres"]] = frame[["pxl_col_in_fullres", "pxl_row_in_fullres"]]
    frame.to_csv(tmp_path / "spatial" / "tissue_positions.csv", index=False)
    with pytest.raises(DataError, match="exchanged"):
        SlideSet.open(tmp_path).read("s1")


def test_a_grid_without_a_platform_is_warned_of(tmp_path: Path) -> None:
    write_section(tmp_path)
    write_description(tmp_path, platform="other")
    told = check_slides(SlideSet.open(tmp_path)).render()
    assert "no platform is named" in told


def test_a_section_without_tissue_says_why_nothing_is_left(tmp_path: Path) -> None:
    write_section(tmp_path)
    (tmp_path / "filtered_feature_bc_matrix").rename(tmp_path / "raw_feature_bc_matrix")
    positions().assign(in_tissue=0).to_csv(tmp_path / "spatial" / "tissue_positions.csv", index=False)
    with pytest.raises(DataError, match="no spot is left: 20 position not under tissue"):
        SlideSet.open(tmp_path).read("s1")
