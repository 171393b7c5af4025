"""Samples, embeddings and contacts: what only some networks have or read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import seqexp
from seqexp.api.answer import _table, target_names
from seqexp.cli.main import main
from seqexp.core.seeds import sample_seed
from seqexp.training.run import Run


def draw(network: Any, batch: Any, num_samples: int, seed: int) -> torch.Tensor:
    """Draws (S, B, 1) round the prediction, each seeded by (seed, row, draw)."""
    mean = network(batch).prediction.cpu()
    rows = [[sample_seed(seed, int(row), number) for row in batch.index] for number in range(num_samples)]
    noise = [[torch.randn(1, generator=torch.Generator().manual_seed(seed)) for seed in of_draw] for of_draw in rows]
    return mean + torch.stack([torch.stack(of_draw) for of_draw in noise])


def learned(monkeypatch: pytest.MonkeyPatch, name: str, method: Callable[..., Any]) -> None:
    """Give the network of every run that is opened another ability: the instance, as classes are remembered."""
    real = Run.open

    def opened(*args: Any, **settings: Any) -> Run:
        run = real(*args, **settings)
        setattr(run.network, name, partial(method, run.network))
        return run

    monkeypatch.setattr(Run, "open", opened)


@pytest.fixture
def sampling(reading: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run of a network that has learned to sample since."""
    learned(monkeypatch, "sample", draw)
    return reading


def test_samples_do_not_depend_on_the_batch(sampling: Path, tmp_path: Path) -> None:
    words = ["--run", str(sampling), "--genes", "G001", "G051", "G012", "--samples", "5", "--quiet"]
    for name, size in (("a", 2), ("b", 16)):
        flags = ["--out", str(tmp_path / name), "--data.init_args.batch_size", str(size)]
        assert main(["predict", *words, *flags]) == 0
    one, other = (np.load(tmp_path / name / "samples.npz") for name in "ab")
    assert one["samples"].shape == (5, 3, 1)
    assert one["ids"].tolist() == ["G001", "G051", "G012"]
    assert str(one["unit"]) == "log2(TPM + 1)"
    np.testing.assert_allclose(one["samples"], other["samples"], rtol=1e-5)
    table = pd.read_csv(tmp_path / "a" / "predictions.tsv", sep="\t")
    np.testing.assert_allclose(table["sample_mean"], one["samples"][:, :, 0].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(table["sample_sd"], one["samples"][:, :, 0].std(axis=0, ddof=1), rtol=1e-5)
    in_python = seqexp.load(sampling).predict(["G001", "G051", "G012"], num_samples=5)
    np.testing.assert_allclose(in_python["sample_sd"], table["sample_sd"], rtol=1e-5)


def test_embeddings_of_windows(reading: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def embed(network: Any, batch: Any) -> dict[str, torch.Tensor]:
        return {"content": batch.one_hot().mean(dim=1)}

    learned(monkeypatch, "embed", embed)
    embedded = seqexp.load(reading).embed({"a": "A" * 512, "half": "AC" * 256})
    assert embedded.index.tolist() == ["a", "half"]
    assert embedded.columns.tolist() == ["content_0", "content_1", "content_2", "content_3"]
    np.testing.assert_allclose(embedded.to_numpy(), [[1, 0, 0, 0], [0.5, 0.5, 0, 0]])


def test_contacts_are_those_of_the_data_set(touching: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = seqexp.load(touching)
    own = model.predict().set_index("gene_id").loc[["G003", "G050"]]
    np.testing.assert_allclose(model.predict(["G003", "G050"])["prediction"], own["prediction"], rtol=1e-5)
    (tmp_path / "s.fa").write_text(">one\n" + "ACGT" * 128 + "\n")
    words = ["--sequences", str(tmp_path / "s.fa"), "--out", str(tmp_path / "out")]
    assert main(["predict", "--run", str(touching), *words]) == 2
    assert "reads Hi-C contacts, which are known for the genome of its data set only" in capsys.readouterr().err


def test_several_targets_have_columns_of_their_own(reading: Path) -> None:
    """A table of predictions (R, 2), as a run on two cell types gives; its checkpoint may name them or not."""
    run = Run.open(reading, reads_data=False)
    given = seqexp.load(reading).given(["chr1:100-612", "chr1:700-1212"])
    values, draws = np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((3, 2, 2), np.float32)
    for facts, names in (({"target_names": ["liver", "brain"]}, ("liver", "brain")), ({}, ("1", "2"))):
        named = replace(run, facts={**run.facts, **facts})
        assert target_names(named, 2) == names
        table = _table(named, given, values, draws, names=names)
        assert table[f"prediction_{names[1]}"].tolist() == [2.0, 4.0]
        assert table[f"prediction_raw_{names[0]}"].tolist() == [1.0, 7.0]
        assert table[f"sample_sd_{names[0]}"].tolist() == [0.0, 0.0]


def test_a_run_on_two_cell_types_says_which_is_which(two_targets: Path) -> None:
    model = seqexp.load(two_targets)
    own = model.predict().set_index("gene_id").loc[["G003", "G050"]]
    table = model.predict(["G003", "G050"])
    for name in ("TPM", "LIVER"):
        np.testing.assert_allclose(table[f"prediction_{name}"], own[f"prediction_{name}"], rtol=1e-5)
        raw = 2 ** own[f"prediction_{name}"].to_numpy(float) - 1
        np.testing.assert_allclose(table[f"prediction_raw_{name}"], raw, rtol=1e-4, atol=1e-5)
    assert "LIVER: predicted" in model.plot("G003").axes[0].get_title(loc="left")
