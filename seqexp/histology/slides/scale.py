"""How wide a pixel is: one table of units and one reader of numbers for everything that states a scale."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from seqexp.core.errors import DataError

PLAUSIBLE_MPP = (0.05, 100.0)
AGREEMENT = 0.05  # a given and a stated scale may differ by this share
_SQUARE = 0.01  # and the two sides of a pixel by this one
# Resolution tags say what a printer should do unless they say this much or finer: 2,540 dots per inch.
_COARSEST_RESOLUTION_UM = 10.0

_MICRONS = {
    "pm": 1e-6,
    "å": 1e-4,
    "nm": 1e-3,
    "μm": 1.0,
    "um": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "in": 25_400.0,
    "pt": 25_400.0 / 72,
}
_NAMES = {
    "angstrom": "å",
    "nanomet": "nm",
    "micromet": "μm",
    "micron": "μm",
    "millimet": "mm",
    "centimet": "cm",
    "inch": "in",
    "met": "m",
}
_NAME = re.compile("(" + "|".join(_NAMES) + ")(er|re)?(e?s)?")
_PER_PIXEL = re.compile(r"\s*(/|\bper\b)\s*(px|pixel)s?$")
_UNCALIBRATED = ("", "pixel", "pixels", "px", "reference frame", "none")
_LENGTH = re.compile(r"([+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.DOTALL)


class ScaleError(ValueError):
    """A length that cannot be understood; the message says why."""


def microns_of_unit(unit: str) -> float | None:
    """Microns of one unit; None for words that mean "not calibrated", such as pixel.

    ``um/px`` and ``microns per pixel`` are microns. Both code points of mu count as one, as do entities
    (``&#181;m``), ImageJ's ``\\u00B5m`` and names in full.

    Raises
    ------
    ScaleError
        The unit is not known.
    """
    word = unicodedata.normalize("NFKC", html.unescape(unit.replace("\\u00B5", "µ").replace("\\u00b5", "µ")))
    word = word.replace("Âμ", "μ").strip().rstrip(".").casefold()  # UTF-8 that was read as Latin-1
    word = _PER_PIXEL.sub("", word)
    if word in _UNCALIBRATED:
        return None
    named = _NAME.fullmatch(word)
    found = _MICRONS.get(_NAMES[named[1]] if named else {'"': "in"}.get(word, word))
    if found is None:
        raise ScaleError(f"the unit {unit.strip()!r} is not known")
    return found


def microns_of(text: str, unit: str = "um") -> float | None:
    """A length in microns: a number, with a decimal point or comma, and a unit behind it or given apart.

    Parameters
    ----------
    text : str
        Such as ``0.5``, ``5e-1``, ``0,5``, ``0.25 µm``.
    unit : str
        Unit of a number that has none behind it.

    Returns
    -------
    float or None
        None where the unit means "not calibrated".

    Raises
    ------
    ScaleError
        It is no number above 0, or the unit is not known.
    """
    found = _LENGTH.fullmatch(text.strip())
    if not found:
        raise ScaleError(f"{text.strip()!r} is not a number")
    factor = microns_of_unit(found[2] or unit)
    value = float(found[1].replace(",", "."))
    if factor is None:
        return None
    if not isfinite(value) or value <= 0:
        raise ScaleError(f"{text.strip()} is not above 0")
    return value * factor


@dataclass(frozen=True)
class Stated:
    """What a file says about the width of its pixels.

    Parameters
    ----------
    source : str
        Where in the file.
    x_um, y_um : float or None
        Width and height of a pixel; None where what it says cannot be used.
    problem : str
        Why it cannot.
    is_weak : bool
        From resolution tags, which programs copy without thinking, or from beside the image: a given scale overrules
        it, and the check of the data tells by how much.
    """

    source: str
    x_um: float | None = None
    y_um: float | None = None
    problem: str = ""
    is_weak: bool = False

    @classmethod
    def read(cls, source: str, lengths: Callable[[], tuple[float | None, float | None]]) -> Stated | None:
        """What the lengths (x, y) say that a function returns or cannot understand; None if they say nothing."""
        try:
            x_um, y_um = lengths()
        except ScaleError as error:
            return cls(source, problem=str(error))
        if x_um is None and y_um is None:
            return None
        return cls(source, x_um or y_um, y_um or x_um)

    @property
    def is_square(self) -> bool:
        """Both sides are known and equal within 1 %."""
        return bool(self.x_um and self.y_um) and abs(self.x_um / self.y_um - 1) <= _SQUARE  # type: ignore[operator]


def stated_by_resolution(
    source: str, x_per_unit: float, y_per_unit: float, unit: str, *, is_weak: bool = True
) -> Stated | None:
    """From pixels per unit of length; None where that is a resolution for printing, or no unit is given."""
    factor = microns_of_unit(unit)
    if factor is None or not all(isfinite(value) and value > 0 for value in (x_per_unit, y_per_unit)):
        return None
    x_um, y_um = factor / x_per_unit, factor / y_per_unit
    if (is_weak or factor == _MICRONS["in"]) and max(x_um, y_um) > _COARSEST_RESOLUTION_UM:
        return None
    return Stated(source, x_um, y_um, is_weak=is_weak)


def checked_mpp(given: object, stated: Stated | None, path: Path) -> float:
    """Microns per pixel from what the user gives and what the file states.

    Raises
    ------
    DataError
        Neither is known, what is given is impossible, the two contradict each other, or pixels are not square.
    """
    if stated is not None and not stated.problem and not stated.is_square:
        raise DataError(
            f"pixels are not square: {stated.x_um:.4g} x {stated.y_um:.4g} um ({stated.source})",
            where=path,
            expected="as many microns per pixel in x as in y",
            fix="resample the image to square pixels, and the positions of the spots with it",
        )
    if given is not None:
        mpp = read_mpp(given, path)
    elif stated is not None and stated.x_um is not None:
        mpp = _plausible(stated.x_um, path, f" ({stated.source})")
    else:
        told = f"; the file says {stated.source}, but {stated.problem}" if stated is not None else ""
        raise DataError(
            f"the scale of the image is not known{told}",
            where=path,
            expected="microns per pixel (mpp) of the full-resolution image",
            fix="add mpp: NUMBER to the slide; the distance of two spots in pixels gives it where the pitch is known",
        )
    if given is not None and stated is not None and not stated.is_weak and differs(mpp, stated.x_um):
        raise DataError(
            f"mpp is given as {mpp:g}, the file says {stated.x_um:g}",
            where=path,
            expected=f"the same scale as in {stated.source}",
            fix="remove mpp from the description, or correct it",
        )
    return mpp


def differs(mpp: float, stated_um: float | None) -> bool:
    """Whether a scale is stated that differs by more than 5 %."""
    return stated_um is not None and abs(mpp / stated_um - 1) > AGREEMENT


def read_mpp(given: object, where: str | Path) -> float:
    """Microns per pixel as a user writes them: a number, or a length such as ``250 nm``.

    Raises
    ------
    DataError
        It is no number, or no slide has such a scale.
    """
    try:
        if isinstance(given, bool) or not isinstance(given, (int, float, str)):
            raise ScaleError("it is not a number")
        mpp = microns_of(given if isinstance(given, str) else repr(given))
        if mpp is None:
            raise ScaleError("the unit is no length")
    except ScaleError as error:
        raise _impossible(f"{given!r} microns per pixel: {error}", where) from error
    return _plausible(mpp, where)


def _plausible(mpp: float, where: str | Path, source: str = "") -> float:
    if not PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1]:
        raise _impossible(f"{mpp:.4g} microns per pixel{source}", where)
    return float(mpp)


def _impossible(found: str, where: str | Path) -> DataError:
    expected = "a number from {} to {}".format(*PLAUSIBLE_MPP)
    return DataError(found, where=where, expected=expected, fix="mpp: NUMBER, in microns per pixel of this image")
