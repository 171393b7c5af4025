"""Counts of spots and genes as a sound sparse matrix of whole numbers, whatever a file held."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from seqexp.core.errors import DataError

_LARGEST = np.iinfo(np.int32).max


def whole_counts(counts: Any, where: str | Path) -> sparse.csr_matrix:
    """Counts as CSR int32 (S, G).

    Raises
    ------
    DataError
        The matrix is damaged, or a count is negative, not finite, not whole or too large.
    """
    matrix = sound(counts, where)
    values = matrix.data
    is_bad = ~np.isfinite(values) | (values < 0) | (values != np.floor(values)) | (values > _LARGEST)
    if is_bad.any():
        examples = ", ".join(f"{value:.9g}" for value in values[is_bad][:3])
        bad = values[is_bad]
        is_negative = bool((bad < 0).any())
        kind = "negative" if is_negative else "too large" if (bad > _LARGEST).all() else "not whole numbers"
        raise DataError(
            f"{int(is_bad.sum())} counts are {kind}: {examples}",
            where=where,
            expected=f"raw counts: whole numbers from 0 to {_LARGEST}",
            fix="give the raw counts, not normalised or log-transformed values",
        )
    matrix.eliminate_zeros()
    return matrix.astype(np.int32)


def sound(counts: Any, where: str | Path) -> sparse.csr_matrix:
    """A matrix read from a file as CSR, its indices checked before anything computes with them.

    scipy trusts the indices of a compressed matrix: those of a damaged file would be followed out of memory.

    Raises
    ------
    DataError
        Indices lie outside the matrix, a place is given twice, or the values are no numbers.
    """
    try:
        if sparse.issparse(counts):
            if hasattr(counts, "check_format"):
                counts.check_format(full_check=True)
        else:
            counts = np.asarray(counts)
            if counts.ndim != 2:
                raise ValueError(f"{counts.ndim} dimensions instead of 2")
        if counts.dtype.kind not in "iuf":  # yes and no are not counted
            raise ValueError(f"values of type {counts.dtype}")
        counts = counts.astype(np.float32) if counts.dtype == np.float16 else counts  # which scipy does not know
        matrix = sparse.csr_matrix(counts, copy=True)
        num = matrix.nnz
        matrix.sum_duplicates()
        if matrix.nnz < num:
            raise ValueError(f"{num - matrix.nnz} places are given twice")
    except (ValueError, TypeError, IndexError, AttributeError, MemoryError) as error:
        raise DataError(
            f"the matrix of counts is damaged: {error}", where=where, expected="spots x genes, every place once"
        ) from error
    return matrix


def sum_columns(counts: sparse.spmatrix, symbols: Iterable[str]) -> tuple[sparse.csr_matrix, tuple[str, ...], int]:
    """Counts with the columns of one symbol summed, the symbols in order of appearance, and how many columns went."""
    codes, unique = pd.factorize(pd.Index(symbols))
    if len(unique) == len(codes):
        return sparse.csr_matrix(counts), tuple(unique), 0
    merge = sparse.csr_matrix((np.ones(len(codes), np.int64), (np.arange(len(codes)), codes)))
    return sparse.csr_matrix(counts @ merge), tuple(unique), len(codes) - len(unique)
