"""bigWig tracks: damage, policies, aliases, other processes. Values are checked in tests/oracle."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyBigWig
import pytest

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome import names as names_module
from seqexp.dna.genome import tracks as tracks_module
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import name_key
from seqexp.dna.genome.tracks import TrackSet


def write(path: Path, sizes: dict[str, int], num_entries: int = 4) -> Path:
    with pyBigWig.open(str(path), "w") as handle:
        handle.addHeader(list(sizes.items()))
        for chrom, size in sizes.items():
            starts = np.arange(num_entries) * (size // num_entries)
            values = (starts % 97 + 1).astype(float)
            handle.addEntries(
                [chrom] * num_entries, starts.tolist(), ends=(starts + 1).tolist(), values=values.tolist()
            )
    return path


@pytest.fixture
def tracks(tmp_path: Path) -> TrackSet:
    first = write(tmp_path / "a.bw", {"chr1": 8_000, "chr2": 400}, 100)
    return TrackSet({"A": first, "B": write(tmp_path / "b.bw", {"1": 8_000}, 50)})


def test_attributes(tracks: TrackSet) -> None:
    assert tracks.names == ("A", "B")
    assert tracks.chrom_sizes == {"chr1": 8_000, "chr2": 400}
    assert tracks.sizes_of("B") == {"1": 8_000}
    assert tracks.summary("B") == (50, 1, 97)


def test_alias_missing_chromosome_and_no_tracks(tracks: TrackSet) -> None:
    for chrom in ("chr1", "1"):
        assert (tracks.values(Interval(chrom, 0, 8_000)) > 0).sum(axis=0).tolist() == [100, 50]
    assert (tracks.values(Interval("2", 0, 400)) > 0).sum(axis=0).tolist() == [100, 0]
    assert TrackSet({}).values(Interval("chr1", 0, 64), 16).shape == (4, 0)


def test_width_and_settings(tracks: TrackSet) -> None:
    with pytest.raises(ConfigError, match="100 bp cannot be cut into bins of 32 bp"):
        tracks.values(Interval("chr1", 0, 100), 32)
    with pytest.raises(ConfigError, match="agg: 'median'"):
        tracks.values(Interval("chr1", 0, 100), 10, "median")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="missing: 'zeros'"):
        TrackSet({}, "zeros")  # type: ignore[arg-type]


def test_tracks_of_different_assemblies(tmp_path: Path) -> None:
    paths = {"A": write(tmp_path / "a.bw", {"chr1": 8_000}), "B": write(tmp_path / "b.bw", {"1": 8_001})}
    with pytest.raises(DataError, match="1 has 8001 bp in track B and 8000 bp in track A"):
        TrackSet(paths)


def test_forked_workers(tracks: TrackSet) -> None:
    """Children inherit open files and must not move the parent's position in them, nor the parent theirs."""
    window = Interval("chr1", -100, 9_100, "-")
    expected = tracks.values(window).tobytes()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=lambda: queue.put(tracks.values(window).tobytes())) for _ in range(2)]
    for child in children:
        child.start()
    for _ in range(20):
        assert tracks.values(window).tobytes() == expected
    assert [queue.get(timeout=30) for _ in children] == [expected] * 2
    for child in children:
        child.join()


def test_spawned_workers(tracks: TrackSet) -> None:
    windows = [Interval("chr1", -100, 9_100, "-")] * 4
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for found in pool.map(tracks.values, windows, timeout=60):
            np.testing.assert_array_equal(found, tracks.values(windows[0]))


def test_pickle_and_close(tracks: TrackSet) -> None:
    window = Interval("chr1", 0, 8_000)
    copy = pickle.loads(pickle.dumps(tracks))
    tracks.close()
    np.testing.assert_array_equal(copy.values(window), tracks.values(window))


@pytest.mark.parametrize("share", [0.0, 0.005, 0.02, 0.5, 0.95, 0.9999])
def test_truncated_bigwig(share: float, tmp_path: Path) -> None:
    """libBigWig crashes on some of these, so they must be refused before it sees them."""
    path = write(tmp_path / "a.bw", {f"chr{n}": 50_000 for n in range(20)}, 500)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"truncated|not a bigWig") as caught:
        TrackSet({"A": path})
    assert "a.bw" in str(caught.value)


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.bw").write_text("chr1\t0\t100\t5\n" * 20)
    with pytest.raises(DataError, match="not a bigWig"):
        TrackSet({"A": tmp_path / "a.bw"})
    with pytest.raises(DataError, match="No such file"):
        TrackSet({"A": tmp_path / "none.bw"})


def test_damaged_inside(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bw", {"chr1": 500_000}, 5_000)
    content = bytearray(path.read_bytes())
    offset = int.from_bytes(content[16:24], "little") + 8
    content[offset : offset + 400] = b"\x00" * 400
    path.write_bytes(content)
    with pytest.raises(DataError, match="the block at 400 cannot be decompressed"):
        TrackSet({"A": path}).values(Interval("chr1", 0, 500_000))


def test_tracks_of_many_scaffolds_are_joined_in_linear_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked at a few times, however many others there are."""
    num_calls = [0]

    def counted(name: str) -> str:
        num_calls[0] += 1
        return name_key(name)

    monkeypatch.setattr(tracks_module, "name_key", counted)
    monkeypatch.setattr(names_module, "name_key", counted)
    sizes = {f"scaffold_{n}": 2_000 for n in range(3_000)}
    files = {"A": sizes, "B": sizes, "C": {f"chr{name}": 2_000 for name in list(sizes)[::2]}}
    paths = {}
    for name, of_track in files.items():
        paths[name] = tmp_path / f"{name}.bw"
        with pyBigWig.open(str(paths[name]), "w") as handle:
            handle.addHeader(list(of_track.items()))
            handle.addEntries([next(iter(of_track))], [1], ends=[5], values=[1.0])
    tracks = TrackSet(paths)
    assert tracks.chrom_sizes == sizes
    assert num_calls[0] <= 4 * sum(map(len, files.values()))
    assert tracks.values(Interval("scaffold_0", 0, 3)).tolist() == [[0] * 3, [1] * 3, [1] * 3]


def test_two_names_that_share_a_key_are_told_apart(tmp_path: Path) -> None:
    paths = {"A": write(tmp_path / "a.bw", {"chr1": 80, "1": 40}), "B": write(tmp_path / "b.bw", {"Chr1": 30})}
    assert TrackSet(paths).chrom_sizes == {"chr1": 80, "1": 40, "Chr1": 30}
