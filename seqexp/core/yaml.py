"""YAML in and out; a key written twice is an error, because the last one would win in silence.

A word stays a word: of what YAML 1.1 guesses, only ``true`` and ``false``, ``null`` and ``~``, whole numbers as they
are commonly written and numbers with a point are more than text. ``NO``, ``on``, ``02``, ``1e5``, ``1_000``, ``12:30``
and ``2024-01-02`` are text, since chromosomes, genes and slides bear such names. A name that is still read as something
else (``1.10``, ``true``) is refused by :func:`seqexp.core.yaml_fields.name`, which asks for quotes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from seqexp.core.errors import ConfigError
from seqexp.core.files import atomic_path


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys and guesses few kinds of scalars."""


_StrictLoader.yaml_implicit_resolvers = {}

for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)\.[0-9]*)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
):
    _StrictLoader.add_implicit_resolver(  # type: ignore[no-untyped-call]
        f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_pattern})$"), [*_first, *([""] if _kind == "null" else [])]
    )


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
