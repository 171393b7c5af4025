"""Visium HD: bins of several widths in one folder, positions in Parquet, and images that show the array in a mirror."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import sparse

from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.slides import SlideSet, spot_graph
from seqexp.histology.slides.check import check_slides

MPP, SIDE = 2.0, 12


def positions(width_um: int, side: int = SIDE) -> pd.DataFrame:
    """Bins of a square array whose columns run to the left in the image, as Space Ranger writes it."""
    rows, columns = (grid.ravel() for grid in np.meshgrid(np.arange(side), np.arange(side), indexing="ij"))
    step = width_um / MPP
    return pd.DataFrame(
        {
            "barcode": [f"s_{width_um:03d}um_{r:05d}_{c:05d}-1" for r, c in zip(rows, columns, strict=True)],
            "in_tissue": (rows > 0).astype(int),
            "array_row": rows,
            "array_col": columns,
            "pxl_row_in_fullres": 10 + rows * step,
            "pxl_col_in_fullres": 10 + (side - 1 - columns) * step,
        }
    )


def write_bins(folder: Path, width_um: int, side: int = SIDE) -> sparse.csr_matrix:
    """The folder of one width; returns the counts (S, 3) of the bins under tissue."""
    (folder / "spatial").mkdir(parents=True)
    frame = positions(width_um, side)
    frame.to_parquet(folder / "spatial" / "tissue_positions.parquet")
    (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps({"tissue_hires_scalef": 0.5}))
    barcodes = frame["barcode"][frame["in_tissue"] == 1]
    rng = np.random.default_rng(width_um)
    counts = sparse.csr_matrix(rng.poisson(1.0, (len(barcodes), 3)))
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "w") as file:
        group = file.create_group("matrix")
        group["shape"] = np.array([3, len(barcodes)])
        group["data"], group["indices"], group["indptr"] = counts.data, counts.indices, counts.indptr  # genes x bins
        group["barcodes"] = barcodes.to_numpy().astype("S")
        for name, values in (("id", ["ENSG1", "ENSG2", "ENSG3"]), ("name", ["A", "B", "C"])):
            group[f"features/{name}"] = np.array(values, dtype="S")
        group["features/feature_type"] = np.array(["Gene Expression"] * 3, dtype="S")
    return counts


def write(path: Path, **slide: object) -> SlideSet:
    content = {
        "name": "hd",
        "platform": "VisiumHD",
        "layout": "spaceranger",
        "slides": {"s1": {"image": "full.png", "mpp": MPP, "patient": "p", "folder": "outs", **slide}},
        "splits": {"blocks": {"blocks_um": 20}},
    }
    (path / "slides.yaml").write_text(json.dumps(content))
    Image.fromarray(np.full((150, 150, 3), 200, np.uint8)).save(path / "full.png")
    return SlideSet.open(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for width in (2, 8, 16):
        write_bins(tmp_path / "outs" / "binned_outputs" / f"square_{width:03d}um", width)
    return tmp_path


@pytest.mark.parametrize("where", ["outs", ".", "outs/binned_outputs"])
@pytest.mark.parametrize("width", [2, 8, 16])
def test_bins_of_the_width_that_is_named(folder: Path, where: str, width: int) -> None:
    spots = write(folder, folder=where, bin_um=width).read("s1")
    wanted = positions(width)
    wanted = wanted[wanted["in_tissue"] == 1]
    assert spots.frame["barcode"].tolist() == wanted["barcode"].tolist()
    np.testing.assert_allclose(spots.frame["x_um"], wanted["pxl_col_in_fullres"] * MPP)
    np.testing.assert_array_equal(spots.frame["row"], wanted["array_row"])
    assert spots.reports["s1"].dropped == {"position not under tissue": SIDE}


def test_the_folder_of_one_width_needs_no_setting(folder: Path) -> None:
    slides = write(folder, folder="outs/binned_outputs/square_008um")
    spots = slides.read("s1")
    assert len(spots) == SIDE * (SIDE - 1)
    graph = spot_graph(spots.frame, "square")
    np.testing.assert_allclose(graph.distance_um.min(), 8.0)
    told = {row.what: row for row in check_slides(slides).rows}
    assert told["pitch"].found == "8 um between neighbours, 8 expected"
    assert told["orientation"].found == "columns run to the left, rows down"


def test_counts_are_those_of_the_bins(tmp_path: Path) -> None:
    counts = write_bins(tmp_path / "outs" / "binned_outputs" / "square_008um", 8)
    np.testing.assert_array_equal(write(tmp_path, bin_um=8).read("s1").counts.toarray(), counts.toarray())


@pytest.mark.parametrize(
    ("slide", "told"),
    [
        ({}, "bin_um: 2, bin_um: 8, bin_um: 16"),
        ({"bin_um": 4}, "no bins of 4 um"),
        ({"folder": "outs/binned_outputs/square_008um", "bin_um": 16}, "bin_um: 16, and no bins"),
        ({"bin_um": 8, "mpp": 4.0}, "neighbouring spots are 16 um apart"),
    ],
)
def test_what_cannot_be_meant_is_one_error(folder: Path, slide: dict[str, object], told: str) -> None:
    with pytest.raises((DataError, ConfigError), match=told):
        write(folder, **slide).read("s1")


def test_both_hands_occur_and_what_follows_no_array_is_refused(folder: Path) -> None:
    path = folder / "outs" / "binned_outputs" / "square_008um" / "spatial" / "tissue_positions.parquet"
    frame = positions(8)
    shuffled = np.random.default_rng(0).permutation(frame["pxl_col_in_fullres"])
    frame.assign(pxl_col_in_fullres=shuffled).to_parquet(path)
    with pytest.raises(DataError, match="lie more than 2 steps"):
        write(folder, bin_um=8).read("s1")
    step = 8 / MPP
    frame.assign(pxl_col_in_fullres=10 + frame["array_col"] * step).to_parquet(path)
    assert len(write(folder, bin_um=8).read("s1")) == SIDE * (SIDE - 1)
