"""The run folder: what may be started, continued or replaced there. No torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import require_writable

RECORD, CONFIG = "run_record.json", "config.yaml"
BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"


def read_record(folder: Path) -> dict[str, Any] | None:
    """Run record of a folder, or None where no run was started."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not readable as JSON: {error}", where=path, expected="a run record") from error
    return dict(record)


def check_folder(folder: Path, overwrite: bool, resume: bool) -> dict[str, Any] | None:
    """Decide what a new `fit` may do with a folder; nothing is changed.

    Returns
    -------
    dict or None
        Record of the run to resume.

    Raises
    ------
    ConfigError
        A run lies there and neither ``--resume`` nor ``--overwrite`` was given; other files lie there; nothing to
        resume; or both flags were given.
    """
    if overwrite and resume:
        raise ConfigError("--resume and --overwrite exclude each other", where=folder)
    record = read_record(folder)
    has_checkpoint = (folder / LAST).is_file() or (folder / BEST).is_file()
    if resume:
        if record is None or not (folder / LAST).is_file():
            raise ConfigError(
                "no run to resume", where=folder, expected=f"{RECORD} and {LAST}", fix="leave out --resume"
            )
        return record
    if record is not None and has_checkpoint and not overwrite:
        state = "a finished run" if record.get("status") == "finished" else "an unfinished run"
        raise ConfigError(
            f"the folder holds {state} (started {record.get('started')})",
            where=folder,
            expected="a new run folder",
            fix="choose another --run-dir, continue with --resume, or replace it with --overwrite",
        )
    if record is None and folder.is_dir() and any(folder.iterdir()):
        raise ConfigError("the folder holds files that are no run", where=folder, fix="choose another --run-dir")
    return None


def open_folder(folder: Path, record: dict[str, Any] | None) -> None:
    """Make a folder ready for a run: emptied unless a run (``record``) is resumed there, and writable."""
    if record is None and read_record(folder) is not None:
        shutil.rmtree(folder)
    require_writable(folder)


def drop_if_unstarted(folder: Path, num_steps: int) -> None:
    """Remove the folder of a run that failed before its first step, so that it leaves no trace."""
    if folder.is_dir() and num_steps == 0 and not any((folder / "checkpoints").glob("*.ckpt")):
        shutil.rmtree(folder)
