"""YAML in and out; a key written twice is an error, because the last one would win in silence.

A word stays a word: of what YAML 1.1 guesses, only ``true`` and ``false``, ``null`` and ``~``, whole numbers as they
are commonly written and numbers with a point are more than text. ``NO``, ``on``, ``02``, ``1e5``, ``1_000``, ``12:30``
and ``2024-01-02`` are text, since chromosomes, genes and slides bear such names. A name that is still read as something
else (``1.10``, ``true``) is refused by :func:`seqexp.core.yaml_fields.name`, which asks for quotes.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import CollectionNode, Node

from seqexp.core.errors import ConfigError
from seqexp.core.files import atomic_path, read_small_text

# A description is written by hand: what is larger was made by a program, by mistake or by malice.
MAX_BYTES = 10_000_000
MAX_VALUES = 200_000


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys, references that grow without end, and guesses few kinds of scalars."""

    def get_single_node(self) -> Node | None:
        """The tree of the document, measured before anything is built from it."""
        node: Node | None = super().get_single_node()
        if node is not None:
            _num_values(node, {})
        return node


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


def _num_values(node: Node, known: dict[int, int]) -> int:
    """Values below a node once all references are written out; each node is visited once."""
    if not isinstance(node, CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = -1  # met again before it is counted: it contains itself
        pairs = isinstance(node, yaml.MappingNode)
        below = [child for pair in node.value for child in pair] if pairs else node.value
        known[id(node)] = 1 + sum(_num_values(child, known) for child in below)
    if known[id(node)] < 0 or known[id(node)] > MAX_VALUES:
        found = "refers to itself" if known[id(node)] < 0 else f"grows past {MAX_VALUES:,} values by references"
        raise ConfigError(
            f"a value {found}",
            where=f"{node.start_mark.name}, line {node.start_mark.line + 1}",
            expected="a description as one writes by hand",
            fix="write the values out where & and * stand",
        )
    return known[id(node)]


def _mapping(loader: _StrictLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: dict[Any, yaml.Node] = {}
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
        if isinstance(key, (list, dict, set)):
            raise ConfigError(
                f"a {type(key).__name__} stands where a key belongs",
                where=f"{key_node.start_mark.name}, line {key_node.start_mark.line + 1}",
                expected="a name before the colon",
                fix="put the key in quotes, or remove the brackets",
            )
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


class _Named(io.StringIO):
    """Text under the name of its file, for the places in messages."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


def load_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML or no mapping, writes a key twice, nests without end or grows by references.
    """
    path = Path(path)
    handle = _Named(read_small_text(path, MAX_BYTES, "a YAML file"), str(path))
    try:
        content = yaml.load(handle, Loader=_StrictLoader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, OverflowError, TypeError, AttributeError, LookupError) as error:
        # Beside YAMLError: what the constructors of explicit tags (!!timestamp, !!int, !!binary) raise on bad values.
        told = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"not readable as YAML: {told}", where=path, expected="a YAML mapping") from error
    except RecursionError as error:
        raise ConfigError("brackets nested without end", where=path, expected="a YAML mapping") from error
    if not isinstance(content, dict):
        raise ConfigError(f"found {type(content).__name__}", where=path, expected="a YAML mapping of keys to values")
    return content


def dump_yaml(content: dict[str, Any], path: str | Path) -> None:
    """Write a mapping as YAML, atomically, keys in the order given."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        yaml.safe_dump(content, handle, sort_keys=False, allow_unicode=True)
