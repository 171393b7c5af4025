"""The data module: splits, what is fitted on training genes only, its loaders and its errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.loaders.data import SequenceData


def ready(dataset: Path, **settings: object) -> SequenceData:
    data = SequenceData(dataset, **{"upstream_bp": 256, "downstream_bp": 256, "signal_bin_bp": 16, **settings})
    data.setup()
    return data


def double_signals(folder: Path, chroms: set[str]) -> None:
    """Multiply the first track by two on some chromosomes."""
    path = folder / "atac.bw"
    source = pyBigWig.open(str(path))
    rows = {chrom: source.intervals(chrom) for chrom in source.chroms()}
    sizes = list(source.chroms().items())
    source.close()
    target = pyBigWig.open(str(path), "w")
    target.addHeader(sizes)
    for chrom, found in rows.items():
        starts, ends, values = map(list, zip(*found))
        factor = 2.0 if chrom in chroms else 1.0
        target.addEntries([chrom] * len(starts), starts, ends=ends, values=[v * factor for v in values])
    target.close()


def test_batches_hold_what_the_gene_table_says(shared_tiny_dataset: Path) -> None:
    data = ready(shared_tiny_dataset)
    genes = pd.read_csv(shared_tiny_dataset.parent / "genes.tsv", sep="\t")
    indices = []
    for batch in data.predict_dataloader():
        for row, index in enumerate(batch.index.tolist()):
            assert batch.target[row, 0].item() == pytest.approx(np.log2(genes["TPM"][index] + 1), rel=1e-6)
            described = data.describe(index)
            assert described["gene_id"] == genes["gene_id"][index]
            assert described["expression"] == pytest.approx(genes["TPM"][index])
            assert described["target"] == pytest.approx(batch.target[row, 0].item(), rel=1e-6)
            assert described["split"] == {"chr5": "val", "chr6": "test"}.get(genes["chrom"][index], "train")
            assert (described["chrom"], described["strand"]) == (genes["chrom"][index], genes["strand"][index])
            assert described["end"] - described["start"] == 512
        assert batch.tss_bp.tolist() == [256] * len(batch)
        assert batch.codes.shape[1:] == (512,)
        assert batch.signals.shape[1:] == (32, 2)
        assert batch.blacklist.shape[1:] == (32,)
        indices += batch.index.tolist()
    assert indices == list(range(60))


def test_loaders_give_their_split_and_augment_training_only(shared_tiny_dataset: Path) -> None:
    data = ready(shared_tiny_dataset, reverse_complement=1.0, max_shift_bp=64, shift_multiple_bp=16)
    found = {name: list(getattr(data, f"{name}_dataloader")()) for name in ("train", "val", "test", "predict")}
    chroms = {
        name: {data.describe(int(i))["chrom"] for batch in batches for i in batch.index}
        for name, batches in found.items()
    }
    assert chroms["train"] == {"chr1", "chr2", "chr3", "chr4"}
    assert (chroms["val"], chroms["test"]) == ({"chr5"}, {"chr6"})
    assert {name: all(batch.is_reversed.all() for batch in batches) for name, batches in found.items()} == {
        "train": True,
        "val": False,
        "test": False,
        "predict": False,
    }
    offsets = {int(t) for batch in found["train"] for t in batch.tss_bp}
    assert offsets <= {255 + 16 * n for n in range(-4, 5)}
    assert len(offsets) > 4


def test_statistics_and_transform_see_training_genes_only(tiny_dataset: Path) -> None:
    text = tiny_dataset.read_text().replace("transform: log2p1", "transform: log2p1-standardized")
    tiny_dataset.write_text(text)
    before = ready(tiny_dataset)
    # Read now, since the files are about to change under it.
    identity, statistics, train = before.fingerprint(), before.statistics, before.dataset("train")[0]
    genes = pd.read_csv(tiny_dataset.parent / "genes.tsv", sep="\t")
    is_held_out = genes["chrom"].isin(["chr5", "chr6"])
    genes.loc[is_held_out, "TPM"] *= 100
    genes.loc[is_held_out, "half_life"] += 7
    genes.to_csv(tiny_dataset.parent / "genes.tsv", sep="\t", index=False)
    double_signals(tiny_dataset.parent, {"chr5", "chr6"})
    after = ready(tiny_dataset)
    assert after.fingerprint() != identity
    assert after.transform == before.transform
    np.testing.assert_array_equal(after.statistics.signal_quantiles, statistics.signal_quantiles)
    assert after.statistics.target_mean == statistics.target_mean == pytest.approx(0, abs=1e-6)
    assert after.statistics.target_std == pytest.approx(1, abs=1e-6)
    assert torch.equal(after.dataset("train")[0].covariates, train.covariates)
    double_signals(tiny_dataset.parent, {"chr1"})
    assert (ready(tiny_dataset).statistics.signal_quantiles != statistics.signal_quantiles).any()


def test_statistics_are_quantiles_of_the_training_windows(shared_tiny_dataset: Path) -> None:
    data = ready(shared_tiny_dataset)
    statistics = data.statistics
    batches = [data.dataset("train")[row] for row in range(40)]
    values = np.concatenate([b.signals[0].numpy()[~b.blacklist[0].numpy()] for b in batches])
    expected = np.quantile(values.astype(np.float64), statistics.levels.astype(np.float64), axis=0).T
    np.testing.assert_allclose(statistics.signal_quantiles, expected, rtol=1e-6)
    assert statistics.track_names == ("ATAC", "H3K27ac")
    assert statistics.levels[[0, -1]].tolist() == [0, 1]
    assert (np.diff(statistics.levels) > 0).all()
    assert statistics.num_train == 40
    covariates = np.concatenate([b.covariates.numpy() for b in batches])
    assert covariates.mean() == pytest.approx(0, abs=1e-6)
    assert covariates.std() == pytest.approx(1, abs=1e-6)


def test_tracks_can_be_chosen_or_left_out(shared_tiny_dataset: Path, tmp_path: Path) -> None:
    both = ready(shared_tiny_dataset).dataset("val")[0].signals
    chosen = ready(shared_tiny_dataset, tracks=["H3K27ac", "ATAC"]).dataset("val")[0].signals
    assert torch.equal(chosen, both.flip(2))
    for source in ("files", "store"):
        data = ready(shared_tiny_dataset, tracks=[], source=source, store_folder=tmp_path / "s")
        assert next(iter(data.train_dataloader())).signals.shape == (16, 32, 0)
        assert data.statistics.signal_quantiles.shape == (0, len(data.statistics.levels))


def test_the_store_lies_beside_the_dataset_and_serves_the_same(tiny_dataset: Path) -> None:
    stored, files = ready(tiny_dataset, source="store"), ready(tiny_dataset)
    assert (tiny_dataset.parent / "store" / "store.json").is_file()
    for first, second in zip(stored.test_dataloader(), files.test_dataloader(), strict=True):
        assert torch.equal(first.codes, second.codes)
        torch.testing.assert_close(first.signal_values(), second.signal_values(), rtol=2**-11, atol=2**-25)


def test_max_genes_keeps_some_of_each_split(shared_tiny_dataset: Path) -> None:
    data = ready(shared_tiny_dataset, max_genes=4)
    assert dict(zip(*np.unique(data.labels, return_counts=True))) == {"none": 48, "test": 4, "train": 4, "val": 4}
    assert np.array_equal(data.labels, ready(shared_tiny_dataset, max_genes=4).labels)
    assert len(data.dataset("predict")) == 12
    assert data.leak_report.counts["train"] == 4


def test_shifts_count_in_the_leak_check(tiny_dataset: Path) -> None:
    """Segments a window apart are clean, but not once windows may move."""
    text = tiny_dataset.read_text()
    genes = pd.read_csv(tiny_dataset.parent / "genes.tsv", sep="\t")
    tss = genes.loc[genes["chrom"] == "chr1", "tss"].tolist()
    gap = tss[5] - tss[4]
    cut = tss[5] - 1
    splits = f"splits: {{by: segment, train: ['chr1:0-{cut}'], val: ['chr1:{cut}-40000'], test: ['chr2:0-40000']}}\n"
    line = next(line for line in text.splitlines() if line.startswith("splits:"))
    tiny_dataset.write_text(text.replace(line + "\n", splits))
    half = gap // 2 - 1
    still = ready(tiny_dataset, upstream_bp=half, downstream_bp=half, signal_bin_bp=1)
    assert (still.labels == "train").sum() == 5
    moving = ready(tiny_dataset, upstream_bp=half, downstream_bp=half, signal_bin_bp=1, max_shift_bp=200)
    assert (moving.labels == "train").sum() < 5
    assert sum(moving.leak_report.overlapping.values()) == 0


def test_checkpoint_state_keeps_the_scale(tiny_dataset: Path) -> None:
    text = tiny_dataset.read_text().replace("transform: log2p1", "transform: log2p1-standardized")
    tiny_dataset.write_text(text)
    data = ready(tiny_dataset)
    state = data.state_dict()
    fresh = SequenceData(tiny_dataset, 256, 256)
    assert fresh.state_dict() == {}
    fresh.load_state_dict(state)
    fresh.load_state_dict({})
    fresh.setup()
    assert fresh.transform == data.transform
    data.load_state_dict(state)  # going on with the same data is fine
    with pytest.raises(DataError, match="differ in: scale of the target"):
        data.load_state_dict({"transform": {**state["transform"], "mean": 0.5}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"signal_bin_bp": 100}, "does not divide the window of 512 bp"),
        ({"signal_bin_bp": 0}, "signal_bin_bp: 0"),
        ({"batch_size": 0}, "batch_size: 0"),
        ({"num_workers": -1}, "num_workers: -1"),
        ({"max_genes": 0}, "max_genes: 0"),
        ({"upstream_bp": -1}, "upstream_bp: -1"),
        ({"downstream_bp": 0}, "downstream_bp: 0"),
        ({"max_shift_bp": 256}, "can move the TSS out of the window"),
        ({"reverse_complement": 2.0}, "reverse_complement: 2.0"),
        ({"tracks": ["ATAC", "ATAC"]}, "tracks:"),
        ({"tracks": ["DNase"]}, "no track 'DNase'"),
        ({"source": "cloud"}, "source: 'cloud'"),
    ],
)
def test_impossible_settings(shared_tiny_dataset: Path, settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ready(shared_tiny_dataset, **settings)


def test_unknown_split_and_forgotten_setup(shared_tiny_dataset: Path) -> None:
    with pytest.raises(ConfigError, match="no split 'all'"):
        ready(shared_tiny_dataset).dataset("all")
    with pytest.raises(DataError, match="has not been set up"):
        SequenceData(shared_tiny_dataset, 256, 256).dataset("train")


def test_a_split_without_genes_is_an_error(tiny_dataset: Path) -> None:
    tiny_dataset.write_text(tiny_dataset.read_text().replace("val: [chr5]", "val: [chr6]"))
    with pytest.raises((DataError, ConfigError)):
        ready(tiny_dataset)
