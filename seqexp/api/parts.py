"""Answers that are kept while they come, so that a long prediction that was broken off goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqexp.core.arrays import UNREADABLE
from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path
from seqexp.core.lock import LOCK, own_folder

_REQUEST, _PARTS = "request.txt", "part-*.npz"
Rows = dict[str, NDArray]


class Parts:
    """Rows of arrays, each with its ``index``; in memory, and in a folder where one is given.

    Parameters
    ----------
    folder : Path, optional
        Holds what was answered before, and what is answered now every :attr:`ROWS` rows.
    identity : str
        What was asked of what; answers of another request are not used.

    Raises
    ------
    DataError
        The folder holds something else than parts.
    """

    ROWS = 2048

    def __init__(self, folder: Path | None = None, identity: str = "") -> None:
        self.folder, self._identity = folder, identity
        self._kept: list[Rows] = []
        self._new: list[Rows] = []
        self.num_found = 0
        if folder is not None:
            self._open(folder, identity)

    @property
    def done(self) -> NDArray[np.int64]:
        """Rows that are answered, in any order."""
        return np.concatenate([np.empty(0, np.int64), *(part["index"] for part in (*self._kept, *self._new))])

    def add(self, rows: Rows) -> None:
        """Take rows, and keep them on disk when there are enough."""
        self._new.append(rows)
        if self.folder is not None and sum(len(part["index"]) for part in self._new) >= self.ROWS:
            self._flush(self.folder)

    def rows(self) -> Rows:
        """All rows, sorted by index."""
        parts = [*self._kept, *self._new]
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.argsort(whole["index"], kind="stable")
        return {name: values[order] for name, values in whole.items()}

    def _open(self, folder: Path, identity: str) -> None:
        known, files = folder / _REQUEST, [path for path in folder.iterdir() if path.name != LOCK]
        if files and not known.is_file():
            raise DataError(
                "the folder for parts of a prediction holds something else",
                where=folder,
                expected="no such folder, or the parts of a prediction that was broken off",
                fix="move it, or give another --out",
            )
        if known.is_file() and known.read_text(encoding="utf-8") != identity:
            self.remove()
        for path in sorted(folder.glob(_PARTS)):
            try:
                with np.load(path, allow_pickle=False) as content:
                    self._kept.append(dict(content))
            except UNREADABLE:  # it is answered again
                path.unlink()
        self.num_found = len(self.done)

    def remove(self) -> None:
        """Remove the files of the folder: everything stands elsewhere now."""
        for path in () if self.folder is None else [*self.folder.glob(_PARTS), self.folder / _REQUEST]:
            path.unlink(missing_ok=True)

    def _flush(self, folder: Path) -> None:
        with atomic_path(folder / _REQUEST) as temporary:
            temporary.write_text(self._identity, encoding="utf-8")
        part = {name: np.concatenate([rows[name] for rows in self._new]) for name in self._new[0]}
        with atomic_path(folder / f"part-{int(part['index'][0]):09d}.npz") as temporary, open(temporary, "wb") as file:
            np.savez(file, **part)  # type: ignore[arg-type]
        self._kept.append(part)
        self._new = []


@contextmanager
def kept_parts(folder: Path, identity: str) -> Iterator[Parts]:
    """Parts in a folder that is this process's alone; what was answered stays there unless the block ends well."""
    with own_folder(folder):
        parts = Parts(folder, identity)
        yield parts
        parts.remove()
    with suppress(OSError):  # somebody put something there
        folder.rmdir()
