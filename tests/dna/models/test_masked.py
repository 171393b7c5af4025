"""The reader under a given mask: dropped bins cannot act, frozen masks find their bins, random masks are random."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_seq2exp import BIN_BP, BINS, ROWS, WIDTH, conv, make_batch

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.encoders.conv import SequenceStem, SignalStem
from seqexp.dna.encoders.motif_stem import MotifStem
from seqexp.dna.heads.expression import ExpressionHead
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.loaders.statistics import DataStatistics
from seqexp.dna.models.binning import token_distance_bp
from seqexp.dna.models.masked import MaskedExpression, load_kept, save_kept
from seqexp.dna.models.random_masks import RUN_BINS
from seqexp.dna.models.seeding import calibrated_evidence, seed_stem

UPSTREAM = BINS * BIN_BP // 2


def reader(kernel_bp: int = 2 * BIN_BP + 1, **settings: object) -> MaskedExpression:
    """A reader whose stem looks into neighbouring bins."""
    torch.manual_seed(0)
    stem = SequenceStem(WIDTH, BIN_BP, kernel_bp=kernel_bp, stride_bp=1)
    signal_stem = SignalStem(2, WIDTH, kernel_size=5)
    return MaskedExpression(stem, conv(), ExpressionHead(WIDTH, dropout=0.0), signal_stem, **settings).eval()  # type: ignore[arg-type]


def test_nothing_of_a_dropped_bin_reaches_the_prediction_even_through_a_wide_stem() -> None:
    net, batch = reader(), make_batch()
    mask = torch.ones(ROWS, BINS)
    mask[:, 10:14] = 0
    codes, signals = batch.codes.clone(), batch.signals.clone()
    codes[:, 10 * BIN_BP : 14 * BIN_BP] = (codes[:, 10 * BIN_BP : 14 * BIN_BP] + 1) % 4
    signals[:, 10:14] += 3
    other = replace(batch, codes=codes, signals=signals)
    assert (net(other).prediction - net(batch).prediction).abs().max() > 1e-4  # while open, they act
    torch.testing.assert_close(net.predict_under(other, mask), net.predict_under(batch, mask), atol=1e-6, rtol=0)


def test_frozen_masks_are_those_of_the_gene_whatever_training_does_to_its_window(tmp_path: Path) -> None:
    kept = np.random.default_rng(0).random((5, BINS)) < 0.4
    save_kept(tmp_path / "kept.npz", kept, UPSTREAM, BIN_BP)
    assert all(np.array_equal(a, b) for a, b in zip(load_kept(tmp_path / "kept.npz"), (kept, UPSTREAM, BIN_BP)))
    net = reader(masks=tmp_path / "kept.npz")
    batch = replace(make_batch(), index=torch.tensor([4, 0, 2]))
    expected = torch.from_numpy(kept[[4, 0, 2]])

    def used(batch: SequenceBatch) -> torch.Tensor:
        return net._mask(batch, token_distance_bp(batch, BIN_BP)).bool()

    assert torch.equal(used(batch), expected)
    last = BINS * BIN_BP - 1
    turned = replace(batch, is_reversed=torch.ones(ROWS, dtype=torch.bool), tss_bp=last - batch.tss_bp)
    assert torch.equal(used(turned), expected.flip(1))
    moved = used(replace(batch, tss_bp=batch.tss_bp + 2 * BIN_BP))  # the window starts two bins earlier
    assert torch.equal(moved[:, 2:], expected[:, :-2])
    assert not moved[:, :2].any()  # nothing is known of what lies before
    torch.testing.assert_close(net(batch).prediction, net.predict_under(batch, expected.float()))
    with pytest.raises(ConfigError, match="8 bp bins"):
        MaskedExpression(
            SequenceStem(WIDTH, 16, kernel_bp=3, stride_bp=1),
            conv(),
            ExpressionHead(WIDTH),
            masks=tmp_path / "kept.npz",
        )


def test_masks_that_cannot_be_read_or_meant(tmp_path: Path) -> None:
    (tmp_path / "no.npz").write_text("no")
    with pytest.raises(DataError, match="frozen masks"):
        load_kept(tmp_path / "no.npz")
    with pytest.raises(ConfigError, match="random_masks"):
        reader(random_masks=1.5)
    with pytest.raises(ConfigError, match="bin_dropout"):
        reader(bin_dropout=1.0)


def test_random_masks_only_in_training_of_all_shares_and_in_stretches() -> None:
    net = reader(random_masks=0.75)
    distance = torch.zeros(3000, 64 * RUN_BINS)
    batch = make_batch()
    assert net._mask(batch, distance).eq(1).all()
    torch.manual_seed(0)
    masks = net.train()._mask(batch, distance)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    is_whole = masks.eq(1).all(1)
    assert 0.22 < float(is_whole.float().mean()) < 0.32  # a quarter, and few that came out whole
    shares = masks[~is_whole].mean(1)
    assert shares.mean() == pytest.approx(0.5, abs=0.08)
    assert shares.std() > 0.2
    changes = (masks[:, 1:] != masks[:, :-1]).sum(1)[~is_whole].float().mean()
    assert changes < 64 / 2


def test_calibration_takes_scales_and_counts_tracks_without_contacts() -> None:
    levels = np.array([0.0, 0.5, 0.98, 1.0], dtype=np.float32)
    quantiles = np.tile(np.array([0.0, 1.0, 4.0, 9.0], dtype=np.float32), (3, 1))
    net = reader()
    net.calibrate(DataStatistics(("a", "b", "contact"), quantiles, levels, 5.0, 2.0, 10))
    assert float(net.scale.mean) == 5.0
    assert net.signal_stem is not None
    assert net.signal_stem.scale.tolist() == [4.0, 4.0]
    with_contact = make_batch(num_tracks=3)
    assert net(with_contact).prediction.shape == (ROWS, 1)
    sample = replace(with_contact, codes=torch.randint(0, 4, with_contact.codes.shape).to(torch.uint8))
    statistics = DataStatistics(("a", "b", "contact"), quantiles, levels, 5.0, 2.0, 10, sample=sample)
    motifs = MotifStem(WIDTH, BIN_BP, num_filters=4, kernel_bp=7)
    assert (
        seed_stem(motifs, calibrated_evidence(statistics), statistics) == 0
    )  # too small for motifs, tracks alone seen
    with pytest.raises(ConfigError, match="3 tracks"):
        net.calibrate(DataStatistics(("a", "b", "c"), quantiles, levels, 5.0, 2.0, 10))


def test_a_blind_reader_sees_the_pattern_of_the_mask_alone() -> None:
    net, batch = reader(is_blind=True), make_batch()
    other = replace(batch, codes=(batch.codes + 1) % 4, signals=batch.signals + 3)
    mask = (torch.arange(BINS) % 3 == 0).float().expand(ROWS, -1)
    torch.testing.assert_close(net.predict_under(other, mask), net.predict_under(batch, mask))
    assert (net.predict_under(batch, 1 - mask) - net.predict_under(batch, mask)).abs().max() > 1e-5


def test_bins_drop_out_in_training_only_and_in_the_share_asked() -> None:
    class Seen(torch.nn.Module):
        width = WIDTH

        def forward(self, x: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
            self.gate = gate
            return x

    net, batch = reader(bin_dropout=0.3), make_batch(rows=200)
    net.predictor = Seen()
    mask = (torch.arange(BINS) < 20).float().expand(200, -1)
    net.predict_under(batch, mask)
    assert torch.equal(net.predictor.gate, mask)
    net.train().predict_under(batch, mask)
    assert not net.predictor.gate[:, 20:].any()
    assert net.predictor.gate[:, :20].mean() == pytest.approx(0.7, abs=0.02)
