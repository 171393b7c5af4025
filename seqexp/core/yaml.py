"""YAML in and out; a key written twice is an error, because the last one would win in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from seqexp.core.errors import ConfigError
from seqexp.core.files import atomic_path


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: dict[Any, yaml.Node] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
        if key in seen:
            first, second = seen[key].start_mark, key_node.start_mark
            raise ConfigError(
                f"key {key!r} is written twice",
                where=f"{second.name}, lines {first.line + 1} and {second.line + 1}",
                expected="every key once per mapping",
                fix="delete one of the two lines",
            )
        seen[key] = key_node
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML, is not a mapping, or writes a key twice.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8") as handle:
            content = yaml.load(handle, Loader=_StrictLoader)  # a SafeLoader
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=path, expected="a YAML file", fix="check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"not readable as YAML: {error}", where=path, expected="a YAML mapping") from error
    if not isinstance(content, dict):
        raise ConfigError(f"found {type(content).__name__}", where=path, expected="a YAML mapping of keys to values")
    return content


def dump_yaml(content: dict[str, Any], path: str | Path) -> None:
    """Write a mapping as YAML, atomically, keys in the order given."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        yaml.safe_dump(content, handle, sort_keys=False, allow_unicode=True)
