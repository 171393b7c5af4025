"""The store: equal to the files, rebuilt only where inputs changed, refused when it is not whole."""

from __future__ import annotations

import errno
import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.dataset import DatasetSpec, load_dataset
from seqexp.dna.genome.interval import Interval
from seqexp.dna.loaders.sources import FileSource, WindowSource
from seqexp.dna.loaders.store import StoreSource
from seqexp.dna.loaders.store_writer import prepare_store


def read(source: WindowSource, window: Interval) -> tuple[np.ndarray, np.ndarray]:
    codes = np.empty(window.width, dtype=np.uint8)
    signals = np.empty((window.width // source.bin_bp, len(source.track_names)), dtype=source.signal_dtype)
    source.read_into(window, codes, signals)
    return codes, signals


def write_track(path: Path, chrom_bp: int, runs: list[tuple[int, int, float]]) -> None:
    handle = pyBigWig.open(str(path), "w")
    handle.addHeader([(f"chr{n}", chrom_bp) for n in range(1, 7)])
    starts, ends, values = map(list, zip(*runs))
    handle.addEntries(["chr1"] * len(runs), starts, ends=ends, values=values)
    handle.close()


def with_missing(dataset: Path, policy: str) -> DatasetSpec:
    dataset.write_text(dataset.read_text().replace("missing: zero", f"missing: {policy}"))
    return load_dataset(dataset)


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "store.json"}


def test_nothing_changed_nothing_written(tiny_dataset: Path, tmp_path: Path) -> None:
    spec = load_dataset(tiny_dataset)
    first = prepare_store(spec, tmp_path / "s")
    assert first.written == ("sequence", "ATAC", "H3K27ac")
    before = stamps(tmp_path / "s")
    index_time = (tmp_path / "s" / "store.json").stat().st_mtime_ns
    second = prepare_store(spec, tmp_path / "s")
    assert second.written == ()
    assert second.kept == first.written
    assert stamps(tmp_path / "s") == before
    assert (tmp_path / "s" / "store.json").stat().st_mtime_ns == index_time
    assert "kept sequence, ATAC, H3K27ac" in second.render()
    assert second.num_bytes == 240_000 * (1 + 2 + 2)


def test_only_the_changed_track_is_rebuilt(tiny_dataset: Path, tmp_path: Path) -> None:
    spec = load_dataset(tiny_dataset)
    prepare_store(spec, tmp_path / "s")
    old = StoreSource(tmp_path / "s")
    before = stamps(tmp_path / "s")
    write_track(spec.tracks["ATAC"], 40_000, [(100, 300, 2.5)])
    assert prepare_store(spec, tmp_path / "s").written == ("ATAC",)
    after = stamps(tmp_path / "s")
    assert len(after) == 3  # the old file of the track is gone
    assert len(set(after.items()) & set(before.items())) == 2
    window = Interval("chr1", 0, 400)
    assert read(StoreSource(tmp_path / "s"), window)[1][:, 0].tolist() == [0] * 100 + [2.5] * 200 + [0] * 100
    assert read(old, window)[1][200, 0] != 2.5  # a reader with the old file open goes on undisturbed


def test_a_copied_file_is_recognised_by_content(tiny_dataset: Path, tmp_path: Path) -> None:
    spec = load_dataset(tiny_dataset)
    prepare_store(spec, tmp_path / "s")
    spec.fasta.touch()
    assert prepare_store(spec, tmp_path / "s").written == ()


def test_tracks_can_be_added_one_by_one(tiny_dataset: Path, tmp_path: Path) -> None:
    spec = load_dataset(tiny_dataset)
    assert prepare_store(spec, tmp_path / "s", []).written == ("sequence",)
    assert prepare_store(spec, tmp_path / "s", ["H3K27ac"]).written == ("H3K27ac",)
    assert prepare_store(spec, tmp_path / "s", ["ATAC"]).written == ("ATAC",)
    assert StoreSource(tmp_path / "s", ["H3K27ac", "ATAC"]).track_names == ("H3K27ac", "ATAC")
    with pytest.raises(ConfigError, match="no track 'DNase' in the store"):
        StoreSource(tmp_path / "s", ["DNase"])


def test_chromosomes_without_genes_are_left_out(tiny_dataset: Path, tmp_path: Path) -> None:
    genes = tiny_dataset.parent / "genes.tsv"
    lines = genes.read_text().splitlines()
    genes.write_text("\n".join(line for line in lines if "\tchr3\t" not in line) + "\n")
    report = prepare_store(load_dataset(tiny_dataset), tmp_path / "s")
    assert report.num_bytes == 200_000 * 5
    with pytest.raises(DataError, match="'chr3' is not in the store"):
        read(StoreSource(tmp_path / "s"), Interval("chr3", 0, 10))


@pytest.mark.parametrize("policy", ["zero", "nan"])
@pytest.mark.parametrize("bin_bp", [1, 20])
def test_missing_values_follow_the_policy(tiny_dataset: Path, tmp_path: Path, policy: str, bin_bp: int) -> None:
    spec = with_missing(tiny_dataset, policy)
    prepare_store(spec, tmp_path / "s")
    source = StoreSource(tmp_path / "s", bin_bp=bin_bp)
    files = FileSource(spec.open_reference(), spec.open_tracks(), bin_bp)
    for start in (-130, 2_000, 39_900):
        for strand in "+-":
            window = Interval("chr4", start, start + 1_000, strand)
            expected = read(files, window)[1]
            assert np.isnan(expected).any() == (policy == "nan")
            np.testing.assert_allclose(read(source, window)[1].astype(np.float32), expected, rtol=2**-11, atol=2**-25)


def test_missing_values_can_be_an_error(tiny_dataset: Path, tmp_path: Path) -> None:
    spec = with_missing(tiny_dataset, "error")
    prepare_store(spec, tmp_path / "s")
    source = StoreSource(tmp_path / "s")
    with pytest.raises(DataError, match=r"track ATAC has no value for .* of 40000 bases"):
        read(source, Interval("chr1", 0, 40_000))


def test_changed_policy_rewrites_the_tracks(tiny_dataset: Path, tmp_path: Path) -> None:
    prepare_store(load_dataset(tiny_dataset), tmp_path / "s")
    report = prepare_store(with_missing(tiny_dataset, "nan"), tmp_path / "s")
    assert report.written == ("ATAC", "H3K27ac")


@pytest.mark.parametrize(("value", "dtype"), [(70_000.0, "float32"), (1e-4, "float32"), (59_000.0, "float16")])
def test_float16_only_where_it_keeps_the_meaning(tiny_dataset: Path, tmp_path: Path, value: float, dtype: str) -> None:
    spec = load_dataset(tiny_dataset)
    write_track(spec.tracks["ATAC"], 40_000, [(0, 100, value), (200, 300, value / 3)])
    prepare_store(spec, tmp_path / "s")
    source = StoreSource(tmp_path / "s", ["ATAC"])
    assert source.signal_dtype.name == dtype
    assert not list((tmp_path / "s").glob(".*"))  # no rest of the attempt
    signals = read(source, Interval("chr1", 0, 300))[1][:, 0]
    tolerance = 0 if dtype == "float32" else 2**-11
    assert signals[[0, 150, 250]] == pytest.approx([np.float32(value), 0, np.float32(value / 3)], rel=tolerance, abs=0)


def test_a_store_is_refused_if_it_is_not_whole(tiny_dataset: Path, tmp_path: Path) -> None:
    spec, folder = load_dataset(tiny_dataset), tmp_path / "s"
    with pytest.raises(DataError, match="there is no store"):
        StoreSource(folder)
    prepare_store(spec, folder)
    path = next(folder.glob("track.*"))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="missing or incomplete"):
        StoreSource(folder)
    assert len(prepare_store(spec, folder).written) == 1  # and made whole again
    StoreSource(folder)
    (folder / "store.json").write_text('{"format": "seqexp-store"')
    with pytest.raises(DataError, match="index of the store cannot be read"):
        StoreSource(folder)


def test_another_version_is_refused_and_replaced(tiny_dataset: Path, tmp_path: Path) -> None:
    spec, folder = load_dataset(tiny_dataset), tmp_path / "s"
    prepare_store(spec, folder)
    content = json.loads((folder / "store.json").read_text())
    (folder / "store.json").write_text(json.dumps({**content, "version": 99}))
    with pytest.raises(DataError, match="version 99"):
        StoreSource(folder)
    prepare_store(spec, folder)
    StoreSource(folder)


def test_a_folder_that_cannot_be_written(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="cannot write"):
        prepare_store(load_dataset(tiny_dataset), tmp_path / "file" / "s")


def test_a_failure_leaves_nothing_behind(tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object) -> Iterator[np.ndarray]:
        yield np.ones(100, dtype=np.float32)
        raise OSError(errno.ENOSPC, "No space left on device")

    spec = load_dataset(tiny_dataset)
    monkeypatch.setattr("seqexp.dna.loaders.store_writer._signal", fails)
    with pytest.raises(DataError, match="No space left"):
        prepare_store(spec, tmp_path / "s")
    assert not (tmp_path / "s" / "store.json").exists()
    assert not list((tmp_path / "s").glob(".*part*"))


def test_pickled_source_maps_the_files_again(tiny_dataset: Path, tmp_path: Path) -> None:
    prepare_store(load_dataset(tiny_dataset), tmp_path / "s")
    source = StoreSource(tmp_path / "s")
    message = pickle.dumps(source)
    assert len(message) < 10_000  # paths, not data
    window = Interval("chr5", 100, 900, "-")
    for first, second in zip(read(source, window), read(pickle.loads(message), window)):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["genome.fa", "atac.bw"])
def test_a_file_replaced_under_its_size_and_time_is_noticed(name: str, tiny_dataset: Path, tmp_path: Path) -> None:
    """``cp -p`` and archives set the time of the content back; bases of one length change no size."""
    spec, path = load_dataset(tiny_dataset), tiny_dataset.parent / name
    prepare_store(spec, tmp_path / "s")
    times = path.stat()
    content = path.read_bytes()
    if name == "genome.fa":
        content = content.replace(b"A", b"@").replace(b"C", b"A").replace(b"@", b"C")
    else:
        other = (tiny_dataset.parent / "h3k27ac.bw").read_bytes()
        content = other + content[len(other) :] if len(other) < len(content) else other
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    report = prepare_store(spec, tmp_path / "s")
    assert report.written == ("sequence" if name == "genome.fa" else "ATAC",)
    window, source = Interval("chr5", 100, 900), StoreSource(tmp_path / "s")
    np.testing.assert_array_equal(read(source, window)[0], spec.open_reference().codes(window))
