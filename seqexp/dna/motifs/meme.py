"""Motifs of transcription factors from MEME files: base probabilities per position."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError

_UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError)
_NUM_SITES = 20  # what MEME itself assumes where a file does not say
_SUM_TOLERANCE = 0.05  # some catalogues print three digits


@dataclass(frozen=True)
class PositionMatrix:
    """A binding preference.

    Attributes
    ----------
    name : str
    probabilities : float64 (W, C)
        Base probabilities per position, C = A, C, G, T; each row adds up to 1.
    num_sites : float
        Sites the matrix was made from; pseudocounts weigh little against many.
    """

    name: str
    probabilities: NDArray[np.float64]
    num_sites: float = _NUM_SITES

    @property
    def width(self) -> int:
        """Length in bases."""
        return len(self.probabilities)


def read_meme(path: str | Path) -> dict[str, PositionMatrix]:
    """Motifs of a file in the text format of MEME, plain or gzip, by name and in the order of the file.

    Parameters
    ----------
    path : path
        Only letter-probability matrices are read: log-odds matrices depend on a background that is not ours.

    Raises
    ------
    DataError
        The file is missing or damaged, its alphabet is not DNA, it holds no motif or one name twice, or a matrix is
        incomplete.

    Source
    ------
    MEME motif format, https://meme-suite.org/meme/doc/meme-format.html (minimal format, versions 4 and 5).
    """
    path = Path(path)
    lines = _lines(path)
    if not any(line.startswith("MEME version") for line in lines):
        raise DataError("no line 'MEME version'", where=path, expected="motifs in the text format of MEME")
    for line in lines:
        if line.upper().startswith("ALPHABET") and line[8:].strip(" =") not in ("ACGT", '"DNA"', '"DNA" DNA-LIKE'):
            raise DataError(f"{line!r}", where=path, expected="ALPHABET= ACGT")
    motifs: dict[str, PositionMatrix] = {}
    name = ""
    for number, line in enumerate(lines):
        if line.startswith("MOTIF"):
            name = [*line.split(), ""][1]
        elif line.startswith("letter-probability matrix"):
            where = f"{path}, line {number + 1}, motif {name!r}"
            if not name or name in motifs:
                found = f"motif {name!r} comes twice" if name else "a matrix without a name"
                raise DataError(found, where=where, expected="one matrix after each line MOTIF")
            motifs[name] = PositionMatrix(name, _matrix(lines, number, where), _number(line, "nsites", _NUM_SITES))
    if not motifs:
        raise DataError("no letter-probability matrix", where=path, expected="at least one motif")
    return motifs


def _lines(path: Path) -> list[str]:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8") as handle:
            return [line.strip() for line in handle]
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, fix="check the path") from error
    except _UNREADABLE as error:
        raise DataError(f"the file cannot be read: {error}", where=path, expected="a whole MEME file") from error


def _number(line: str, key: str, default: float) -> float:
    """Value of ``key= 12`` in the head of a matrix."""
    match = re.search(rf"\b{key}=\s*([\d.eE+-]+)", line)
    value = float(match[1]) if match else default
    return value if value > 0 else default


def _matrix(lines: list[str], head: int, where: str) -> NDArray[np.float64]:
    """Rows of numbers that follow a head, with or without blank lines before them, brought to a sum of 1."""
    rows: list[list[float]] = []
    for line in lines[head + 1 :]:
        try:
            row = [float(cell) for cell in line.split()]
        except ValueError:
            break
        if not row and rows:
            break
        if row:
            rows.append(row)
    width = int(_number(lines[head], "w", len(rows)))
    if len(rows) != width or not rows or {len(row) for row in rows} != {4}:
        raise DataError(f"a matrix of {len(rows)} rows", where=where, expected=f"{width} rows of 4 numbers")
    found = np.array(rows)
    total = found.sum(axis=1, keepdims=True)
    if (found < 0).any() or (np.abs(total - 1) > _SUM_TOLERANCE).any():
        raise DataError("a row is no probabilities", where=where, expected="numbers from 0 that add up to 1")
    return np.asarray(found / total, dtype=np.float64)
