"""Predict gene expression from the DNA and the signals that control it, and find the elements that matter."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    load: Callable[..., Any]

__version__ = "0.2.0"

# What the package offers, and where it lives: imported when it is first asked for, so that the import costs nothing.
_OFFERED = {"load": "seqexp.api.load", "Interval": "seqexp.dna.genome.interval"}


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module 'seqexp' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_OFFERED[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_OFFERED])
