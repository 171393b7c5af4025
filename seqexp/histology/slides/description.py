"""The file ``slides.yaml``: every key checked, every path resolved, nothing opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.yaml import load_yaml
from seqexp.core.yaml_fields import check_keys, file_path, flag, name_list, optional_path, text
from seqexp.histology.slides.flat import DEFAULT_MAX_MPX
from seqexp.histology.slides.joining import Origin
from seqexp.histology.slides.layouts import LAYOUTS
from seqexp.histology.slides.platforms import platform_of
from seqexp.histology.slides.scale import read_mpp
from seqexp.histology.slides.selection import GeneSelector
from seqexp.histology.slides.splits import SplitPlan
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
_SPLIT_KEYS = (
    "by",
    "train",
    "val",
    "test",
    "val_blocks_um",
    "val_share",
    "leave_one_out",
    "folds",
    "seed",
    "file",
    "blocks_um",
    "allow",
    "pretraining",
)


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
class SplitSpec:
    """One named split of a description, and the leaks that it accepts.

    Parameters
    ----------
    plan : SplitPlan or None
        Lists of groups.
    folds : int or None
        Number of folds by ``by``; 0: leave one out. Folds are named ``split/group`` or ``split/number``.
    by : str
    seed : int
    file : Path or None
        Table of splits.
    blocks_um : float or None
        Side of blocks inside slides.
    allow : tuple of str
        Leaks that are accepted.
    pretraining : tuple of Path
        Manifests of the encoders that will be used.
    """

    plan: SplitPlan | None = None
    folds: int | None = None
    by: str = "patient"
    seed: int = 0
    file: Path | None = None
    blocks_um: float | None = None
    allow: tuple[str, ...] = ()
    pretraining: tuple[Path, ...] = ()


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
    genes = _mapping(content.get("genes") or {}, path, "genes", _GENE_KEYS)
    transform = _mapping(content.get("transform") or {}, path, "transform", _TRANSFORM_KEYS)
    spec = SetSpec(
        path=path,
        name=text(content, "name", path),
        slides={str(name): _slide(str(name), entry, content, path) for name, entry in _items(content, "slides", path)},
        splits={str(name): _split(entry, path, f"splits.{name}") for name, entry in _items(content, "splits", path)},
        transform=_transform(transform, path),
        selector=GeneSelector(
            kind=genes.get("select", "mean"),
            num=genes.get("num", 250),
            min_spots=genes.get("min_spots", 0.0),
            use_all_splits=flag(genes, "use_all_splits", path),
        ),
        gene_list=optional_path(genes, "list", path),
        genes_chosen_on=name_list(genes.get("chosen_on"), path, "genes.chosen_on"),
        aliases=optional_path(content, "aliases", path),
        organism=text(content, "organism", path),
        description=text(content, "description", path),
        settings=content,
    )
    _require_files(spec)
    return spec


def _items(content: Mapping[str, Any], key: str, path: Path) -> list[tuple[Any, Any]]:
    if not isinstance(content[key], dict) or not content[key]:
        raise ConfigError(f"{key}: {content[key]!r}", where=path, expected="a mapping of names to settings")
    return list(content[key].items())


def _mapping(
    entry: Any, path: Path, key: str, known: tuple[str, ...], *, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ConfigError(f"{key}: {entry!r}", where=path, expected=f"a mapping with keys {', '.join(known)}")
    check_keys(entry, known, path, f"{key}.", required=required)
    return entry


def _slide(name: str, entry: Any, content: Mapping[str, Any], path: Path) -> SlideSpec:
    key = f"slides.{name}"
    layout = str((entry if isinstance(entry, dict) else {}).get("layout", content.get("layout")))
    if layout not in LAYOUTS:
        raise ConfigError(f"{key}.layout: {layout!r}", where=path, expected="one of: " + ", ".join(LAYOUTS))
    _, path_keys, option_keys = LAYOUTS[layout]
    entry = _mapping(entry, path, key, (*_SLIDE_KEYS, *path_keys, *option_keys), required=("image", *path_keys))
    platform = str(entry.get("platform", content.get("platform", "other")))
    platform_of(platform)
    if not str(entry.get("patient") or "").strip():
        raise DataError(
            f"slide {name} has no patient",
            where=path,
            expected="the patient (donor) of every slide: splits are made by patient",
            fix=f"add patient: NAME to {key}",
        )
    return SlideSpec(
        image=file_path(entry["image"], path, f"{key}.image"),
        mpp=None if entry.get("mpp") is None else read_mpp(entry["mpp"], f"{path}, {key}.mpp"),
        max_image_mpx=_megapixels(entry.get("max_image_mpx", content.get("max_image_mpx", DEFAULT_MAX_MPX)), path, key),
        layout=layout,
        paths={k: file_path(entry[k], path, f"{key}.{k}") for k in path_keys},
        options={k: entry[k] for k in option_keys if k in entry},
        slide=name,
        section=str(entry.get("section", name)),
        patient=str(entry["patient"]),
        study=str(entry.get("study", content.get("study", ""))),
        platform=platform,
        is_mirrored=flag(entry, "mirrored", path),
    )


def _megapixels(value: Any, path: Path, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigError(
            f"{key}.max_image_mpx: {value!r}", where=path, expected="megapixels that an image may have, above 0"
        )
    return float(value)


def _transform(entry: Mapping[str, Any], path: Path) -> ExpressionTransform:
    renamed = {("is_standardized" if key == "standardize" else key): value for key, value in entry.items()}
    if "log" in renamed:
        renamed["log"] = str(renamed["log"])
    return ExpressionTransform(**renamed)


def _split(entry: Any, path: Path, key: str) -> SplitSpec:
    entry = _mapping(entry, path, key, _SPLIT_KEYS)
    kinds = [kind for kind in ("test", "leave_one_out", "folds", "file", "blocks_um") if entry.get(kind)]
    if len(kinds) != 1:
        raise ConfigError(
            f"{key} is given by {' and '.join(kinds) or 'nothing'}",
            where=path,
            expected="lists (train, val, test), leave_one_out: true, folds: K, file: TABLE or blocks_um: SIDE",
        )
    by = str(entry.get("by", "patient"))
    lists = {name: name_list(entry.get(name), path, f"{key}.{name}") for name in ("train", "val", "test")}
    blocks = {name: float(entry[name]) for name in ("val_blocks_um", "val_share") if name in entry}
    return SplitSpec(
        plan=SplitPlan(by, **lists, **blocks) if kinds == ["test"] else None,  # type: ignore[arg-type]
        folds=0 if kinds == ["leave_one_out"] else entry.get("folds"),
        by=by,
        seed=int(entry.get("seed", 0)),
        file=optional_path(entry, "file", path),
        blocks_um=entry.get("blocks_um"),
        allow=name_list(entry.get("allow"), path, f"{key}.allow"),
        pretraining=tuple(
            file_path(p, path, f"{key}.pretraining")
            for p in name_list(entry.get("pretraining"), path, f"{key}.pretraining")
        ),
    )


def _require_files(spec: SetSpec) -> None:
    named = [path for slide in spec.slides.values() for path in (slide.image, *slide.paths.values())]
    named += [path for path in (spec.gene_list, spec.aliases) if path is not None]
    named += [path for s in spec.splits.values() for path in (s.file, *s.pretraining) if path is not None]
    absent = [str(path) for path in named if not path.exists()]
    if absent:
        raise DataError(
            f"missing files: {', '.join(absent)}", where=spec.path, fix="correct the paths or prepare the data"
        )
