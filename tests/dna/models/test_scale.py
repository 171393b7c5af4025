"""The scale of the target: of one and of several, and where a target is constant."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.dna.models.scale import LEAST_STD, TargetScale


@pytest.mark.parametrize(("mean", "std"), [(5.0, 2.0), (np.array([5.0, -1.0]), np.array([2.0, 0.5]))])
def test_answers_are_put_on_the_scale_of_the_training_targets(mean: float, std: float) -> None:
    scale, levels = TargetScale(), np.linspace(0, 1, 5, dtype=np.float32)
    raw = torch.randn(3, np.size(mean))
    assert torch.equal(scale(raw), raw)
    scale.calibrate(DataStatistics((), np.zeros((0, 5), np.float32), levels, mean, std, num_train=3))
    np.testing.assert_allclose(scale(raw), np.asarray(mean) + np.asarray(std) * raw.numpy(), rtol=1e-6)
    assert set(scale.state_dict()) == {"mean", "std"}


def test_a_constant_target_has_a_scale_all_the_same() -> None:
    scale, levels = TargetScale(), np.linspace(0, 1, 5, dtype=np.float32)
    scale.calibrate(DataStatistics((), np.zeros((0, 5), np.float32), levels, 1.0, 0.0, num_train=3))
    assert float(scale.std) == pytest.approx(LEAST_STD)
