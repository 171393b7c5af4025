"""The lock file of a prepared folder: what was fetched and made, so that finished work is known and skipped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import atomic_path, inside, sha256_of
from seqexp.core.json_file import load_json
from seqexp.core.typed import build
from seqexp.recipes.schema import DATASET_FILES, LOCK_FILE


@dataclass
class FileRecord:
    """A finished file: its sum, and size and time by which to notice a change without reading it."""

    sha256: str
    bytes: int
    modified_ns: int
    origin: str | None = None

    @classmethod
    def of(cls, path: Path, sha256: str | None = None, origin: str | None = None) -> FileRecord:
        """Record of an existing file; its sum is computed where it is not given."""
        status = path.stat()
        return cls(sha256 or sha256_of(path), status.st_size, status.st_mtime_ns, origin)

    def holds(self, path: Path) -> bool:
        """Whether ``path`` is still that file. A copied or touched file is read again, others are trusted."""
        if not path.is_file() or path.stat().st_size != self.bytes:
            return False
        return path.stat().st_mtime_ns == self.modified_ns or sha256_of(path) == self.sha256


@dataclass
class StepRecord:
    """A finished step: the identity of its inputs, what it wrote, what it had to say."""

    fingerprint: str
    outputs: dict[str, FileRecord]
    notes: list[str] = field(default_factory=list)


@dataclass
class Lock:
    """State of a folder that a recipe is prepared in."""

    recipe: str
    folder: Path
    sources: dict[str, FileRecord] = field(default_factory=dict)
    steps: list[StepRecord] = field(default_factory=list)

    def has_source(self, name: str, sha256: str | None) -> bool:
        """Whether the source is there, whole and (where the recipe knows the sum) the one asked for."""
        record = self.sources.get(name)
        if record is None or (sha256 is not None and record.sha256 != sha256):
            return False
        return record.holds(self.folder / name)

    def has_step(self, index: int, fingerprint: str) -> bool:
        """Whether step ``index`` was done on the same inputs and its files are untouched."""
        if index >= len(self.steps) or self.steps[index].fingerprint != fingerprint:
            return False
        return all(record.holds(self.folder / name) for name, record in self.steps[index].outputs.items())

    def add_step(self, index: int, fingerprint: str, outputs: Iterable[str], notes: Iterable[str]) -> None:
        """Record step ``index``; later steps, made from older inputs, are forgotten."""
        records = {name: FileRecord.of(self.folder / name) for name in outputs}
        self.steps[index:] = [StepRecord(fingerprint, records, list(notes))]

    def write(self) -> None:
        """Write the lock into its folder, atomically."""
        content = {
            "recipe": self.recipe,
            "sources": {name: asdict(record) for name, record in self.sources.items()},
            "steps": [asdict(step) for step in self.steps],
        }
        with atomic_path(self.folder / LOCK_FILE) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_lock(folder: Path, recipe: str) -> Lock:
    """Lock of a folder, or a new one where the folder has none.

    Raises
    ------
    DataError
        The folder was prepared by another recipe, holds a dataset of other origin, or its lock cannot be read.
    """
    path = folder / LOCK_FILE
    if not path.exists():
        if any((folder / name).exists() for name in DATASET_FILES):
            raise DataError(
                "the folder holds a dataset that no recipe prepared", where=folder, expected="an empty or new folder",
                fix="choose another --out",
            )  # fmt: skip
        return Lock(recipe, folder)
    try:
        content = build(_Content, load_json(path), path)
        for name in [*content.sources, *(name for step in content.steps for name in step.outputs)]:
            inside(folder, name, where=path)
    except ConfigError as error:
        raise DataError(
            f"the lock file cannot be read: {error.found}", where=path,
            expected=f"JSON as written by seqexp data prepare; {error.expected}",
            fix="delete it to prepare the folder again",
        ) from error  # fmt: skip
    lock = Lock(content.recipe, folder, content.sources, content.steps)
    if lock.recipe != recipe:
        raise DataError(
            f"the folder was prepared by recipe {lock.recipe!r}", where=folder, expected=f"recipe {recipe!r}",
            fix="choose another --out",
        )  # fmt: skip
    return lock


@dataclass(frozen=True)
class _Content:
    """The keys of a lock file."""

    recipe: str
    sources: dict[str, FileRecord]
    steps: list[StepRecord]
