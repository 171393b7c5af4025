"""Losses against torch's own, row by row."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from seqexp.core.errors import ConfigError, DataError
from seqexp.objectives.losses import LOSSES, make_loss

TARGET = torch.rand(6, 2, generator=torch.Generator().manual_seed(0)) * 3
OUTPUT = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
SPREAD = torch.randn(6, 2, generator=torch.Generator().manual_seed(2))
REFERENCE = {
    "mse": (OUTPUT, F.mse_loss(OUTPUT, TARGET)),
    "mae": (OUTPUT, F.l1_loss(OUTPUT, TARGET)),
    "huber": (OUTPUT, F.huber_loss(OUTPUT, TARGET)),
    "poisson-nll": (OUTPUT, F.poisson_nll_loss(OUTPUT, TARGET)),
    "gaussian-nll": (
        torch.cat([OUTPUT, SPREAD], dim=-1),
        F.gaussian_nll_loss(OUTPUT, TARGET, SPREAD.exp(), full=True),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_agrees_with_torch(name: str) -> None:
    output, expected = REFERENCE[name]
    rows = make_loss(name).rows(output, TARGET)
    assert rows.shape == (6,)
    torch.testing.assert_close(rows.mean(), expected)


def test_point_predictions() -> None:
    torch.testing.assert_close(make_loss("poisson-nll").point(OUTPUT), OUTPUT.exp())
    torch.testing.assert_close(make_loss("gaussian-nll").point(REFERENCE["gaussian-nll"][0]), OUTPUT)


def test_shapes_are_checked() -> None:
    with pytest.raises(DataError, match="outputs of shape"):
        make_loss("mse").rows(OUTPUT[:, :1], TARGET)  # would broadcast in silence
    with pytest.raises(DataError, match=r"\(6, 4\)"):
        make_loss("gaussian-nll").rows(OUTPUT, TARGET)
    with pytest.raises(ConfigError, match="poisson-nll"):
        make_loss("l2")
