"""Genes of several slides: whoever is found, by id, name or alias, brings its own counts and no other's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tiny_slides import write_tiny_slides

from seqexp.core.errors import DataError
from seqexp.histology.slides import GenePanel, SlideSet, SpotTable
from seqexp.histology.slides.check import check_slides
from seqexp.histology.slides.spots import COLUMNS, JoinReport, concat

IDS = ("ENSG00000000001", "ENSG00000000002", "ENSG00000000003")
VERSIONED = ("ENSG00000000001.4", "ENSG00000000002.11", "ENSG00000000003.9")
Genes = tuple[tuple[str, ...], tuple[str, ...] | None]


def table(slide: str, genes: Genes, values: tuple[int, ...]) -> SpotTable:
    """One spot, and a count for every gene."""
    frame = pd.DataFrame({column: [0] for column in COLUMNS}).assign(slide=slide, barcode="b", patient="p")
    return SpotTable(frame, sparse.csr_matrix([values]), GenePanel(*genes), {slide: JoinReport(1)})


NAMINGS: dict[str, Genes] = {
    "symbols and ids": (("A", "B", "C"), IDS),
    "other symbols": (("A1", "B-old", "C"), IDS),
    "ids for names": (IDS, None),
    "ids for names, with versions": (VERSIONED, None),
    "other versions": (tuple(name + "1" for name in VERSIONED), ("", "", "")),
    "ids twice": (VERSIONED, IDS),
    "without one id": (("A", "B", "C"), (IDS[0], "", IDS[2])),
}


@pytest.mark.parametrize("first", NAMINGS)
@pytest.mark.parametrize("second", NAMINGS)
def test_every_gene_keeps_its_counts_under_every_name(first: str, second: str) -> None:
    """The second table has its genes in the reverse order."""
    symbols, ids = NAMINGS[second]
    reverse: Genes = (symbols[::-1], None if ids is None else ids[::-1])
    both = concat([table("1", NAMINGS[first], (1, 2, 3)), table("2", reverse, (30, 20, 10))])
    names = list(NAMINGS[first][0])
    if "without one id" in (first, second) and first != second and len(both.panel) == 2:
        names.remove(names[1])  # B is known by its symbol alone, which the other does not give it
        np.testing.assert_array_equal(both.counts.toarray(), [[1, 3], [10, 30]])
    else:
        np.testing.assert_array_equal(both.counts.toarray(), [[1, 2, 3], [10, 20, 30]])
    assert list(both.panel.symbols) == names


def test_ids_tell_genes_of_one_symbol_apart() -> None:
    first, second = (("TBCE", "TBCE_2"), IDS[:2]), (("TBCE", "TBCE_1"), IDS[1::-1])
    both = concat([table("1", first, (1, 2)), table("2", second, (20, 10))])
    np.testing.assert_array_equal(both.counts.toarray(), [[1, 2], [10, 20]])
    alone = concat([table("1", (("A", "B"), IDS[:2]), (1, 2)), table("2", (("A",), IDS[1:2]), (20,))])
    assert alone.panel.symbols == ("B",)  # never A for B
    moved = concat([table("1", (("A", "B"), IDS[:2]), (1, 2)), table("2", (("A", "B"), (IDS[2], IDS[1])), (10, 20))])
    np.testing.assert_array_equal(moved.counts.toarray(), [[1, 2], [10, 20]])  # an id that was given anew


def test_ids_of_any_kind_may_be_names_on_a_third_slide() -> None:
    tables = [
        table("1", (("A", "B", "C"), ("E1", "E2", "E3")), (1, 2, 3)),
        table("2", (("A", "B", "C"), None), (4, 5, 6)),
    ]
    three = concat([*tables, table("3", (("E3", "E2"), None), (9, 8))])
    np.testing.assert_array_equal(three.counts.toarray(), [[2, 3], [5, 6], [8, 9]])


def test_a_trained_panel_is_found_by_id_and_what_is_absent_named() -> None:
    wanted = GenePanel(("A", "C"), (IDS[0], IDS[2]))
    on = table("1", (VERSIONED, None), (1, 2, 3)).on_panel(wanted)
    assert on.panel.symbols == ("A", "C")
    np.testing.assert_array_equal(on.counts.toarray(), [[1, 3]])
    crossed = table("1", (("A", "C"), (IDS[2], IDS[0])), (1, 2)).on_panel(wanted)
    np.testing.assert_array_equal(crossed.counts.toarray(), [[2, 1]])
    with pytest.raises(DataError, match="1 of 2 genes are not among the 1 of the slides: C"):
        table("1", (("A",), None), (1,)).on_panel(wanted)


def test_names_in_other_case_join_and_are_warned_of(tmp_path: Path) -> None:
    write_tiny_slides(tmp_path)
    lines = (tmp_path / "B1.tsv").read_text().splitlines()
    (tmp_path / "B1.tsv").write_text("\n".join([lines[0].title(), *lines[1:]]) + "\n")
    slides = SlideSet.open(tmp_path)
    rows = slides.spots.rows_of("B1")
    wanted = pd.read_csv(tmp_path / "B1.tsv", sep="\t", index_col=0)
    np.testing.assert_array_equal(slides.spots.counts[rows].toarray(), wanted.to_numpy())
    assert "30 have one name in upper and lower case" in check_slides(slides).render()
