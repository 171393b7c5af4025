"""The control network: units, members, distances, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from seqexp.core.errors import ConfigError
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.dna.models.baselines import ConvExpression
from seqexp.dna.models.binning import token_distance_bp, token_signals


def make_batch(num_tracks: int = 2, num_bins: int = 20, reversed_rows: tuple[int, ...] = ()) -> SequenceBatch:
    generator = torch.Generator().manual_seed(0)
    return SequenceBatch(
        codes=torch.randint(0, 5, (4, 240), generator=generator).to(torch.uint8),
        signals=torch.rand(4, num_bins, num_tracks, generator=generator),
        target=torch.randn(4, 1, generator=generator),
        covariates=torch.zeros(4, 0),
        tss_bp=torch.tensor([60, 63, 57, 60]),
        index=torch.arange(4),
        is_reversed=torch.tensor([row in reversed_rows for row in range(4)]),
        blacklist=torch.zeros(4, num_bins, dtype=torch.bool),
    )


def statistics(num_tracks: int = 2) -> DataStatistics:
    levels = np.array([0.0, 0.5, 0.99, 1.0], dtype=np.float32)
    quantiles = np.tile(np.array([0.0, 1.0, 4.0, 900.0], dtype=np.float32), (num_tracks, 1))
    names = tuple(f"track{number}" for number in range(num_tracks))
    return DataStatistics(names, quantiles, levels, target_mean=5.0, target_std=2.0, num_train=10)


def network(num_tracks: int = 2, **settings: int) -> ConvExpression:
    torch.manual_seed(0)
    return ConvExpression(num_tracks, width=8, hidden=8, stride_bp=3, word_bp=3, num_scans=1, **settings)


@pytest.mark.parametrize("num_tracks", [0, 2])
def test_predicts_each_row_alone(num_tracks: int) -> None:
    net, batch = network(num_tracks).eval(), make_batch(num_tracks)
    whole = net(batch).prediction
    assert whole.shape == (4, 1)
    first = SequenceBatch(*(getattr(batch, name)[:1] for name in batch.__dataclass_fields__))
    torch.testing.assert_close(net(first).prediction, whole[:1])


def test_calibration_sets_the_units_and_stays_in_the_checkpoint() -> None:
    net, batch = network().eval(), make_batch()
    before = net(batch).prediction
    net.calibrate(statistics())
    assert torch.equal(net.members[0].signal_stem.scale, torch.tensor([4.0, 4.0]))
    fresh = network().eval()
    fresh.load_state_dict(net.state_dict())
    torch.testing.assert_close(fresh(batch).prediction, net(batch).prediction)
    assert (net(batch).prediction - before).abs().min() > 1.0
    assert statistics(0).high_quantile().shape == (0,)


def test_mean_error_and_disagreement_are_the_members_own_errors() -> None:
    net, batch = network(num_members=3).eval(), make_batch()
    net.calibrate(statistics())
    losses = net.losses(batch)
    whole = (net(batch).prediction - batch.target).square().mean() + losses.penalties["disagreement"]
    torch.testing.assert_close(whole, losses.terms["regression"].mean() + losses.penalties["disagreement"])
    own = []
    for member in net.members:
        alone = network()
        alone.members[0] = member
        alone.calibrate(statistics())
        own.append((alone.eval()(batch).prediction - batch.target).square().mean())
    torch.testing.assert_close(whole, torch.stack(own).mean())
    assert network().eval().losses(batch).penalties == {}


def test_every_parameter_learns() -> None:
    net, batch = network(num_members=2), make_batch()
    (net(batch).prediction - batch.target).square().mean().backward()
    assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []


def test_distances_are_signed_in_gene_orientation() -> None:
    distance = token_distance_bp(make_batch(reversed_rows=(3,)), 12)
    assert distance.shape == (4, 20)
    assert distance[0, 0] == 5.5 - 60
    assert distance[0, 5] == 5.5
    assert distance[1, 5] == 2.5
    torch.testing.assert_close(distance[3], -distance[0])


def test_finer_signals_are_averaged_without_the_missing_ones() -> None:
    batch = replace(make_batch(1, num_bins=80), signals=torch.arange(320.0).view(4, 80, 1))
    batch.signals[0, 0] = float("nan")
    assert token_signals(batch, 6)[0, :2].flatten().tolist() == [1.0, 2.5]
    with pytest.raises(ConfigError, match="bins of 3 bp, the model works in bins of 10 bp"):
        token_signals(batch, 10)
    assert network()(make_batch(num_bins=80)).prediction.shape == (4, 1)


def test_settings_and_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 signals in the data"):
        network(0)(make_batch(2))
    with pytest.raises(ConfigError, match="num_members 0"):
        network(num_members=0)
