"""Values of a description checked against the types of the class or function they are for; one error names the key.

A description file is a mapping of names to values. What each value must be is written once, in the annotations of a
dataclass or of a function; here both sides are compared before anything is built.
"""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from seqexp.core.errors import ConfigError

T = TypeVar("T")
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "nothing"}
_SHOWN = 80


def build(kind: type[T], content: Any, where: str | Path, prefix: str = "") -> T:
    """Instance of a dataclass from a mapping of its fields.

    Parameters
    ----------
    kind : type
        Dataclass; fields without a default are required.
    content : object
        What the file holds.
    where : str or Path
        File, for the message.
    prefix : str
        Keys above, ending in a point.

    Raises
    ------
    ConfigError
        The content is no mapping, a key is unknown or missing, or a value is not what its field takes.
    """
    own = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(kind)}  # type: ignore[arg-type]
    given = mapping(content, where, prefix)
    _check_names(given, own, where, prefix)
    hints = _hints(kind)  # type: ignore[arg-type]
    return kind(**{name: checked(value, hints[name], where, prefix + name) for name, value in given.items()})


def call_arguments(function: Callable[..., Any], content: Any, where: str | Path, prefix: str = "") -> dict[str, Any]:
    """Keyword arguments of a function from a mapping, each of the kind that its annotation names.

    The first parameter is not among them: it is for the caller.

    Raises
    ------
    ConfigError
        As for :func:`build`.
    """
    parameters = list(inspect.signature(function).parameters.values())[1:]
    named = {p.name: p.default is p.empty for p in parameters if p.kind is not p.VAR_KEYWORD}
    given = mapping({} if content is None else content, where, prefix)
    if len(named) == len(parameters):
        _check_names(given, named, where, prefix)
    hints = _hints(function)
    return {key: checked(value, hints.get(key, Any), where, prefix + key) for key, value in given.items()}


def mapping(content: Any, where: str | Path, prefix: str = "") -> dict[str, Any]:
    """The content as a mapping of names.

    Raises
    ------
    ConfigError
        It is something else, or a key is no text.
    """
    if not isinstance(content, Mapping):
        found = f"{prefix.rstrip('.')}: {_shown(content)}" if prefix else f"found {type(content).__name__}"
        raise ConfigError(found, where=where, expected="a mapping of keys to values")
    for key in content:
        if not isinstance(key, str):
            raise ConfigError(f"key {prefix}{_shown(key)}", where=where, expected="a name", fix="put it in quotes")
    return dict(content)


def checked(value: Any, hint: Any, where: str | Path, key: str) -> Any:
    """The value as ``hint`` asks for it; lists become tuples and whole numbers become floats where it says so.

    Raises
    ------
    ConfigError
        It is of another kind.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return value
    if origin in (Union, types.UnionType):
        return _one_of(value, inner, where, key)
    if origin is Literal:
        fits = any(value == option and type(value) is type(option) for option in inner)
    elif is_typeddict(hint):
        given, hints = mapping(value, where, f"{key}."), _hints(hint)
        _check_names(given, {name: name in hint.__required_keys__ for name in hints}, where, f"{key}.")
        return {name: checked(v, hints[name], where, f"{key}.{name}") for name, v in given.items()}
    elif is_dataclass(hint):
        return build(hint, value, where, f"{key}.")  # type: ignore[arg-type]
    elif origin in (list, tuple, Sequence):
        is_fixed = origin is tuple and inner[-1] is not Ellipsis
        fits = isinstance(value, list | tuple) and (not is_fixed or len(value) == len(inner))
        if fits:
            kinds = inner if is_fixed else [inner[0]] * len(value)
            items = [checked(v, k, where, f"{key}[{i}]") for i, (v, k) in enumerate(zip(value, kinds, strict=True))]
            return tuple(items) if origin is tuple else items
    elif origin in (dict, Mapping):
        pairs = mapping(value, where, f"{key}.").items()
        return {name: checked(v, inner[1], where, f"{key}.{name}") for name, v in pairs}
    else:
        fits, value = _plain(value, hint)
    if not fits:
        raise ConfigError(f"{key}: {_shown(value)}", where=where, expected=expectation(hint))
    return value


def expectation(hint: Any) -> str:
    """What a type means to somebody who writes a description."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(expectation(kind) for kind in inner)
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin in (list, tuple, Sequence):
        many = origin is not tuple or inner[-1] is Ellipsis
        return f"a list, each item {expectation(inner[0])}" if many else f"a list of {len(inner)} items"
    if origin in (dict, Mapping) or is_dataclass(hint) or is_typeddict(hint):
        return "a mapping of keys to values"
    return _WORDS.get(hint, "a path" if hint is Path else getattr(hint, "__name__", str(hint)))


def _plain(value: Any, hint: Any) -> tuple[bool, Any]:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return math.isfinite(value), float(value) if abs(value) < 1e300 else value
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63, value
    if hint is Path and isinstance(value, str) and value and "\0" not in value:
        return True, Path(value)
    return isinstance(value, hint), value


def _one_of(value: Any, kinds: Sequence[Any], where: str | Path, key: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    for kind in kinds:
        try:
            return checked(value, kind, where, key)
        except ConfigError as error:
            if len(kinds) == 2 and type(None) in kinds and kind is not type(None):
                raise ConfigError(error.found, where=where, expected=error.expected, fix=error.fix) from None
    raise ConfigError(f"{key}: {_shown(value)}", where=where, expected=" or ".join(map(expectation, kinds)))


def _check_names(given: Mapping[str, Any], known: Mapping[str, bool], where: str | Path, prefix: str) -> None:
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0.5)
            raise ConfigError(
                f"unknown key {prefix}{key}",
                where=where,
                expected="one of: " + ", ".join(known),
                fix=f"did you mean {near[0]}?" if near else f"remove {key}",
            )
    missing = [key for key, is_required in known.items() if is_required and key not in given]
    if missing:
        raise ConfigError(f"key {prefix}{missing[0]} is missing", where=where, expected=f"{missing[0]}: a value")


@lru_cache(maxsize=256)
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
