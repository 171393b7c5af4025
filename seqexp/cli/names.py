"""Arguments that name a file."""

from __future__ import annotations

from pathlib import Path


def named_path(text: str) -> tuple[str, Path]:
    """NAME=FILE, or a file that is named after itself."""
    name, mark, path = text.partition("=")
    return (name, Path(path)) if mark else (Path(text).stem, Path(text))
