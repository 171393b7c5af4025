"""Chromosome aliases, and the one error when two files have nothing in common."""

from __future__ import annotations

import pytest

from seqexp.core.errors import DataError
from seqexp.dna.genome.names import NameMap, match_names


@pytest.mark.parametrize(
    ("asked", "known", "found"),
    [
        ("chr1", ["1", "2"], "1"),
        ("1", ["chr1"], "chr1"),
        ("Chr1", ["chr1"], "chr1"),
        ("chrM", ["MT"], "MT"),
        ("MT", ["chrM"], "chrM"),
        ("Mito", ["chrM"], "chrM"),
        ("chrMT", ["M"], "M"),
        ("chrIV", ["IV"], "IV"),
        ("chrX", ["X"], "X"),
        ("chr1", ["chr10"], None),
        ("chr", ["chr1"], None),
    ],
)
def test_find(asked: str, known: list[str], found: str | None) -> None:
    assert NameMap(known).find(asked) == found
    assert (asked in NameMap(known)) == (found is not None)


def test_exact_name_wins_and_ambiguous_alias_is_not_guessed() -> None:
    names = NameMap(["chr1", "1", "chr2"])
    assert names.find("1") == "1"
    assert names.find("chr1") == "chr1"
    assert names.find("Chr1") is None


def test_match_keeps_what_has_a_partner() -> None:
    assert match_names(["chr1", "chrUn", "chrM"], ["1", "MT"], "a.bw", "b.fa") == {"chr1": "1", "chrM": "MT"}
    assert match_names([], ["1"], "a.bw", "b.fa") == {}


def test_nothing_in_common_is_one_clear_error() -> None:
    with pytest.raises(DataError, match=r"no chromosome name of a\.bw occurs in b\.fa") as caught:
        match_names(["NC_1", "NC_2"], ["chr1"], "dir/a.bw", "dir/b.fa")
    assert "NC_1, NC_2" in str(caught.value)
    assert "chr1" in str(caught.value)
