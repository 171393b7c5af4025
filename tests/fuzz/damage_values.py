"""Damage to trees of values: YAML, JSON, checkpoints, and the arrays of npz."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from damage_bytes import Damage, Rng

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1.5, 2**70, float("nan"), float("inf"), "", "nan", "../../x", "/", "1e5", "0012"),
    *("x" * 5000, "a\tb", [], {}, [[1]], {"a": {"b": 1}}, [None], "é", -0.0, 1e308, 10**6),
)
ODD_ARGUMENTS = ("-1", "0", "1e9", "999999999999", "nan", "inf", "1.5", "x", "", "é", "/", "0x10", "-0", "1e-300")
# What is meant is done: so many processes, so many epochs. No case shall wait for them.
_MEANT = ("num_workers", "max_epochs", "max_steps", "devices", "num_nodes")


def leaves(tree: Any, above: str = "") -> list[str]:
    """Dotted names of all values that hold no others."""
    if not isinstance(tree, dict):
        return [above]
    return [name for key, value in tree.items() for name in leaves(value, f"{above}.{key}" if above else str(key))]


def odd_argument(name: str, rng: Rng) -> str:
    """A value for a setting; what would only take long is left out."""
    value = str(rng.choice(ODD_ARGUMENTS))
    return "-7" if name.rpartition(".")[2] in _MEANT and len(value) > 2 else value


def _places(tree: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found.append((tree, key))
        _places(value, found)
    return found


def _odd_tensor(value: torch.Tensor, rng: Rng) -> tuple[Any, str]:
    ways = {
        "one more axis": lambda: value[None],
        "not a number": lambda: value.double() * float("nan"),
        "whole numbers": lambda: value.to(torch.int8),
        "one value": lambda: value.flatten()[:1],
        "infinite": lambda: torch.full_like(value, float("inf")) if value.is_floating_point() else value * 0 - 1,
        "huge": lambda: torch.full_like(value, 1e30) if value.is_floating_point() else value * 0 + 2**30,
    }
    name = str(rng.choice(list(ways)))
    return ways[name](), name


def _replace(parent: Any, key: Any, rng: Rng, whole: Any) -> str:
    value = parent[key]
    if isinstance(value, torch.Tensor) and rng.random() < 0.7:
        parent[key], told = _odd_tensor(value, rng)
        return told
    parent[key] = copy.deepcopy(ODD_VALUES[int(rng.integers(len(ODD_VALUES)))])
    if key in _MEANT and isinstance(parent[key], int) and parent[key] > 2:
        parent[key] = -7
    return f"{str(value)[:40]} to {str(parent[key])[:40]!r}"


def _drop(parent: Any, key: Any, rng: Rng, whole: Any) -> str:
    return f"was {str(parent.pop(key))[:40]}"


def _add(parent: Any, key: Any, rng: Rng, whole: Any) -> str:
    if isinstance(parent, dict):
        parent["unheard_of"] = 1
    else:
        parent.append(1)
    return ""


def _rename(parent: Any, key: Any, rng: Rng, whole: Any) -> str:
    if isinstance(parent, dict):
        parent[f"{key}s"] = parent.pop(key)
    else:
        parent[key] = [parent[key]]
    return ""


def _double(parent: Any, key: Any, rng: Rng, whole: Any) -> str:
    is_itself = rng.random() < 0.3
    parent[key] = whole if is_itself else [parent[key], parent[key]]
    return "holds itself" if is_itself else ""


Change = Callable[[Any, Any, Rng, Any], str]
VALUES: dict[str, Change] = {
    "another value": _replace,
    "yet another value": _replace,
    "dropped": _drop,
    "added": _add,
    "renamed": _rename,
    "a list": _double,
}


def changed(tree: Any, change: Change, rng: Rng) -> str:
    """Damage one place of a tree, in place."""
    places = _places(tree, [])
    if not places:
        return "nothing there"
    parent, key = places[int(rng.integers(len(places)))]
    return f"{key}: {change(parent, key, rng, tree)}"


def on_description(change: Change) -> Damage:
    """Damage to a YAML or JSON file."""

    def apply(path: Path, rng: Rng) -> str:
        is_json = path.suffix == ".json"
        tree = json.loads(path.read_text()) if is_json else yaml.safe_load(path.read_text())
        told = changed(tree, change, rng)
        try:
            path.write_text(json.dumps(tree) if is_json else yaml.safe_dump(tree))
        except ValueError:  # JSON cannot hold itself
            path.write_text("[" * 100_000)
        return told

    return apply


def on_weights(change: Change) -> Damage:
    """Damage to a checkpoint or to weights."""

    def apply(path: Path, rng: Rng) -> str:
        tree = torch.load(path, weights_only=False)
        tree = tree if type(tree) is dict else dict(tree)
        told = changed(tree, change, rng)
        torch.save(tree, path)
        return told

    return apply


# Arrays


def _odd_number(values: np.ndarray, rng: Rng) -> np.ndarray:
    values = np.array(values)
    if values.size and values.dtype.kind in "fiu":
        odd = (float("nan"), float("inf"), -1.0, 2.0, 1e30) if values.dtype.kind == "f" else (-1, 0, 2**31 - 1, 2**62)
        values.flat[int(rng.integers(values.size))] = odd[int(rng.integers(len(odd)))]
    return values


ARRAYS: dict[str, Callable[[np.ndarray, Rng], np.ndarray | None]] = {
    "a number": _odd_number,
    "another number": _odd_number,
    "dropped": lambda values, rng: None,
    "shorter": lambda values, rng: np.atleast_1d(values)[:-1],
    "turned": lambda values, rng: np.transpose(values),
    "text": lambda values, rng: np.asarray(values).astype(str),
    "zeros": lambda values, rng: np.zeros(np.shape(values), np.int8),
    "objects": lambda values, rng: np.asarray([{}, None], object),
}


def on_arrays(change: Callable[[np.ndarray, Rng], np.ndarray | None]) -> Damage:
    """Damage to one array of an npz."""

    def apply(path: Path, rng: Rng) -> str:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
        name = str(rng.choice(sorted(arrays)))
        new = change(arrays.pop(name), rng)
        if new is not None:
            arrays[name] = new
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        path.write_bytes(buffer.getvalue())
        return name

    return apply


def on_array(change: Callable[[np.ndarray, Rng], np.ndarray | None]) -> Damage:
    """Damage to a lone npy."""

    def apply(path: Path, rng: Rng) -> str:
        new = change(np.load(path), rng)
        if new is None:
            path.unlink()
        else:
            np.save(path, new)
        return ""

    return apply
