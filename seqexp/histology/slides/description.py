"""The file ``slides.yaml``: every key checked, every path resolved, nothing opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError, DataError, located
from seqexp.core.yaml import load_yaml
from seqexp.core.yaml_fields import (
    check_keys,
    file_path,
    flag,
    mapping,
    name,
    name_list,
    number,
    optional_path,
    shown,
    text,
    whole_number,
)
from seqexp.histology.slides.flat import DEFAULT_MAX_MPX
from seqexp.histology.slides.joining import Origin
from seqexp.histology.slides.layouts import LAYOUTS, OptionKind, platform_by_layout
from seqexp.histology.slides.names import require_slide_names
from seqexp.histology.slides.platforms import platform_of
from seqexp.histology.slides.scale import read_mpp
from seqexp.histology.slides.selection import GeneSelector
from seqexp.histology.slides.split_description import SplitSpec, read_split
from seqexp.histology.slides.transforms import ExpressionTransform

SLIDES_FILE = "slides.yaml"
_KEYS = (
    "name",
    "description",
    "organism",
    "study",
    "platform",
    "layout",
    "max_image_mpx",
    "aliases",
    "slides",
    "transform",
    "genes",
    "splits",
)
_SLIDE_KEYS = ("image", "mpp", "max_image_mpx", "mirrored", "section", "patient", "study", "platform", "layout")
_TRANSFORM_KEYS = ("scope", "target_sum", "log", "smooth", "standardize")
_GENE_KEYS = ("select", "num", "min_spots", "use_all_splits", "list", "chosen_on")


@dataclass(frozen=True)
class SlideSpec:
    """One slide of a description.

    Parameters
    ----------
    image : Path
    mpp : float or None
        Microns per pixel; None where the file states it.
    layout : str
        Reader of its spots.
    paths : mapping
        Files of that layout, by key.
    options : mapping
        Other keys of that layout.
    slide, section, patient, study, platform : str
    max_image_mpx : float
        Megapixels that the image may have if it can only be decoded as a whole.
    is_mirrored : bool
        The image shows the array as in a mirror.
    """

    image: Path
    mpp: float | None
    layout: str
    paths: Mapping[str, Path]
    options: Mapping[str, Any]
    slide: str
    section: str
    patient: str
    study: str
    platform: str
    max_image_mpx: float = DEFAULT_MAX_MPX
    is_mirrored: bool = False

    def origin(self, mpp: float) -> Origin:
        """What is written beside every spot, with the scale of the opened image."""
        return Origin(self.slide, self.section, self.patient, mpp, self.study, self.platform)


@dataclass(frozen=True)
class SetSpec:
    """A dataset folder: paths resolved, settings checked, nothing opened."""

    path: Path
    name: str
    slides: Mapping[str, SlideSpec]
    splits: Mapping[str, SplitSpec]
    transform: ExpressionTransform
    selector: GeneSelector
    gene_list: Path | None = None
    genes_chosen_on: tuple[str, ...] = ()
    aliases: Path | None = None
    organism: str = ""
    description: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def files(self) -> list[Path]:
        """Every data file, in a fixed order; of a folder, all files in it."""
        named = [path for slide in self.slides.values() for path in (slide.image, *slide.paths.values())]
        named += [path for path in (self.gene_list, self.aliases) if path is not None]
        named += [path for s in self.splits.values() for path in (s.file, *s.pretraining) if path is not None]
        return [
            file for path in named for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()
        ]


def load_set(path: str | Path) -> SetSpec:
    """Read a ``slides.yaml``.

    Parameters
    ----------
    path : path
        The file, or the folder that holds it. Paths in it are relative to its folder.

    Raises
    ------
    ConfigError
        A key is unknown, missing, written twice, or has a value of the wrong kind.
    DataError
        A file that it names does not exist, or a slide has no patient.
    """
    path = Path(path)
    path = path / SLIDES_FILE if path.is_dir() else path
    content = load_yaml(path)
    check_keys(content, _KEYS, path, "", required=("name", "slides", "splits"))
    genes = mapping(content.get("genes") or {}, path, "genes", _GENE_KEYS)
    transform = mapping(content.get("transform") or {}, path, "transform", _TRANSFORM_KEYS)
    with located(path):
        selector, fitted_later = _selector(genes, path), _transform(transform, path)
    spec = SetSpec(
        path=path,
        name=text(content, "name", path),
        slides={key: _slide(key, entry, content, path) for key, entry in _items(content, "slides", path)},
        splits={key: read_split(entry, path, f"splits.{key}") for key, entry in _items(content, "splits", path)},
        transform=fitted_later,
        selector=selector,
        gene_list=optional_path(genes, "list", path),
        genes_chosen_on=name_list(genes.get("chosen_on"), path, "genes.chosen_on"),
        aliases=optional_path(content, "aliases", path),
        organism=text(content, "organism", path),
        description=text(content, "description", path),
        settings=content,
    )
    _require_files(spec)
    return spec


def _items(content: Mapping[str, Any], key: str, path: Path) -> list[tuple[str, Any]]:
    if not isinstance(content[key], dict) or not content[key]:
        raise ConfigError(f"{key}: {shown(content[key])}", where=path, expected="a mapping of names to settings")
    items = [(name(item, path, key), entry) for item, entry in content[key].items()]
    if len(dict(items)) < len(items):
        raise ConfigError(f"{key}: a name and a number are the same name", where=path, expected="every name once")
    if key == "slides":
        require_slide_names([item for item, _ in items], path)
    return items


def _slide(slide: str, entry: Any, content: Mapping[str, Any], path: Path) -> SlideSpec:
    key = f"slides.{slide}"
    layout = str((entry if isinstance(entry, dict) else {}).get("layout", content.get("layout")))
    if layout not in LAYOUTS:
        raise ConfigError(f"{key}.layout: {layout[:80]!r}", where=path, expected="one of: " + ", ".join(LAYOUTS))
    _, path_keys, option_kinds = LAYOUTS[layout]
    entry = mapping(entry, path, key, (*_SLIDE_KEYS, *path_keys, *option_kinds), required=("image", *path_keys))
    paths = {k: file_path(entry[k], path, f"{key}.{k}") for k in path_keys}
    options = {k: _option(entry, k, kind, path) for k, kind in option_kinds.items() if entry.get(k) is not None}
    platform = str(entry.get("platform", content.get("platform", platform_by_layout(layout, paths, options))))
    platform_of(platform)
    patient = entry.get("patient")
    if patient is None or not str(patient).strip():
        raise DataError(
            f"slide {slide} has no patient",
            where=path,
            expected="the patient (donor) of every slide: splits are made by patient",
            fix=f"add patient: NAME to {key}",
        )
    return SlideSpec(
        image=file_path(entry["image"], path, f"{key}.image"),
        mpp=None if entry.get("mpp") is None else read_mpp(entry["mpp"], f"{path}, {key}.mpp"),
        max_image_mpx=_megapixels(entry, content, path),
        layout=layout,
        paths=paths,
        options=options,
        slide=slide,
        section=name(entry.get("section", slide), path, f"{key}.section"),
        patient=name(patient, path, f"{key}.patient"),
        study=name(entry.get("study", content.get("study", "")), path, f"{key}.study"),
        platform=platform,
        is_mirrored=flag(entry, "mirrored", path),
    )


def _megapixels(entry: Mapping[str, Any], content: Mapping[str, Any], path: Path) -> float:
    given = entry if "max_image_mpx" in entry else content
    return number(given, "max_image_mpx", path, low=1e-6, default=DEFAULT_MAX_MPX)


def _option(entry: Mapping[str, Any], key: str, kind: OptionKind, path: Path) -> bool | int | str:
    if kind == "flag":
        return flag(entry, key, path)
    return whole_number(entry, key, path, low=1, high=1000) if kind == "whole number" else name(entry[key], path, key)


def _selector(genes: Mapping[str, Any], path: Path) -> GeneSelector:
    return GeneSelector(
        kind=genes.get("select", "mean"),
        num=whole_number(genes, "num", path, low=1, default=250, prefix="genes."),
        min_spots=number(genes, "min_spots", path, low=0, high=1, default=0.0, prefix="genes."),
        use_all_splits=flag(genes, "use_all_splits", path),
    )


def _transform(entry: Mapping[str, Any], path: Path) -> ExpressionTransform:
    renamed = {key: value for key, value in entry.items() if key != "standardize"}
    if "log" in renamed:
        renamed["log"] = str(renamed["log"])
    return ExpressionTransform(**renamed, is_standardized=flag(entry, "standardize", path))


def _require_files(spec: SetSpec) -> None:
    named = [path for slide in spec.slides.values() for path in (slide.image, *slide.paths.values())]
    named += [path for path in (spec.gene_list, spec.aliases) if path is not None]
    named += [path for s in spec.splits.values() for path in (s.file, *s.pretraining) if path is not None]
    absent = [str(path) for path in named if not path.exists()]
    if absent:
        raise DataError(
            f"missing files: {', '.join(absent)}", where=spec.path, fix="correct the paths or prepare the data"
        )
