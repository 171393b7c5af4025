"""One predictor under several fixed masks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqexp.core.errors import DataError
from seqexp.dna.evaluation.protocol import fixed_mask_scores
from seqexp.objectives.metrics import pearson


class Transform:
    """Targets are stored halved."""

    def restore(self, values: Tensor) -> Tensor:
        return 2 * values


class SumUnderMask(nn.Module):
    def predict_under(self, batch: SimpleNamespace, mask: Tensor) -> Tensor:
        assert not self.training
        return (batch.values * mask).sum(dim=1, keepdim=True)


def batches(values: np.ndarray, target: np.ndarray) -> list[SimpleNamespace]:
    rows = [np.arange(start, min(start + 4, len(values))) for start in range(0, len(values), 4)]
    return [
        SimpleNamespace(
            index=torch.from_numpy(r),
            values=torch.from_numpy(values[r]).float(),
            target=torch.from_numpy(target[r, None]).float(),
        )
        for r in rows
    ]


def test_each_mask_acts_and_is_scored_in_the_units_of_the_target() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 6))
    target = values[:, :2].sum(axis=1)
    left, right = np.zeros(6, bool), np.zeros(6, bool)
    left[:2], right[2:] = True, True
    masks = {"left": dict.fromkeys(range(30), left), "right": dict.fromkeys(range(30), right)}
    network = SumUnderMask().train()
    table = fixed_mask_scores(network, batches(values, target), masks, Transform()).set_index("mask")  # type: ignore[arg-type]
    assert table.loc["left", "pearson"] == pytest.approx(1.0)
    assert table.loc["left", "mse"] == pytest.approx(0.0, abs=1e-10)
    assert table["kept"].tolist() == pytest.approx([2 / 6, 4 / 6])
    other = 2 * values[:, 2:].sum(axis=1)
    assert table.loc["right", "pearson"] == pytest.approx(pearson(other, 2 * target), abs=1e-6)
    assert table.loc["right", "mse"] == pytest.approx(np.mean((other - 2 * target) ** 2), rel=1e-5)
    assert table.loc["right", "low"] < table.loc["right", "pearson"] < table.loc["right", "high"]
    assert network.training  # left as it was


def test_no_genes_is_an_error() -> None:
    with pytest.raises(DataError, match="no genes to score"):
        fixed_mask_scores(SumUnderMask(), [], {"all": {}}, Transform())  # type: ignore[arg-type]
