"""FASTA files as they come: no index, read-only folders, aliases, damage, other processes."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from Bio import bgzf

from seqexp.core.errors import DataError
from seqexp.dna.genome import fasta_index
from seqexp.dna.genome.fasta_index import cache_folder
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import Reference

TEXT = ">chr1 first\nACGTNacgtn\nRYSWKMAC\n>MT\nTTTTT\n"
WINDOW = Interval("chr1", -2, 12)


def write(path: Path, text: str = TEXT) -> Path:
    if path.suffix == ".gz":
        with bgzf.BgzfWriter(str(path), "wb") as handle:
            handle.write(text.encode())
    else:
        path.write_text(text)
    return path


def long_bgzip(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    bases = "".join(rng.choice(list("ACGT"), 300_000))
    return write(folder / "long.fa.gz", ">chr1\n" + "\n".join(bases[i : i + 60] for i in range(0, 300_000, 60)) + "\n")


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_case_iupac_padding_strand_alias(name: str, tmp_path: Path) -> None:
    reference = Reference(write(tmp_path / name))
    assert reference.chrom_sizes == {"chr1": 18, "MT": 5}
    assert reference.codes(WINDOW).tolist() == [4, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 4, 4]
    reverse = Interval("1", -2, 12, "-")
    assert reference.codes(reverse).tolist() == [4, 4, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 4]
    assert reference.sequence(WINDOW) == "NNACGTNACGTNRY"
    assert reference.sequence(reverse) == "RYNACGTNACGTNN"
    assert reference.codes(Interval("chrM", 0, 5)).tolist() == [3] * 5
    assert reference.codes(Interval("chr1", 500, 503)).tolist() == [4] * 3
    assert reference.codes(Interval("chr1", -9, -4, "-")).tolist() == [4] * 5
    assert reference.codes(Interval("chr1", 3, 3)).size == 0
    with pytest.raises(DataError, match="no chromosome 'chr7' in the FASTA"):
        reference.codes(Interval("chr7", 0, 5))


def test_index_is_built_beside_the_file_and_rebuilt_when_outdated(tmp_path: Path) -> None:
    path = write(tmp_path / "g.fa.gz")
    Reference(path)
    assert {p.name for p in tmp_path.iterdir()} == {"g.fa.gz", "g.fa.gz.fai", "g.fa.gz.gzi"}
    write(path, ">chr1\nAAAA\n")
    os.utime(path, ns=(path.stat().st_atime_ns, (tmp_path / "g.fa.gz.fai").stat().st_mtime_ns + 1_000_000_000))
    assert Reference(path).chrom_sizes == {"chr1": 4}


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_read_only_folder_uses_the_cache(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = write(folder / name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def refuse(target: Path) -> Path:
        if Path(target) == folder:
            raise DataError("cannot write")
        return target

    # A read-only folder does not stop root, under whom tests may run.
    monkeypatch.setattr(fasta_index, "require_writable", refuse)
    assert Reference(path).codes(WINDOW)[2] == 0
    assert [p.name for p in folder.iterdir()] == [name]
    assert len(list(cache_folder().iterdir())) == (2 if name.endswith(".gz") else 1)
    monkeypatch.setattr(fasta_index, "_build", lambda *_: pytest.fail("the cached index should have been found"))
    assert Reference(path).codes(WINDOW)[2] == 0


def test_forked_workers(tmp_path: Path) -> None:
    """Children inherit open files and must not move the parent's position in them, nor the parent theirs."""
    reference = Reference(long_bgzip(tmp_path))
    window = Interval("chr1", 1_000, 90_000, "-")
    expected = reference.codes(window).tobytes()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=lambda: queue.put(reference.codes(window).tobytes())) for _ in range(2)]
    for child in children:
        child.start()
    for _ in range(20):
        assert reference.codes(window).tobytes() == expected
    assert [queue.get(timeout=30) for _ in children] == [expected] * 2
    for child in children:
        child.join()


def test_spawned_workers(tmp_path: Path) -> None:
    reference = Reference(long_bgzip(tmp_path))
    windows = [Interval("chr1", 1_000, 90_000, "-")] * 4
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for found in pool.map(reference.codes, windows, timeout=60):
            np.testing.assert_array_equal(found, reference.codes(windows[0]))


def test_pickle_and_close(tmp_path: Path) -> None:
    reference = Reference(write(tmp_path / "g.fa"))
    copy = pickle.loads(pickle.dumps(reference))
    reference.close()
    assert copy.sequence(WINDOW) == reference.sequence(WINDOW)


def test_corrupt_block_cut_file_and_plain_gzip(tmp_path: Path) -> None:
    path = long_bgzip(tmp_path)
    Reference(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = b"\xff" * 8
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))  # keep the index valid: the damage is in the data
    with pytest.raises(DataError, match="cannot be read at chr1:0-300000"):
        Reference(path).codes(Interval("chr1", 0, 300_000))
    (tmp_path / "long.fa.gz.fai").unlink()
    with pytest.raises(DataError, match="cannot be indexed"):
        Reference(path)
    assert {p.name for p in tmp_path.iterdir()} == {"long.fa.gz", "long.fa.gz.gzi"}

    path.write_bytes(content[:middle])
    with pytest.raises(DataError, match=r"bgzip FASTA is corrupt: its end-of-file block is missing"):
        Reference(path)
    plain = tmp_path / "plain.fa.gz"
    plain.write_bytes(gzip.compress(TEXT.encode()))
    with pytest.raises(DataError, match=r"not with bgzip(.|\n)*bgzip > genome"):
        Reference(plain)


def test_index_of_another_file(tmp_path: Path) -> None:
    path = write(tmp_path / "g.fa")
    (tmp_path / "g.fa.fai").write_text("chr1\t900\t12\t60\t61\n")
    with pytest.raises(DataError, match=r"bases found at chr1:0-900(.|\n)*delete .*g\.fa\.fai"):
        Reference(path).codes(Interval("chr1", 0, 900))
    (tmp_path / "g.fa.fai").write_text("not an index\n")
    with pytest.raises(DataError, match="its index cannot be read"):
        Reference(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.fa", b"", "the FASTA is empty"),
        ("text.fa.gz", b">chr1\nACGT\n", "not compressed"),
        ("zipped.fa", gzip.compress(b">chr1\nACGT\n"), "under a name ending in .gz"),
        ("uneven.fa", b">chr1\nACGT\nAC\nACGT\n", "cannot be indexed"),
        ("twice.fa", b">chr1\nACGT\n>chr1\nACGT\n", r"index cannot be read: Duplicate|cannot be indexed"),
        ("headless.fa", b"ACGT\n", "cannot be indexed"),
    ],
)
def test_unusable_files(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        Reference(tmp_path / name)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the FASTA: No such file"):
        Reference(tmp_path / "none.fa")
