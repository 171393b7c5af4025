"""Work grows with the number of files, names and genes, not with their products: counted, not timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from large_dataset import write_large_dataset

from seqexp.core.errors import DataError
from seqexp.dna.genome import bigwig, names
from seqexp.dna.genome import splits as splits_module
from seqexp.dna.genome.check import check_dataset
from seqexp.dna.genome.dataset import load_dataset
from seqexp.dna.genome.genes import GeneTable
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.splits import SplitSpec
from seqexp.dna.loaders.store_format import StoreEntry, StoreIndex


class Count:
    """Counts the calls of a function or method that it stands in for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        self.calls = 0
        original = getattr(owner, name)

        def counted(*arguments: object, **named: object) -> object:
            self.calls += 1
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, counted)


def counts(folder: Path, *, num_genes: int, num_chroms: int, num_tracks: int) -> dict[str, int]:
    folder.mkdir()
    spec = load_dataset(write_large_dataset(folder, num_genes, num_chroms, num_tracks))
    with pytest.MonkeyPatch.context() as monkeypatch:
        watched = {
            "opened": Count(monkeypatch, bigwig.BigWig, "__init__"),
            "read": Count(monkeypatch, bigwig.BigWig, "values"),
            "bases": Count(monkeypatch, Reference, "codes"),
            "windows": Count(monkeypatch, GeneTable, "window"),
            "names": Count(monkeypatch, names, "name_key"),
        }
        assert check_dataset(spec, 300, 500).ok
    return {name: count.calls for name, count in watched.items()}


def test_work_of_a_check(tmp_path: Path) -> None:
    sizes = {"num_genes": 400, "num_chroms": 10, "num_tracks": 3}
    small = counts(tmp_path / "small", **sizes)
    assert small["opened"] == 3
    assert small["read"] <= 200 * 3
    assert small["windows"] == 200
    tracks = counts(tmp_path / "tracks", **{**sizes, "num_tracks": 6})
    assert tracks["opened"] == 6
    assert tracks["read"] == 2 * small["read"]
    assert (tracks["bases"], tracks["windows"]) == (small["bases"], small["windows"])
    chroms = counts(tmp_path / "chroms", **{**sizes, "num_chroms": 20})
    assert chroms["names"] <= 2 * small["names"]
    genes = counts(tmp_path / "genes", **{**sizes, "num_genes": 800})
    assert genes == small


def test_splits_of_many_chromosomes(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Count(monkeypatch, splits_module, "name_key")
    members = [f"scaffold_{n}" for n in range(9_000)]
    SplitSpec("chromosome", train=tuple(members[:3000]), val=tuple(members[3000:6000]), test=tuple(members[6000:]))
    assert count.calls <= 4 * len(members)
    with pytest.raises(DataError, match="splits train and test overlap: scaffold_7"):
        SplitSpec("chromosome", train=tuple(members[:3000]), val=("chrX",), test=("chrY", "chrscaffold_7"))


def test_splits_of_many_segments() -> None:
    segments = [f"chr{1 + n % 7}:{1000 * n}-{1000 * n + 900}" for n in range(6_000)]
    SplitSpec("segment", train=tuple(segments[:2000]), val=tuple(segments[2000:4000]), test=tuple(segments[4000:]))
    with pytest.raises(DataError, match=r"splits val and test overlap: 2:1500-2000"):
        SplitSpec(
            "segment", train=("chr1:0-5",), val=("2:1500-2000", "chr2:5-9"), test=(*segments[5:], "chr2:1999-2001")
        )
    with pytest.raises(DataError, match="beyond every chromosome"):
        SplitSpec("segment", train=("chr1:0-5",), val=(f"chr2:0-{2**63}",), test=("chr3:0-5",))


def test_places_in_a_store_are_laid_out_once() -> None:
    index = StoreIndex(tuple((f"scaffold_{n}", 10) for n in range(1_000)), StoreEntry("f", "uint8", {}), {})
    assert index.places is index.places
    assert index.places["scaffold_999"] == (9_990, 10)
    assert np.sum([size for _, size in index.places.values()]) == index.num_bases
