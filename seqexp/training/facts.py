"""What the data know is not typed by hand: it is filled in where a config leaves it out, and checked where it does not.

A data module may have ``facts()``: names and numbers, such as ``{"num_tracks": 2, "num_targets": 1}``. Every part of a
network whose constructor takes a parameter of such a name is given that number. ``width`` goes down in the same way,
from the network to those of its parts that take one and have none of their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from jsonargparse import Namespace
from jsonargparse._util import import_object

from seqexp.core.errors import ConfigError

_WIDTH = "width"


def fill_in(part: Namespace, typed: Any, facts: Mapping[str, int], is_assumed: bool = False) -> None:
    """Fill the facts into a part and the parts inside it.

    Parameters
    ----------
    part : Namespace
        ``class_path`` and ``init_args`` with all defaults; filled in place.
    typed : Namespace or other
        The same part as files and flags have it, without defaults.
    facts : mapping of str to int
    is_assumed : bool
        The facts are a guess, and what was typed counts.

    Raises
    ------
    ConfigError
        A number was typed that is not that of the data; the message lists them all.
    """
    wrong = list(_fill(part, typed, facts, None, where="model.network"))
    if wrong and not is_assumed:
        raise ConfigError(
            "; ".join(f"{place}.{name} is {said}, the data have {value}" for place, name, said, value in wrong),
            where="the config files and flags of this command",
            expected=", ".join(dict.fromkeys(f"{name}: {value}" for _, name, _, value in wrong)),
            fix="delete the line: it is filled in from the data",
        )


def _fill(
    part: Namespace, typed: Any, facts: Mapping[str, int], width: int | None, *, where: str
) -> Iterator[tuple[str, str, Any, int]]:
    """Fill one part, then its parts; yields what disagrees."""
    if part.get("init_args") is None:
        part["init_args"] = Namespace()
    arguments, own = part["init_args"], _get(typed, "init_args")
    takes = _parameters(part["class_path"])
    for name in sorted(facts.keys() & takes.keys()):
        said = _get(own, name)
        if said is None:
            arguments[name] = facts[name]
        elif said != facts[name]:
            yield where, name, said, facts[name]
    if _WIDTH in takes:
        if width is not None and takes[_WIDTH].default is inspect.Parameter.empty and _get(own, _WIDTH) is None:
            arguments[_WIDTH] = width
        width = arguments.get(_WIDTH)
    for name in sorted(takes):
        value, said = arguments.get(name), _get(own, name)
        if _is_part(value):
            yield from _fill(value, said, facts, width, where=f"{where}.{name}")
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                if _is_part(inner):
                    one = said[number] if isinstance(said, list) and number < len(said) else None
                    yield from _fill(inner, one, facts, width, where=f"{where}.{name}.{number}")


def _is_part(value: Any) -> bool:
    return isinstance(value, Namespace) and isinstance(value.get("class_path"), str)


def _get(typed: Any, name: str) -> Any:
    return typed.get(name) if isinstance(typed, Namespace) else None


def _parameters(class_path: str) -> dict[str, inspect.Parameter]:
    """What a class takes; where it hands ``**kwargs`` on, also what its bases take."""
    try:
        kind = import_object(class_path)
    except (ImportError, AttributeError, ValueError):  # the parser says so
        return {}
    found: dict[str, inspect.Parameter] = {}
    for base in getattr(kind, "__mro__", (kind,)):
        parameters = inspect.signature(base).parameters if base is not object else {}
        found = {**parameters, **found}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return found
