"""JSON in: one mapping per file, with the one error for everything that a damaged or foreign file can hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError
from seqexp.core.files import read_small_text

MAX_BYTES = 200_000_000  # a lock file or a run record of a large dataset; nothing here holds data


def load_json(path: str | Path, expected: str = "a JSON mapping") -> dict[str, Any]:
    """Read a JSON mapping.

    Parameters
    ----------
    path : path
    expected : str
        What the file is, for the message.

    Raises
    ------
    ConfigError
        The file is missing, is not JSON, is not a mapping, writes a key twice, or nests without end.
    """
    path = Path(path)
    try:
        content = json.loads(read_small_text(path, MAX_BYTES, expected), object_pairs_hook=_once)
    except RecursionError as error:
        raise ConfigError("brackets nested without end", where=path, expected=expected) from error
    except ValueError as error:  # JSONDecodeError, a key twice, an integer of thousands of digits
        raise ConfigError(f"not readable as JSON: {error}", where=path, expected=expected) from error
    if not isinstance(content, dict):
        raise ConfigError(f"found {type(content).__name__}", where=path, expected=expected)
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} is written twice")
    return content
