"""bigWigs that are damaged, foreign or hold values that cannot be: one clear error, never a crash of the process."""

from __future__ import annotations

import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from numpy.typing import NDArray
from tiny_bigwig import write_raw_bigwig

from seqexp.core.errors import DataError
from seqexp.dna.genome.bigwig import BigWig

SIZES = {"chr1": 2_000, "chr2": 900}


def write(path: Path, values: list[float], chrom: str = "chr1") -> Path:
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader(list(SIZES.items()))
        starts = list(range(0, 10 * len(values), 10))
        handle.addEntries([chrom] * len(values), starts, ends=[start + 5 for start in starts], values=values)
    return path


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 3e38, -2e30])
def test_values_that_cannot_be_are_named(bad: float, tmp_path: Path) -> None:
    """pyBigWig ends the process when asked for the header of such a file."""
    track = BigWig(write(tmp_path / "a.bw", [1.0, 2.0, bad, 3.0], "chr2"))
    for read in (lambda: track.values("chr2", 0, 100), track.summary):
        with pytest.raises(DataError, match=r"the track holds \S+ at chr2:20"):
            read()


@pytest.mark.parametrize("values", [[np.nan], [np.nan] * 3_000])
def test_nothing_but_nan(values: list[float], tmp_path: Path) -> None:
    sizes, blocks = {"chr1": 40_000}, [(0, 1, [(n, n + 1, value)]) for n, value in enumerate(values)]
    write_raw_bigwig(tmp_path / "a.bw", sizes, blocks, per_node=64)
    with pytest.raises(DataError, match="the track holds no value"):
        BigWig(tmp_path / "a.bw").summary()


def test_no_entry_at_all(tmp_path: Path) -> None:
    with pyBigWig.open(str(tmp_path / "a.bw"), "w") as handle:
        handle.addHeader([("chr1", 100)])
    track = BigWig(tmp_path / "a.bw")
    assert np.isnan(track.values("chr1", 0, 100)).all()
    assert track.chroms_with_values() == []
    with pytest.raises(DataError, match="the track holds no value"):
        track.summary()


def test_summary_of_a_header_that_cannot_be_is_counted_instead(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bw", [4.0, np.nan, -1.0])  # the writer's own figures are NaN
    assert BigWig(path).summary() == (10, -1, 4)


def test_other_formats(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bw", [1.0])
    path.write_bytes(b"\xeb\xf2\x89\x87" + path.read_bytes()[4:-4] + b"\xeb\xf2\x89\x87")
    with pytest.raises(DataError, match="is a bigBed, not a bigWig"):
        BigWig(path)
    for content in (b"", b"\x26\xfc\x8f\x88", b"\x1f\x8b\x08" + bytes(100)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"not a bigWig|truncated"):
            BigWig(path)
    with pytest.raises(DataError, match="cannot read the track: Is a directory"):
        BigWig(tmp_path)


def test_indexes_that_lead_in_circles_or_astray(tmp_path: Path) -> None:
    path = tmp_path / "a.bw"
    blocks = [(0, 1, [(10 * n, 10 * n + 5, 1.0)]) for n in range(8)]
    at = write_raw_bigwig(path, SIZES, blocks)
    content = path.read_bytes()
    root = at["index"] + 48
    for place, value, told in (
        (root + 4 + 16, root, "leads twice to"),
        (root + 4 + 16, 1 << 60, "bytes at 1152921504606846976 are asked for"),
        (at["index"], 0, "index of intervals does not begin"),
        (at["tree"], 0, "list of chromosomes does not begin"),
        (at["tree"] + 16, 7, "lists 2 chromosomes and announces 7"),
        (at["data"] + 8, 0, "cannot be decompressed"),
    ):
        path.write_bytes(content[:place] + value.to_bytes(8, "little") + content[place + 8 :])
        with pytest.raises(DataError, match=told):
            BigWig(path).values("chr1", 0, 100)


def test_blocks_that_are_not_what_the_index_says(tmp_path: Path) -> None:
    path = tmp_path / "a.bw"
    at = write_raw_bigwig(path, SIZES, [(0, 1, [(10, 15, 1.0), (20, 25, 2.0)])], is_compressed=False)
    content = path.read_bytes()
    block = at["data"] + 8
    for place, value, told in (
        (block, b"\1", "is not what its index says"),  # another chromosome
        (block + 20, b"\4", "is not what its index says"),  # an unknown kind
        (block + 22, b"\xff\xff", "is not what its index says"),  # more items than bytes
        (block + 24, b"\xff", "ends before it starts"),
    ):
        path.write_bytes(content[:place] + value + content[place + len(value) :])
        with pytest.raises(DataError, match=told):
            BigWig(path).values("chr1", 0, 100)


@pytest.mark.parametrize("told", [1, 40, 1 << 30, (1 << 32) - 1])
def test_size_of_blocks_that_the_header_tells_wrongly(told: int, tmp_path: Path) -> None:
    path = tmp_path / "a.bw"
    write_raw_bigwig(path, SIZES, [(0, 1, [(n, n + 1, float(n)) for n in range(1_000)])])
    content = path.read_bytes()
    path.write_bytes(content[:52] + told.to_bytes(4, "little") + content[56:])
    np.testing.assert_array_equal(BigWig(path).values("chr1", 0, 1_000), np.arange(1_000))


def test_compressed_blocks_are_checked_to_their_end(tmp_path: Path) -> None:
    path = tmp_path / "a.bw"
    at = write_raw_bigwig(path, SIZES, [(0, 1, [(n, n + 1, 1.0) for n in range(500)])])
    content, block = path.read_bytes(), at["data"] + 8
    size = at["index"] - block
    bomb = zlib.compress(bytes(size * 2_000))[:size]
    cut = content[block : block + size - 5] + bytes(5)
    wrong_sum = content[block : block + size - 1] + bytes([content[block + size - 1] ^ 1])
    for damaged, told in ((bomb, "does not end"), (cut, "cannot be decompressed"), (wrong_sum, "incorrect data check")):
        path.write_bytes(content[:block] + damaged + content[block + size :])
        with pytest.raises(DataError, match=told):
            BigWig(path).values("chr1", 0, 10)


def test_every_bit_of_a_block_is_read_as_zlib_reads_it(tmp_path: Path) -> None:
    """Blocks are inflated by another library than zlib: it must accept no block that zlib refuses."""

    def read(path: Path) -> NDArray[np.float32]:
        with closing(BigWig(path)) as track:
            return track.values("chr1", 0, 30)

    path = tmp_path / "a.bw"
    at = write_raw_bigwig(path, SIZES, [(0, 1, [(4 * n, 4 * n + 3, n / 7) for n in range(6)])])
    content, block = path.read_bytes(), at["data"] + 8
    expected = read(path)
    num_refused = 0
    for place in range(8 * (at["index"] - block)):
        damaged = bytearray(content)
        damaged[block + place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        try:
            zlib.decompress(damaged[block : at["index"]])
        except zlib.error:
            num_refused += 1
            with pytest.raises(DataError, match="cannot be decompressed"):
                read(path)
        else:
            np.testing.assert_array_equal(read(path), expected)
    assert num_refused > 0.9 * place


def test_random_damage_gives_values_or_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.bw"
    rng = np.random.default_rng(0)
    blocks = [(n // 6, 1 + n % 3, [(30 * n + 9 * k, 30 * n + 9 * k + 4, 1.5) for k in range(3)]) for n in range(12)]
    num_errors = 0
    for is_compressed in (True, False):
        write_raw_bigwig(path, SIZES, blocks, is_compressed=is_compressed)
        content = path.read_bytes()
        for _ in range(150):
            damaged = bytearray(content)
            for place in rng.integers(0, len(content), rng.integers(1, 4)):
                damaged[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, damaged[place] ^ 1 << rng.integers(0, 8)])
            path.write_bytes(bytes(damaged))
            try:
                track = BigWig(path)
                for chrom, size in track.chroms().items():
                    assert len(track.values(chrom, 0, min(size, 2_000))) == min(size, 2_000)
                track.chroms_with_values()
                track.summary()
            except DataError:
                num_errors += 1
    assert num_errors > 50
