"""What a recipe says: where each file comes from, how it is checked, what is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from seqexp.core.errors import ConfigError
from seqexp.core.files import inside
from seqexp.core.resources import shipped, shipped_folder
from seqexp.core.typed import build, mapping
from seqexp.core.yaml import load_yaml

RECIPE_FILE = "recipe.yaml"
DATASET_FILES = ("dataset.yaml", "slides.yaml")
LOCK_FILE = "recipe.lock.json"
OWN_FILES = {*DATASET_FILES, LOCK_FILE}  # sources and steps must not bring files of these names


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

    def texts(self) -> Iterator[str]:
        """All texts in its parameters, names of files among them."""
        return _texts(self.parameters)


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
    origins : tuple of Source
        Public files that ``steps_from_origins`` make the sources from that are served nowhere as they are.
    steps_from_origins : tuple of Step
        Run before ``steps`` where there is no mirror.
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
    origins: tuple[Source, ...] = ()
    steps_from_origins: tuple[Step, ...] = ()

    def from_origins(self) -> Recipe:
        """The recipe that a machine without a mirror follows: sources that are served nowhere are made by steps."""
        if not self.origins:
            return self
        served = tuple(source for source in self.sources if source.url is not None)
        steps = (*self.steps_from_origins, *self.steps)
        return replace(self, sources=(*self.origins, *served), steps=steps, origins=(), steps_from_origins=())


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
    content = build(_Content, load_yaml(path), path)
    sources = _sources(content.sources, path)
    steps = _steps(content.steps, path)
    made = content.without_mirror or _OriginsContent()
    origins, steps_from_origins = _sources(made.sources, path), _steps(made.steps, path)
    names = [PurePosixPath(source.name).as_posix().lower() for source in (*sources, *origins)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(
            f"sources named twice: {', '.join(repeated)}",
            where=path,
            expected="every name once, also where capitals make no difference",
        )
    if content.without_mirror is not None:
        _require_all_made(sources, origins, steps_from_origins, path)
    return Recipe(
        name=content.name,
        description=content.description.strip(),
        licence=content.licence.strip(),
        sources=sources,
        steps=steps,
        dataset=content.dataset,
        disk_bytes=content.disk_bytes,
        path=path,
        dataset_file=content.dataset_file,
        origins=origins,
        steps_from_origins=steps_from_origins,
    )


@dataclass(frozen=True)
class _OriginsContent:
    """The keys of ``without_mirror``: public files, and the steps that make of them what only a mirror holds."""

    sources: list[Any] | None = None
    steps: list[Any] | None = None


@dataclass(frozen=True)
class _Content:
    """The keys of a recipe and what each holds."""

    name: str
    description: str
    licence: str
    sources: list[Any] | None = None
    steps: list[Any] | None = None
    dataset: dict[str, Any] | None = None
    dataset_file: Literal["dataset.yaml", "slides.yaml"] = "dataset.yaml"
    disk_bytes: int | None = None
    without_mirror: _OriginsContent | None = None


@dataclass(frozen=True)
class _StepContent:
    """The keys of a step; ``with`` is a word of Python."""

    use: str
    parameters: dict[str, Any] | None = None


def _sources(entries: list[Any] | None, path: Path) -> tuple[Source, ...]:
    return tuple(_source(entry, f"{path}, source {i + 1}") for i, entry in enumerate(entries or []))


def _steps(entries: list[Any] | None, path: Path) -> tuple[Step, ...]:
    return tuple(_step(entry, f"{path}, step {i + 1}") for i, entry in enumerate(entries or []))


def _require_all_made(
    sources: tuple[Source, ...], origins: tuple[Source, ...], steps: tuple[Step, ...], path: Path
) -> None:
    """Whoever has no mirror must get every file: origins have addresses, and steps name what is served nowhere."""
    named = {text for step in steps for text in step.texts()}
    made = named | {f"{text}{index}" for text in named for index in (".fai", ".gzi")}  # written beside a FASTA
    missing = [source.name for source in sources if source.url is None and source.name not in made]
    missing += [source.name for source in origins if source.url is None]
    if missing:
        raise ConfigError(
            f"without a mirror there is no {missing[0]}",
            where=f"{path}, without_mirror",
            expected="a url for every source there, and a step that names each file which has none",
        )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _source(entry: Any, where: str) -> Source:
    source = build(Source, entry, where)
    inside("dataset", source.name, where=where)
    if PurePosixPath(source.name).as_posix().lower() in OWN_FILES:
        raise ConfigError(f"name {source.name!r}", where=where, expected="a name that seqexp does not need itself")
    if source.mirror is not None:
        inside("mirror", source.mirror, where=where, is_link_allowed=True)
    if source.bytes is not None and source.bytes < 0:
        raise ConfigError(f"bytes: {source.bytes}", where=where, expected="a size of 0 or more")
    if source.url is None and source.mirror is None:
        raise ConfigError(f"{source.name!r} has neither url nor mirror", where=where, expected="at least one of them")
    if source.sha256 is not None and not _is_sha256(source.sha256):
        raise ConfigError(f"sha256 of {source.name!r} is {source.sha256!r}", where=where, expected="64 hex digits")
    return source


def _is_sha256(text: Any) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set("0123456789abcdef")


def _step(entry: Any, where: str) -> Step:
    given = mapping(entry, where)
    if "parameters" in given:
        raise ConfigError("unknown key parameters", where=where, expected="one of: use, with", fix="did you mean with?")
    step = build(_StepContent, {"parameters" if key == "with" else key: value for key, value in given.items()}, where)
    return Step(use=step.use, parameters=step.parameters or {})
