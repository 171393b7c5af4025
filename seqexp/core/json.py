"""Description files in JSON, read with one clear error; their values are checked by ``yaml_fields``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError


def load_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    ConfigError
        The file is missing, is not JSON, is nested too deeply, or is not an object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=path, expected="a JSON file", fix="check the path") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"not readable as JSON: {error}", where=path, expected="a JSON object") from error
    if not isinstance(content, dict):
        raise ConfigError(f"found {type(content).__name__}", where=path, expected="a JSON object of keys to values")
    return content
