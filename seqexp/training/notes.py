"""What a command has to tell of its data, on standard error, once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from seqexp.training.processes import is_first_process

_TOLD: dict[Path, set[str]] = {}  # by the fits of this process, which is followed by opening the run to finish it


def tell(notes: Iterable[str], folder: Path, is_fit: bool = False) -> None:
    """Print notes on the data of a run, but those that its fit has told already."""
    told = _TOLD.setdefault(folder.absolute(), set()) if is_fit else _TOLD.get(folder.absolute(), set())
    for note in notes:
        if note not in told and is_first_process():
            print(f"note: {note}", file=sys.stderr)
        if is_fit:
            told.add(note)
