"""Names of slides: they become parts of file names, and stay inside the folder they are meant for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from seqexp.core.errors import ConfigError

_LONGEST_BYTES = 100
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def require_slide_names(names: Iterable[str], where: str | Path) -> None:
    """Check that every name can be part of a file name on every system, and that no two fall together there.

    Raises
    ------
    ConfigError
        One cannot, or two differ only in case.
    """
    seen: dict[str, str] = {}
    for name in names:
        wrong = _wrong(name)
        if wrong:
            raise ConfigError(
                f"slide name {name[:80]!r} {wrong}",
                where=where,
                expected=f"a name of at most {_LONGEST_BYTES} bytes without / and \\, such as C1 or patient 3-A",
                fix="rename the slide; its files may lie anywhere",
            )
        first = seen.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if first != name:
            raise ConfigError(
                f"slide names {first!r} and {name!r} differ only in case",
                where=where,
                expected="names that are different files on every system",
            )


def _wrong(name: str) -> str:
    if not name.strip():
        return "is empty"
    if any(sign in name for sign in "/\\"):
        return "holds a separator of folders"
    if any(unicodedata.category(sign).startswith("C") for sign in name):
        return "holds a sign that cannot be shown"
    if name != name.strip() or name.startswith(".") or name.endswith("."):
        return "starts or ends with a point or a space"
    if name.split(".")[0].lower() in _RESERVED:
        return "is reserved by an operating system"
    return "is too long" if len(name.encode()) > _LONGEST_BYTES else ""
