"""Read weights and the configuration beside them; nothing in a file is executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqexp.core.errors import DataError
from seqexp.core.json_file import load_json
from seqexp.core.optional import require

_NAMES = ("model.safetensors", "pytorch_model.bin", "weights.ckpt")


class Weights(NamedTuple):
    """What a checkpoint holds."""

    path: Path
    tensors: dict[str, Tensor]
    config: dict[str, Any]  # of config.json beside the file; empty without one


def read_weights(path: Path, key_path: str = "", strip_prefix: str = "") -> Weights:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, a file written by torch, or a folder that holds one under its usual name.
    key_path : str
        Where in the file the named weights lie, such as ``model.encoder``; by default at its root or under
        ``state_dict``.
    strip_prefix : str
        Taken off the names that begin with it.

    Raises
    ------
    DataError
        No such file, an incomplete one, one that needs code to be executed, or no weights at ``key_path``.
    MissingExtraError
        A safetensors file without the package to read it.
    """
    path = _find(Path(path))
    content: Any = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    named = _at(content, key_path, path)
    found = {
        name.removeprefix(strip_prefix): tensor
        for name, tensor in (named.items() if isinstance(named, Mapping) else ())
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }
    if not found:
        raise DataError(
            f"no named weights{f' under {key_path}' if key_path else ''}",
            where=path,
            expected="a dictionary of tensors by name",
            fix="where they lie deeper in the file, give key_path",
        )
    return Weights(path, found, _read_config(path.with_name("config.json")))


def _at(content: Any, key_path: str, path: Path) -> Any:
    if not key_path:
        return content.get("state_dict", content) if isinstance(content, Mapping) else content
    for key in key_path.split("."):
        if not isinstance(content, Mapping) or key not in content:
            found = list(content)[:8] if isinstance(content, Mapping) else []
            raise DataError(f"no key {key!r}", where=path, expected="one of: " + (", ".join(map(str, found)) or "none"))
        content = content[key]
    return content


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    package = require("safetensors", "pretrained")
    try:
        return require("safetensors.torch", "pretrained").load_file(str(path))
    except (package.SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            start = file.read(1)
        if start not in (b"P", b"\x80"):  # neither a zip of torch nor a pickle
            raise _unreadable(path, error) from error
        raise DataError(
            "the file holds Python objects besides weights, which would have to be executed",
            where=path,
            expected="a file of tensors only",
            fix="where you trust its source, load it once and save its weights as safetensors",
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"the weights cannot be read: {' '.join(str(error).split())[:200]}", where=path, expected="a complete file"
    )


def _find(path: Path) -> Path:
    if path.is_dir():
        for name in _NAMES:
            if (path / name).is_file():
                return path / name
        raise DataError("no weights in this folder", where=path, expected="one of: " + ", ".join(_NAMES))
    if not path.is_file():
        raise DataError("no such file", where=path, expected="weights that were downloaded before")
    return path


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return load_json(path, "the configuration of the weights")
