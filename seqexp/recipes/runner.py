"""Running a recipe: sources, steps, then the description; finished work is skipped, unfinished work is resumed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import inside
from seqexp.core.lock import own_folder
from seqexp.core.typed import call_arguments
from seqexp.core.yaml import dump_yaml, load_yaml
from seqexp.recipes.download import Patience, Progress, part_path
from seqexp.recipes.fetch import fetch
from seqexp.recipes.lock import FileRecord, Lock, read_lock
from seqexp.recipes.schema import LOCK_FILE, Recipe, Source, Step

_SPARE_BYTES = 50_000_000
# What identities of steps begin with: the release that first wrote lock files of this kind. It stays as it is, so that
# a new release finds prepared folders finished; a step that writes other content carries a higher version of its own.
_IDENTITY = "0.1.0"


@dataclass(frozen=True)
class StepResult:
    """What a step did: files it wrote (paths inside the folder) and lines worth telling, such as dropped rows."""

    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepKind:
    """A kind of step that recipes may name.

    Parameters
    ----------
    function : callable
        Gets the dataset folder and its parameters from the recipe, and answers with a :class:`StepResult`.
    version : int
        Raised by whoever changes what the step writes for the same input: prepared folders then run it again.
    """

    function: Callable[..., StepResult]
    version: int = 1


class Reporter:
    """What the runner tells while it works; this one says nothing."""

    def line(self, text: str) -> None:
        """One finished or skipped piece of work."""

    def progress(self, name: str) -> Progress:
        """The function that follows the transfer of one file."""
        return lambda done, total: None


@dataclass
class Prepared:
    """Result of :func:`prepare`.

    Parameters
    ----------
    dataset : Path
        The ``dataset.yaml``, or ``slides.yaml`` for histology.
    fetched, ran, skipped : list of str
        Sources fetched, steps run, and both that were already there.
    notes : list of str
        What the steps had to say, also of skipped steps.
    """

    dataset: Path
    fetched: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def prepare(
    recipe: Recipe,
    out: str | Path,
    steps: Mapping[str, StepKind],
    mirror: str | Path | None = None,
    *,
    reporter: Reporter | None = None,
    patience: Patience | None = None,
) -> Prepared:
    """Prepare a dataset folder. Calling it again finishes what was broken off and does nothing twice.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    out : path
        Dataset folder; its description appears in it last, and is absent while anything is unfinished.
    steps : mapping
        Kinds of steps by the names that recipes use.
    mirror : path, optional
        Folder holding the sources by their mirror paths, for work without a network. Where none is given, and none was
        when the folder was prepared, files that are served nowhere are made from their origins, if the recipe says how.
    reporter : Reporter, optional
        Where to tell progress.
    patience : Patience, optional
        How long to insist on a server that breaks.

    Raises
    ------
    ConfigError
        The recipe names an unknown step or impossible parameters.
    DataError
        A source cannot be fetched or verified, the disk is too small, the folder belongs to something else, or
        another process prepares it now.
    """
    folder, reporter = Path(out), reporter or Reporter()
    mirror = _checked_mirror(mirror)
    _check_steps(recipe.from_origins(), steps)
    with own_folder(folder):
        lock = read_lock(folder, recipe.name)
        if mirror is None and not _has_mirrored(recipe, lock):
            recipe = recipe.from_origins()
        return _prepare(recipe, steps, lock, mirror, reporter=reporter, patience=patience)


def _prepare(
    recipe: Recipe,
    steps: Mapping[str, StepKind],
    lock: Lock,
    mirror: Path | None,
    *,
    reporter: Reporter,
    patience: Patience | None,
) -> Prepared:
    missing = [source for source in recipe.sources if not lock.has_source(source.name, source.sha256)]
    result = Prepared(lock.folder / recipe.dataset_file)
    if missing or not _all_done(recipe, steps, lock):
        _check_disk(recipe, missing, lock.folder, mirror)
        lock.write()  # first: a step may write the description itself and be killed before its end is recorded
        result.dataset.unlink(missing_ok=True)
    _fetch_all(recipe, missing, lock, mirror, reporter=reporter, patience=patience, result=result)
    _run_all(recipe, steps, lock, reporter, result=result)
    if recipe.dataset is not None:
        _write_dataset(recipe, result.dataset)
    if not result.dataset.exists():
        raise ConfigError(
            f"no step of {recipe.name} wrote {recipe.dataset_file}", where=recipe.path, fix="add a dataset key"
        )
    return result


def _has_mirrored(recipe: Recipe, lock: Lock) -> bool:
    """Whether the folder holds all that only a mirror has."""
    return all(lock.has_source(source.name, source.sha256) for source in recipe.sources if source.url is None)


def _checked_mirror(mirror: str | Path | None) -> Path | None:
    if mirror is not None and not Path(mirror).is_dir():
        raise DataError("no such mirror folder", where=mirror, expected="a folder with the files of the recipe")
    return None if mirror is None else Path(mirror)


def _check_steps(recipe: Recipe, steps: Mapping[str, StepKind]) -> None:
    """Refuse unknown steps and parameters before anything is fetched."""
    for step in recipe.steps:
        if step.use not in steps:
            raise ConfigError(
                f"unknown step {step.use!r}", where=recipe.path, expected="one of: " + ", ".join(sorted(steps))
            )
        _parameters(recipe, steps, step)
        if LOCK_FILE in map(str.lower, step.texts()):
            raise ConfigError(f"step {step.use} names {LOCK_FILE}", where=recipe.path, expected="files of the dataset")


def _parameters(recipe: Recipe, steps: Mapping[str, StepKind], step: Step) -> dict[str, Any]:
    return call_arguments(steps[step.use].function, step.parameters, f"{recipe.path}, step {step.use}", "with.")


def _all_done(recipe: Recipe, steps: Mapping[str, StepKind], lock: Lock) -> bool:
    prints = _fingerprints(recipe, steps, lock)
    return all(lock.has_step(i, prints[i]) for i in range(len(recipe.steps)))


def _check_disk(recipe: Recipe, missing: list[Source], folder: Path, mirror: Path | None) -> None:
    """Compare what is still to come with what is free, before any work."""
    known = [source.bytes or _mirror_bytes(source, mirror) for source in missing]
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed = max(sum(known) + _SPARE_BYTES, (recipe.disk_bytes or 0) - there)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{recipe.name} needs {needed / 1e9:.2f} GB more and {free / 1e9:.2f} GB are free",
            where=folder,
            expected="enough free space before the work starts",
            fix="free some space or choose another --out",
        )


def _mirror_bytes(source: Source, mirror: Path | None) -> int:
    path = mirror / source.mirror if mirror is not None and source.mirror is not None else None
    return path.stat().st_size if path is not None and path.is_file() else 0


def _fetch_all(
    recipe: Recipe,
    missing: list[Source],
    lock: Lock,
    mirror: Path | None,
    *,
    reporter: Reporter,
    patience: Patience | None,
    result: Prepared,
) -> None:
    for source in recipe.sources:
        if source not in missing:
            result.skipped.append(source.name)
            reporter.line(f"{source.name}: already there")
            continue
        target = inside(lock.folder, source.name, where=recipe.path)
        target.unlink(missing_ok=True)
        if part_path(target).exists():
            reporter.line(f"{source.name}: resuming")
        fetched = fetch(_locked(source, lock), target, mirror, reporter.progress(source.name), patience=patience)
        lock.sources[source.name] = FileRecord.of(target, fetched.sha256, fetched.origin)
        lock.write()
        result.fetched.append(source.name)
        checked = "verified" if source.sha256 else "sum recorded in the lock file"
        reporter.line(f"{source.name}: {fetched.bytes:,} bytes, {checked}")


def _locked(source: Source, lock: Lock) -> Source:
    """The source with the sum that was recorded at its first fetch, where the recipe knows none."""
    record = lock.sources.get(source.name)
    return source if source.sha256 or record is None else replace(source, sha256=record.sha256)


def _run_all(
    recipe: Recipe, steps: Mapping[str, StepKind], lock: Lock, reporter: Reporter, *, result: Prepared
) -> None:
    prints = _fingerprints(recipe, steps, lock)
    for index, step in enumerate(recipe.steps):
        if lock.has_step(index, prints[index]):
            result.skipped.append(step.use)
            reporter.line(f"{step.use}: already done")
        else:
            done = steps[step.use].function(lock.folder, **_parameters(recipe, steps, step))
            lock.add_step(index, prints[index], done.outputs, done.notes)
            lock.write()
            result.ran.append(step.use)
            for note in done.notes:
                reporter.line(f"{step.use}: {note}")
        result.notes += lock.steps[index].notes


def _fingerprints(recipe: Recipe, steps: Mapping[str, StepKind], lock: Lock) -> list[str]:
    """Identity of each step: sums of all sources, and everything up to and with the step itself and its version."""
    sums = {name: record.sha256 for name, record in lock.sources.items()}
    wanted = {source.name: sums.get(source.name) for source in recipe.sources}
    digest = hashlib.sha256(json.dumps([_IDENTITY, wanted], sort_keys=True).encode())
    prints = []
    for step in recipe.steps:
        version = steps[step.use].version
        identity = [step.use, step.parameters, *([version] if version > 1 else [])]
        digest.update(json.dumps(identity, sort_keys=True, default=str).encode())
        prints.append(digest.hexdigest()[:16])
    return prints


def _write_dataset(recipe: Recipe, path: Path) -> None:
    content = dict(recipe.dataset or {})
    if not path.exists() or load_yaml(path) != content:
        dump_yaml(content, path)
