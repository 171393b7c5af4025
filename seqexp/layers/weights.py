"""The loader of local weights, for both wings: names of a file into names of a module, every key accounted for."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqexp.core.errors import DataError
from seqexp.layers.weights_file import Weights

HEADS = r"(?:fc|head|classifier)\..*"  # of classifiers, which an encoder does not have


class KeyReport(NamedTuple):
    """What became of the keys of a file."""

    loaded: Sequence[str]  # copied into the module
    checked: Sequence[str]  # tied copies, found to be equal, and constants, which the caller compares
    left_out: Sequence[str]  # of heads the module does not have
    missing: Sequence[str] = ()  # weights of the module that the file does not hold, where that is allowed

    def render(self) -> str:
        """One line per kind that there is."""
        lines = []
        for kind, names in zip(("loaded", "checked", "left out", "missing"), self):
            if names or kind != "missing":
                lines.append(f"{kind:<9}{len(names):>5}  {_few(names, 3)}")
        return "\n".join(lines)


class _Renamed(NamedTuple):
    """Weights under the names of a module."""

    tensors: dict[str, Tensor]
    source: dict[str, str]  # name in the module -> name in the file
    checked: list[str]
    left_out: list[str]


def load_weights(
    module: nn.Module,
    weights: Weights,
    table: Mapping[str, str] | None = None,
    left_out: str = HEADS,
    *,
    threshold: float = 1.0,
) -> KeyReport:
    """Copy weights into a module, after every key of both sides was accounted for.

    Parameters
    ----------
    module : nn.Module
    weights : Weights
        Of :func:`~seqexp.layers.weights_file.read_weights`.
    table : mapping of str to str, optional
        Pattern (whole names, first match wins) to name in the module, as for :func:`re.sub`. Several names may lead to
        one: they must hold the same values. An empty name marks what the caller checks. Without a table, names are
        those of the module. Shapes may differ by axes of length 1.
    left_out : str
        Pattern of names that belong to heads; what the module has of them is loaded all the same.
    threshold : float
        Least share of the module's weights that the file must hold; the rest keep their values, and the report names
        them.

    Returns
    -------
    KeyReport

    Raises
    ------
    DataError
        Names that are missing or left over, other shapes, or tied weights that differ; nothing was copied then.
    """
    own = module.state_dict()
    renamed, unknown = _rename(weights, table, left_out, own)
    tensors = {name: _shaped(tensor, own.get(name)) for name, tensor in renamed.tensors.items()}
    missing = [name for name in own if name not in tensors]
    unknown += [renamed.source[name] for name in tensors if name not in own]
    shapes = [
        f"{renamed.source[name]} {tuple(tensor.shape)} instead of {tuple(own[name].shape)}"
        for name, tensor in tensors.items()
        if name in own and tensor.shape != own[name].shape
    ]
    require_match(module, weights.path, missing, left_over=unknown, shapes=shapes, threshold=threshold)
    module.load_state_dict(tensors, strict=not missing)
    return KeyReport(list(renamed.source.values()), renamed.checked, renamed.left_out, missing)


def require_match(
    module: nn.Module,
    where: Path,
    missing: Sequence[str],
    *,
    left_over: Sequence[str] = (),
    shapes: Sequence[str] = (),
    threshold: float = 1.0,
) -> None:
    """Refuse weights that leave a module less than a share ``threshold`` of its own, or that are not its own.

    Raises
    ------
    DataError
        One message that counts what matches and names the rest.
    """
    num = len(module.state_dict())
    num_matched = num - len(missing) - len(shapes)
    if left_over or shapes or num_matched < threshold * num:
        raise DataError(
            f"{num_matched} of the {num} weights of {type(module).__name__} match; missing: {_few(missing)}; "
            f"left over: {_few(left_over)}; of another shape: {_few(shapes)}",
            where=where,
            expected="every weight of this architecture" if threshold == 1 else f"{threshold:.0%} of them at the least",
            fix="check the architecture, and where in the file its weights lie under which names",
        )


def _rename(
    weights: Weights, table: Mapping[str, str] | None, left_out: str, own: Container[str]
) -> tuple[_Renamed, list[str]]:
    """Weights under the names that ``table`` gives them, and names that it does not know."""
    found, unknown = _Renamed({}, {}, [], []), []
    for name, tensor in weights.tensors.items():
        target = _target(name, table) if table is not None else name if name in own else None
        if target is not None:
            _place(found, name, target, tensor, weights=weights)
        elif re.fullmatch(left_out, name):
            found.left_out.append(name)
        else:
            unknown.append(name)
    return found, unknown


def _target(name: str, table: Mapping[str, str]) -> str | None:
    pattern = next((pattern for pattern in table if re.fullmatch(pattern, name)), None)
    return None if pattern is None else re.sub(pattern, table[pattern], name)


def _place(found: _Renamed, name: str, target: str, tensor: Tensor, *, weights: Weights) -> None:
    if not target:
        found.checked.append(name)
    elif target not in found.tensors:
        found.tensors[target], found.source[target] = tensor, name
    elif torch.equal(found.tensors[target].flatten(), tensor.flatten()):
        found.checked.append(name)
    else:
        raise DataError(
            f"{name} and {found.source[target]} differ",
            where=weights.path,
            expected="weights that are tied to be equal",
        )


def _shaped(tensor: Tensor, own: Tensor | None) -> Tensor:
    """The tensor in the shape of the module's own, where they differ by axes of length 1."""
    sizes = [size for size in tensor.shape if size != 1]
    return tensor.reshape(own.shape) if own is not None and sizes == [n for n in own.shape if n != 1] else tensor


def _few(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more or "none"


def expect_settings(weights: Weights, expected: Mapping[str, Sequence[object]]) -> None:
    """Compare ``config.json``, where there is one, with what the encoders can do.

    Raises
    ------
    DataError
        A setting with another value; absent settings are taken to be the published ones.
    """
    for name, allowed in expected.items():
        if name in weights.config and weights.config[name] not in allowed:
            raise DataError(
                f"{name} is {weights.config[name]!r}",
                where=weights.path.with_name("config.json"),
                expected="one of: " + ", ".join(map(repr, allowed)),
            )


def count_layers(weights: Weights) -> int:
    """Number of different ``layers.<number>.`` among the names."""
    numbers = {match[1] for name in weights.tensors if (match := re.search(r"\blayers\.(\d+)\.", name))}
    return len(numbers)


def shape_of(weights: Weights, ending: str) -> torch.Size:
    """Shape of the first weight whose name ends so.

    Raises
    ------
    DataError
        There is none.
    """
    for name, tensor in weights.tensors.items():
        if name.endswith(ending):
            return tensor.shape
    raise DataError(f"no weight named …{ending}", where=weights.path, expected="the published layout")
