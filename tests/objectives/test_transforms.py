"""Targets: invertible, fitted once, the same after a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqexp.core.errors import ConfigError, DataError
from seqexp.objectives.transforms import TRANSFORMS, TargetTransform, make_transform, transform_from_state

VALUES = np.array([0.0, 0.5, 3.0, 1e4])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_round_trip_and_state(name: str) -> None:
    transform = make_transform(name, raw_unit="TPM").fit(VALUES)
    assert transform.name == name
    np.testing.assert_allclose(transform.inverse(transform.forward(VALUES)), VALUES, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(transform.restore(transform.forward(VALUES)), transform.curved(VALUES), atol=1e-12)
    again = TargetTransform.from_state(transform.state())
    assert again == transform
    assert "TPM" in transform.unit


def test_values_and_units() -> None:
    transform = make_transform("log2p1").fit(VALUES)
    np.testing.assert_allclose(transform.forward([0.0, 1.0, 3.0]), [0, 1, 2])
    assert transform.unit == "log2(TPM + 1)"
    assert make_transform("identity", "counts").unit == "counts"


def test_standardised_on_the_training_values_only() -> None:
    transform = make_transform("log10p1-standardized").fit(VALUES)
    target = transform.forward(VALUES)
    assert target.mean() == pytest.approx(0.0, abs=1e-12)
    assert target.std() == pytest.approx(1.0)
    restored = transform.restore(torch.tensor([0.0]))
    assert isinstance(restored, torch.Tensor)
    assert restored.item() == pytest.approx(np.log10(VALUES + 1).mean(), rel=1e-6)


@pytest.mark.parametrize("bad", [[-1.0, 2.0], [np.nan, 2.0], [np.inf, 2.0]])
def test_values_without_a_logarithm_are_refused(bad: list[float]) -> None:
    with pytest.raises(DataError, match="1 expression values"):
        make_transform("log2p1").fit(bad)


def test_misuse_is_refused() -> None:
    with pytest.raises(ConfigError, match="log2p1"):
        make_transform("log2")
    with pytest.raises(DataError, match="before it was fitted"):
        make_transform("log2p1").forward(VALUES)
    with pytest.raises(DataError, match="same expression"):
        make_transform("log2p1-standardized").fit([2.0, 2.0])
    with pytest.raises(DataError, match="no training genes"):
        make_transform("log2p1").fit([])


@pytest.mark.parametrize(
    "state",
    [
        {"unit": "a", "means": [1.0, {}], "stds": [1.0, 1.0]},
        {"unit": "a", "means": [1.0, 2.0], "stds": [1.0, 1.0, 1.0]},
        {"unit": "a", "means": [1.0], "stds": [0.0]},
        {"unit": "a", "means": [float("nan")], "stds": [1.0]},
        {"unit": "a", "means": ["1"], "stds": [1.0]},
        {"unit": "a", "means": 1.0, "stds": 1.0},
        {"unit": "a", "means": [1.0]},
        {"name": "log2p1", "raw_unit": "TPM", "mean": float("inf"), "std": 1.0},
        {"name": "log2p1", "raw_unit": "TPM", "mean": 0.0, "std": -1.0},
        {"name": "log2p1", "raw_unit": "TPM", "mean": None, "std": 1.0},
        {"name": "log2p1", "raw_unit": "TPM", "mean": [1], "std": 1.0},
    ],
)
def test_damaged_state_is_one_error(state: dict[str, object]) -> None:
    with pytest.raises(DataError, match="the transform of the checkpoint cannot be read"):
        transform_from_state(state)
