"""mclSTExp: contrast, retrieval and exclusion; each quirk of the release in the preset, and its absence by default."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import yaml

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.resources import shipped
from seqexp.histology.loaders.batch import SpotBatch
from seqexp.histology.models.mclstexp import MclSTExp

GENES, FEATURES = 12, 10
PAPER = {"attention": "batch", "is_normalized": False, "temperature": 1.0, "num_positions": 64}


def network(**changes: object) -> MclSTExp:
    torch.manual_seed(0)
    small = {"width": 16, "num_heads": 2, "head_width": 8, "num_neighbours": 5}
    return MclSTExp(GENES, FEATURES, **{**small, **changes}).eval()


def batch_of(num: int, seed: int = 0, slide: int = 0, patient: int = 0) -> SpotBatch:
    """Six hidden causes seen in features and in genes."""
    generator = torch.Generator().manual_seed(seed)
    causes = torch.randn(num, 6, generator=generator)
    views = torch.Generator().manual_seed(99)
    to_features, to_genes = (torch.randn(6, n, generator=views) for n in (FEATURES, GENES))
    return SpotBatch(
        torch.zeros(num, 0, 0, 3, dtype=torch.uint8),
        causes @ to_features + 0.1 * torch.randn(num, FEATURES, generator=generator),
        torch.zeros(num, 0, FEATURES),
        torch.zeros(num, 0, dtype=torch.bool),
        causes @ to_genes,
        torch.stack([torch.arange(num) // 8, torch.arange(num) % 8], dim=1),
        torch.full((num,), slide),
        torch.full((num,), patient),
        torch.arange(num) + 1000 * slide,
    )


def together(*batches: SpotBatch) -> SpotBatch:
    names = SpotBatch.__dataclass_fields__
    return SpotBatch(*(torch.cat([getattr(b, n) for b in batches]) for n in names))


def test_contrast_by_hand() -> None:
    net, batch = network(temperature=0.1), batch_of(7)
    image, spot = net.embed_image(batch).double(), net.embed_spots(batch).double()
    unit = [z / z.norm(dim=1, keepdim=True) for z in (spot, image)]
    logits = (unit[0] @ unit[1].T / 0.1).detach().numpy()
    rows = np.diag(logits) - np.log(np.exp(logits).sum(1))
    columns = np.diag(logits) - np.log(np.exp(logits).sum(0))
    contrast = net.train().losses(batch).terms["contrast"]
    assert contrast.item() == pytest.approx(-(rows.mean() + columns.mean()) / 2, rel=1e-4)


def test_retrieval_by_hand() -> None:
    net = network()
    queries, keys, values = torch.randn(3, 16), torch.randn(9, 16), torch.randn(9, GENES)
    allowed = torch.ones(3, 9, dtype=torch.bool)
    allowed[1, :2] = False
    found = net.look_up(queries, keys, values, allowed)
    q, k = (z / z.norm(dim=1, keepdim=True) for z in (queries, keys))
    for row in range(3):
        usable = [j for j in range(9) if allowed[row, j]]
        nearest = sorted(usable, key=lambda j: -float(q[row] @ k[j]))[:5]
        weight = torch.tensor([1 / float((q[row] - k[j]).norm()) ** 2 for j in nearest])
        by_hand = (weight[:, None] * values[nearest]).sum(0) / weight.sum()
        torch.testing.assert_close(found[row], by_hand, rtol=1e-4, atol=1e-5)


def test_own_tissue_never_answers() -> None:
    """Values of the same patient may be anything: they do not reach the prediction."""
    own, other = batch_of(10, 1, slide=0, patient=0), batch_of(10, 2, slide=1, patient=1)
    net = network(exclude="patient")
    net.memorise([own, other])
    before = net(own).prediction
    net.values[:10] = 1e6
    torch.testing.assert_close(net(own).prediction, before)
    assert (net(other).prediction > 1e5).all()
    alone = network(exclude="patient")
    alone.memorise([own])
    with pytest.raises(DataError, match="same patient"):
        alone(own)
    by_slide = network(exclude="slide")
    second = batch_of(10, 3, slide=2, patient=0)
    by_slide.memorise([own])
    assert torch.isfinite(by_slide(second).prediction).all()
    with pytest.raises(DataError, match="same slide"):
        by_slide(own)


def test_nothing_memorised_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to look up"):
        network()(batch_of(4))


@pytest.mark.parametrize("attention", ["none", "slide"])
def test_keys_do_not_depend_on_order_or_company(attention: str) -> None:
    net = network(attention=attention)
    parts = [batch_of(10, 1, slide=0), batch_of(6, 2, slide=1)]
    net.memorise(parts)
    one = net.keys.clone()
    net.memorise([together(parts[1], parts[0])])
    torch.testing.assert_close(torch.cat([net.keys[6:], net.keys[:6]]), one)
    alone = net.embed_spots(parts[1])
    torch.testing.assert_close(alone, one[10:])


def test_quirk_batch_is_one_sequence() -> None:
    """Published: a key depends on which spots happened to be encoded with it."""
    part = batch_of(6, 2)
    paper, ours = network(**PAPER), network()
    company = together(part, batch_of(6, 3))
    assert (paper.embed_spots(company)[:6] - paper.embed_spots(part)).abs().max() > 1e-3
    torch.testing.assert_close(ours.embed_spots(company)[:6], ours.embed_spots(part))


def test_quirk_raw_dot_products() -> None:
    """Published: no norm and temperature 1; after a LayerNorm of 256 dimensions logits have a spread near 16."""
    torch.manual_seed(0)
    paper = MclSTExp(GENES, FEATURES, is_normalized=False, temperature=1.0).eval()
    batch = batch_of(64)
    image, spot = paper.embed_image(batch), torch.randn(64, 256)
    spot = torch.nn.functional.layer_norm(spot, (256,))
    assert (spot @ image.T).std().item() == pytest.approx(16, rel=0.15)
    assert not paper.log_scale.requires_grad
    assert network().log_scale.requires_grad
    assert image.norm(dim=1).mean().item() == pytest.approx(16, rel=0.01)
    halved = paper.contrast(0.5 * image, spot)
    assert (halved - paper.contrast(image, spot)).abs() > 0.1  # lengths matter there
    ours = network()
    torch.testing.assert_close(ours.contrast(0.5 * image, spot), ours.contrast(image, spot))


def test_quirk_position_tables_of_65536_rows() -> None:
    paper = yaml.safe_load(shipped("configs", "histology/mclstexp_paper.yaml").read_text())
    arguments = paper["model"]["network"]["init_args"]
    assert arguments["num_positions"] == 65536
    assert arguments["attention"] == "batch"
    assert arguments["is_normalized"] is False
    assert arguments["temperature"] == 1.0
    assert (arguments["num_neighbours"], arguments["distance_order"]) == (200, 1.0)
    tables = 2 * 65536 * 785
    encoder = torch.nn.Module()
    encoder.out_dim = 1024  # type: ignore[assignment]
    net = MclSTExp(785, image_encoder=encoder, num_positions=65536)
    numbers = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert numbers["positions"] == tables == 102_891_520  # 89 % of the model
    assert numbers["spot_blocks"] == pytest.approx(5.7e6, rel=0.02)
    assert numbers["image_head"] + numbers["spot_head"] == pytest.approx(0.6e6, rel=0.05)
    assert len(network().positions) == 0


def test_positions_beyond_the_table() -> None:
    with pytest.raises(ConfigError, match="num_positions: 5"):
        network(num_positions=4).embed_spots(batch_of(40))


def test_learns_what_both_views_share() -> None:
    torch.manual_seed(0)
    net = MclSTExp(GENES, FEATURES, width=16, num_heads=2, head_width=8, num_neighbours=20, temperature=0.1).train()
    train = batch_of(240, 1, slide=0, patient=0)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    for step in range(250):
        rows = torch.randperm(240, generator=torch.Generator().manual_seed(step))[:60]
        part = SpotBatch(*(getattr(train, name)[rows] for name in SpotBatch.__dataclass_fields__))
        loss = net.losses(part).terms["contrast"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < math.log(60) / 2
    net.eval()
    net.memorise([train])
    test = batch_of(80, 2, slide=1, patient=1)
    predicted = net(test).prediction.detach()
    r = [np.corrcoef(predicted[:, g], test.target[:, g])[0, 1] for g in range(GENES)]
    assert np.mean(r) > 0.7


def test_training_looks_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    net, batch = network(), batch_of(8)
    net.memorise([batch_of(20, 5, slide=7, patient=7)])
    assert net.losses(batch).output is not None  # validation scores what is looked up
    monkeypatch.setattr(net, "look_up", lambda *a: pytest.fail("looked up"))
    losses = net.train().losses(batch)
    assert losses.output is None
    assert set(losses.terms) == {"contrast"}
    assert losses.terms["contrast"].requires_grad


@pytest.mark.parametrize(
    "changes",
    [{"attention": "all"}, {"exclude": "nobody"}, {"num_features": 0}, {"num_neighbours": 0}, {"temperature": 0.0}],
)
def test_settings_that_cannot_be(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        MclSTExp(**{"num_genes": GENES, "num_features": FEATURES, **changes})
