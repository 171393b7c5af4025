"""Matrix Market files of counts against scipy; what holds none, and what is damaged, is an error and never a crash."""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy import io, sparse

from seqexp.core.errors import DataError
from seqexp.histology.slides.matrix_market import read_matrix_market

HEADER = "%%MatrixMarket matrix coordinate integer general\n"
BODY = "%\n\n3 4 2\n1 1 5\n3 4 7\n"


@pytest.mark.parametrize("name", ["matrix.mtx", "matrix.mtx.gz"])
@pytest.mark.parametrize("kind", [int, float])
def test_reads_what_scipy_reads(tmp_path: Path, name: str, kind: type) -> None:
    rng = np.random.default_rng(0)
    wanted = sparse.random(40, 30, 0.2, random_state=0, data_rvs=lambda n: rng.integers(1, 99, n)).astype(kind)
    path = tmp_path / name
    with gzip.open(path, "wb") if name.endswith(".gz") else open(path, "wb") as handle:
        io.mmwrite(handle, wanted, comment="as written by scipy")
    np.testing.assert_array_equal(read_matrix_market(path, (40, 30)).toarray(), io.mmread(path).toarray())


def test_an_empty_matrix_is_one(tmp_path: Path) -> None:
    path = tmp_path / "matrix.mtx"
    path.write_text(HEADER + "3 4 0\n")
    assert read_matrix_market(path, (3, 4)).nnz == 0


BROKEN = {
    "pattern": (HEADER.replace("integer", "pattern") + "3 4 1\n1 1\n", "pattern"),
    "complex": (HEADER.replace("integer", "complex") + "3 4 1\n1 1 1 0\n", "complex"),
    "symmetric": (HEADER.replace("general", "symmetric") + BODY, "symmetric"),
    "skew-symmetric": (HEADER.replace("general", "skew-symmetric") + BODY, "skew-symmetric"),
    "hermitian": (HEADER.replace("general", "hermitian") + BODY, "hermitian"),
    "dense": ("%%MatrixMarket matrix array integer general\n1 1\n5\n", "array"),
    "vector": ("%%MatrixMarket vector coordinate integer general\n" + BODY, "no Matrix Market file"),
    "no header": (BODY, "no Matrix Market file"),
    "empty": ("", "no Matrix Market file"),
    "no sizes": (HEADER + "%\n%\n", "no line with the sizes"),
    "two sizes": (HEADER + "3 4\n1 1 5\n", "sizes"),
    "negative sizes": (HEADER + "3 4 -1\n1 1 5\n", "sizes"),
    "huge sizes": (HEADER + "3 99999999999999999999 1\n1 1 5\n", "rows and"),
    "another shape": (HEADER + "4 3 1\n1 1 5\n", "4 rows and 3 columns"),
    "row 0": (HEADER + "3 4 2\n0 1 5\n3 4 7\n", "row 0 of 3"),
    "row beyond": (HEADER + "3 4 2\n1 1 5\n4 4 7\n", "row 4 of 3"),
    "column beyond": (HEADER + "3 4 2\n1 1 5\n3 5 7\n", "column 5 of 4"),
    "negative row": (HEADER + "3 4 2\n-1 1 5\n3 4 7\n", "row -1 of 3"),
    "row beyond 64 bits": (HEADER + "3 4 2\n1 1 5\n99999999999999999999 4 7\n", "not a number|of 3"),
    "one entry less": (HEADER + "3 4 3\n1 1 5\n3 4 7\n", "3 of 3 are stated"),
    "one entry more": (HEADER + "3 4 1\n1 1 5\n3 4 7\n", "1 of 3 are stated"),
    "no entries": (HEADER + "3 4 1\n", "damaged"),
    "a number less": (HEADER + "3 4 2\n1 1 5\n3 4\n", "damaged"),
    "a number more": (HEADER + "3 4 2\n1 1 5\n3 4 7 8\n", "damaged"),
    "four numbers each": (HEADER + "3 4 2\n1 1 5 1\n3 4 7 8\n", "damaged"),
    "text": (HEADER + "3 4 2\n1 1 5\n3 4 x\n", "'x' is not a number"),
    "missing": (HEADER + "3 4 2\n1 1 5\n3 4 NA\n", "'NA' is not a number"),
    "truth": (HEADER + "3 4 2\n1 1 True\n3 4 True\n", "damaged"),
    "fractional row": (HEADER + "3 4 2\n1.5 1 5\n3 4 7\n", "damaged"),
    "a place twice": (HEADER + "3 4 2\n1 1 5\n1 1 7\n", "a place that has one already"),
    "bytes": (HEADER + "3 4 2\n1 1 5\n\x00\x01\x02 4 7\n", "damaged"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("end", ["", ".gz"])
def test_what_holds_no_counts_or_is_damaged_is_one_error(tmp_path: Path, name: str, end: str) -> None:
    text, told = BROKEN[name]
    path = tmp_path / f"matrix.mtx{end}"
    path.write_bytes(gzip.compress(text.encode()) if end else text.encode())
    with pytest.raises(DataError, match=told):
        read_matrix_market(path, (3, 4))


def test_any_byte_may_be_damaged(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    whole = (HEADER + BODY).encode()
    packed = gzip.compress(whole)
    for number in range(150):
        data = bytearray(packed if number % 2 else whole)
        for place in rng.integers(0, len(data), 2):
            data[place] = rng.integers(256)
        path = tmp_path / ("matrix.mtx.gz" if number % 2 else "matrix.mtx")
        path.write_bytes(bytes(data[: rng.integers(len(data) // 2, len(data) + 1)]))
        with suppress(DataError):
            assert read_matrix_market(path, (3, 4)).shape == (3, 4)
