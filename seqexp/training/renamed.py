"""Settings of version 0.1 that went elsewhere, refused with the way there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seqexp.core.errors import ConfigError
from seqexp.core.yaml import load_yaml

_GONE = ("loss", "penalties")


def refuse_renamed(arguments: Iterable[str]) -> None:
    """Look for these settings in the config files and flags of a command.

    Raises
    ------
    ConfigError
        Names file or flag, and what to write.
    """
    for argument in arguments:
        option, _, value = argument.partition("=")
        if option == "--config" and Path(value).is_file():
            model: Any = load_yaml(value).get("model")
            found = [name for name in _GONE if isinstance(model, dict) and name in model]
            where = str(value)
        else:
            found = [name for name in _GONE if f"{option}.".startswith(f"--model.{name}.")]
            where = "the flags of this command"
        if found:
            raise ConfigError(
                f"settings of version 0.1: {', '.join(f'model.{name}' for name in found)}",
                where=where,
                expected="networks that say themselves what they are trained on, see seqexp.objectives.contracts",
                fix="model.loss is model.network.init_args.loss now, where the network has one; model.penalties is "
                "model.loss_weights; a run of version 0.1 is trained again, or read by that version",
            )
