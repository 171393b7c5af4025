"""Chromosome aliases, and the one error when two files have nothing in common."""

from __future__ import annotations

import pandas as pd
import pytest

from seqexp.core.errors import DataError
from seqexp.dna.genome.names import NameMap, match_names, resolve_names


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


@pytest.mark.parametrize(
    ("asked", "known", "found"),
    [
        ("CHR1", ["chr1"], "chr1"),
        ("chr01", ["1"], "1"),
        ("01", ["chr1", "chr10"], "chr1"),
        ("Chromosome_1", ["chr1"], "chr1"),
        ("chr_2", ["2"], "2"),
        ("0", ["chr0"], "chr0"),
        ("GL000220.1", ["chrUn_GL000220v1"], "chrUn_GL000220v1"),
        ("chr1_KI270706v1_random", ["KI270706.1"], "KI270706.1"),
        ("chrX_KI270880v1_alt", ["KI270880.1"], "KI270880.1"),
        ("chrUn_GL000220v2", ["GL000220.1"], None),  # another version is another sequence
        ("NC_000001.11", ["chr1", "1"], None),
        ("23", ["chrX"], None),  # 23 is a chromosome of its own in many genomes
        ("chr1_A", ["chr1"], None),
        ("10", ["chr1"], None),
    ],
)
def test_other_spellings_and_what_is_not_guessed(asked: str, known: list[str], found: str | None) -> None:
    assert NameMap(known).find(asked) == found
    assert found is None or NameMap([asked]).find(found) == asked


def test_a_table_takes_the_names_of_another_file_and_what_is_lost_is_told() -> None:
    table = pd.DataFrame({"chrom": ["1", "HLA-A", "MT", "HLA-A", "chr1"], "start": range(5)}, index=[7, 7, 8, 8, 9])
    found = resolve_names(table, ["chr1", "chrM"], "dir/peaks.bed", "dir/genome.fa")
    assert found.table.to_dict("list") == {"chrom": ["chr1", "chrM", "chr1"], "start": [0, 2, 4]}
    assert found.table.index.tolist() == [0, 1, 2]
    assert found.lost == {"HLA-A": 2}
    assert found.told == "2 of 5 rows of peaks.bed are left out: no chromosome of genome.fa is named HLA-A"
    whole = resolve_names(table.iloc[[0]], ["chr1"], "peaks.bed", "genome.fa")
    assert (whole.lost, whole.told) == ({}, "")


def test_numbers_as_names_and_empty_tables() -> None:
    numbers = pd.DataFrame({"chrom": [1, 2], "start": [0, 0]})
    assert resolve_names(numbers, ["chr1", "chr2"], "a", "b").table["chrom"].tolist() == ["chr1", "chr2"]
    assert resolve_names(numbers.iloc[:0], ["chr1"], "a", "b").table.empty
    with pytest.raises(DataError, match=r"no chromosome name of a\.bed occurs in b\.fa"):
        resolve_names(numbers, ["chr3"], "a.bed", "b.fa")
