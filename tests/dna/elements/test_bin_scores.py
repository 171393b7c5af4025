"""Masks: where their bins lie, which of them count, and the file they travel in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.elements.bin_scores import BinScores, promoter_bins
from seqexp.dna.genome.interval import Interval

SIZES = {"chr1": 1000, "chr2": 130}


def make(**changes: object) -> BinScores:
    settings: dict[str, object] = {
        "gene_ids": ("plus", "minus", "edge"),
        "windows": (
            Interval("chr1", 100, 140, "+"),
            Interval("chr1", 120, 160, "-"),
            Interval("chr2", 105, 145, "+"),
        ),
        "values": np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8], [0.9, 0.8, 0.7, 0.6]], np.float32),
        "bin_bp": 10,
        "chrom_sizes": SIZES,
        "splits": ("train", "test", "test"),
        "tss_offset_bp": 15,
    }
    return BinScores(**{**settings, **changes})  # type: ignore[arg-type]


def test_minus_strand_is_turned_round_and_back() -> None:
    masks = make()
    forward = masks.turned(masks.values)
    assert forward[0].tolist() == masks.values[0].tolist()
    assert forward[1].tolist() == masks.values[1, ::-1].tolist()  # upstream of a minus gene is at higher coordinates
    assert np.array_equal(masks.turned(forward), masks.values)
    assert masks.starts()[:2].tolist() == [[100, 110, 120, 130], [150, 140, 130, 120]]


def test_widths_end_with_the_chromosome() -> None:
    masks = make(windows=(*make().windows[:2], Interval("chr2", -15, 25, "+")))
    assert make().widths()[2].tolist() == [10, 10, 5, 0]
    assert masks.widths()[2].tolist() == [0, 5, 10, 10]
    turned = make(windows=(*make().windows[:2], Interval("chr2", -15, 25, "-")))
    assert turned.widths()[2].tolist() == [10, 10, 5, 0]


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("max", [(100, 110, 0.1), (110, 120, 0.2), (120, 130, 0.8), (130, 140, 0.7), (140, 150, 0.6), (150, 160, 0.5)]),
        (
            "mean",
            [(100, 110, 0.1), (110, 120, 0.2), (120, 140, 0.55), (140, 150, 0.6), (150, 160, 0.5)],
        ),
    ],
)
def test_merged_track_of_overlapping_windows(combine: str, expected: list[tuple[int, int, float]]) -> None:
    track = make().merged(combine)  # type: ignore[arg-type]
    first = track[track["chrom"] == "chr1"]
    assert [(r.start, r.end) for r in first.itertuples()] == [row[:2] for row in expected]
    np.testing.assert_allclose(first["value"], [row[2] for row in expected], rtol=1e-6)
    assert track[track["chrom"] == "chr2"]["end"].max() == SIZES["chr2"]


def test_merged_track_of_windows_off_each_others_grid() -> None:
    windows = (Interval("chr1", 0, 20, "+"), Interval("chr1", 13, 33, "+"))
    values = np.array([[0.2, 0.9], [0.5, 0.1]], np.float32)
    track = make(gene_ids=("a", "b"), windows=windows, values=values, splits=None).merged()
    rows = [(r.start, r.end, round(float(r.value), 3)) for r in track.itertuples()]
    assert rows == [(0, 10, 0.2), (10, 20, 0.9), (20, 23, 0.5), (23, 33, 0.1)]


def test_merged_track_wants_a_known_rule_and_may_be_empty() -> None:
    with pytest.raises(ConfigError, match="combine"):
        make().merged("median")  # type: ignore[arg-type]
    assert list(make().select([]).merged().columns) == ["chrom", "start", "end", "value"]


def test_promoter_is_the_bins_that_touch_it() -> None:
    assert make().promoter(10).tolist() == [False, True, False, False]  # bases 10 to 19
    assert make().promoter(12).tolist() == [True, True, True, False]  # bases 9 to 20
    assert not promoter_bins(4, 10, 15, 0).any()
    with pytest.raises(DataError, match="where the TSS lies"):
        make(tss_offset_bp=None).promoter(10)


def test_split_and_selection() -> None:
    assert make().of_split("test").gene_ids == ("minus", "edge")
    assert make().select([2, 0]).splits == ("test", "train")
    with pytest.raises(DataError, match=r"no gene in split 'val'(.|\n)*test, train"):
        make().of_split("val")


@pytest.mark.parametrize("optional", [{}, {"splits": None, "tss_offset_bp": None}])
def test_file_gives_everything_back(optional: dict[str, None], tmp_path: Path) -> None:
    masks = make(**optional)
    masks.save(tmp_path / "masks.npz")
    again = BinScores.load(tmp_path / "masks.npz")
    assert np.array_equal(again.values, masks.values)
    assert (again.gene_ids, again.windows, again.splits) == (masks.gene_ids, masks.windows, masks.splits)
    assert (again.bin_bp, again.tss_offset_bp, dict(again.chrom_sizes)) == (10, masks.tss_offset_bp, SIZES)
    assert len(BinScores.load(_saved(masks.select([]), tmp_path / "none.npz"))) == 0


def _saved(masks: BinScores, path: Path) -> Path:
    masks.save(path)
    return path


def test_file_that_is_missing_damaged_or_another(tmp_path: Path) -> None:
    whole = _saved(make(), tmp_path / "masks.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("not a mask")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "newer.npz", version=np.array(99))
    for name, message in (
        ("none.npz", "no such file"),
        ("cut.npz", "not readable as masks"),
        ("text.npz", "not readable as masks"),
        ("other.npz", "holds no 'version'"),
        ("newer.npz", "version 99"),
    ):
        with pytest.raises(DataError, match=message):
            BinScores.load(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bin_bp": 9}, "mask values of shape"),
        ({"values": np.zeros((2, 4), np.float32)}, "mask values of shape"),
        ({"splits": ("train",)}, "mask values of shape"),
        ({"chrom_sizes": {"chr1": 1000}}, "'chr2' has no known length"),
        ({"chrom_sizes": {"chr1": 1000, "chr2": -1}}, "on 'chr2' of -1 bp(.|\n)*gene edge"),
        ({"chrom_sizes": {"chr1": 1000, "chr2": 105}}, "on 'chr2' of 105 bp"),
        ({"chrom_sizes": {"chr1": 2**62, "chr2": 130}}, "on 'chr1' of 4,611"),
        ({"windows": (Interval("chr1", -40, 0, "+"), *make().windows[1:])}, "window -40 to 0 on 'chr1'"),
        ({"tss_offset_bp": 41}, "TSS at offset 41"),
        ({"tss_offset_bp": -1}, "TSS at offset -1"),
        ({"gene_ids": ("a", "b", "a")}, "gene 'a' has two windows"),
        ({"values": np.full((3, 4), np.nan, np.float32)}, "12 mask values are not finite"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**change)


def test_merged_track_of_many_random_windows_by_base() -> None:
    rng = np.random.default_rng(3)
    starts = rng.integers(-20, 300, 25)
    windows = tuple(Interval("chr1", int(s), int(s) + 60, "+-"[k % 2]) for k, s in enumerate(starts))
    masks = make(
        gene_ids=tuple(map(str, range(25))),
        windows=windows,
        values=rng.random((25, 6), dtype=np.float32),
        splits=None,
        chrom_sizes={"chr1": 290},
    )
    total, depth = np.zeros(400), np.zeros(400)
    for start, row in zip(starts, masks.turned(masks.values)):
        total[start + 20 : start + 80] += np.repeat(row, 10)
        depth[start + 20 : start + 80] += 1
    track = masks.merged("mean")
    found = np.full(290, np.nan)
    for step in track.itertuples():
        found[step.start : step.end] = step.value
    inside = slice(20, 310)
    expected = np.where(depth > 0, total / np.maximum(depth, 1), np.nan)[inside]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert pd.Series(track["start"]).is_monotonic_increasing


@pytest.mark.parametrize("bad", [1.5, -0.25, 300.0])
def test_masks_lie_between_nothing_and_everything(tmp_path: Path, bad: float) -> None:
    good = make()
    values = good.values.copy()
    values[1, 0] = bad
    with pytest.raises(DataError, match=r"1 mask values lie outside \[0, 1\]"):
        make(values=values)
    path = tmp_path / "masks.npz"
    good.save(path)
    with np.load(path) as content:
        held = dict(content)
    np.savez_compressed(path, **{**held, "values": values})
    with pytest.raises(DataError, match=r"outside \[0, 1\](.|\n)*masks.npz: gene"):
        BinScores.load(path)
    scores = good.with_values(values, "signal", "reads per million")  # any size, and their file says what they are
    scores.save(path)
    again = BinScores.load(path)
    assert (again.what, again.unit) == ("signal", "reads per million")
    earlier = {name: of for name, of in held.items() if name not in ("what", "unit")}
    np.savez_compressed(path, **{**earlier, "values": values, "is_score": np.array(True)})
    assert BinScores.load(path).what == "score"
    assert np.array_equal(BinScores.load(path).values, values)


def test_a_last_digit_beyond_one_is_no_error() -> None:
    values = make().values.copy()
    values[0, 0] = np.nextafter(np.float32(1), np.float32(2))
    assert make(values=values).values[0, 0] > 1
