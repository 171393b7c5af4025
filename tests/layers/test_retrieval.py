"""Means of the nearest remembered rows, held to a loop over rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqexp.layers.retrieval import nearest_mean


@pytest.mark.parametrize(("num", "order", "power"), [(1, 2.0, 2.0), (5, 2.0, 2.0), (5, 1.0, 1.0), (99, 2.0, 3.0)])
def test_is_the_weighted_mean_of_the_nearest_that_may_answer(num: int, order: float, power: float) -> None:
    rng = np.random.default_rng(0)
    queries, keys, values = rng.normal(size=(6, 3)), rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    allowed = rng.random((6, 20)) < 0.6
    expected = []
    for query, may in zip(queries, allowed):
        cosine = keys @ query / np.linalg.norm(keys, axis=1) / np.linalg.norm(query)
        chosen = [key for key in np.argsort(-cosine) if may[key]][:num]
        weight = np.linalg.norm(keys[chosen] - query, order, axis=1) ** -power
        expected.append(weight @ values[chosen] / weight.sum())
    tensors = [torch.from_numpy(part) for part in (queries, keys, values, allowed)]
    found = nearest_mean(*tensors, num_neighbours=num, order=order, power=power)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def test_a_remembered_row_answers_itself_and_nothing_answers_with_0() -> None:
    keys, values = torch.eye(3), torch.tensor([[1.0], [2.0], [3.0]])
    found = nearest_mean(keys, keys, values, torch.ones(3, 3, dtype=torch.bool), num_neighbours=3)
    torch.testing.assert_close(found, values)
    nothing = nearest_mean(keys, keys, values, torch.zeros(3, 3, dtype=torch.bool), num_neighbours=3)
    assert nothing.eq(0).all()
