"""Coordinates of intervals."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import pytest

from seqexp.core.errors import DataError
from seqexp.dna.genome.interval import Interval


def test_width_and_text() -> None:
    interval = Interval("chr1", 10, 15, "-", "G1")
    assert interval.width == 5
    assert str(interval) == "chr1:10-15:-"
    assert Interval.parse("chr1:10-15:-") == Interval("chr1", 10, 15, "-")
    assert Interval.parse("chr22:16,400,000-21_800_000") == Interval("chr22", 16_400_000, 21_800_000)
    assert Interval.parse("c:-5-3") == Interval("c", -5, 3)


@pytest.mark.parametrize("text", ["chr1", "chr1:10", "chr1:a-b", "chr1:10-15:x", ":1-2"])
def test_text_of_another_form(text: str) -> None:
    with pytest.raises(DataError, match="not an interval"):
        Interval.parse(text)


def test_bad_coordinates_and_strand() -> None:
    with pytest.raises(DataError, match="before its start"):
        Interval("chr1", 5, 4)
    with pytest.raises(DataError, match="strand '1'"):
        Interval("chr1", 1, 4, "1")


def test_frozen_hashable_picklable() -> None:
    interval = Interval("chr1", 1, 4)
    with pytest.raises(FrozenInstanceError):
        interval.start = 2  # type: ignore[misc]
    assert len({interval, Interval("chr1", 1, 4)}) == 1
    assert pickle.loads(pickle.dumps(interval)) == interval


def test_shift_follows_the_strand() -> None:
    assert Interval("c", 10, 20, "+").shift(3) == Interval("c", 13, 23, "+")
    assert Interval("c", 10, 20, "-").shift(3) == Interval("c", 7, 17, "-")
    assert Interval("c", 10, 20).shift(-3) == Interval("c", 7, 17)


@pytest.mark.parametrize("width", [1, 4, 5, 8, 9])
@pytest.mark.parametrize("new", [0, 1, 2, 5, 6, 21])
def test_resize_keeps_the_centre_base(width: int, new: int) -> None:
    forward, reverse = (
        Interval("c", 100, 100 + width, "+").resize(new),
        Interval("c", 100, 100 + width, "-").resize(new),
    )
    assert forward.width == reverse.width == new
    assert forward.start + new // 2 == 100 + width // 2
    assert reverse.end - 1 - new // 2 == 100 + width - 1 - width // 2
    with pytest.raises(DataError, match="width -1"):
        forward.resize(-1)


def test_overlap_and_intersection() -> None:
    a = Interval("c", 10, 20, "+", "a")
    assert a.overlaps(Interval("c", 19, 30))
    assert not a.overlaps(Interval("c", 20, 30))
    assert not a.overlaps(Interval("d", 10, 20))
    assert not a.overlaps(Interval("c", 15, 15))
    assert a.intersection(Interval("c", 15, 30, "-")) == Interval("c", 15, 20, "+", "a")
    assert a.intersection(Interval("c", 20, 30)) is None
