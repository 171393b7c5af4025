"""A disk that is full for real: half-written files are links to the device that refuses every byte (ENOSPC)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from seqexp.core import files

FULL = Path("/dev/full")


@contextmanager
def fill_disk(monkeypatch: pytest.MonkeyPatch, after: int = 0, also: ModuleType | None = None) -> Iterator[list[str]]:
    """Within the block, the files after the first ``after`` cannot be written; gives the names of all that were begun.

    ``also`` is a module that asks for names of half-written files itself. Folders that appear as a whole are not
    counted: what is written within them is.
    """
    if not FULL.exists():
        pytest.skip("this system has no /dev/full")
    begun: list[str] = []
    own = files.temporary_path

    def temporary_path(path: Path) -> Path:
        begun.append(path.name)
        temporary = own(path)
        if len(begun) > after and path.parent.is_dir():
            temporary.symlink_to(FULL)
        return temporary

    with monkeypatch.context() as patch:
        for module in filter(None, (files, also)):
            patch.setattr(module, "temporary_path", temporary_path)
        yield begun
