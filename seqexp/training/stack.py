"""Config files laid over each other: the shipped default, what a file is based on, the file itself, the next one.

A file may begin with ``base: [FILE, ...]``: those lie under it, found beside it or among the shipped configs, and may
have bases of their own. Each base is laid once, where it is first named, so that none undoes what lies above it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from seqexp.core.errors import ConfigError
from seqexp.core.resources import shipped
from seqexp.core.yaml import load_yaml

DEFAULT = "base/default.yaml"
BASE = "base"


def find_config(name: str | Path, beside: Path | None = None) -> Path:
    """A config by path, taken from the folder ``beside`` where one is given, or by its name among the shipped ones."""
    path = Path(name) if beside is None else beside / name
    return path if path.is_file() else shipped("configs", str(name))


def config_stack(names: list[str]) -> list[Path]:
    """Config files in the order they are laid over each other, the shipped default first.

    Raises
    ------
    ConfigError
        A file is missing, is no YAML mapping, writes a key twice or seeds a part of the run apart; bases that lie under
        themselves.
    """
    stack = [find_config(DEFAULT)]
    for name in names:
        path = find_config(name)
        _lay_bases(path, stack, ())
        stack.append(path)
    return stack


def _lay_bases(path: Path, stack: list[Path], above: tuple[Path, ...]) -> None:
    """Put what a file is based on onto the stack, deepest first; ``above`` are the files that led here."""
    above = (*above, path.resolve())
    for name in _bases(path):
        try:
            base = find_config(name, path.parent)
        except ConfigError as error:
            raise ConfigError(f"base: no {name!r}", where=path, expected=error.expected) from error
        if base.resolve() in above:
            circle = " -> ".join(one.name for one in (*above[above.index(base.resolve()) :], base))
            raise ConfigError(
                f"a config lies under itself: {circle}", where=path, fix="take one base out of the circle"
            )
        if base.resolve() not in [laid.resolve() for laid in stack]:
            _lay_bases(base, stack, above)
            stack.append(base)


def _bases(path: Path) -> list[str]:
    """What a file says of its bases, once it is known to be sound."""
    content = load_yaml(path)
    _require_one_seed(content, path)
    bases = content.get(BASE, [])
    if not isinstance(bases, list) or not all(isinstance(name, str) for name in bases):
        raise ConfigError(f"base: {bases!r}", where=path, expected="a list of files, such as [base/yeast.yaml]")
    return bases


def _require_one_seed(content: dict[str, Any], path: Path) -> None:
    own_seeds = [content.get("model"), content.get("data")]
    own_seeds += [part.get("init_args") for part in own_seeds if isinstance(part, dict)]
    if any("seed" in part for part in own_seeds if isinstance(part, dict)):
        raise ConfigError(
            "a seed of its own for the model or the data has no effect",
            where=path,
            expected="one seed for the whole run",
            fix="delete the line and set seed_everything",
        )


def own_settings(argument: str) -> str:
    """``--config=FILE`` as the parser takes it: what the file itself says, where it also names bases."""
    option, _, name = argument.partition("=")
    if option != "--config" or not Path(name).is_file() or BASE not in (content := load_yaml(name)):
        return argument
    return f"{option}={yaml.safe_dump({key: value for key, value in content.items() if key != BASE})}"


def stack_text(names: list[str]) -> str:
    """All that the files of a stack say, to tell whether it is the same as before."""
    return "".join(path.read_text(encoding="utf-8") for path in config_stack(names)[1:])
