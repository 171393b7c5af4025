"""One call draws what a network reads and keeps in a window."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import seqexp
from seqexp.core.errors import ConfigError


def rows(figure: object) -> list[str]:
    """What the axes show, by their names."""
    shown: list[str] = []
    for axis in figure.axes:  # type: ignore[attr-defined]
        shown += [axis.get_ylabel()] if axis.get_ylabel() else [label.get_text() for label in axis.get_yticklabels()]
    return shown


def test_tracks_mask_elements_peaks_and_genes(selecting: Path) -> None:
    figure = seqexp.load(selecting).plot("gene51", budget_fraction=0.25)
    assert rows(figure) == ["ATAC", "H3K27ac", "mask", "ATAC_peaks", "elements", "genes"]
    title = figure.axes[0].get_title(loc="left")
    assert title.startswith("gene51, never seen  predicted ")
    assert title.endswith("log2(TPM + 1)")
    table = pd.read_csv(selecting.parent / "data" / "genes.tsv", sep="\t").set_index("gene_name")
    tss = table.loc["gene51", "tss"]
    assert figure.axes[0].get_xlim() == (tss + 1 - 192, tss + 1 + 320)
    assert [text.get_text() for text in figure.axes[-1].texts] == ["gene51"]


def test_a_network_without_selector_on_a_place_without_a_data_set(reading: Path) -> None:
    model = seqexp.load(reading)
    data = reading.parent / "data"
    peaks = pd.DataFrame({"chrom": ["1"], "start": [1_700], "end": [1_800]})
    genome = {"fasta": data / "genome.fa", "genes": data / "genes.tsv"}
    tss = int(pd.read_csv(data / "genes.tsv", sep="\t")["tss"].iloc[0])
    figure = model.plot(f"chr1:{tss - 400:,}-{tss + 112:,}", peaks=peaks, **genome)
    assert rows(figure) == ["peaks", "genes"]
    assert rows(model.plot("ACGT" * 128)) == ["peaks"]
    with pytest.raises(ConfigError, match="2 windows in one figure"):
        model.plot(["G001", "G002"])


def test_tracks_that_nobody_gave_are_left_out(lacking: Path) -> None:
    assert rows(seqexp.load(lacking).plot("ACGT" * 128)) == ["peaks"]
