"""Where the configs and recipes that ship with seqexp lie, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from seqexp.core.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped_folder(kind: str) -> Path:
    """Folder of the shipped ``configs`` or ``data_recipes``."""
    installed = _PACKAGE / "_shipped" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def shipped(kind: str, name: str) -> Path:
    """Path of one shipped config file or recipe folder.

    Raises
    ------
    ConfigError
        Nothing of that name ships; the message lists what does.
    """
    folder = shipped_folder(kind)
    path = folder / name
    if not path.exists():
        known = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.yaml"))
        raise ConfigError(f"no {name!r} among the shipped {kind}", where=folder, expected="one of: " + ", ".join(known))
    return path
