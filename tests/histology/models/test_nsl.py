"""NSL: eleven weights per gene, the physics of stains, and what happens on glass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqexp.core.errors import ConfigError
from seqexp.histology.loaders.batch import SpotBatch
from seqexp.histology.loaders.handmade import stain_matrix
from seqexp.histology.models.nsl import LAYOUTS, NSL, optical_density

H_AND_E = torch.tensor(stain_matrix()[:2], dtype=torch.float32)


def batch_of(patches: torch.Tensor, target: torch.Tensor | None = None) -> SpotBatch:
    num = len(patches)
    zeros = torch.zeros(num, dtype=torch.int64)
    given = torch.zeros(num, 1) if target is None else target
    none = (torch.zeros(num, 0, 0), torch.zeros(num, 0, dtype=torch.bool))
    grid = torch.zeros(num, 2, dtype=torch.int64)
    return SpotBatch(patches, torch.zeros(num, 0), *none, given, grid, zeros, zeros, zeros)


def beer_lambert(num: int = 160, side: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches of two stains and 2 H - E of their means."""
    generator = torch.Generator().manual_seed(0)
    level = torch.rand(num, 1, 1, 2, generator=generator) * 0.8 + 0.1
    amounts = level * (0.8 + 0.4 * torch.rand(num, side, side, 2, generator=generator))
    pixels = 256 * torch.exp(-(amounts @ H_AND_E)) - 1
    y = 2 * amounts[..., 0].mean((1, 2)) - amounts[..., 1].mean((1, 2))
    return pixels.round().clamp(0, 255).to(torch.uint8), (y - y.mean()) / y.std()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_eleven_weights_per_gene(layout: str) -> None:
    assert sum(p.numel() for p in NSL(7, layout).parameters()) == 77
    assert sum(p.numel() for p in NSL(7, layout, share_stains=True).parameters()) < 77


@pytest.mark.parametrize("layout", LAYOUTS)
def test_recovers_stains_of_beer_and_lambert(layout: str) -> None:
    torch.manual_seed(0)
    patches, y = beer_lambert()
    target = torch.stack([y, -y, y, y], dim=1)
    train, test = batch_of(patches[:120], target[:120]), batch_of(patches[120:], target[120:])
    net = NSL(4, layout)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.03)
    for _ in range(300):
        optimizer.zero_grad()
        ((net(train).prediction - train.target) ** 2).mean().backward()
        optimizer.step()
    predicted = net(test).prediction.detach().numpy()
    for gene in range(4):
        assert np.corrcoef(predicted[:, gene], test.target[:, gene])[0, 1] > 0.95


def test_genes_are_apart_from_each_other() -> None:
    """The vectorised form is as many models of one gene."""
    patches, _ = beer_lambert(6)
    net = NSL(3)
    net(batch_of(patches)).prediction[:, 1].sum().backward()
    assert net.unmixing.grad is not None
    assert net.unmixing.grad[1].abs().sum() > 0
    assert net.unmixing.grad[[0, 2]].abs().sum() == 0
    one = NSL(1)
    with torch.no_grad():
        one.unmixing.copy_(net.unmixing[1:2])
        one.readout.copy_(net.readout[1:2])
    torch.testing.assert_close(one(batch_of(patches)).prediction[:, 0], net(batch_of(patches)).prediction[:, 1])


def test_starts_near_haematoxylin_and_eosin() -> None:
    torch.manual_seed(1)
    vectors = NSL(5).stain_vectors()  # (5, 3, stains)
    assert vectors.shape == (5, 3, 3)
    cosine = torch.nn.functional.cosine_similarity(vectors[:, :, :2].transpose(1, 2), H_AND_E, dim=2)
    assert cosine.min() > 0.97


def test_white_glass_is_finite_and_may_be_left_out() -> None:
    white = torch.full((2, 8, 8, 3), 255, dtype=torch.uint8)
    black = torch.zeros_like(white)
    for skip in (False, True):
        net = NSL(3, skip_glass=skip)
        assert torch.isfinite(net(batch_of(torch.cat([white, black]))).prediction).all()
    assert optical_density(white).abs().max() == 0
    tissue, _ = beer_lambert(2)
    half = torch.cat([tissue, torch.full_like(tissue, 255)], dim=1)
    net = NSL(3, skip_glass=True)
    torch.testing.assert_close(net(batch_of(half)).prediction, net(batch_of(tissue)).prediction)
    plain = NSL(3)
    assert (plain(batch_of(half)).prediction - plain(batch_of(tissue)).prediction).abs().min() > 1e-3


def test_maps_average_to_what_the_readout_sees() -> None:
    patches, _ = beer_lambert(3)
    for layout in LAYOUTS:
        net = NSL(2, layout)
        maps = net.pixel_maps(patches, target=1)
        assert maps.shape[2:] == (8, 8)
        by_hand = (maps.mean((2, 3))[:, :2] * net.readout[1]).sum(1)
        by_hand = by_hand if net.bias is None else by_hand + net.bias[1]
        torch.testing.assert_close(by_hand, net(batch_of(patches)).prediction[:, 1])


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="layout"):
        NSL(2, "4x4")
    with pytest.raises(ConfigError, match="activation"):
        NSL(2, activation="sigmoid")
    with pytest.raises(ConfigError, match="without patches"):
        NSL(2)(batch_of(torch.zeros(2, 0, 0, 3, dtype=torch.uint8)))
