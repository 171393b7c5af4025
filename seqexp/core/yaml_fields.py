"""Fields of a YAML mapping, each checked for its kind; every failure is a ConfigError that names the key."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError

_LARGEST = sys.float_info.max


def check_keys(
    found: Mapping[Any, Any], known: Sequence[str], path: Path, prefix: str, *, required: Sequence[str]
) -> None:
    """Refuse keys that are not known, naming near matches, and required keys that are missing."""
    for key in found:
        if key not in known:
            near = get_close_matches(str(key), known, n=2, cutoff=0.5)
            raise ConfigError(
                f"unknown key {prefix}{key}",
                where=path,
                expected="one of: " + ", ".join(known),
                fix=f"did you mean {' or '.join(near)}?" if near else f"remove {prefix}{key}",
            )
    for key in required:
        if found.get(key) is None:
            raise ConfigError(f"key {prefix}{key} is missing", where=path, expected=f"{prefix}{key}: a value")


def section(content: Mapping[str, Any], key: str, known: Sequence[str], path: Path, *, required: Sequence[str]) -> Any:
    """A required mapping under ``key``, its own keys checked."""
    return mapping(content[key], path, key, known, required=required)


def mapping(entry: Any, path: Path, key: str, known: Sequence[str], *, required: Sequence[str] = ()) -> dict[str, Any]:
    """A value that is a mapping, its own keys checked."""
    if not isinstance(entry, dict):
        raise ConfigError(f"{key}: {shown(entry)}", where=path, expected=f"a mapping with keys {', '.join(known)}")
    check_keys(entry, known, path, f"{key}.", required=required)
    return entry


def file_path(value: Any, path: Path, key: str) -> Path:
    """A path relative to the folder of the YAML file, such as a system can open."""
    if not isinstance(value, str) or not value.strip() or not _is_openable(value):
        raise ConfigError(f"{key}: {shown(value)}", where=path, expected="a path, relative to the folder of this file")
    return path.parent / value


def _is_openable(value: str) -> bool:
    try:
        parts = value.encode().split(b"/")
    except UnicodeEncodeError:  # half a sign
        return False
    return b"\0" not in value.encode() and max(map(len, parts)) <= 255 and len(value) <= 4000


def optional_path(content: Mapping[str, Any], key: str, path: Path) -> Path | None:
    """Like :func:`file_path`, or None if the key is absent or empty."""
    return None if content.get(key) is None else file_path(content[key], path, key)


def file_paths(content: Mapping[str, Any], key: str, path: Path) -> dict[str, Path]:
    """A mapping of names to paths; empty if the key is absent."""
    section = content.get(key) or {}
    if not isinstance(section, dict):
        raise ConfigError(f"{key}: {section!r}", where=path, expected="a mapping of names to paths")
    return {name(item, path, key): file_path(value, path, f"{key}.{item}") for item, value in section.items()}


def text(content: Mapping[str, Any], key: str, path: Path) -> str:
    """One line of text; empty if the key is absent."""
    value = content.get(key)
    if isinstance(value, (dict, list)):
        raise ConfigError(f"{key}: {value!r}", where=path, expected="one word or sentence")
    return "" if value is None else str(value)


def flag(content: Mapping[str, Any], key: str, path: Path) -> bool:
    """True or false; false if the key is absent."""
    value = content.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{key}: {value!r}", where=path, expected="true or false")
    return value


def name(value: Any, path: Path, key: str) -> str:
    """A name of a chromosome, gene, track or slide, exactly as it is written.

    A whole number is its own name. Anything else that YAML reads as more than text (``1.10``, ``true``, nothing) would
    come back changed, so it is refused unless it stands in quotes.
    """
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise ConfigError(
        f"{key}: {value!r}, read as {type(value).__name__}",
        where=path,
        expected="a name",
        fix='put the name in quotes, such as "1.10" or "true"',
    )


def number(
    content: Mapping[str, Any],
    key: str,
    path: Path,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    default: float | None = None,
    prefix: str = "",
) -> float:
    """A finite number from ``low`` to ``high``; ``default`` if the key is absent, without one it must be there."""
    value = content.get(key, default)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not max(low, -_LARGEST) <= value <= min(high, _LARGEST):  # NaN fails the comparison
        raise ConfigError(f"{prefix}{key}: {shown(value)}", where=path, expected="a number" + _span(low, high))
    return float(value)


def whole_number(
    content: Mapping[str, Any],
    key: str,
    path: Path,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    default: int | None = None,
    prefix: str = "",
) -> int:
    """Like :func:`number`, without a fraction."""
    value = content.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{prefix}{key}: {shown(value)}", where=path, expected="a whole number" + _span(low, high))
    return value


def shown(value: Any) -> str:
    """A value as an error shows it: short."""
    told = repr(value)
    return told if len(told) <= 80 else told[:77] + "…"


def _span(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    return f" from {low:g} to {high:g}" if math.isfinite(high) else f" of at least {low:g}"


def name_list(value: Any, path: Path, key: str) -> tuple[str, ...]:
    """A list of names; one name alone may stand without brackets, and an absent key is an empty list."""
    if isinstance(value, dict):
        raise ConfigError(f"{key}: {value!r}", where=path, expected="a list of names")
    items = [] if value is None else value if isinstance(value, list) else [value]
    return tuple(name(item, path, key) for item in items)
