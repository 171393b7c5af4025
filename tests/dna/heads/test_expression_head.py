"""Expression head: the mask acts, the empty window is answered, distance and covariates count, scans stop."""

from __future__ import annotations

import pytest
import torch

from seqexp.core.errors import ConfigError
from seqexp.dna.heads.additive import AdditiveHead
from seqexp.dna.heads.expression import ExpressionHead, distance_features
from seqexp.dna.heads.scanning import ScanningReadout


@pytest.fixture
def head() -> ExpressionHead:
    torch.manual_seed(0)
    return ExpressionHead(8, num_readouts=2, num_scans=1, hidden=16).eval()


@pytest.fixture
def hidden() -> torch.Tensor:
    return torch.randn(3, 10, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def distance() -> torch.Tensor:
    return (torch.arange(10.0) * 12 - 40).expand(3, -1)


def test_masked_position_has_no_influence(head: ExpressionHead, hidden: torch.Tensor, distance: torch.Tensor) -> None:
    mask = torch.ones(3, 10)
    mask[:, 6] = 0.0
    changed = hidden.clone()
    changed[:, 6] += 5.0
    # The scores enter through their maximum, which cancels; only rounding is left.
    torch.testing.assert_close(head(hidden, mask, distance), head(changed, mask, distance), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(head(hidden, None, distance), head(changed, None, distance), atol=1e-4)


def test_scaling_the_whole_mask_changes_the_answer(
    head: ExpressionHead, hidden: torch.Tensor, distance: torch.Tensor
) -> None:
    answers = [head(hidden, torch.full((3, 10), scale), distance) for scale in (1.0, 0.5, 0.05)]
    assert (answers[0] - answers[1]).abs().min() > 1e-4
    assert (answers[1] - answers[2]).abs().min() > 1e-4


def test_empty_mask_gives_one_finite_answer(head: ExpressionHead, hidden: torch.Tensor, distance: torch.Tensor) -> None:
    answer = head(hidden, torch.zeros(3, 10), distance)
    assert torch.isfinite(answer).all()
    torch.testing.assert_close(answer, answer[:1].expand(3, -1))


def test_gradient_reaches_every_mask_position(
    head: ExpressionHead, hidden: torch.Tensor, distance: torch.Tensor
) -> None:
    mask = torch.full((3, 10), 0.5, requires_grad=True)
    head(hidden, mask, distance).sum().backward()
    assert mask.grad is not None
    assert (mask.grad != 0).all()


def test_weights_sum_below_one_and_keep_the_order_of_magnitude_of_long_windows() -> None:
    torch.manual_seed(0)
    head = ExpressionHead(8).eval()
    totals = [head.weights(torch.randn(2, length, 8)).sum(1) for length in (20, 20_000)]
    for total in totals:
        assert (total < 1).all()
        assert (total > 0.2).all()


def test_extreme_scores_stay_finite() -> None:
    head = ExpressionHead(8)
    assert torch.isfinite(head(1e4 * torch.randn(2, 10, 8), torch.rand(2, 10))).all()


def test_distance_matters_and_its_features_tell_sides_apart(
    head: ExpressionHead, hidden: torch.Tensor, distance: torch.Tensor
) -> None:
    torch.nn.init.normal_(head.distance_score.weight)
    assert not torch.allclose(head(hidden, None, distance), head(hidden, None, distance + 300), atol=1e-4)
    features = distance_features(torch.tensor([[-200.0, 200.0, 1e6]]))
    assert not torch.allclose(features[0, 0], features[0, 1])
    assert features.abs().max() < 2.0


def test_covariates_are_read_and_counted(hidden: torch.Tensor) -> None:
    head = ExpressionHead(8, num_covariates=2).eval()
    assert head(hidden, covariates=torch.randn(3, 2)).shape == (3, 1)
    with pytest.raises(ConfigError, match="0 covariates"):
        head(hidden)
    for unread in (ExpressionHead(8).eval(), AdditiveHead(8).eval()):
        with pytest.raises(ConfigError, match="2 covariates in the data, the head reads 0"):
            unread(hidden, covariates=torch.randn(3, 2))


def test_scan_reads_from_the_tss_to_the_stop(hidden: torch.Tensor, distance: torch.Tensor) -> None:
    scan = ScanningReadout(8, 1, 4)
    torch.nn.init.zeros_(scan.stop.weight)
    scan.stop.weight.data[0, 0] = 1000.0  # stops where channel 0 is 1
    hidden = hidden.clone()
    hidden[..., 0] = 0.0
    hidden[:, 7, 0] = 1.0
    kept = scan.kept(hidden, None, distance)[0, :, 0]
    assert torch.equal(kept[:4], torch.zeros(4))  # upstream
    assert (kept[4:8] > 0.9).all()  # the stop itself is still read
    assert torch.equal(kept[8:], torch.zeros(2))
    mask = torch.ones(3, 10)
    mask[:, 7] = 0.0
    assert (scan.kept(hidden, mask, distance)[0, 8:, 0] > 0.9).all()  # a masked stop does not stop


def test_settings_that_cannot_be_are_refused(head: ExpressionHead, hidden: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="no distances"):
        head(hidden)
    with pytest.raises(ConfigError, match="num_readouts 0"):
        ExpressionHead(8, num_readouts=0)
