"""Tables of scanpy, squidpy and HEST as they come: tissue, genes, layers, sections; read right or refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tiny_visium import counts, positions, write_description, write_section

from seqexp.core.errors import DataError
from seqexp.histology.slides import SlideSet, SpotTable

AnnData = anndata.AnnData
Change = Callable[[AnnData], AnnData | None]


def table() -> AnnData:
    """The tiny section as scanpy would hold it."""
    frame = positions().set_index("barcode")
    frame.index = frame.index.astype(object)
    genes = pd.DataFrame({"gene_ids": ["ENSG01", "ENSG02", "ENSG03"]}, index=pd.Index(list("ABC"), dtype=object))
    data = AnnData(
        sparse.csr_matrix(counts().astype(np.float32)), frame[["in_tissue", "array_row", "array_col"]], genes
    )
    data.obsm["spatial"] = frame[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
    return data


def write(folder: Path, change: Change | None = None, **slide: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that are not unique, on purpose
        data = table()
        data = (change(data) if change else None) or data
        data.write_h5ad(folder / "a.h5ad")
    write_description(folder, **{"layout": "h5ad", "file": "a.h5ad", "folder": None, **slide})


def read(folder: Path, change: Change | None = None, **slide: object) -> SpotTable:
    write_section(folder) if not (folder / "full.png").exists() else None
    write(folder, change, **slide)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return SlideSet.open(folder).read("s1")


def test_plain(tmp_path: Path) -> None:
    spots = read(tmp_path)
    np.testing.assert_array_equal(spots.counts.toarray(), counts())
    np.testing.assert_allclose(spots.frame["x_px"], positions()["pxl_col_in_fullres"])
    assert spots.panel.ensembl == ("ENSG01", "ENSG02", "ENSG03")


OFF = ["0", *["1"] * 19]
TISSUE = {
    "bool": np.arange(20) > 0,
    "categories of text": pd.Categorical(OFF),
    "categories of words": pd.Categorical(["False", *["True"] * 19]),
    "capitals": pd.Categorical(["FALSE", *["TRUE"] * 19]),
    "fractions": [0.0, *[1.0] * 19],
    "fractions as text": pd.Categorical(["0.0", *["1.0"] * 19]),
    "not a number": [np.nan, *[1.0] * 19],
    "categories with none": pd.Categorical([None, *["1"] * 19]),
    "nullable integers": pd.array([None, *[1] * 19], dtype="Int64"),
    "nullable flags": pd.array([None, *[True] * 19], dtype="boolean"),
}


@pytest.mark.parametrize("name", TISSUE)
def test_tissue_told_in_any_way(tmp_path: Path, name: str) -> None:
    def change(data: AnnData) -> None:
        data.obs["in_tissue"] = TISSUE[name]

    spots = read(tmp_path, change)
    np.testing.assert_array_equal(spots.counts.toarray(), counts()[1:])
    assert sum(spots.reports["s1"].dropped.values()) >= 1
    assert spots.frame["barcode"].tolist() == positions()["barcode"].tolist()[1:]


@pytest.mark.parametrize("value", ["2", "maybe", "1;0"])
def test_tissue_that_is_neither_yes_nor_no(tmp_path: Path, value: str) -> None:
    def change(data: AnnData) -> None:
        data.obs["in_tissue"] = pd.Categorical([value, *["1"] * 19])

    with pytest.raises(DataError, match="neither yes nor no"):
        read(tmp_path, change)


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        (["ENSG01.5", None, None], ("ENSG01", "", "")),
        (["ENSG01.5", "ENSG01.5_PAR_Y", "ENSG03.2"], ("ENSG01", "ENSG01_PAR_Y", "ENSG03")),
        (["", "NA", "NA"], ("", "", "")),
        (["nan", "None", "ENSG03"], ("", "", "ENSG03")),
        (["ENSG01", "ENSG01", "ENSG03"], ("", "", "ENSG03")),
        (["FBgn0000001", "0012", "12"], ("FBgn0000001", "0012", "12")),
    ],
)
def test_ids_that_are_missing_or_shared_do_not_refuse_the_file(
    tmp_path: Path, ids: list[str | None], wanted: tuple[str, ...]
) -> None:
    def change(data: AnnData) -> None:
        data.var["gene_ids"] = ids

    spots = read(tmp_path, change)
    assert spots.panel.ensembl == wanted
    np.testing.assert_array_equal(spots.counts.toarray(), counts())


def test_symbols_that_stand_twice_are_told_apart_by_id_or_summed(tmp_path: Path) -> None:
    def change(data: AnnData) -> None:
        data.var_names = ["A", "B", "A"]

    spots = read(tmp_path, change)
    assert spots.panel.symbols == ("A", "B", "A_ENSG03")
    np.testing.assert_array_equal(spots.counts.toarray(), counts())

    def without_ids(data: AnnData) -> None:
        change(data)
        del data.var["gene_ids"]

    spots = read(tmp_path, without_ids)
    assert spots.panel.symbols == ("A", "B")
    np.testing.assert_array_equal(spots.counts.toarray()[:, 0], counts()[:, 0] + counts()[:, 2])
    assert spots.reports["s1"].dropped["genes named twice, summed"] == 1


def test_symbols_that_look_like_nothing_are_names(tmp_path: Path) -> None:
    def change(data: AnnData) -> None:
        data.var_names = ["NA", "nan", ""]

    assert read(tmp_path, change).panel.symbols == ("NA", "nan", "ENSG03")


def test_positions_go_by_the_names_of_their_columns(tmp_path: Path) -> None:
    frame = positions().set_index("barcode")[["pxl_row_in_fullres", "pxl_col_in_fullres"]]
    frame.index = frame.index.astype(object)

    def named(data: AnnData) -> None:
        data.obsm["spatial"] = frame

    np.testing.assert_allclose(read(tmp_path, named).frame["x_px"], frame["pxl_col_in_fullres"])

    def exchanged(data: AnnData) -> None:
        data.obsm["spatial"] = frame.to_numpy()

    with pytest.raises(DataError, match="exchanged"):
        read(tmp_path, exchanged)


def test_positions_that_are_none(tmp_path: Path) -> None:
    for values in (np.zeros((20, 1)), np.zeros((20, 3)), np.full((20, 2), np.nan), np.full((20, 2), "a", object)):

        def change(data: AnnData, values: np.ndarray = values) -> None:
            data.obsm["spatial"] = values

        with pytest.raises(DataError, match=r"obsm|no numbers"):
            read(tmp_path, change)

    def without(data: AnnData) -> None:
        del data.obsm["spatial"]

    with pytest.raises(DataError, match="obsm has no 'spatial'"):
        read(tmp_path, without)


def test_a_grid_with_holes_is_none_and_told(tmp_path: Path) -> None:
    def change(data: AnnData) -> None:
        data.obs["array_row"] = [np.nan, *data.obs["array_row"][1:]]

    spots = read(tmp_path, change)
    assert (spots.frame["row"] == -1).all()
    assert "no grid" in spots.reports["s1"].render()


# ---------------------------------------------------------------------------------------------------------- raw counts


def _normalised(data: AnnData) -> None:
    data.X = np.log1p(data.X.toarray() / 5)


def _counts_in_layer(data: AnnData) -> None:
    data.layers["counts"] = data.X.copy()
    _normalised(data)


def _counts_in_raw(data: AnnData) -> None:
    data.raw = data.copy()
    _normalised(data)


def _scaled(data: AnnData) -> None:
    values = data.X.toarray()
    data.layers["umi"] = data.X.copy()
    data.X = (values - values.mean(0)) / values.std(0)


def _empty(data: AnnData) -> None:
    data.layers["counts"] = data.X.copy()
    data.X = None


@pytest.mark.parametrize(
    ("change", "layer", "told"),
    [
        (_counts_in_layer, "counts", "layer: counts"),
        (_counts_in_raw, "raw", "layer: raw"),
        (_scaled, "umi", "layer: umi"),
        (_empty, "counts", "layer: counts"),
    ],
)
def test_what_is_no_count_is_refused_and_the_layer_named(tmp_path: Path, change: Change, layer: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(tmp_path, change)
    np.testing.assert_array_equal(read(tmp_path, change, layer=layer).counts.toarray(), counts())


def test_counts_that_are_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not whole numbers"):
        read(tmp_path, _normalised)
    with pytest.raises(DataError, match="no layer 'counts'"):
        read(tmp_path, layer="counts")


# ------------------------------------------------------------------------------------------------------------ sections


def two(label: str | None, shift: float = 0.0, is_unique: bool = True, has_grid: bool = True) -> AnnData:
    """Two sections in one table; each has its images where ``label`` is None."""
    parts = {}
    for number, name in enumerate(("L1", "L2")):
        part = table()
        part.obsm["spatial"] = part.obsm["spatial"] + number * shift
        if not has_grid:
            del part.obs["array_row"], part.obs["array_col"]
        if label is None:
            part.uns["spatial"] = {name: {"scalefactors": {"tissue_hires_scalef": 0.5}}}
        parts[name] = part
    return anndata.concat(parts, label=label, index_unique="-" if is_unique else None, merge="same", uns_merge="unique")


@pytest.mark.parametrize("label", ["library_id", "sample", "batch", "slide_id", "capture", None])
@pytest.mark.parametrize("has_grid", [True, False])
def test_two_sections_are_never_laid_on_one_image(tmp_path: Path, label: str | None, has_grid: bool) -> None:
    with pytest.raises(DataError, match="several sections") as told:
        read(tmp_path, lambda _: two(label, 3.0, has_grid=has_grid))
    assert "L1, L2" in str(told.value)
    if label:
        slide = {"library": "L2", "library_key": label}
        spots = read(tmp_path, lambda _: two(label, 3.0, has_grid=has_grid), **slide)
        np.testing.assert_allclose(spots.frame["x_px"], positions()["pxl_col_in_fullres"] + 3)


def test_two_sections_that_nothing_names(tmp_path: Path) -> None:
    def nameless(_: AnnData) -> AnnData:
        data = two("library_id", 3.0, has_grid=False)
        del data.obs["library_id"]
        data.obs_names = [f"spot{number}" for number in range(len(data))]
        return data

    with pytest.raises(DataError, match="two sections"):  # spots nearer to each other than any of the platform
        read(tmp_path, nameless)


def test_sections_named_by_numbers(tmp_path: Path) -> None:
    def numbered(_: AnnData) -> AnnData:
        return anndata.concat({1: table(), 2: table()}, label="sample", merge="same")

    for library in (2, "2"):
        assert len(read(tmp_path, numbered, library=library, library_key="sample")) == 20
    with pytest.raises(DataError, match="one of: 1, 2"):
        read(tmp_path, numbered, library="3", library_key="sample")


def test_one_section_may_be_of_several_batches(tmp_path: Path) -> None:
    def change(data: AnnData) -> None:
        data.obs["batch"] = ["a", "b"] * 10

    with pytest.raises(DataError, match="library: all"):
        read(tmp_path, change)
    assert len(read(tmp_path, change, library="all")) == 20


# ------------------------------------------------------------------------------------------------------------- damage


DAMAGE: dict[str, Callable[[h5py.File], None]] = {
    "an index out of the matrix": lambda file: file["X/indices"].__setitem__(3, 10**6),
    "a negative index": lambda file: file["X/indices"].__setitem__(3, -5),
    "starts beyond the data": lambda file: file["X/indptr"].__setitem__(20, 10**6),
    "starts that fall": lambda file: file["X/indptr"].__setitem__(5, 0),
    "no obs": lambda file: file.__delitem__("obs"),
    "no X indices": lambda file: file.__delitem__("X/indices"),
    "no kind of X": lambda file: file["X"].attrs.__delitem__("encoding-type"),
    "positions of fewer spots": lambda file: (file.__delitem__("obsm/spatial"), file.__setitem__("obsm/spatial", 1))[0],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_one_error_and_no_crash(tmp_path: Path, name: str) -> None:
    write_section(tmp_path)
    write(tmp_path)
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        DAMAGE[name](file)
    with pytest.raises(DataError, match=r"cannot be read|damaged|obsm|positions"):
        SlideSet.open(tmp_path).read("s1")


def test_kinds_of_numbers(tmp_path: Path) -> None:
    def half(data: AnnData) -> None:
        data.X = data.X.toarray().astype(np.float16)  # which sparse matrices do not know

    np.testing.assert_array_equal(read(tmp_path, half).counts.toarray(), counts())
    for change, told in ((lambda x: x > 0, "type bool"), (lambda x: x * np.float32(1.000001), "2.00000191")):

        def other(data: AnnData, change: Callable = change) -> None:
            data.X = sparse.csr_matrix(change(data.X.toarray()))

        with pytest.raises(DataError, match=told):
            read(tmp_path, other)


@pytest.mark.parametrize(("columns", "is_known"), [(["imagerow", "imagecol"], True), (["row", "col"], False)])
def test_a_table_of_positions_names_its_columns(tmp_path: Path, columns: list[str], is_known: bool) -> None:
    def change(data: AnnData) -> None:
        data.obsm["spatial"] = pd.DataFrame(data.obsm["spatial"][:, ::-1], data.obs_names, columns)

    if is_known:
        np.testing.assert_allclose(read(tmp_path, change).frame["x_px"], positions()["pxl_col_in_fullres"])
        return
    with pytest.raises(DataError, match="has the columns row, col"):
        read(tmp_path, change)
