"""Links in folders that are written: none leads a writer out of the folder that was named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqexp.core.errors import DataError

_bounds: list[tuple[Path, Path]] = []  # folders as they were named, and where they lie


@contextmanager
def bound_to(folder: Path) -> Iterator[None]:
    """Within the block, :func:`require_bound` refuses paths that a link leads out of this folder."""
    bounds = (Path(os.path.abspath(folder)), folder.resolve())
    _bounds.append(bounds)
    try:
        yield
    finally:
        _bounds.remove(bounds)


def require_bound(path: Path) -> None:
    """Refuse a path inside a bound folder whose folders on the way lead elsewhere. A last link is not followed.

    Raises
    ------
    DataError
        Names the link.
    """
    named = Path(os.path.abspath(path))
    for bounds, place in _bounds:
        for base in (bounds, place):
            if named.is_relative_to(base) and not named.parent.resolve().is_relative_to(place):
                steps = [base.joinpath(*named.relative_to(base).parts[: n + 1]) for n in range(len(named.parts))]
                link = next((step for step in steps if step.is_symlink()), named.parent)
                raise DataError(
                    f"{link.name} leads out of the folder by a link",
                    where=link,
                    expected=f"a folder inside {bounds}, not {named.parent.resolve()}",
                    fix="remove the link, or choose another output folder",
                )
