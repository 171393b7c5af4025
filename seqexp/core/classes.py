"""Whose classes a config may name. Importing a module runs it, so this is settled before anything is imported."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from seqexp.core.errors import ConfigError

_allowed: ContextVar[tuple[str, ...] | None] = ContextVar("allowed_classes", default=None)
_own: set[str] = set()  # classes that the caller's own code has named to this process: their code has run already


def allowed_packages() -> tuple[str, ...] | None:
    """Packages beside seqexp whose classes a config may name; None where the caller's own code decides."""
    return _allowed.get()


def own_classes() -> tuple[str, ...]:
    """Classes of configs that this process was given by the caller's own code, so that its run folders open again."""
    return tuple(sorted(_own))


def remember_own_classes(settings: Any) -> None:
    """Note every ``class_path`` in the settings of a config that is the caller's own code."""
    if isinstance(settings, dict):
        if isinstance(path := settings.get("class_path"), str):
            module, _, name = path.rpartition(".")
            kind = getattr(sys.modules.get(module), name, None)
            # A class is also judged by where it is defined, which may be another module.
            _own.update({path} if kind is None else {path, f"{kind.__module__}.{kind.__qualname__}"})
        settings = list(settings.values())
    if isinstance(settings, list):
        for value in settings:
            remember_own_classes(value)


@contextmanager
def allow_classes(*packages: str) -> Iterator[None]:
    """Within the block, configs may name classes of seqexp and of these packages only.

    Every command runs in such a block, and so does everything that is read from a run folder; a config that is given
    to :func:`seqexp.training.fit.run_fit` outside of one is the caller's own code.

    Parameters
    ----------
    *packages : str
        Packages, modules or classes by their dotted name.

    Raises
    ------
    ConfigError
        A name that no package can have.
    """
    for name in packages:
        _require_name(name)
    token = _allowed.set((*(_allowed.get() or ()), *packages))
    try:
        yield
    finally:
        _allowed.reset(token)


def add_allow_classes(parser: argparse.ArgumentParser) -> None:
    """Give a command that opens configs or run folders the flag ``--allow-classes``."""
    parser.add_argument(
        "--allow-classes",
        action=_AllowClasses,
        default=[],
        metavar="PACKAGE",
        help="let the config name classes of this package, which are then imported and run; may be repeated "
        "(default: classes of seqexp alone)",
    )


class _AllowClasses(argparse.Action):
    """Adds to what the block of the running command allows."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, value: str | Sequence[Any] | None, option: str | None = None
    ) -> None:
        name = str(value)
        _require_name(name)
        _allowed.set((*(_allowed.get() or ()), name))
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), name])


def _require_name(name: str) -> None:
    is_name = all(part.isidentifier() for part in name.split("."))
    if not is_name or name.split(".")[0] == "jsonargparse":  # it would let a config change what it may do
        raise ConfigError(f"--allow-classes {name!r}", expected="the name of a package, such as mypackage.models")
