"""What a recipe says: where each file comes from, how it is checked, what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from seqexp.core.errors import ConfigError
from seqexp.core.resources import shipped, shipped_folder
from seqexp.core.yaml import load_yaml

RECIPE_FILE = "recipe.yaml"
DATASET_FILES = ("dataset.yaml", "slides.yaml")


@dataclass(frozen=True)
class Source:
    """One file that a recipe fetches.

    Parameters
    ----------
    name : str
        Path of the file inside the dataset folder, for instance ``genome.fa.gz`` or ``sources/genes.tsv.gz``.
    licence : str
        Terms of the file.
    url : str, optional
        Public address that serves exactly this file; without it only a mirror has the file.
    mirror : str, optional
        Path of the file inside a mirror folder.
    sha256 : str, optional
        Expected sum; when unknown, the sum found is recorded in the lock file.
    bytes : int, optional
        Expected size.
    origin : str, optional
        For a file that is served nowhere as it is: what it was derived from, with the public address.
    """

    name: str
    licence: str
    url: str | None = None
    mirror: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    origin: str | None = None


@dataclass(frozen=True)
class Step:
    """One named piece of work on the fetched files.

    Parameters
    ----------
    use : str
        Name in the table of steps given to the runner.
    parameters : mapping
        Keyword arguments of the step.
    """

    use: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A dataset as a list of sources, steps and the description to write at the end.

    Parameters
    ----------
    name, description, licence : str
        What it is and under which terms the whole may be used.
    sources : tuple of Source
    steps : tuple of Step
        Run in this order after all sources are there.
    dataset : mapping or None
        Content of the description; None where the last step writes the whole folder itself.
    dataset_file : str
        Name of the description: ``dataset.yaml``, or ``slides.yaml`` for histology.
    disk_bytes : int or None
        Free space needed for everything together, when the sizes of the sources do not say it.
    path : Path
        The file it was read from.
    """

    name: str
    description: str
    licence: str
    sources: tuple[Source, ...]
    steps: tuple[Step, ...]
    dataset: Mapping[str, Any] | None
    disk_bytes: int | None
    path: Path
    dataset_file: str = DATASET_FILES[0]


def find_recipe(name: str) -> Path:
    """Path of ``recipe.yaml`` for the name of a shipped recipe, a recipe folder or a recipe file.

    Raises
    ------
    ConfigError
        There is no such recipe; the message lists those that ship.
    """
    given = Path(name)
    for path in (given, given / RECIPE_FILE):
        if path.is_file():
            return path
    return shipped("data_recipes", f"{name}/{RECIPE_FILE}")


def shipped_recipes() -> list[Recipe]:
    """All recipes that come with seqexp, by name."""
    return [load_recipe(path) for path in sorted(shipped_folder("data_recipes").glob(f"*/{RECIPE_FILE}"))]


def load_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe.

    Raises
    ------
    ConfigError
        A key is unknown, missing, written twice or of the wrong kind, a name repeats or leaves the folder.
    """
    path = Path(path)
    content = load_yaml(path)
    known = {"name", "description", "licence", "sources", "steps", "dataset", "dataset_file", "disk_bytes"}
    _only(content, known, required={"name", "description", "licence"}, where=str(path))
    sources = tuple(_source(entry, f"{path}, source {i + 1}") for i, entry in enumerate(content.get("sources") or []))
    steps = tuple(_step(entry, f"{path}, step {i + 1}") for i, entry in enumerate(content.get("steps") or []))
    names = [source.name for source in sources]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"sources named twice: {', '.join(repeated)}", where=path, expected="every name once")
    dataset = content.get("dataset")
    if dataset is not None and not isinstance(dataset, dict):
        raise ConfigError(f"dataset is {type(dataset).__name__}", where=path, expected="a mapping")
    file = content.get("dataset_file", DATASET_FILES[0])
    if file not in DATASET_FILES:
        raise ConfigError(f"dataset_file: {file!r}", where=path, expected=" or ".join(DATASET_FILES))
    return Recipe(
        name=str(content["name"]),
        description=str(content["description"]).strip(),
        licence=str(content["licence"]).strip(),
        sources=sources,
        steps=steps,
        dataset=dataset,
        disk_bytes=content.get("disk_bytes"),
        path=path,
        dataset_file=file,
    )


def _source(entry: Any, where: str) -> Source:
    _only(entry, {f.name for f in fields(Source)}, required={"name", "licence"}, where=where)
    source = Source(**entry)
    relative = PurePosixPath(source.name)
    if relative.is_absolute() or ".." in relative.parts:
        raise ConfigError(f"name {source.name!r} leaves the dataset folder", where=where, expected="a relative path")
    if source.url is None and source.mirror is None:
        raise ConfigError(f"{source.name!r} has neither url nor mirror", where=where, expected="at least one of them")
    if source.sha256 is not None and not _is_sha256(source.sha256):
        raise ConfigError(f"sha256 of {source.name!r} is {source.sha256!r}", where=where, expected="64 hex digits")
    return source


def _is_sha256(text: Any) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")


def _step(entry: Any, where: str) -> Step:
    _only(entry, {"use", "with"}, required={"use"}, where=where)
    return Step(use=str(entry["use"]), parameters=dict(entry.get("with") or {}))


def _only(entry: Any, known: set[str], *, required: set[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise ConfigError(f"found {type(entry).__name__}", where=where, expected="a mapping of keys to values")
    unknown, missing = sorted(set(entry) - known), sorted(required - set(entry))
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]!r}", where=where, expected="one of: " + ", ".join(sorted(known)))
    if missing:
        raise ConfigError(f"key {missing[0]!r} is missing", where=where, expected=", ".join(sorted(required)))
