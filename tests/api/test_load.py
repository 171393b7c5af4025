"""`seqexp.load`: a run as an object that answers in tables."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import seqexp
from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.elements.bin_scores import BinScores
from seqexp.training.predict import predict_run
from seqexp.training.run import Run


@pytest.fixture(scope="session")
def own(selecting: Path) -> pd.DataFrame:
    """What the run itself predicts of its genes."""
    return predict_run(Run.open(selecting)).set_index("gene_id")


def test_what_is_imported_before_anything_is_asked_for() -> None:
    code = (
        "import sys, seqexp; assert 'load' in dir(seqexp)\n"
        "loaded = [m for m in sys.modules if m.startswith('seqexp.') or m in ('torch', 'numpy', 'pandas')]\n"
        "sys.exit(' '.join(loaded) or 0)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.raises(AttributeError, match="module 'seqexp' has no attribute 'lod'"):
        seqexp.lod  # noqa: B018


def test_intervals_genes_and_dna_agree(selecting: Path, reading: Path, own: pd.DataFrame) -> None:
    model = seqexp.load(selecting)
    genes = model.predict(["gene3", "G051"])
    assert genes.index.tolist() == ["G003", "G051"]
    assert genes.attrs == {"unit": "log2(TPM + 1)", "raw_unit": "TPM"}
    np.testing.assert_allclose(genes["prediction"], own.loc[genes.index, "prediction"], rtol=1e-5)
    assert genes["seen"].tolist() == ["train", "no"]

    reader = seqexp.load(reading)
    row = own.loc["G051"]
    text = f"{row['chrom']}:{row['start']:,}-{row['end']:,}:{row['strand']}"
    window = seqexp.Interval.parse(text)
    by_text = reader.predict(text)
    assert by_text.index.tolist() == [str(window)]
    table = pd.DataFrame([{"chrom": "6", "start": window.start, "end": window.end, "strand": window.strand}])
    dna = reader.data.spec.open_reference().sequence(window)
    for what in (window, [window, text], table, dna, {"it": dna.lower()}):
        found = reader.predict(what)
        np.testing.assert_allclose(found["prediction"], by_text["prediction"].iloc[0], rtol=1e-5)
    assert reader.predict({"it": dna}).index.tolist() == ["it"]
    assert reader.predict(dna)["seen"].tolist() == ["unknown"]


def test_without_a_question_the_whole_data_set(selecting: Path, own: pd.DataFrame) -> None:
    table = seqexp.load(selecting).predict()
    assert np.array_equal(table["prediction"], own["prediction"])
    assert table.attrs["unit"] == "log2(TPM + 1)"


def test_bins_and_elements_as_tables(selecting: Path, own: pd.DataFrame, tmp_path: Path) -> None:
    """The same masks as the network's own, bins along the genome on both strands."""
    from seqexp.api.predict import Output, Request, predict_anything

    predict_anything(selecting, Request(genes=["G003", "G050"]), Output(tmp_path / "out", budget_fraction=0.2))
    masks = BinScores.load(tmp_path / "out" / "masks.npz")
    model = seqexp.load(selecting)
    bins = model.select(["G003", "G050"])
    assert bins.attrs["unit"] == "mask in [0, 1]"
    for row, (name, part) in enumerate(bins.groupby("id")):
        assert part["start"].is_monotonic_increasing
        assert part["start"].iloc[0] == own.loc[name, "start"]
        turn = -1 if own.loc[name, "strand"] == "-" else 1
        np.testing.assert_allclose(part["mask"], masks.values[row][::turn], rtol=1e-5)
    elements = model.elements(["G003", "G050"], budget_fraction=0.2)
    written = pd.read_csv(tmp_path / "out" / "elements_per_gene.bed", sep="\t", comment="#", header=None)
    assert elements[["chrom", "start", "end", "id"]].to_numpy().tolist() == written[[0, 1, 2, 3]].to_numpy().tolist()
    assert set(elements["id"]) == {"G003", "G050"}


def test_what_a_network_cannot_do_it_has_not(reading: Path) -> None:
    model = seqexp.load(reading)
    assert not any(hasattr(model, name) for name in ("select", "elements", "embed"))
    with pytest.raises(AttributeError, match="ConvExpression selects nothing"):
        model.select("G001")
    assert hasattr(model, "predict")


def test_a_short_repr_data_and_metrics(selecting: Path, reading: Path) -> None:
    model = seqexp.load(selecting)
    shown = repr(model)
    for part in ("Seq2Exp", "window 320 + 192 bp", "tracks ATAC, H3K27ac", "predicts log2(TPM + 1)", "trained 20"):
        assert part in shown
    assert len(shown) < 240
    assert "DNA alone" in repr(seqexp.load(reading))
    assert model.metrics == {}
    assert len(model.data.genes) == 60


def test_random_numbers_of_the_caller_stay(reading: Path) -> None:
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    seqexp.load(reading)
    assert np.array_equal(np.random.random(3), expected)


def test_data_are_opened_only_when_they_are_needed(
    reading: Path, own: pd.DataFrame, moved: Callable[[Path], tuple[Path, Path]]
) -> None:
    run, data = moved(reading)
    model = seqexp.load(run)
    assert "DNA alone" in repr(model)
    assert np.isfinite(model.predict("ACGT" * 128)["prediction"].iloc[0])
    with pytest.raises(DataError, match="the data set of the run cannot be opened"):
        model.predict("G001")
    place = "{chrom}:{start}-{end}".format(**own.loc["G003"])
    assert model.predict(place, fasta=data / "genome.fa")["seen"].tolist() == ["train"]
    assert len(seqexp.load(run, dataset=data).predict("G001")) == 1


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (3, "asked about int: 3"),
        ([], "asked about nothing"),
        (["G001", "chr1:1-2"], "asked about genes and intervals together"),
        ("nobody", "1 of 1 genes are not in the annotation: nobody"),
        (pd.DataFrame({"start": [1]}), "a table without chrom, end; it has start"),
        ("chr1:39,900-40,100", "bases beyond the end of their chromosome"),
        ("none.bed", "no such file"),
    ],
)
def test_one_message_for_each_mistake(reading: Path, what: object, message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        seqexp.load(reading).predict(what)


def test_ids_on_another_genome_are_refused(reading: Path) -> None:
    with pytest.raises(ConfigError, match="gene ids with another genome"):
        seqexp.load(reading).predict("G001", fasta="other.fa")
