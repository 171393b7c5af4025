"""FASTA files as they come: no index, read-only folders, aliases, damage, other processes."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import pickle
import re
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from Bio import bgzf

from seqexp.core.errors import DataError
from seqexp.dna.genome import fasta_index
from seqexp.dna.genome.fasta_bytes import FastaBytes
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
    assert {p.name for p in tmp_path.iterdir()} == {"g.fa.gz", "g.fa.gz.fai"}
    write(path, ">chr1\nAAAA\n")
    os.utime(path, (0, 0))  # as archives and copies leave it: older than the index of the file before
    with pytest.warns(UserWarning, match=r"g\.fa\.gz\.fai does not belong to the FASTA"):
        assert Reference(path).chrom_sizes == {"chr1": 4}
    assert Reference(path).index_note == "g.fa.gz.fai"


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
    assert len(list(cache_folder().iterdir())) == 1
    monkeypatch.setattr(fasta_index, "_built", lambda *_: pytest.fail("the cached index should have been found"))
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
    with pytest.raises(DataError, match="the bgzip FASTA is corrupt: block at byte"):
        Reference(path).codes(Interval("chr1", 0, 300_000))
    (tmp_path / "long.fa.gz.fai").unlink()
    with pytest.raises(DataError, match="cannot be indexed"):
        Reference(path)
    assert {p.name for p in tmp_path.iterdir()} == {"long.fa.gz"}

    path.write_bytes(content[:middle])
    with pytest.raises(DataError, match=r"bgzip FASTA is corrupt: its end-of-file block is missing"):
        Reference(path)
    plain = tmp_path / "plain.fa.gz"
    plain.write_bytes(gzip.compress(TEXT.encode()))
    with pytest.raises(DataError, match=r"not with bgzip(.|\n)*bgzip > genome"):
        Reference(plain)


OTHER_INDEXES = {
    "longer": "chr1\t900\t12\t10\t11\nMT\t5\t36\t5\t6\n",
    "line width": "chr1\t18\t12\t9\t10\nMT\t5\t36\t5\t6\n",
    "offset": "chr1\t18\t13\t10\t11\nMT\t5\t36\t5\t6\n",
    "last offset": "chr1\t18\t12\t10\t11\nMT\t5\t35\t5\t6\n",
    "names exchanged": "MT\t18\t12\t10\t11\nchr1\t5\t36\t5\t6\n",
    "one record lacking": "chr1\t18\t12\t10\t11\n",
    "first lacking": "MT\t5\t36\t5\t6\n",
    "last too short": "chr1\t18\t12\t10\t11\nMT\t4\t36\t5\t6\n",
    "no lines": "chr1\t18\t12\t0\t0\nMT\t5\t36\t5\t6\n",
    "negative": "chr1\t18\t-12\t10\t11\nMT\t5\t36\t5\t6\n",
    "huge": f"chr1\t{1 << 62}\t12\t10\t11\nMT\t5\t{1 << 62}\t5\t6\n",
    "beyond": f"chr1\t{10**30}\t12\t10\t11\nMT\t5\t36\t5\t6\n",
    "offset beyond": f"chr1\t18\t12\t10\t11\nMT\t5\t{10**30}\t5\t6\n",
    "wide lines": f"chr1\t{10**14}\t12\t{10**13}\t{10**13 + 1}\nMT\t5\t36\t5\t6\n",
    "twice": "chr1\t18\t12\t10\t11\nchr1\t18\t12\t10\t11\n",
    "no index": "not an index\n",
    "empty": "",
    "binary": "\0\1\2",
}


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
@pytest.mark.parametrize("other", OTHER_INDEXES)
def test_index_of_another_file_is_replaced(other: str, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name)
    Reference(path)
    good = (tmp_path / f"{name}.fai").read_text()
    (tmp_path / f"{name}.fai").write_text(OTHER_INDEXES[other])
    (tmp_path / f"{name}.gzi").write_bytes(b"\1" + bytes(7) + b"\xff" * 16)
    with pytest.warns(UserWarning, match=r"does not belong to the FASTA and was not used"):
        reference = Reference(path)
    assert reference.sequence(Interval("chr1", 0, 18)) == "ACGTNACGTNRYSWKMAC"
    assert (tmp_path / f"{name}.fai").read_text() == good


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    "second",
    [
        ">chr1 patch 2\nCCCCGGGGGG\nAA\n>chr2\nAAATTTTTTT\nTTACG\n",  # another header
        ">chr1\nCCCCGAGGGGG\nA\n>chr2\nAAATTTTTTT\nTTACG\n",  # a base more in the first line
        ">chr2\nAAATTTTTTT\nTT\n>chr1\nCCCCGGGGGG\nAAACG\n",  # other order, same lengths
        ">chr1\nCCCCGG\nGGGGAA\n>chr2\nAAATTTTTTT\nTTACG\n",  # other line width, same size of the file
        ">chr1\r\nCCCCGGGGGG\r\nAA\r\n>chr2\r\nAAATTTTTTT\r\nTTACG\r\n",
        ">chr1\nCCCCGGGGGG\nAA\n>chr2\nAAATTTTTTT\nTTACG\n>chr3\nA\n",
        ">chr1\nTTTTGGGGGG\nAA\n>chr2\nAAATTTTTGG\nTTACG\n",  # other bases in the same places: the index holds
    ],
)
def test_file_replaced_under_an_old_time_stamp(second: str, suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"g.fa{suffix}", ">chr1\nCCCCGGGGGG\nAA\n>chr2\nAAATTTTTTT\nTTACG\n")
    Reference(path)
    write(path, second)
    os.utime(path, (0, 0))
    records = {block.split()[0]: "".join(block.splitlines()[1:]) for block in second.split(">")[1:]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = Reference(path)
    assert reference.chrom_sizes == {name: len(bases) for name, bases in records.items()}
    for name, bases in records.items():
        for start in range(len(bases)):
            assert reference.sequence(Interval(name, start, len(bases))) == bases[start:]


def test_lines_that_even_out_are_found_when_they_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "g.fa", ">chr1\n" + "ACGTACGTAC\n" * 4)
    Reference(path)
    path.write_text(">chr1\nACGTACGTAC\nACGTACGTA\nCACGTACGTAC\nACGTACGTAC\n")
    reference = Reference(path)  # every record begins and ends where the index says
    assert reference.sequence(Interval("chr1", 30, 40)) == "ACGTACGTAC"
    with pytest.raises(DataError, match=r"lines do not end where the index says at chr1:15-25"):
        reference.codes(Interval("chr1", 15, 25))


def test_no_folder_for_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> Path:
        raise DataError("cannot write")

    monkeypatch.setattr(fasta_index, "require_writable", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    reference = Reference(write(tmp_path / "g.fa"))
    assert reference.codes(WINDOW)[2] == 0
    assert "not kept" in reference.index_note
    assert [path.name for path in tmp_path.iterdir()] == ["g.fa"]


@pytest.mark.parametrize(
    ("sequence", "letter", "base", "fix"),
    [
        ("MKVLAAGIVGLLLAQPSERRDFY", "L", 3, "protein"),  # V before it is one of IUPAC's letters
        ("ACGTACGUACGTACGTACGTACG", "U", 7, "write T for U"),
        ("ACGTACGTAC--ACGTACGTACG", "-", 10, "alignment"),
        ("ACGTACGTAC*GACGTACGTACG", "*", 10, "protein"),
        ("ACGTACGTAC GACGTACGTACG", " ", 10, ""),
        ("ACGTACGTAC5GACGTACGTACG", "5", 10, ""),
    ],
)
def test_letters_that_are_no_bases(sequence: str, letter: str, base: int, fix: str, tmp_path: Path) -> None:
    """The first is named with its place, on either strand."""
    text = ">chr1\n" + sequence[:8] + "\n" + sequence[8:16] + "\n" + sequence[16:] + "\n"
    reference = Reference(write(tmp_path / "g.fa", text))
    for strand in "+-":
        with pytest.raises(DataError, match=rf"'{re.escape(letter)}' in the sequence of chr1") as caught:
            reference.codes(Interval("chr1", -4, len(sequence), strand))
        assert f"chr1:{base}\n" in str(caught.value)
        assert fix in str(caught.value)
    with pytest.raises(DataError, match="stands for no base"):
        reference.sequence(Interval("chr1", 0, len(sequence)))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_many_records_are_compared_in_linear_time(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / f"g.fa{suffix}", "".join(f">scaffold_{n}\nACGTAC\nGT\n" for n in range(10_000)))
    Reference(path)
    num_reads = [0]

    def counted(text: FastaBytes, offset: int, num_bytes: int) -> bytes:
        num_reads[0] += 1
        return read(text, offset, num_bytes)

    read = FastaBytes._raw
    monkeypatch.setattr(FastaBytes, "_raw", counted)
    assert len(Reference(path).chrom_sizes) == 10_000
    assert num_reads[0] <= 3 * 10_000 + 10


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.fa", b"", "the FASTA is empty"),
        ("text.fa.gz", b">chr1\nACGT\n", "not compressed"),
        ("zipped.fa", gzip.compress(b">chr1\nACGT\n", mtime=0), "under a name ending in .gz"),
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
