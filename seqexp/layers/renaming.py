"""Names of a checkpoint into names of an encoder, with an account of every key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqexp.core.errors import DataError
from seqexp.layers.weights import Weights


class KeyReport(NamedTuple):
    """What became of the keys of a checkpoint."""

    loaded: Sequence[str]  # copied into the encoder
    checked: Sequence[str]  # tied copies and constants, found to be as expected
    left_out: Sequence[str]  # of heads the encoder does not have

    def render(self) -> str:
        """One line per kind."""
        lines = []
        for kind, names in zip(("loaded", "checked", "left out"), self):
            listed = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            lines.append(f"{kind:<9}{len(names):>5}  {listed}")
        return "\n".join(lines)


class Renamed(NamedTuple):
    """A checkpoint in the names of an encoder."""

    tensors: dict[str, Tensor]
    source: dict[str, str]  # name in the encoder -> name in the checkpoint
    checked: list[str]
    left_out: list[str]


def rename(weights: Weights, table: Mapping[str, str], left_out: str) -> Renamed:
    """Apply ``table`` of patterns (whole names, first match wins) to all names.

    Parameters
    ----------
    weights : Weights
    table : mapping of str to str
        Pattern to name in the encoder, as for :func:`re.sub`. Several names may lead to one: they must hold the same
        values. An empty name marks what is checked elsewhere.
    left_out : str
        Pattern of names that belong to heads.

    Raises
    ------
    DataError
        A name that no pattern knows, or tied weights that differ.
    """
    found = Renamed({}, {}, [], [])
    unknown = []
    for name, tensor in weights.tensors.items():
        pattern = next((pattern for pattern in table if re.fullmatch(pattern, name)), None)
        if pattern is not None:
            _place(found, name, re.sub(pattern, table[pattern], name), tensor, weights=weights)
        elif re.fullmatch(left_out, name):
            found.left_out.append(name)
        else:
            unknown.append(name)
    if unknown:
        raise DataError(
            f"{len(unknown)} weights of another architecture: " + ", ".join(unknown[:5]),
            where=weights.path,
            expected="only names of the published layout",
        )
    return found


def _place(found: Renamed, name: str, target: str, tensor: Tensor, *, weights: Weights) -> None:
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


def load_exactly(encoder: nn.Module, renamed: Renamed, weights: Weights) -> KeyReport:
    """Copy weights into an encoder; every weight of either must be in the other.

    Raises
    ------
    DataError
        Names that are missing or left over, or other shapes, with their names in the checkpoint where they have one.
    """
    own = encoder.state_dict()
    tensors = {
        name: tensor.reshape(own[name].shape) if name in own and tensor.numel() == own[name].numel() else tensor
        for name, tensor in renamed.tensors.items()
    }
    problems = [f"missing: {name}" for name in own if name not in tensors]
    problems += [f"left over: {renamed.source[name]}" for name in tensors if name not in own]
    problems += [
        f"{renamed.source[name]}: {tuple(tensor.shape)} instead of {tuple(own[name].shape)}"
        for name, tensor in tensors.items()
        if name in own and tensor.shape != own[name].shape
    ]
    if problems:
        raise DataError(
            f"{len(problems)} weights do not fit {type(encoder).__name__}: " + "; ".join(problems[:5]),
            where=weights.path,
            expected=f"its {len(own)} weights, all of them and nothing else",
        )
    encoder.load_state_dict(tensors)
    return KeyReport(list(renamed.source.values()), renamed.checked, renamed.left_out)


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
