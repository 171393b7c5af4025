"""Seq2Exp: the mask decides what acts, and the prediction's error reaches what decides the mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_seq2exp import BIN_BP, BINS, ROWS, WIDTH, conv, make_batch, network
from torch import Tensor, nn

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.conv import SequenceStem, SignalStem
from seqexp.dna.encoders.mamba import MambaEncoder
from seqexp.dna.encoders.mamba2 import Mamba2Encoder
from seqexp.dna.encoders.motif_stem import MotifStem
from seqexp.dna.heads.additive import AdditiveHead
from seqexp.dna.heads.expression import ExpressionHead
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.dna.models.seq2exp import Seq2Exp
from seqexp.dna.selectors.evidence import EvidenceSettings
from seqexp.dna.selectors.place import PlaceSettings
from seqexp.dna.selectors.relaxation import Relaxation
from seqexp.dna.selectors.selector import BetaSelector
from seqexp.training.task import ExpressionTask

HALVING_CHANGES = 0.01  # of the target's standard deviation, at least


def mamba2() -> nn.Module:
    return Mamba2Encoder(WIDTH, num_layers=2, head_dim=8, state_size=8, chunk=8)


def mamba() -> nn.Module:
    return MambaEncoder(WIDTH, num_layers=4, state_size=8)


ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "conv": conv,
    "conv, batch": lambda: conv("batch"),
    "mamba": mamba,
    "mamba2": mamba2,
}
HEADS: dict[str, Callable[[], nn.Module]] = {
    "attention": lambda: ExpressionHead(WIDTH, dropout=0.0, num_scans=1),
    "additive": lambda: AdditiveHead(WIDTH),
}


def statistics(num_tracks: int, num_contacts: int = 0) -> DataStatistics:
    levels = np.linspace(0, 1, 101, dtype=np.float32)
    quantiles = np.tile(5 * levels**4, (num_tracks + num_contacts, 1)).astype(np.float32)
    names = tuple(f"track{number}" for number in range(num_tracks)) + ("contact",) * num_contacts
    return DataStatistics(names, quantiles, levels, target_mean=5.0, target_std=2.0, num_train=10)


def changed_at(batch: SequenceBatch, bins: Tensor) -> SequenceBatch:
    """Other bases and other signals in some bins."""
    bases = bins.repeat_interleave(BIN_BP)
    codes, signals = batch.codes.clone(), batch.signals.clone()
    codes[:, bases] = (codes[:, bases] + 1 + torch.arange(int(bases.sum())) % 3).to(torch.uint8) % 4
    signals[:, bins] = 9 - signals[:, bins]
    return replace(batch, codes=codes, signals=signals)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_the_mask_drops_cannot_act(encoder: str, head: str) -> None:
    net, batch = network(ENCODERS[encoder](), HEADS[head]()), make_batch()
    dropped = torch.zeros(BINS, dtype=torch.bool)
    dropped[[3, 4, 5, 17, 31]] = True
    mask = torch.full((ROWS, BINS), 0.7)
    open_change = net.predict_under(changed_at(batch, dropped), mask) - net.predict_under(batch, mask)
    assert open_change.square().mean().sqrt() > 1e-3  # while kept, these bins do act
    mask[:, dropped] = 0.0
    closed_change = net.predict_under(changed_at(batch, dropped), mask) - net.predict_under(batch, mask)
    assert closed_change.abs().max() < 1e-6


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_influence_fades_with_the_mask_and_halving_it_shows(encoder: str, head: str) -> None:
    net, batch = network(ENCODERS[encoder](), HEADS[head]()), make_batch()
    some = torch.zeros(BINS, dtype=torch.bool)
    some[10:14] = True
    influence = []
    for value in (1.0, 0.5, 0.1, 0.001):
        mask = torch.ones(ROWS, BINS)
        mask[:, some] = value
        change = net.predict_under(changed_at(batch, some), mask) - net.predict_under(batch, mask)
        influence.append(change.abs().mean().item())
    assert influence[3] < 0.01 * influence[0]
    assert influence[2] < 0.5 * influence[0]
    half = net.predict_under(batch, torch.full((ROWS, BINS), 0.5)) - net.predict_under(batch, torch.ones(ROWS, BINS))
    assert half.square().mean().sqrt() > HALVING_CHANGES


def test_error_of_the_prediction_reaches_both_kinds_of_evidence() -> None:
    net, batch = network().train(), make_batch()
    output = net(batch)
    (output.prediction - batch.target).square().mean().backward()
    wanted = {
        "sequence": net.selector.evidence.head.weight,
        "signals": net.selector.evidence.signals.raw_weight,
        "threshold": net.selector.evidence.signals.threshold_shift,
        "encoder": net.encoder.blocks[0].spread.weight,
        "null token": net.null_token,
    }
    for name, parameter in wanted.items():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 1e-8, name


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_error_of_the_prediction_alone_reaches_the_evidence_through_a_hard_mask(encoder: str, head: str) -> None:
    """The released hard command has no such gradient: `test_quirk_hard_mask_learns_nothing_from_the_prediction`."""
    net, batch = network(ENCODERS[encoder](), HEADS[head]()), make_batch()
    net.selector = BetaSelector(WIDTH, 2, relaxation=Relaxation(is_hard=True))
    output = net.train()(batch)
    mask = output.per_row["mask"]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    mask.retain_grad()
    (output.prediction - batch.target).square().mean().backward()
    for is_kept in (True, False):  # nothing is gathered: dropped bins learn what keeping them would have done
        assert (mask.grad[mask.eq(1) == is_kept] != 0).float().mean() > 0.9
    for parameter in (
        net.selector.evidence.head.weight,
        net.selector.evidence.signals.raw_weight,
        net.encoder.blocks[0].spread.weight,
    ):
        assert parameter.grad.abs().max() > 1e-8
        assert parameter.grad.isfinite().all()


def test_contacts_act_through_the_mask_and_are_calibrated() -> None:
    net, batch = network(), make_batch(3)
    net.selector = BetaSelector(WIDTH, 2, 1, evidence=EvidenceSettings(place=PlaceSettings(distance_weight=0.3)))
    net.calibrate(statistics(2, num_contacts=1))
    assert net.selector.evidence.place.contacts.threshold.item() != 1.0
    assert net.binned(batch).shape == (ROWS, BINS, 3)
    with pytest.raises(ConfigError, match=r"2 tracks and 0 contact channels .*built for 2 and 1"):
        net.calibrate(statistics(2))
    with pytest.raises(ConfigError, match=r"3 tracks and 0 contact channels .*built for 2 and 1"):
        net.calibrate(statistics(3))  # a track is no contact, although the numbers add up
    chosen, before = net.eval().select(batch), net(batch).prediction
    signals = batch.signals.clone()
    signals[..., 2] = 9 - signals[..., 2]
    turned = replace(batch, signals=signals)
    other = net.select(turned)
    assert torch.equal(other.sequence_logit, chosen.sequence_logit)
    assert torch.equal(other.signal_logit, chosen.signal_logit)
    assert not torch.equal(other.place_logit, chosen.place_logit)
    assert (net(turned).prediction - before).abs().max() > 1e-4
    mask = torch.full((ROWS, BINS), 0.7)
    torch.testing.assert_close(net.predict_under(turned, mask), net.predict_under(batch, mask))
    assert torch.equal(net(batch).per_row["mask"], chosen.mask)


def test_each_view_sees_its_own_input_only() -> None:
    net, batch = network(), make_batch()
    other_signals = replace(batch, signals=9 - batch.signals)
    other_bases = replace(batch, codes=(batch.codes + 1) % 4)
    chosen = net.select(batch)
    assert torch.equal(net.select(other_signals).sequence_logit, chosen.sequence_logit)
    assert torch.equal(net.select(other_bases).signal_logit, chosen.signal_logit)
    assert not torch.equal(net.select(other_bases).sequence_logit, chosen.sequence_logit)
    assert not torch.equal(net.select(other_signals).signal_logit, chosen.signal_logit)


def test_given_mask_takes_the_place_of_the_selectors() -> None:
    net, batch = network(), make_batch()
    own, chosen = net(batch).prediction, net.select(batch).mask
    torch.testing.assert_close(net.predict_under(batch, chosen), own)
    other = torch.zeros(ROWS, BINS)
    other[:, :4] = 1.0
    assert (net.predict_under(batch, other) - own).abs().min() > 1e-3


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_window_is_predicted_the_same_in_any_company(encoder: str) -> None:
    net, batch = network(ENCODERS[encoder]()), make_batch()
    alone = SequenceBatch(*(getattr(batch, name)[1:2] for name in batch.__dataclass_fields__))
    torch.testing.assert_close(net(alone).prediction, net(batch).prediction[1:2])


def test_penalties_are_those_of_the_free_bins() -> None:
    net, batch = network(), make_batch()
    net.selector.promoter_bp = 64
    penalties, chosen = net.losses(batch).penalties, net.select(batch)
    free = ~chosen.forced
    assert free.sum() == ROWS * (BINS - 8)
    assert penalties["kept"].item() == pytest.approx(chosen.mask[free].mean().item(), rel=1e-5)
    assert penalties["kl"].item() == pytest.approx(chosen.kl[free].mean().item(), rel=1e-5)
    assert penalties["kept_bp"].item() == pytest.approx(BIN_BP * chosen.mask[free].sum().item() / ROWS, rel=1e-5)
    steps = chosen.mean.diff(dim=1).abs()[free[:, 1:] & free[:, :-1]]
    assert penalties["contiguity"].item() == pytest.approx(steps.mean().item(), rel=1e-5)


def test_trained_on_regression_with_a_named_loss() -> None:
    net, batch = network(), make_batch()
    losses = net.losses(batch)
    torch.testing.assert_close(losses.terms["regression"], (net(batch).prediction - batch.target).square().mean(1))
    assert losses.output is not None
    assert torch.equal(losses.output.per_row["mask"], net.select(batch).mask)


def test_contiguity_can_be_a_penalty() -> None:
    net, batch = network().train(), make_batch()
    ExpressionTask(net, loss_weights={"signal": 1.0, "contiguity": 0.1})
    optimizer = torch.optim.Adam(net.selector.parameters(), lr=0.02)
    before = net.losses(batch).penalties["contiguity"].item()
    for _ in range(50):
        optimizer.zero_grad()
        net.losses(batch).penalties["contiguity"].backward()
        optimizer.step()
    assert net.losses(batch).penalties["contiguity"].item() < 0.5 * before


def test_finer_signals_are_averaged_into_the_bins_of_the_stem() -> None:
    net, batch = network(), make_batch()
    fine = replace(
        batch,
        signals=batch.signals.repeat_interleave(2, dim=1),
        blacklist=batch.blacklist.repeat_interleave(2, dim=1),
    )
    torch.testing.assert_close(net(fine).prediction, net(batch).prediction)
    coarse = replace(batch, signals=batch.signals[:, ::2], blacklist=batch.blacklist[:, ::2])
    with pytest.raises(ConfigError, match="divisor of 8"):
        net(coarse)


def test_calibration_sets_units_and_refuses_another_number_of_tracks() -> None:
    net, batch = network(), make_batch()
    raw = net(batch).prediction
    net.calibrate(statistics(2))
    assert (float(net.scale.mean), float(net.scale.std)) == (5.0, 2.0)
    assert (net(batch).prediction - raw).abs().min() > 1.0
    with pytest.raises(ConfigError, match="num_tracks: 3"):
        net.calibrate(statistics(3))


def test_motif_filters_start_from_what_stands_out_where_a_track_is_open() -> None:
    batch, motif = make_batch(1, rows=150), torch.tensor([0, 2, 0, 3, 2, 0, 1, 0]).to(torch.uint8)
    is_open = torch.rand(150, BINS, generator=torch.Generator().manual_seed(1)) < 0.1
    codes = batch.codes.view(150, BINS, BIN_BP).clone()
    codes[is_open] = motif
    sample = replace(batch, codes=codes.view(150, -1), signals=torch.where(is_open, 5.0, 0.1)[..., None])
    stem = MotifStem(WIDTH, BIN_BP, num_filters=4)
    net = Seq2Exp(stem, conv(), BetaSelector(WIDTH, 1), conv(), head=ExpressionHead(WIDTH)).eval()
    net.calibrate(replace(statistics(1), sample=sample))
    scores = stem.scores(sample.one_hot()).detach()  # (B, N, filters)
    gap = (scores[is_open].mean(0) - scores[~is_open].mean(0)) / scores[~is_open].std(0)
    assert gap.max() > 3


def test_works_without_tracks() -> None:
    net, batch = network(num_tracks=0), make_batch(0)
    assert net(batch).prediction.shape == (ROWS, 1)
    penalties = net.losses(batch).penalties
    assert set(penalties) == {"kl", "kept", "kept_bp", "contiguity", "signal"}
    assert float(penalties["signal"]) == 0  # there is nothing to learn of tracks
    assert net.select(batch).signal_logit.eq(0).all()


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="one width"):
        Seq2Exp(SequenceStem(8, BIN_BP), conv(), BetaSelector(WIDTH, 0), conv(), head=ExpressionHead(WIDTH))


def test_evidence_that_only_a_penalty_teaches_needs_its_weight() -> None:
    with pytest.raises(ConfigError, match="learns_signals: false"):
        ExpressionTask(network(), loss_weights={"kl": 0.01})
    ExpressionTask(network(), loss_weights={"kl": 0.01, "signal": 1.0})
    ExpressionTask(network(num_tracks=0))


def test_with_a_stem_of_its_own_the_predictor_sees_nothing_of_dropped_bases_next_to_kept_ones() -> None:
    batch = make_batch()
    shared = network()
    wide = {"kernel_bp": 3 * BIN_BP, "stride_bp": 1}
    apart = Seq2Exp(
        stem=SequenceStem(WIDTH, BIN_BP, **wide),
        encoder=shared.encoder,
        selector=shared.selector,
        predictor=shared.predictor,
        head=shared.head,
        signal_stem=SignalStem(2, WIDTH, kernel_size=5),
        reader_stem=SequenceStem(WIDTH, BIN_BP, **wide),
    ).eval()
    shared.stem, shared.signal_stem = apart.stem, apart.signal_stem
    dropped = torch.zeros(BINS, dtype=torch.bool)
    dropped[[3, 4, 5, 17, 31]] = True
    mask = torch.full((ROWS, BINS), 0.7)
    mask[:, dropped] = 0.0
    change = {
        name: (net.predict_under(changed_at(batch, dropped), mask) - net.predict_under(batch, mask)).abs().max().item()
        for name, net in (("shared", shared), ("apart", apart))
    }
    assert change["apart"] < 1e-6
    assert change["shared"] > 1e-4
    with pytest.raises(ConfigError, match="reader_stem"):
        Seq2Exp(
            stem=SequenceStem(WIDTH, BIN_BP, **wide),
            encoder=shared.encoder,
            selector=shared.selector,
            predictor=shared.predictor,
            head=shared.head,
            reader_stem=SequenceStem(WIDTH, 2 * BIN_BP, **wide),
        )


def test_a_share_of_training_windows_is_read_through_random_masks() -> None:
    torch.manual_seed(0)
    net = network()
    net.random_masks = 0.4
    mask = torch.full((3000, BINS), 0.5, requires_grad=True)
    assert net._used(mask) is mask  # evaluation reads through the selector's mask
    used = net.train()._used(mask)
    is_random = (used != 0.5).all(1)
    assert float(is_random.float().mean()) == pytest.approx(0.4, abs=0.03)
    assert set(used[is_random].unique().tolist()) == {0.0, 1.0}
    used.sum().backward()
    assert mask.grad is not None
    assert torch.equal(mask.grad.any(1), ~is_random)
    with pytest.raises(ConfigError, match="random_masks"):
        Seq2Exp(net.stem, net.encoder, net.selector, net.predictor, head=net.head, random_masks=1.0)
