"""Matrix Market files (.mtx) of counts, read as text: a damaged one ends in an error and never in a crash."""

from __future__ import annotations

import gzip
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from seqexp.core.errors import DataError

_KIND = "%%MatrixMarket matrix coordinate integer general"
_FIELDS = ("integer", "unsigned-integer", "real")
_MOST_COMMENTS = 10_000
_UNREADABLE = (OSError, EOFError, zlib.error, ValueError, MemoryError)


def read_matrix_market(path: Path, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Read a file of counts.

    Parameters
    ----------
    path : Path
        Plain or gzip; coordinates, one entry per line.
    shape : pair of int
        Numbers of rows and columns that the lists beside the file have.

    Returns
    -------
    CSR matrix
        Of that shape, float64 or int64.

    Raises
    ------
    DataError
        The file is damaged, holds no counts (pattern, complex, symmetric, hermitian, dense), or has another shape.
    """
    num_lines, stated, num_entries = _header(path)
    if stated != shape:
        raise DataError(
            f"the matrix has {stated[0]} rows and {stated[1]} columns",
            where=path,
            expected=f"{shape[0]} rows and {shape[1]} columns, as the lists of features and barcodes beside it",
            fix="give the three files of one folder; download them again",
        )
    if not num_entries:
        return sparse.csr_matrix(shape, dtype=np.int64)
    rows, columns, values = _entries(path, num_lines, num_entries)
    for name, index, size in (("row", rows, shape[0]), ("column", columns, shape[1])):
        is_out = (index < 1) | (index > size)
        if is_out.any():
            place = int(np.argmax(is_out))
            raise _damaged(path, f"{name} {index[place]} of {size}", num_lines + place + 1)
    matrix = sparse.coo_matrix((values, (rows - 1, columns - 1)), shape).tocsr()
    if matrix.nnz < num_entries:
        raise _damaged(path, f"{num_entries - matrix.nnz} entries stand for a place that has one already")
    return matrix


def _header(path: Path) -> tuple[int, tuple[int, int], int]:
    """Lines up to the sizes, the sizes, and the number of entries."""
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path, encoding="utf-8") as handle:
            lines = list(islice(handle, 1))
            _require_counts(lines[0].lower().split() if lines else [], path)
            for number, line in enumerate(islice(handle, _MOST_COMMENTS), start=2):
                if line.strip() and not line.startswith("%"):
                    sizes = [int(word) for word in line.split()]
                    if len(sizes) != 3 or min(sizes) < 0:
                        raise ValueError(f"sizes {line.strip()[:60]!r}")
                    return number, (sizes[0], sizes[1]), sizes[2]
            raise ValueError("no line with the sizes")
    except _UNREADABLE as error:
        raise _damaged(path, str(error)) from error


def _require_counts(words: list[str], path: Path) -> None:
    """Refuse a first line, split into words, that is none of a Matrix Market file of counts."""
    if words[:2] != ["%%matrixmarket", "matrix"]:
        raise DataError("no Matrix Market file", where=path, expected=f"a first line {_KIND}")
    if words[2:] not in [["coordinate", field, "general"] for field in _FIELDS]:
        raise DataError(
            f"a matrix of the kind {' '.join(words[2:])[:80]!r}, which is none of counts",
            where=path,
            expected=_KIND,
            fix="write the raw counts, a line per entry",
        )


def _entries(path: Path, num_lines: int, num_entries: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns (both from 1) and values of all entries."""
    try:
        frame = pd.read_csv(path, sep=r"\s+", header=None, skiprows=num_lines, keep_default_na=False, low_memory=False)
    except (*_UNREADABLE, pd.errors.ParserError) as error:
        raise _damaged(path, str(error)) from error
    if len(frame) != num_entries or frame.shape[1] != 3:
        raise _damaged(path, f"{len(frame)} lines of {frame.shape[1]} numbers, {num_entries} of 3 are stated")
    for column, kinds in enumerate(("i", "i", "iuf")):
        if frame[column].dtype.kind not in kinds:
            is_bad = pd.to_numeric(frame[column], errors="coerce").isna()
            place = int(np.argmax(is_bad.to_numpy()))
            raise _damaged(path, f"{frame[column].iloc[place]!r} is not a number", num_lines + place + 1)
    return frame[0].to_numpy(), frame[1].to_numpy(), frame[2].to_numpy()


def _damaged(path: Path, found: str, line: int | None = None) -> DataError:
    return DataError(
        f"the matrix is damaged: {found}",
        where=path if line is None else f"{path}, line {line}",
        expected="lines of row, column and count, as many as its header says",
        fix="download or export it again",
    )
