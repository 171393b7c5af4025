"""Against Kipoi: its extractor, one-hot encoding and centred windows as oracles, and its interface as ours gives it.

The extra does not install on every Python: without it this file is skipped, and says so.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_genome import CHROM_BP

from seqexp.core.errors import DataError, MissingExtraError
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import Reference
from seqexp.dna.genome.tracks import TrackSet
from seqexp.dna.loaders.data import SequenceData
from seqexp.dna.loaders.kipoi import from_kipoiseq, kipoi_intervals, kipoi_windows, to_kipoiseq
from seqexp.dna.loaders.sources import FileSource

# Importing Kipoi writes settings into the home folder and leaves that file open.
with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
    patch.setenv("HOME", home)
    warnings.simplefilter("ignore")
    kipoiseq = pytest.importorskip("kipoiseq", reason="the extra kipoi is not installed: Kipoi is NOT compared with")
    from kipoi.data import Dataset
    from kipoi.metadata import GenomicRanges
    from kipoi_utils.data_utils import get_dataset_item
    from kipoiseq.extractors import FastaStringExtractor
    from kipoiseq.transforms import OneHot, ReorderedOneHot
    from kipoiseq.transforms.functional import resize_interval


def random_intervals(number: int, seed: int = 3) -> list[Interval]:
    rng = np.random.default_rng(seed)
    found = []
    for row in range(number):
        start = int(rng.integers(0, CHROM_BP - 1))
        end = int(rng.integers(start + 1, min(CHROM_BP, start + 900) + 1))
        found.append(Interval(f"chr{rng.integers(1, 7)}", start, end, str(rng.choice(["+", "-", "."])), f"w{row}"))
    return found


@pytest.fixture(scope="module")
def reference(shared_tiny_dataset: Path) -> Reference:
    return Reference(shared_tiny_dataset.parent / "genome.fa")


@pytest.fixture(scope="module")
def source(shared_tiny_dataset: Path, reference: Reference) -> FileSource:
    folder = shared_tiny_dataset.parent
    return FileSource(reference, TrackSet({"ATAC": folder / "atac.bw", "H3K27ac": folder / "h3k27ac.bw"}), bin_bp=10)


def test_sequences_are_those_of_its_extractor(reference: Reference) -> None:
    extractor = FastaStringExtractor(str(reference.path), use_strand=True, force_upper=True)
    for interval in random_intervals(800):
        assert reference.sequence(interval) == extractor.extract(to_kipoiseq(interval)), interval
    extractor.close()


def test_one_hot_is_that_of_its_transform(source: FileSource) -> None:
    encode = OneHot(neutral_value=0)
    extractor = FastaStringExtractor(str(source.reference.path), use_strand=True, force_upper=True)
    windows = [*random_intervals(100, seed=4), Interval("chr1", 90, 130), Interval("chr2", 90, 130, "-")]  # with N
    dataset = kipoi_intervals(FileSource(source.reference, TrackSet({})), windows)
    for row, interval in enumerate(windows):
        item = dataset[row]["inputs"]
        np.testing.assert_array_equal(item["seq"], encode(extractor.extract(to_kipoiseq(interval))))
        assert set(item) == {"seq"}
        assert item["seq"].dtype == np.float32
    # as Kipoi's models in the layout of images want it
    swapped = ReorderedOneHot(neutral_value=0, alphabet_axis=0)(extractor.extract(to_kipoiseq(windows[0])))
    np.testing.assert_array_equal(dataset[0]["inputs"]["seq"].T, swapped)
    extractor.close()


@pytest.mark.parametrize("width", [1, 2, 7, 128, 1001])
def test_centred_windows_are_its_own(width: int) -> None:
    for interval in random_intervals(200, seed=5):
        theirs = SimpleNamespace(start=interval.start, end=interval.end)  # it sets ends, which its own type forbids
        theirs = resize_interval(theirs, width, "center")
        ours = replace(interval, strand="+").resize(width)  # it does not know strands
        assert (ours.start, ours.start + width) == (theirs.start, ours.end), interval


def test_intervals_come_and_go() -> None:
    for interval in random_intervals(50):
        theirs = to_kipoiseq(interval)
        assert isinstance(theirs, kipoiseq.Interval)
        assert str(theirs) == f"{interval.chrom}:{interval.start}-{interval.end}:{interval.strand}"
        assert from_kipoiseq(theirs) == interval
    assert from_kipoiseq(kipoiseq.Interval("chr1", 3, 9)) == Interval("chr1", 3, 9)
    assert from_kipoiseq(GenomicRanges("chr1", 3, 9, "a", "*")) == Interval("chr1", 3, 9, ".", "a")


def test_batches_are_read_by_kipoi(source: FileSource) -> None:
    windows = [kipoiseq.Interval("chr1", 1000 + 100 * i, 1200 + 100 * i, f"w{i}", strand="+-"[i % 2]) for i in range(5)]
    dataset = kipoi_intervals(source, windows)
    assert isinstance(dataset, Dataset)
    batches = list(dataset.batch_iter(batch_size=2))
    assert [len(batch["inputs"]["seq"]) for batch in batches] == [2, 2, 1]
    whole = dataset.load_all()
    assert whole["inputs"]["seq"].shape == (5, 200, 4)
    assert whole["inputs"]["signals"].shape == (5, 20, 2)
    assert "targets" not in whole
    ranges = get_dataset_item(whole["metadata"]["ranges"], 3)
    assert (ranges["chr"], ranges["start"], ranges["end"], ranges["strand"]) == ("chr1", 1300, 1500, "-")
    expected = source.tracks.values(Interval("chr1", 1300, 1500, "-"), 10)
    np.testing.assert_array_equal(whole["inputs"]["signals"][3], expected)


def test_a_split_of_a_data_set(shared_tiny_dataset: Path) -> None:
    data = SequenceData(dataset=shared_tiny_dataset, upstream_bp=64, downstream_bp=64, batch_size=4)
    data.setup()
    rows = data.dataset("test")
    names = [data.genes.frame["gene_id"].iloc[row] for row in rows.index]
    whole = kipoi_windows(rows, names).load_all()
    batch = rows.__getitems__(list(range(len(rows))))
    np.testing.assert_array_equal(whole["inputs"]["seq"], batch.one_hot().numpy())
    np.testing.assert_array_equal(whole["targets"], batch.target.numpy())
    np.testing.assert_array_equal(whole["inputs"]["signals"], batch.signals.numpy())
    assert whole["metadata"]["ranges"]["id"].tolist() == names
    with pytest.raises(DataError, match="1 names for 10 windows"):
        kipoi_windows(rows, ["one"])


def test_without_kipoi_the_extra_is_named(source: FileSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kipoi.metadata", None)
    with pytest.raises(MissingExtraError, match=r"seqexp\[kipoi\]"):
        kipoi_intervals(source, [Interval("chr1", 0, 10)])
