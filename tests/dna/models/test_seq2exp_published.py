"""The released Seq2Exp: its published numbers, and each quirk beside what the default does in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from small_seq2exp import make_batch as make_default_batch
from small_seq2exp import network as default_network
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.conv import SequenceStem
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.models.seq2exp_published import (
    VARIANTS,
    PublishedSeq2Exp,
    released_product,
    sequence_factor,
    signal_factor,
)
from seqexp.dna.selectors.beta import BetaFactor, kl_divergence, product

BASES, CENTER = 96, 16


def make_batch(rows: int = 3, seed: int = 0) -> SequenceBatch:
    generator = torch.Generator().manual_seed(seed)
    return SequenceBatch(
        codes=torch.randint(0, 4, (rows, BASES), generator=generator).to(torch.uint8),
        signals=torch.rand(rows, BASES, 3, generator=generator) * 4,
        target=torch.randn(rows, 1, generator=generator),
        covariates=torch.zeros(rows, 0),
        tss_bp=torch.full((rows,), BASES // 2),
        index=torch.arange(rows),
        is_reversed=torch.zeros(rows, dtype=torch.bool),
        blacklist=torch.zeros(rows, BASES, dtype=torch.bool),
    )


def network(variant: str, **settings: Any) -> PublishedSeq2Exp:
    torch.manual_seed(0)
    sizes = {"num_covariates": 0, "width": 16, "num_layers": 2, "center_bp": CENTER, "window_bp": BASES}
    return PublishedSeq2Exp(variant, **{**sizes, **settings})


def released(variant: str, signals: tuple[float, float, float]) -> BetaFactor:
    """The posterior for a generator whose outputs are 0."""
    thresholds, weights = torch.tensor([1.5, 0.2, 1.0]), torch.tensor([0.4, 0.4, 0.2])
    of_signals = signal_factor(torch.tensor(signals), thresholds, weights, VARIANTS[variant])
    return released_product(sequence_factor(torch.zeros(2), VARIANTS[variant]), of_signals)


@pytest.mark.parametrize(
    ("variant", "signals", "alpha", "beta", "mean", "divergence"),
    [
        ("soft", (0, 0, 0), 11.7, 20.5, 0.363, 18.7),
        ("soft", (1.5, 0.2, 1.0), 20.5, 20.5, 0.50, 37.6),
        ("soft", (5, 1, 0.5), 36.7, 20.5, 0.64, 65.5),
        ("soft", (20, 3, 1), 105.7, 20.5, 0.84, 134.5),
        ("hard", (0, 0, 0), 0.69, 1.57, 0.31, 1.09),
        ("hard", (5, 1, 0.5), 3.19, 1.57, 0.67, 1.58),
    ],
)
def test_table_of_the_released_constants(
    variant: str, signals: tuple[float, float, float], alpha: float, beta: float, mean: float, divergence: float
) -> None:
    found = released(variant, signals)
    prior = BetaFactor(*(torch.tensor(part) for part in VARIANTS[variant].prior))
    digits = 1 if variant == "soft" else 2
    assert round(float(found.alpha), digits) == alpha
    assert round(float(found.beta), digits) == beta
    assert float(found.mean) == pytest.approx(mean, abs=0.005)
    assert float(kl_divergence(found, prior)) == pytest.approx(divergence, rel=0.005)


@pytest.mark.parametrize(("signals", "share"), [((0, 0, 0), 0.24), ((5, 1, 0.5), 0.80)])
def test_share_of_hard_masks_that_are_kept(signals: tuple[float, float, float], share: float) -> None:
    found = released("hard", signals)
    assert stats.beta.sf(0.5, float(found.alpha), float(found.beta)) == pytest.approx(share, abs=0.01)


def test_priors_and_numbers_of_parameters() -> None:
    assert VARIANTS["soft"].prior == pytest.approx((10, 90))
    assert VARIANTS["hard"].prior == pytest.approx((0.1, 0.12222), rel=1e-4)
    assert sum(parameter.numel() for parameter in PublishedSeq2Exp("soft").parameters()) == 1_114_249
    assert sum(parameter.numel() for parameter in PublishedSeq2Exp("hard").parameters()) == 26_174_985


@pytest.mark.parametrize("variant", VARIANTS)
def test_trains_and_predicts(variant: str) -> None:
    model, batch = network(variant).train(), make_batch()
    losses = model.losses(batch)
    (losses.terms["regression"].mean() + 0.01 * losses.penalties["kl"]).backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == {"thresholds", "log_weights"}
    assert model.eval()(batch).prediction.shape == (3, 1)
    assert torch.equal(model(batch).prediction, model(batch).prediction)
    assert set(np.unique(model(batch).per_row["mask"].detach())) <= {0.0, 1.0} or variant == "soft"


# -- quirks: the preset first, the default after -------------------------------------------------------------------


def test_quirk_product_forgets_the_minus_one() -> None:
    one = BetaFactor(torch.tensor(1.0), torch.tensor(1.0))  # says nothing
    other = BetaFactor(torch.tensor(3.0), torch.tensor(2.0))
    assert float(released_product(one, other).alpha) == 4.0
    assert float(product(one, other).alpha) == 3.0


def test_quirk_hard_mask_learns_nothing_from_the_prediction() -> None:
    model = network("hard").train()
    model(make_batch()).prediction.square().sum().backward()
    assert model.evidence.weight.grad is None or not model.evidence.weight.grad.any()
    soft = network("soft").train()
    soft(make_batch()).prediction.square().sum().backward()
    assert soft.evidence.weight.grad.any()
    default = default_network()
    default(make_default_batch()).prediction.square().sum().backward()
    assert default.selector.evidence.head.weight.grad.any()


def test_quirk_soft_mask_is_taken_back_by_the_first_norm() -> None:
    """Input of the first mixer where the mask falls from 1 to 0.1: as good as the same; the default's falls with it."""
    norm, tokens = network("soft").predictor.blocks[0].norm, torch.randn(200, 16)
    kept = torch.nn.functional.cosine_similarity(norm(tokens), norm(0.1 * tokens))
    assert kept.min() > 0.999
    assert (norm(0.1 * tokens).norm(dim=1) / norm(tokens).norm(dim=1)).min() > 0.99
    default, batch = default_network(), make_default_batch()
    shown: list[Tensor] = []
    default.predictor.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    for value in (1.0, 0.1):
        default.predict_under(batch, torch.full((3, 32), value))
    from_null = [(part - default.null_token).norm() for part in shown]
    assert from_null[1] < 0.11 * from_null[0]


def test_quirk_distal_tokens_are_not_read() -> None:
    released, default = network("soft").eval(), default_network()
    for made, batch, share in ((released, make_batch(), CENTER / BASES), (default, make_default_batch(), 1.0)):
        hidden: list[Tensor] = []
        made.predictor.register_forward_hook(lambda _, __, output, hidden=hidden: hidden.append(output))
        (gradient,) = torch.autograd.grad(made(batch).prediction.sum(), hidden)
        assert (gradient.abs().sum((0, 2)) > 0).float().mean() == pytest.approx(share)


def test_quirk_sequence_factor_of_the_hard_variant_sees_signals() -> None:
    batch = make_batch()
    louder = replace(batch, signals=batch.signals + 1)
    for variant, is_moved in (("soft", False), ("hard", True)):
        model = network(variant).eval()
        logits = [model.select(part).sequence_logit for part in (batch, louder)]
        assert torch.equal(*logits) != is_moved
    default, own = default_network(), make_default_batch()
    moved = replace(own, signals=own.signals + 1)
    assert torch.equal(*(default.select(part).sequence_logit for part in (own, moved)))


def test_quirk_one_length_of_window() -> None:
    longer = make_batch()
    longer = replace(
        longer,
        codes=longer.codes.repeat(1, 2),
        signals=longer.signals.repeat(1, 2, 1),
        blacklist=longer.blacklist.repeat(1, 2),
    )
    with pytest.raises(ConfigError, match="windows of 192 bp, a table of 96 bp"):
        network("hard")(longer)
    assert network("soft")(longer).prediction.shape == (3, 1)


def test_quirk_padding_of_the_hard_variant_tells_of_other_windows() -> None:
    """Kept tokens are padded with zeros that the backward reading starts from: a longer neighbour changes a window."""
    model, batch = network("hard").eval(), make_batch()
    nn.init.normal_(model.evidence.weight, std=3.0)  # windows that keep different numbers of tokens
    for name, parameter in model.generator.named_parameters():
        if "A_log" in name:
            nn.init.constant_(parameter, -4.0)  # a long memory, as training may make it
        if "out_proj" in name:
            nn.init.normal_(parameter)
    kept = model.select(batch).mask.sum(1)
    shortest = int(kept.argmin())
    assert kept[shortest] < kept.max()
    row = slice(shortest, shortest + 1)
    alone = SequenceBatch(*(getattr(batch, name)[row] for name in batch.__dataclass_fields__))
    assert not torch.allclose(model(batch).prediction[row], model(alone).prediction, atol=1e-6)
    default, own = default_network(), make_default_batch()
    first = SequenceBatch(*(getattr(own, name)[:1] for name in own.__dataclass_fields__))
    torch.testing.assert_close(default(own).prediction[:1], default(first).prediction)


def test_quirk_promoter_is_forced_for_the_mask_but_not_for_peaks() -> None:
    model, batch = network("soft").eval(), make_batch()
    assert model.select(batch).mask[:, BASES // 2 - CENTER // 2 : BASES // 2 + CENTER // 2].eq(1).all()
    nothing = model.predict_under(batch, torch.zeros(3, BASES))
    assert torch.allclose(nothing, nothing[:1].expand(3, 1))  # not even the promoter is left to tell genes apart


def test_quirk_divergence_counts_forced_positions() -> None:
    model, batch = network("soft").eval(), make_batch()
    chosen = model.select(batch)
    assert chosen.forced.any()
    torch.testing.assert_close(model.losses(batch).penalties["kl"], chosen.kl.mean())
    assert (chosen.kl[chosen.forced] > 0).all()


def test_bins_of_several_bases_and_settings_that_do_not_fit() -> None:
    model = network("hard", stem=SequenceStem(16, 8, kernel_bp=8, stride_bp=8)).eval()
    assert model(make_batch()).per_row["mask"].shape == (3, 12)
    with pytest.raises(ConfigError, match="variant 'firm'"):
        network("firm")
    with pytest.raises(ConfigError, match="one of each per track"):
        network("soft", thresholds=(1.0,))
    with pytest.raises(ConfigError, match="0 covariates in the data"):
        network("soft", num_covariates=9)(make_batch())
