"""Read weights and the configuration beside them; nothing in a file is executed."""

from __future__ import annotations

import pickle
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


def read_weights(path: Path) -> Weights:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, a file written by torch, or a folder that holds one under its usual name.

    Raises
    ------
    DataError
        No such file, an incomplete one, or one that needs code to be executed.
    MissingExtraError
        A safetensors file without the package to read it.
    """
    path = _find(Path(path))
    content: Any = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    named = content.get("state_dict", content) if isinstance(content, dict) else {}
    found = {name: tensor for name, tensor in named.items() if isinstance(tensor, Tensor)}
    if not found:
        raise DataError("the file holds no named weights", where=path, expected="a dictionary of tensors")
    return Weights(path, found, _read_config(path.with_name("config.json")))


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
        raise DataError(
            "the file holds Python objects besides weights, which would have to be executed",
            where=path,
            expected="a file of tensors only",
            fix="where you trust its source, load it once and save its weights as safetensors",
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"the weights cannot be read: {error}", where=path, expected="a complete file")


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
