"""The errors a user may see: each says what was found, where, what was expected and how to fix it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

_Named = TypeVar("_Named")


class SeqexpError(Exception):
    """A mistake in the input or the environment, told in one message; commands print it and exit with 2.

    Parameters
    ----------
    found : str
        What was found, as one sentence.
    where : str or Path, optional
        File, row, chromosome or key it was found at.
    expected : str, optional
        What would have been right.
    fix : str, optional
        The command, key or edit that repairs it.
    """

    def __init__(
        self, found: str, *, where: str | Path | None = None, expected: str | None = None, fix: str | None = None
    ) -> None:
        self.found, self.where, self.expected, self.fix = found, where, expected, fix
        lines = [found]
        for label, text in (("where", where), ("expected", expected), ("fix", fix)):
            if text is not None:
                lines.append(f"  {label + ':':<10}{text}")
        super().__init__("\n".join(lines))


class DataError(SeqexpError):
    """A file or table cannot be used as it is."""


class ConfigError(SeqexpError):
    """A setting is unknown, duplicated, impossible or without effect."""


class MissingExtraError(SeqexpError):
    """An optional package is needed and not installed."""

    def __init__(self, module: str, extra: str) -> None:
        self.module, self.extra = module, extra
        super().__init__(
            f"the optional package {module!r} is not installed",
            expected=f"{module} importable in this environment",
            fix=f"pip install 'seqexp[{extra}]'",
        )


def by_name(named: Mapping[str, _Named], name: str, what: str) -> _Named:
    """What a name stands for; a name that is none is refused with those there are."""
    if name not in named:
        raise ConfigError(f"unknown {what} {name!r}", expected="one of: " + ", ".join(named))
    return named[name]


@contextmanager
def located(where: str | Path) -> Iterator[None]:
    """Say where a value was written of which the code inside knows only that it is wrong."""
    try:
        yield
    except (ConfigError, DataError) as error:
        if error.where is not None:
            raise
        raise type(error)(error.found, where=where, expected=error.expected, fix=error.fix) from error
