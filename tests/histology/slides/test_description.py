"""Every value of a ``slides.yaml`` has its kind; names stay as they are written, and files in their folder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from tiny_slides import description, write_tiny_slides

from seqexp.cli.main import main
from seqexp.core.errors import ConfigError, DataError, SeqexpError
from seqexp.histology.loaders.cache import SpotCache
from seqexp.histology.slides import PretrainingManifest, SlideSet
from seqexp.histology.slides.names import require_slide_names
from seqexp.histology.slides.splits import read_labels

WRONG: list[Any] = [None, True, -1, 0, 1.5, float("nan"), float("inf"), "two words", "", [], [1], {}, {"a": 1}, 10**400]
FIELDS = [
    *[("slides", "A1", key) for key in ("image", "mpp", "section", "patient", "study", "platform", "layout", "counts")],
    *[("slides", "A1", key) for key in ("spots", "mirrored", "max_image_mpx")],
    *[("slides", "A1"), ("slides",), ("splits",), ("splits", "fixed"), ("transform",), ("genes",), ("aliases",)],
    *[("transform", key) for key in ("scope", "target_sum", "log", "smooth", "standardize")],
    *[("genes", key) for key in ("select", "num", "min_spots", "use_all_splits", "list", "chosen_on")],
    *[("splits", "fixed", key) for key in ("by", "train", "val", "test", "seed", "allow", "pretraining")],
    *[
        ("splits", "fixed", key)
        for key in ("val_blocks_um", "val_share", "folds", "leave_one_out", "file", "blocks_um")
    ],
    *[(key,) for key in ("name", "description", "organism", "study", "platform", "layout", "max_image_mpx")],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slides")
    write_tiny_slides(path)
    return path


def put(content: dict[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    out = copy.deepcopy(content)
    inner = out
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
    inner[keys[-1]] = value
    return out


@pytest.mark.parametrize("keys", FIELDS, ids=".".join)
def test_a_value_of_another_kind_is_used_or_one_error(folder: Path, keys: tuple[str, ...]) -> None:
    path = folder / "slides.yaml"
    for value in WRONG:
        path.write_text(yaml.safe_dump(put(description(), keys, value)))
        try:
            SlideSet.open(path)
        except SeqexpError as error:
            assert len(str(error)) < 1500, str(error)  # noqa: PT017 both ends are right


@pytest.mark.parametrize(
    ("keys", "value", "told"),
    [
        (("genes", "num"), "ten", "genes.num: 'ten'"),
        (("genes", "num"), True, "genes.num: True"),
        (("genes", "num"), 2.5, "genes.num: 2.5"),
        (("genes", "min_spots"), "0.1", "genes.min_spots"),
        (("genes", "min_spots"), 1.5, "from 0 to 1"),
        (("transform", "standardize"), "yes", "standardize: 'yes'"),
        (("transform", "target_sum"), float("inf"), "target_sum"),
        (("splits", "fixed", "seed"), -1, "splits.fixed.seed: -1"),
        (("splits", "fixed", "seed"), "0", "splits.fixed.seed"),
        (("splits", "more"), {"folds": "3"}, "splits.more.folds"),
        (("splits", "more"), {"folds": 2}, "of at least 3"),
        (("splits", "more"), {"blocks_um": "wide"}, "splits.more.blocks_um"),
        (("splits", "more"), {"blocks_um": 1e-9}, "of at least 1"),
        (("splits", "more"), {"leave_one_out": "yes"}, "leave_one_out: 'yes'"),
        (("slides", "A1", "patient"), 1.10, "in quotes"),
        (("slides", "A1", "patient"), True, "in quotes"),
        (("slides", "A1", "section"), ["A"], "section"),
        (("slides", "A1", "image"), "a\0b", "slides.A1.image"),
        (("slides", "A1", "image"), "a" * 300, "slides.A1.image"),
        (("slides", "A1", "counts"), "x/" * 3000, "slides.A1.counts"),
        (("slides", "A1", "image"), "", "slides.A1.image"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, keys: tuple[str, ...], value: Any, told: str) -> None:
    path = folder / "slides.yaml"
    path.write_text(yaml.safe_dump(put(description(), keys, value)))
    with pytest.raises(ConfigError, match=told):
        SlideSet.open(path)


def test_options_of_layouts_have_kinds(folder: Path) -> None:
    entry = {"image": "A1.png", "mpp": 4.0, "patient": "A", "layout": "h5ad", "file": "A1.tsv"}
    for more in ({"only_tissue": "no"}, {"layer": ["counts"]}, {"library": 1.5}, {"library_key": True}):
        (folder / "slides.yaml").write_text(yaml.safe_dump(put(description(), ("slides", "A1"), {**entry, **more})))
        with pytest.raises(ConfigError, match=next(iter(more))):
            SlideSet.open(folder)
    for width in ("8", 8.0, 0, True):
        entry = {"image": "A1.png", "patient": "A", "layout": "spaceranger", "folder": ".", "bin_um": width}
        (folder / "slides.yaml").write_text(yaml.safe_dump(put(description(), ("slides", "A1"), entry)))
        with pytest.raises(ConfigError, match="bin_um"):
            SlideSet.open(folder)


# -------------------------------------------------------------------------------------------------------------- names


BAD_NAMES = [
    "../../x",
    "/etc/x",
    "a/b",
    "a\\b",
    "a" * 300,
    "a\0b",
    "a\nb",
    "..",
    ".",
    ".hidden",
    "",
    " ",
    "a ",
    "CON",
    "nul.x",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_slide_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    path = write_tiny_slides(tmp_path)
    content = description()
    content["slides"] = {name: content["slides"]["A1"], "B1": content["slides"]["B1"]}  # type: ignore[index]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="slide name"):
        SlideSet.open(path)
    assert main(["data", "check", str(path)]) == 2


@pytest.mark.parametrize("pair", [("A1", "a1"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "straße")])
def test_names_that_fall_together_on_some_systems_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="differ only in case"):
        require_slide_names(pair, "slides.yaml")


def test_usual_names_are_fine() -> None:
    require_slide_names(["A1", "patient 3-A", "TENX95", "0012", "NA", "Größe_2", "s.1", "切片"], "slides.yaml")


def test_the_cache_stays_in_its_folder_whatever_a_slide_is_called(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    slides = SlideSet.open(write_tiny_slides(tmp_path / "data"))
    table, cache = slides.read("A1"), SpotCache(tmp_path / "data" / "cache")
    for name in ("../../x", "/tmp/x", "a" * 300, "A1", "a1", "CON"):
        spots = type(table)(table.frame.assign(slide=name), table.counts, table.panel)
        cache.get("p", {}, spots, {name: slides.slide("A1")}, compute=lambda slide, centres: centres)
    assert len(list((tmp_path / "data" / "cache").iterdir())) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_names_of_slides_and_patients_are_text(tmp_path: Path) -> None:
    path = write_tiny_slides(tmp_path)
    text = path.read_text()
    for before, after in (
        ("patient: A", "patient: 0012"),
        ("patient: B", "patient: NA"),
        ("patient: C", "patient: 12"),
    ):
        text = text.replace(before, after)
    text = text.replace("- A\n", "- 0012\n").replace("- B\n", "- NA\n").replace("- C\n", "- 12\n")
    path.write_text(text.replace("B1:\n", "nan:\n"))
    slides = SlideSet.open(path)
    assert set(slides.spots.frame["patient"]) == {"0012", "NA", "12"}
    assert slides.spots.slides == ("A1", "A2", "nan", "C1")
    fold = slides.fold("fixed")
    assert set(fold.spots.frame["slide"].to_numpy()[fold.rows("val")]) == {"nan"}


# ------------------------------------------------------------------------------------------------- tables beside it


def _labels(folder: Path, text: str) -> np.ndarray:
    path = folder / "splits.tsv"
    path.write_text(text)
    frame = pd.DataFrame({"slide": ["NA", "NA", "0012", "12"], "barcode": ["NA", "1x1", "nan", "nan"]})
    return read_labels(path, frame)


def test_splits_of_a_table_name_spots_by_text(tmp_path: Path) -> None:
    assert _labels(tmp_path, "slide\tsplit\nNA\ttrain\n0012\ttest\n").tolist() == ["train", "train", "test", "none"]
    table = "slide,barcode,split\nNA,NA,val\n12,nan,test\n"
    assert _labels(tmp_path, table).tolist() == ["val", "none", "none", "test"]


@pytest.mark.parametrize("text", ["", "\n", "slide\n", "slide\tsplit\nNA\t\n", "slide\tsplit\nNA\ttrain\textra\n", '"'])
def test_a_table_that_holds_no_splits_is_one_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError):
        _labels(tmp_path, text)


@pytest.mark.parametrize("content", [{"slide": {"a": 1}}, {"patient": [[1]]}, {"patient": [1.5]}, {"patient": True}])
def test_manifests_of_encoders_list_names(tmp_path: Path, content: dict[str, Any]) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump({"name": "encoder", **content}))
    with pytest.raises(ConfigError):
        PretrainingManifest.read(path)
    path.write_text(yaml.safe_dump({"name": "encoder", "slide": "A1"}))
    assert PretrainingManifest.read(path).slide == ("A1",)


def _unreadable(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00GENE1")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_unreadable, _folder])
def test_a_list_of_genes_that_is_none_is_one_error(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = write_tiny_slides(tmp_path, genes={"list": "genes.txt"})
    make(tmp_path / "genes.txt")
    with pytest.raises(DataError, match="list of genes"):
        SlideSet.open(path).fold("fixed")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"splits": {"fixed": {"train": ["A"], "val": [], "test": ["C"]}}}, "splits.fixed"),
        ({"splits": {"fixed": {"train": ["A"], "val": ["C"], "test": ["C"]}}}, "splits.fixed"),
        ({"splits": {"fixed": {"train": ["A"], "val": ["Z"], "test": ["C"]}}}, "splits.fixed"),
        ({"splits": {"fixed": {"train": ["A"], "val": ["B"], "test": ["C"], "by": "mouse"}}}, "splits.fixed"),
        ({"splits": {"many": {"folds": 9}}}, "splits.many"),
        ({"genes": {"num": 1000}}, "splits.fixed"),
        ({"genes": {"select": "mouse"}}, "slides.yaml"),
        ({"transform": {"scope": "mouse"}}, "slides.yaml"),
    ],
)
def test_a_wrong_value_is_told_with_its_file_and_split(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    write_tiny_slides(tmp_path, **changes)
    with pytest.raises(SeqexpError) as error:
        slides = SlideSet.open(tmp_path)
        slides.fold(slides.split_names[0])
    assert str(tmp_path / "slides.yaml") in str(error.value.where)
    assert told in str(error.value.where)
