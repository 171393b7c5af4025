"""The run folder: what may be started, continued or replaced there. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import is_temporary
from seqexp.core.links import require_bound
from seqexp.core.lock import LOCK, own_folder, require_free
from seqexp.core.manifest import MANIFEST, record_files, remove_files, written_files

RECORD, CONFIG = "run_record.json", "config.yaml"
BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"
_SUBFOLDERS = ("checkpoints", "logs", "logs/tensorboard")
# Written by loggers that know nothing of the manifest, and what runs left before there was one.
_LOGS = ("logs/tensorboard/events.out.tfevents.*", "logs/tensorboard/hparams.yaml")
_KNOWN = (RECORD, CONFIG, BEST, LAST, "logs/metrics.csv", "metrics.json", "predictions.tsv", "report.html", "masks.npz")


def read_record(folder: Path) -> dict[str, Any] | None:
    """Run record of a folder, or None where no run was started."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"not readable as JSON: {error}", where=path, expected="a run record") from error
    if not isinstance(record, dict):
        raise DataError(f"found {type(record).__name__}", where=path, expected="a run record: a mapping")
    return record


def check_folder(folder: Path, overwrite: bool, resume: bool) -> dict[str, Any] | None:
    """Decide what a new `fit` may do with a folder; nothing is changed.

    Returns
    -------
    dict or None
        Record of the run to resume; None where a run begins at its beginning, as does one that is resumed but was
        broken off before its first checkpoint.

    Raises
    ------
    ConfigError
        A run lies there and neither ``--resume`` nor ``--overwrite`` was given; other files lie there; nothing to
        resume; or both flags were given.
    DataError
        Another process works there.
    """
    if overwrite and resume:
        raise ConfigError("--resume and --overwrite exclude each other", where=folder)
    require_free(folder)
    record = read_record(folder)
    has_last, has_best = (folder / LAST).is_file(), (folder / BEST).is_file()
    is_finished = record is not None and record.get("status") == "finished"
    if resume:
        if record is None or not (has_last or (folder / CONFIG).is_file()):
            raise ConfigError(
                "no run to resume", where=folder, expected=f"{RECORD} and {LAST}", fix="leave out --resume"
            )
        if not has_last and (is_finished or has_best):
            raise ConfigError(
                f"the run cannot be resumed: its {LAST} is gone", where=folder, fix="replace the run with --overwrite"
            )
        return record if has_last else None
    if record is not None and (is_finished or has_last or has_best) and not overwrite:
        state = "a finished run" if is_finished else "an unfinished run"
        raise ConfigError(
            f"the folder holds {state} (started {record.get('started')})",
            where=folder,
            expected="a new run folder",
            fix="choose another --run-dir, continue with --resume, or replace it with --overwrite",
        )
    if record is None and folder.is_dir() and not _is_unstarted(folder):
        raise ConfigError("the folder holds files that are no run", where=folder, fix="choose another --run-dir")
    return None


def _is_unstarted(folder: Path) -> bool:
    """Whether all that lies in a folder without a record is what a run leaves that is killed before its first step."""
    own = {folder / LOCK, folder / MANIFEST, *written_files(folder), *_matches(folder, _LOGS)}
    files = [path for path in folder.rglob("*") if not path.is_dir() and not is_temporary(path.name)]
    return all(path in own and path.suffix != ".ckpt" for path in files)


def _matches(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in folder.glob(pattern) if not path.is_dir()]


@contextmanager
def own_run(folder: Path) -> Iterator[None]:
    """Be the only process that writes in a run folder, and note what it writes there."""
    with own_folder(folder), record_files(folder):
        for name in _SUBFOLDERS:  # loggers write there by themselves
            require_bound(folder / name / "files")
        yield


@dataclass
class RunFolder:
    """A folder in which a run begins: the run before it stays as it is until the first step of this one is done.

    Parameters
    ----------
    path : Path
        Owned by the first process (:func:`own_run`) from :meth:`open` to :meth:`leave`.
    previous : dict or None
        Record of the run that is resumed there.
    """

    path: Path
    previous: dict[str, Any] | None
    is_begun: bool = False
    _earlier: list[Path] = field(default_factory=list)

    def open(self) -> None:
        """Note what lies there before this run writes."""
        self._earlier = self._written()

    @property
    def replaces(self) -> bool:
        """Whether files of an earlier run give way to this one."""
        return self.previous is None and bool(self._earlier)

    def begin(self) -> None:
        """The first step has succeeded: remove what an earlier run wrote and nothing else; its record is written over.

        Broken off within, it leaves a record without checkpoints, so that no other run is taken for this one.
        """
        self.is_begun = True
        if self.previous is None:
            remove_files(self.path, [path for path in self._earlier if path != self.path / RECORD])

    def leave(self) -> None:
        """The run has ended. If it never began, it leaves no trace."""
        if not self.is_begun:
            with suppress(OSError):  # what may not be removed is told by what may not be written
                remove_files(self.path, [path for path in self._written() if path not in self._earlier])
                if not self._earlier:
                    (self.path / MANIFEST).unlink(missing_ok=True)

    def _written(self) -> list[Path]:
        return list(dict.fromkeys([*written_files(self.path), *_matches(self.path, (*_LOGS, *_KNOWN))]))
