"""The simulated sections hold what they promise: each kind of gene follows its own cause, and nothing else tells."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seqexp.core.errors import ConfigError
from seqexp.histology.loaders.handmade import colour_features, texture_features
from seqexp.histology.simulation.tissue import EFFECTS, TissueConfig, simulate_tissue
from seqexp.histology.slides import SlideSet


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tissue") / "data"
    return simulate_tissue(folder, TissueConfig(grid=10, sections_per_patient=1, genes_per_effect=3, depth=50))


def test_same_seed_same_files_and_nothing_half_written(dataset: Path, tmp_path: Path) -> None:
    config = TissueConfig(grid=4, sections_per_patient=1, genes_per_effect=1)
    first, second = (simulate_tissue(tmp_path / name, config).parent for name in ("a", "b"))
    for path in first.iterdir():
        if path.suffix != ".gz":  # gzip writes the time
            assert path.read_bytes() == (second / path.name).read_bytes()
    assert not list(tmp_path.glob("*.part.*"))


def test_causes_are_seen_where_they_should_be(dataset: Path) -> None:
    slides, truth = SlideSet.open(dataset), pd.read_csv(dataset.parent / "truth.tsv", sep="\t")
    spots = slides.spots
    counts = np.log1p(spots.counts.toarray() / spots.frame["total_counts"].to_numpy()[:, None] * 1e4)
    rows = spots.rows_of("P1_1")
    centres = spots.frame[["x_um", "y_um"]].to_numpy()[rows]
    patches = slides.slide("P1_1").read_patches_um(centres, 180.0, 112)
    colour, texture = colour_features(patches), texture_features(patches)
    green = colour[:, 1]  # eosin takes green light
    columns = dict(zip(spots.panel.symbols, counts[rows].T, strict=True))
    mean_r = {
        effect: np.mean([abs(np.corrcoef(columns[gene], green)[0, 1]) for gene in part["gene"]])
        for effect, part in truth.groupby("effect")
    }
    assert mean_r["colour"] > 0.5
    assert mean_r["texture"] < 0.35
    assert mean_r["nothing"] < 0.35
    best = max(
        np.mean([abs(np.corrcoef(columns[g], f)[0, 1]) for g in truth.loc[truth["effect"] == "texture", "gene"]])
        for f in texture.T
    )
    assert best > 0.6  # some statistic of texture tells large nuclei from small ones


def test_truth_has_every_effect_and_positions_join(dataset: Path) -> None:
    truth = pd.read_csv(dataset.parent / "truth.tsv", sep="\t")
    assert list(dict.fromkeys(truth["effect"])) == list(EFFECTS)
    assert (truth.loc[truth["effect"] == "nothing", "weight"] == 0).all()
    assert set(np.sign(truth.loc[truth["effect"] != "nothing", "weight"])) == {-1.0, 1.0}
    fold = SlideSet.open(dataset).fold("patient")
    frame = fold.spots.frame
    assert set(frame["patient"][fold.rows("test")]) == {"P2"}
    assert set(frame["patient"][fold.rows("train")]) == {"P1"}


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="2 patients"):
        TissueConfig(num_patients=1)
