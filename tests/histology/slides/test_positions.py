"""Positions of every version of Space Ranger, and what a matrix beside them may look like."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tiny_visium import GENES, counts, positions, write_description, write_matrix, write_section

from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.slides import SlideSet, SpotTable
from seqexp.histology.slides.positions import COLUMNS, read_positions
from seqexp.histology.slides.spaceranger import read_spaceranger

CSV = "tissue_positions.csv"


def read(folder: Path) -> SpotTable:
    return SlideSet.open(folder).read("s1")


def _rewrite(folder: Path, name: str, frame: pd.DataFrame, header: bool = True) -> None:
    (folder / "spatial" / CSV).unlink(missing_ok=True)
    path = folder / "spatial" / name
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, header=header)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        (CSV, True),
        (CSV, False),
        ("tissue_positions_list.csv", True),
        ("tissue_positions_list.csv", False),
        ("tissue_positions_list.csv.gz", False),
        ("tissue_positions.csv.gz", True),
        ("tissue_positions.parquet", True),
    ],
)
def test_every_way_to_write_positions_gives_the_same_spots(tmp_path: Path, name: str, header: bool) -> None:
    write_section(tmp_path)
    _rewrite(tmp_path, name, positions(), header)
    spots, wanted = read(tmp_path), positions()
    assert spots.frame["barcode"].tolist() == wanted["barcode"].tolist()
    np.testing.assert_allclose(spots.frame["x_px"], wanted["pxl_col_in_fullres"])
    np.testing.assert_allclose(spots.frame["y_px"], wanted["pxl_row_in_fullres"])
    np.testing.assert_array_equal(spots.frame["row"], wanted["array_row"])
    np.testing.assert_array_equal(spots.counts.toarray(), counts())


def test_named_columns_are_found_in_any_order_and_parquet_may_index_by_barcode(tmp_path: Path) -> None:
    path = tmp_path / CSV
    positions()[list(reversed(COLUMNS))].to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_positions(path)[list(COLUMNS[2:])], positions()[list(COLUMNS[2:])])
    parquet = tmp_path / "tissue_positions.parquet"
    positions().set_index("barcode").to_parquet(parquet)
    assert read_positions(parquet)["barcode"].tolist() == positions()["barcode"].tolist()


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("array_row", "", "array_row"),
        ("array_row", "1.5", "1.5"),
        ("array_col", "-3", "-3"),
        ("pxl_row_in_fullres", "NA", "NA"),
        ("pxl_col_in_fullres", "inf", "inf"),
        ("in_tissue", "perhaps", "neither yes nor no: 'perhaps'"),
    ],
)
def test_a_place_that_is_none_is_named(tmp_path: Path, column: str, value: str, told: str) -> None:
    write_section(tmp_path)
    frame = positions().astype(object)
    frame.loc[3, column] = value
    _rewrite(tmp_path, CSV, frame)
    with pytest.raises(DataError, match=told):
        read(tmp_path)


@pytest.mark.parametrize("name", [CSV, "tissue_positions.parquet", "tissue_positions_list.csv.gz"])
def test_damaged_positions_are_one_error(tmp_path: Path, name: str) -> None:
    write_section(tmp_path)
    _rewrite(tmp_path, name, positions())
    path = tmp_path / "spatial" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cannot be read|not a place|neither yes nor no"):
        read(tmp_path)


def test_a_column_less_is_one_error(tmp_path: Path) -> None:
    write_section(tmp_path)
    _rewrite(tmp_path, CSV, positions().drop(columns="array_row"))
    with pytest.raises(DataError, match="no column 'array_row'"):
        read(tmp_path)
    _rewrite(tmp_path, CSV, positions().drop(columns="array_row"), header=False)
    with pytest.raises(DataError, match="5 columns without a header"):
        read(tmp_path)


def test_barcodes_are_text_and_their_library_number_may_be_lost(tmp_path: Path) -> None:
    write_section(tmp_path)
    frame = positions()
    frame["barcode"] = frame["barcode"].str.removesuffix("-1")
    _rewrite(tmp_path, CSV, frame)
    spots = read(tmp_path)
    assert len(spots) == 20
    assert "without their number" in spots.reports["s1"].render()
    names = ["NA", "nan", "None", "0012", "12", "1e5", "100000.0"]
    odd = positions().iloc[: len(names)].assign(barcode=names)
    odd.to_csv(tmp_path / "odd.csv", index=False)
    assert read_positions(tmp_path / "odd.csv")["barcode"].tolist() == names


def test_tissue_may_be_told_in_words_and_unknown_is_told(tmp_path: Path) -> None:
    write_section(tmp_path)
    frame = positions().astype({"in_tissue": object})
    frame["in_tissue"] = ["True", "FALSE", "1.0", "0.0", "", "NaN", *["1"] * 14]
    _rewrite(tmp_path, CSV, frame)
    spots = read(tmp_path)
    assert len(spots) == 16
    assert spots.reports["s1"].dropped["position whose in_tissue is unknown"] == 2


def test_positions_of_another_section_are_refused(tmp_path: Path) -> None:
    # The barcodes of a Visium array are the same on every slide; only what lies under tissue differs.
    write_section(tmp_path)
    frame = positions()
    write_matrix(tmp_path / "other")
    keep = frame["array_row"].to_numpy() < 4
    lines = "\n".join(frame["barcode"][keep])
    (tmp_path / "filtered_feature_bc_matrix" / "barcodes.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    mtx = tmp_path / "filtered_feature_bc_matrix" / "matrix.mtx.gz"
    mtx.write_bytes(
        gzip.compress(f"%%MatrixMarket matrix coordinate integer general\n3 {keep.sum()} 1\n1 1 5\n".encode())
    )
    _rewrite(tmp_path, CSV, frame.assign(in_tissue=(frame["array_row"] > 0).astype(int)))
    with pytest.raises(DataError, match="4 of 16 spots of the filtered matrix do not lie under tissue, and 4 that do"):
        read(tmp_path)
    _rewrite(tmp_path, CSV, frame)  # spots filtered out of the matrix by hand are no contradiction
    assert len(read(tmp_path)) == 16


def test_a_downscaled_image_scales_the_positions(tmp_path: Path) -> None:
    write_section(tmp_path)
    raw = read_spaceranger(tmp_path, Path("tissue_hires_image.png"))
    np.testing.assert_allclose(raw.positions["x_px"], positions()["pxl_col_in_fullres"] * 0.5)
    factors = tmp_path / "spatial" / "scalefactors_json.json"
    for value in (None, "0.5", True, [0.5], {}, 0, -1, float("nan"), float("inf"), 1e9):
        factors.write_text(json.dumps({"tissue_hires_scalef": value}))
        with pytest.raises(ConfigError, match="tissue_hires_scalef"):
            read_spaceranger(tmp_path, Path("tissue_hires_image.png"))
    for text in ("[]", "3", "{", "", '"a"', "[" * 100_000, "\x00", '{"a": ' * 50_000):
        factors.write_text(text)
        with pytest.raises(ConfigError, match="JSON"):
            read_spaceranger(tmp_path, Path("tissue_hires_image.png"))


# ------------------------------------------------------------------------------------------------- genes and counts


def test_genes_are_text_and_none_is_summed_into_another(tmp_path: Path) -> None:
    write_section(tmp_path)
    genes = (("NA", "NA"), ("nan", "nan"), ("0012", "0012"))
    for path in (tmp_path / "filtered_feature_bc_matrix").iterdir():
        path.unlink()
    (tmp_path / "filtered_feature_bc_matrix").rmdir()
    write_matrix(tmp_path / "filtered_feature_bc_matrix", genes=genes)
    spots = read(tmp_path)
    assert spots.panel.symbols == ("NA", "nan", "0012")
    np.testing.assert_array_equal(spots.counts.toarray(), counts())


def _as_h5(folder: Path, **change: object) -> Path:
    """The matrix of a section as HDF5; keywords replace data sets."""
    for path in (folder / "filtered_feature_bc_matrix").iterdir():
        path.unlink()
    (folder / "filtered_feature_bc_matrix").rmdir()
    matrix = sparse.csc_matrix(counts().T)
    parts = {
        "shape": np.array(matrix.shape),
        "data": matrix.data,
        "indices": matrix.indices,
        "indptr": matrix.indptr,
        "barcodes": positions()["barcode"].to_numpy().astype("S"),
        "features/id": np.array([gene.encode() for gene, _ in GENES]),
        "features/name": np.array([name.encode() for _, name in GENES]),
        "features/feature_type": np.array([b"Gene Expression", b"Gene Expression", b"Antibody Capture"]),
        **change,
    }
    path = folder / "filtered_feature_bc_matrix.h5"
    with h5py.File(path, "w") as file:
        for name, values in parts.items():
            if values is not None:
                file[f"matrix/{name}"] = values
    return path


def test_h5_gives_the_genes_and_tells_the_other_features(tmp_path: Path) -> None:
    write_section(tmp_path)
    _as_h5(tmp_path)
    spots = read(tmp_path)
    assert spots.panel.symbols == ("A", "B")
    np.testing.assert_array_equal(spots.counts.toarray(), counts()[:, :2])
    assert spots.reports["s1"].dropped == {"features that are not gene expression": 1}


INDICES = sparse.csc_matrix(counts().T).indices
BROKEN_H5 = {
    "index out of the matrix": {"indices": np.where(np.arange(len(INDICES)) == 7, 10**6, INDICES)},
    "negative index": {"indices": np.where(np.arange(len(INDICES)) == 7, -1, INDICES)},
    "huge unsigned index": {"indices": np.where(np.arange(len(INDICES)) == 7, 2**63, INDICES).astype(np.uint64)},
    "starts that fall": {"indptr": np.r_[0, 5, 3, np.full(18, len(INDICES))]},
    "starts beyond the data": {"indptr": np.r_[np.arange(20), 10**9]},
    "one place twice": {"indices": np.zeros_like(INDICES)},
    "indices that are fractions": {"indices": INDICES.astype(float)},
    "counts that are text": {"data": np.array([b"1"] * len(INDICES))},
    "counts that are negative": {"data": np.full(len(INDICES), -1)},
    "counts that are too large": {"data": np.full(len(INDICES), 2**40)},
    "another shape": {"shape": np.array([3, 10**12])},
    "a shape of one number": {"shape": np.array([3])},
    "fewer barcodes": {"barcodes": np.array([b"A", b"B"])},
    "barcodes that are numbers": {"barcodes": np.arange(20)},
    "no names": {"features/name": None},
    "no gene expression": {"features/feature_type": np.array([b"CRISPR", b"CRISPR", b"CRISPR"])},
    "no matrix": dict.fromkeys(("shape", "data", "indices", "indptr", "barcodes")),
}


@pytest.mark.parametrize("name", BROKEN_H5)
def test_a_damaged_h5_is_one_error_and_no_crash(tmp_path: Path, name: str) -> None:
    write_section(tmp_path)
    _as_h5(tmp_path, **BROKEN_H5[name])
    with pytest.raises(DataError, match=r"matrix|counts|gene expression"):
        read(tmp_path)


def test_mirrored_must_be_told_as_a_flag(tmp_path: Path) -> None:
    write_section(tmp_path)
    write_description(tmp_path, mirrored="sometimes")
    with pytest.raises(ConfigError, match="mirrored"):
        SlideSet.open(tmp_path)
