"""From files to a fold: joins, genes, transforms, graphs, splits; and one clear error for each broken input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.spatial import cKDTree
from tiny_slides import COLUMNS, GENES, MPP, PITCH_PX, ROWS, description, write_tiny_slides

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError
from seqexp.histology.slides import (
    ExpressionTransform,
    GenePanel,
    GeneSelector,
    PretrainingManifest,
    SlideSet,
    audit_leaks,
    concat,
    grid_window,
    spot_graph,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_tiny_slides(tmp_path)


@pytest.fixture
def opened(path: Path) -> SlideSet:
    return SlideSet.open(path)


def edit(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], index: int | None = None) -> None:
    """Rewrite a table."""
    change(pd.read_csv(path, sep="\t", index_col=index)).to_csv(path, sep="\t", index=index is not None)


def test_spots_carry_positions_counts_and_where_they_come_from(opened: SlideSet, path: Path) -> None:
    spots = opened.spots
    assert len(spots) == 4 * COLUMNS * ROWS
    frame = spots.frame
    assert set(frame["patient"]) == {"A", "B", "C"}
    np.testing.assert_array_equal(frame["x_px"], frame["column"] * PITCH_PX)
    np.testing.assert_array_equal(frame["y_um"], frame["row"] * PITCH_PX * MPP)
    raw = pd.read_csv(path.parent / "B1.tsv", sep="\t", index_col=0)
    rows = spots.rows_of("B1")
    np.testing.assert_array_equal(spots.counts[rows].toarray(), raw.loc[frame["barcode"].iloc[rows]].to_numpy())
    np.testing.assert_array_equal(frame["total_counts"].iloc[rows], raw.sum(axis=1).to_numpy())


def test_join_tells_what_it_dropped(path: Path) -> None:
    edit(path.parent / "A1.tsv", lambda table: table.iloc[3:], index=0)
    edit(path.parent / "A1_spots.tsv", lambda table: table.assign(selected=np.r_[np.ones(len(table) - 2), 0, 0]))
    report = SlideSet.open(path).spots.reports["A1"]
    assert report.num_kept == COLUMNS * ROWS - 5
    assert report.dropped == {
        "position not selected as tissue": 2,
        "counts without a position": 2,
        "position without counts": 3,
    }
    assert "1x1" in report.render()


def test_fold_is_fitted_on_training_spots_only(path: Path) -> None:
    # A gene that is high on test slides only must not be chosen, nor change any training target.
    def flood(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(GENE29=10_000)

    before = SlideSet.open(path).fold("fixed")
    edit(path.parent / "C1.tsv", flood, index=0)
    after = SlideSet.open(path).fold("fixed")
    assert after.panel.symbols == before.panel.symbols
    assert "GENE29" not in after.panel.symbols
    np.testing.assert_array_equal(after.targets[after.rows("train")], before.targets[before.rows("train")])
    assert set(after.selection.fitted_on) == {"A1", "A2"}
    assert {split: len(after.rows(split)) for split in ("train", "val", "test")} == {"train": 96, "val": 48, "test": 48}


def test_leave_one_out_tests_every_patient_once(opened: SlideSet) -> None:
    names = [name for name in opened.split_names if name.startswith("patients/")]
    assert names == ["patients/A", "patients/B", "patients/C"]
    for name in names:
        frame, labels = opened.spots.frame, opened.split(name)
        assert set(frame["patient"][labels == "test"]) == {name[-1]}
        for patient in "ABC":
            assert len(set(labels[frame["patient"] == patient])) == 1


@pytest.mark.parametrize("scope", ["all", "panel", "none"])
@pytest.mark.parametrize("log", ["e", "2", "none"])
def test_transform_is_what_it_says_and_can_be_undone(opened: SlideSet, scope: str, log: str) -> None:
    panel = GenePanel(tuple(f"GENE{g}" for g in range(5, 15)))
    spots, labels = opened.spots.on_panel(panel), opened.split("fixed")
    transform = ExpressionTransform(scope=scope, log=log, is_standardized=True).fit(spots, labels)  # type: ignore[arg-type]
    counts = spots.counts.toarray().astype(float)
    sums = {
        "all": spots.frame["total_counts"].to_numpy(float),
        "panel": counts.sum(1),
        "none": np.full(len(counts), 1e4),
    }[scope]
    scaled = counts / sums[:, None] * 1e4
    curved = {"e": np.log(scaled + 1), "2": np.log2(scaled + 1), "none": scaled}[log]
    train = labels == "train"
    wanted = (curved - curved[train].mean(0)) / curved[train].std(0)
    np.testing.assert_allclose(transform.targets(spots, labels), wanted, atol=1e-9)
    np.testing.assert_allclose(transform.restore(wanted), curved, atol=1e-9)
    np.testing.assert_allclose(transform.inverse(wanted, sums), counts, atol=1e-6)
    again = ExpressionTransform.from_state(transform.state())
    assert np.array_equal(again.targets(spots, labels), transform.targets(spots, labels))


def test_smoothing_touches_training_labels_only(opened: SlideSet) -> None:
    spots, labels = opened.spots, opened.split("fixed")
    plain = ExpressionTransform().fit(spots, labels).targets(spots, labels)
    smooth = ExpressionTransform(smooth="train").fit(spots, labels).targets(spots, labels)
    train = labels == "train"
    assert np.array_equal(smooth[~train], plain[~train])
    row = int(np.flatnonzero(((spots.frame["row"] == 3) & (spots.frame["column"] == 4)).to_numpy() & train)[0])
    near = spots.frame[["row", "column"]].sub(spots.frame.loc[row, ["row", "column"]]).abs().max(axis=1) <= 1
    block = (near & (spots.frame["slide"] == spots.frame.loc[row, "slide"])).to_numpy()
    assert block.sum() == 9
    np.testing.assert_allclose(smooth[row], plain[block].mean(0))


def test_genes_of_highest_mean_and_of_highest_spatial_autocorrelation(opened: SlideSet) -> None:
    spots, labels = opened.spots, opened.split("fixed")
    best = GeneSelector("mean", 7).fit(spots, labels)
    means = spots.counts[labels == "train"].toarray().mean(0)
    assert list(best.panel.symbols) == [spots.panel.symbols[g] for g in np.argsort(-means, kind="stable")[:7]]
    moran = GeneSelector("moran", GENES).fit(spots, labels)
    chosen = dict(zip(moran.panel.symbols, moran.scores, strict=True))
    assert chosen["GENE0"] == pytest.approx(_moran(spots, labels, 0), abs=1e-6)
    with pytest.raises(DataError, match="genes can be chosen"):
        GeneSelector("mean", GENES + 1).fit(spots, labels)


def _moran(spots: object, labels: np.ndarray, gene: int) -> float:
    """Mean Moran's I over training slides of log-normalised counts, by its textbook double sum."""
    found = []
    for slide in ("A1", "A2"):
        part = spots.take(spots.rows_of(slide))  # type: ignore[attr-defined]
        counts = part.counts.toarray().astype(float)
        sums = counts.sum(1, keepdims=True)
        values = np.log1p(counts / sums * np.median(sums))[:, gene]
        places = part.frame[["row", "column"]].to_numpy()
        weights = (np.abs(places[:, None] - places[None]).max(-1) == 1).astype(float)
        centred = values - values.mean()
        found.append(len(values) / weights.sum() * (centred @ weights @ centred) / (centred @ centred))
    return float(np.mean(found))


def test_graphs_stay_on_their_slide_and_equal_a_tree_search(opened: SlideSet) -> None:
    frame = opened.spots.frame
    square, nearest = spot_graph(frame, "square"), spot_graph(frame, "knn", k=3)
    for graph in (square, nearest):
        slides = frame["slide"].to_numpy()
        assert (slides[graph.sources] == slides[graph.indices]).all()
        assert (graph.sources != graph.indices).all()
    rows = opened.spots.rows_of("B1")
    places = frame[["x_um", "y_um"]].to_numpy()[rows]
    ball = cKDTree(places).query_ball_point(places, PITCH_PX * MPP * 1.5)
    for place, row in enumerate(rows):
        assert sorted(square.neighbours(row)) == sorted(rows[other] for other in ball[place] if other != place)
        distance, _ = cKDTree(places).query(places[place], 4)
        np.testing.assert_allclose(nearest.distance_um[nearest.sources == row], distance[1:])
    window = grid_window(frame, 3)
    middle = int(rows[COLUMNS + 1])
    assert window[middle, 4] == middle
    assert sorted(window[middle][window[middle] != middle]) == sorted(square.neighbours(middle))
    assert (window[rows[0]] == -1).sum() == 5  # a corner


def test_hexagonal_grid_has_six_neighbours() -> None:
    rows, columns = np.divmod(np.arange(64), 8)
    frame = pd.DataFrame({"slide": "s", "platform": "Visium", "row": rows, "column": 2 * columns + rows % 2})
    frame["x_um"], frame["y_um"] = frame["column"] * 50.0, frame["row"] * 50 * np.sqrt(3)
    graph = spot_graph(frame, "hex")
    assert len(graph.neighbours(27)) == 6
    np.testing.assert_allclose(graph.distance_um, 100.0)


def test_panels_find_genes_by_symbol_id_and_alias() -> None:
    panel = GenePanel(("TP53", "ERBB2"), ("ENSG00000141510", "ENSG00000141736"))
    assert panel.find(["ENSG00000141736.14", "erbb2", "HER2", "p53"], {"HER2": "ERBB2"}).tolist() == [1, 1, 1, -1]
    with pytest.raises(DataError, match="p53"):
        panel.index_of(["p53"])
    with pytest.raises(DataError, match="column 1 is ERBB2 and KRT5"):
        panel.require_equal(GenePanel(("TP53", "KRT5")))
    with pytest.raises(DataError, match="occur twice"):
        GenePanel(("TP53", "TP53"))


# ------------------------------------------------------------------------------------------------ leaks


def test_the_same_patient_on_both_sides_is_caught(path: Path) -> None:
    splits = {"bad": {"by": "section", "train": ["A1", "B1"], "val": ["C1"], "test": ["A2"]}}
    path.write_text(yaml.safe_dump({**description(), "splits": splits}))
    with pytest.raises(DataError, match="patient A in train and in test"):
        SlideSet.open(path).fold("bad")
    splits["bad"]["allow"] = ["patient"]
    path.write_text(yaml.safe_dump({**description(), "splits": splits}))
    audit = SlideSet.open(path).fold("bad").audit
    assert [finding.status for finding in audit.findings if finding.kind == "patient"] == ["allowed"]


def test_smoothed_test_labels_are_caught(path: Path) -> None:
    path.write_text(yaml.safe_dump({**description(), "transform": {"smooth": "all"}}))
    with pytest.raises(DataError, match="labels of 48 test spots are smoothed"):
        SlideSet.open(path).fold("fixed")


def test_genes_chosen_on_the_test_slide_are_caught(path: Path) -> None:
    path.write_text(yaml.safe_dump({**description(), "genes": {"num": 10, "use_all_splits": True}}))
    with pytest.raises(DataError, match="genes were chosen on test slide C1"):
        SlideSet.open(path).fold("fixed")


def test_a_slide_under_two_names_and_a_known_encoder_are_caught(opened: SlideSet) -> None:
    spots, labels = opened.spots, opened.split("fixed")
    twin = opened.read("A1")
    frame = twin.frame.assign(slide="C2", section="C2", patient="C")
    both, more = concat([spots, replace(twin, frame=frame, reports={})]), np.append(labels, ["test"] * len(twin))
    kinds = {finding.kind for finding in audit_leaks(both, more).findings if finding.status == "leak"}
    assert kinds == {"copies"}
    seen = PretrainingManifest("encoder", patient=("C",))
    assert not audit_leaks(spots, labels, pretraining=[seen]).ok


# ------------------------------------------------------------------------------------------- broken input


def _duplicate_position(folder: Path) -> None:
    edit(folder / "A1_spots.tsv", lambda table: pd.concat([table, table.iloc[:1]]))


def _duplicate_counts(folder: Path) -> None:
    edit(folder / "A1.tsv", lambda table: pd.concat([table, table.iloc[:1]]), index=0)


def _negative(folder: Path) -> None:
    edit(folder / "A1.tsv", lambda table: table - 1000, index=0)


def _normalised(folder: Path) -> None:
    edit(folder / "A1.tsv", lambda table: np.log1p(table), index=0)


def _outside(folder: Path) -> None:
    edit(folder / "A1_spots.tsv", lambda table: table.assign(pixel_x=table["pixel_x"] * 3))


def _other_genes(folder: Path) -> None:
    edit(folder / "A1.tsv", lambda table: table.rename(columns=lambda name: "mouse_" + name), index=0)


def _other_names(folder: Path) -> None:
    edit(folder / "A1.tsv", lambda table: table.rename(index=lambda name: "spot" + name), index=0)


def _no_column(folder: Path) -> None:
    edit(folder / "A1_spots.tsv", lambda table: table.drop(columns="pixel_x"))


def _wrong_scale(folder: Path) -> None:
    content = description()
    content["slides"]["A1"]["mpp"] = 8.0  # type: ignore[index]
    (folder / "slides.yaml").write_text(yaml.safe_dump(content))


BROKEN = {
    "barcode twice in the positions": (_duplicate_position, "occur twice in the positions: 1x1"),
    "barcode twice in the counts": (_duplicate_counts, "occur twice in the counts: 1x1"),
    "negative counts": (_negative, "counts are negative"),
    "counts that are no counts": (_normalised, "not whole numbers"),
    "spots outside the image": (_outside, "lie outside the image"),
    "genes that do not intersect": (_other_genes, "do not intersect"),
    "names that do not match": (_other_names, "no spot has both"),
    "column missing": (_no_column, "no column 'pixel_x'"),
    "scale that contradicts the grid": (_wrong_scale, r"mpp: 4\b"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_input_is_one_clear_error(name: str, path: Path) -> None:
    spoil, message = BROKEN[name]
    spoil(path.parent)
    with pytest.raises(DataError, match=message):
        _ = SlideSet.open(path).spots


def test_a_slide_without_patient_is_refused(path: Path) -> None:
    content = description()
    del content["slides"]["B1"]["patient"]  # type: ignore[index]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(DataError, match="slide B1 has no patient"):
        SlideSet.open(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splitz": {}}, "splitz"),
        ({"layout": "xenium"}, "xenium"),
        ({"platform": "nanostring9"}, "nanostring9"),
        ({"splits": {"x": {"train": ["A"], "test": ["C"]}}}, "val is empty"),
        ({"splits": {"x": {"train": ["A"], "val": ["A"], "test": ["C"]}}}, "in train and in val"),
    ],
    ids=["key", "layout", "platform", "no validation", "overlap"],
)
def test_descriptions_with_mistakes_are_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        SlideSet.open(write_tiny_slides(tmp_path, **change))


def test_check_goes_on_past_a_bad_slide_and_says_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(path)]) == 0
    assert "0 errors" in capsys.readouterr().out
    (path.parent / "A2.png").write_bytes(b"no image")
    _negative(path.parent)
    assert main(["data", "check", str(path)]) != 0
    printed = capsys.readouterr().out
    assert "2 errors" in printed
    for told in ("A2", "counts are negative", "B1", "C1"):
        assert told in printed


# ------------------------------------------------------------------------------------------- other layouts


def as_h5ad(opened: SlideSet, slide: str, path: Path) -> None:
    """The spots of a slide as scanpy would hold them."""
    part = opened.read(slide)
    barcodes, symbols = (pd.Index(list(names), dtype=object) for names in (part.frame["barcode"], part.panel.symbols))
    places = {"array_row": part.frame["row"].to_numpy(), "array_col": part.frame["column"].to_numpy()}
    data = anndata.AnnData(
        X=part.counts.astype(np.float32),
        obs=pd.DataFrame(places, index=barcodes),
        var=pd.DataFrame(index=symbols),
        obsm={"spatial": part.frame[["x_px", "y_px"]].to_numpy()},
    )
    data.write_h5ad(path)


def test_h5ad_gives_the_same_spots(opened: SlideSet, path: Path) -> None:
    as_h5ad(opened, "A1", path.parent / "A1.h5ad")
    content = description()
    content["slides"]["A1"] = {"layout": "h5ad", "image": "A1.png", "mpp": MPP, "file": "A1.h5ad", "patient": "A"}  # type: ignore[index]
    path.write_text(yaml.safe_dump(content))
    again, before = SlideSet.open(path).read("A1"), opened.read("A1")
    pd.testing.assert_frame_equal(again.frame, before.frame, check_dtype=False)
    assert (again.counts != before.counts).nnz == 0


def test_h5ad_that_is_torn_is_one_clear_error(opened: SlideSet, path: Path) -> None:
    file = path.parent / "A1.h5ad"
    as_h5ad(opened, "A1", file)
    file.write_bytes(file.read_bytes()[:1000])
    content = description()
    content["slides"]["A1"] = {"layout": "h5ad", "image": "A1.png", "mpp": MPP, "file": "A1.h5ad", "patient": "A"}  # type: ignore[index]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(DataError, match="cannot be read"):
        SlideSet.open(path).read("A1")


def test_blocks_of_training_slides_validate(tmp_path: Path) -> None:
    split = {"by": "section", "train": ["A1", "A2"], "test": ["C1"], "val_blocks_um": 500.0, "val_share": 0.2}
    path = write_tiny_slides(tmp_path, splits={"blocks": split})
    fold = SlideSet.open(path).fold("blocks")
    slides = fold.spots.frame["slide"].to_numpy()
    for name in ("A1", "A2"):
        found = set(fold.labels[slides == name])
        assert found == {"train", "val"}
    assert set(fold.labels[slides == "C1"]) == {"test"}
    assert set(fold.labels[slides == "B1"]) == {"none"}
    val = fold.spots.frame.iloc[fold.rows("val")]
    blocks = set(zip(val["slide"], val["x_um"] // 500, val["y_um"] // 500, strict=True))
    train = fold.spots.frame.iloc[fold.rows("train")]
    assert not blocks & set(zip(train["slide"], train["x_um"] // 500, train["y_um"] // 500, strict=True))
    assert fold.audit.ok
    again = SlideSet.open(path).fold("blocks")
    assert (again.labels == fold.labels).all()


def test_blocks_and_a_list_of_validation_groups_exclude_each_other(tmp_path: Path) -> None:
    split = {"by": "section", "train": ["A1"], "val": ["A2"], "test": ["C1"], "val_blocks_um": 500.0}
    path = write_tiny_slides(tmp_path, splits={"blocks": split})
    with pytest.raises(ConfigError, match="val_blocks_um"):
        SlideSet.open(path)
