"""Bases to features: strands, padding, pooling, whatever the backbone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.caduceus import Caduceus
from seqexp.dna.encoders.conv import ConvEncoder, SequenceStem
from seqexp.dna.encoders.hyenadna import HyenaDNA
from seqexp.dna.encoders.mamba import MambaEncoder
from seqexp.dna.encoders.mamba2 import Mamba2Encoder
from seqexp.dna.encoders.sequence import SequenceEncoder, TokenEmbedding, reverse_complement
from seqexp.dna.heads.expression import ExpressionHead
from seqexp.dna.heads.strands import StrandHead

WIDTH = 8


def caduceus(**settings: Any) -> SequenceEncoder:
    return Caduceus(WIDTH, **{"num_layers": 2, "state_size": 4, **settings})


def exchanging(**settings: Any) -> SequenceEncoder:
    return caduceus(exchange_strands=True, **settings)


def exchanging_odd(**settings: Any) -> SequenceEncoder:
    return exchanging(num_layers=3, **settings)


def hyenadna(**settings: Any) -> SequenceEncoder:
    return HyenaDNA(WIDTH, 2, 64, **settings)


def binned(**settings: Any) -> SequenceEncoder:
    stem = SequenceStem(WIDTH, bin_bp=8, kernel_bp=15, num_blocks=1)
    return SequenceEncoder(stem, Mamba2Encoder(WIDTH, 2, head_dim=4, state_size=4), **settings)


def convolutional(**settings: Any) -> SequenceEncoder:
    return SequenceEncoder(TokenEmbedding(WIDTH), ConvEncoder(WIDTH, (1, 2), dropout=0.0), **settings)


def mamba(**settings: Any) -> SequenceEncoder:
    return SequenceEncoder(
        TokenEmbedding(WIDTH), MambaEncoder(WIDTH, 2, state_size=4, is_bidirectional=False), **settings
    )


ALL = pytest.mark.parametrize(
    "make", [caduceus, exchanging, exchanging_odd, hyenadna, binned, convolutional, mamba], ids=lambda f: f.__name__
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def bases(batch: int = 2, length: int = 64, seed: int = 1) -> Tensor:
    """One-hot bases with some unknown ones."""
    codes = torch.randint(0, 5, (batch, length), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.one_hot(codes, 5)[..., :4].float()


def lively(encoder: SequenceEncoder) -> SequenceEncoder:
    """Larger weights, so that a wrong strand shows: freshly built encoders barely mix."""
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return encoder.eval()


@ALL
@pytest.mark.parametrize("rc", ["none", "augment", "average", "equivariant"])
def test_shape(make: Any, rc: str) -> None:
    encoder = make(rc=rc)
    features = encoder(bases())
    assert features.shape == (2, 64 // encoder.stride, encoder.width)
    assert encoder.width == WIDTH * (2 if rc == "equivariant" else 1)
    assert encoder.stride == encoder.bin_bp == (8 if make is binned else 1)


@ALL
def test_equivariant(make: Any) -> None:
    """f(rc x) is f(x) turned round in position and channel."""
    encoder, x = lively(make(rc="equivariant")), bases()
    found, expected = encoder(reverse_complement(x)), encoder(x).flip(1, 2)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
    assert not torch.allclose(found, encoder(x).flip(1), atol=1e-2)


@ALL
def test_average_is_alike_on_both_strands(make: Any) -> None:
    encoder, x = lively(make(rc="average")), bases()
    found, expected = encoder(reverse_complement(x)), encoder(x).flip(1)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@ALL
def test_none_is_not_alike(make: Any) -> None:
    encoder, x = lively(make(rc="none")), bases()
    assert not torch.allclose(encoder(reverse_complement(x)), encoder(x).flip(1), atol=1e-2)


@ALL
def test_strands_share_parameters(make: Any) -> None:
    names = [list(make(rc=rc).state_dict()) for rc in ("none", "augment", "average", "equivariant")]
    assert names[0] == names[1] == names[2] == names[3]


@pytest.mark.parametrize("make", [caduceus, hyenadna, binned], ids=lambda f: f.__name__)
def test_halves_are_the_strands(make: Any) -> None:
    """The first half reads the given strand alone."""
    encoder, x = lively(make(rc="equivariant")), bases()
    given, other = encoder.encode(x), encoder.encode(reverse_complement(x))
    torch.testing.assert_close(encoder(x), torch.cat([given, other.flip(1, 2)], -1))


def test_exchanging_is_another_function() -> None:
    """The published quirk: equivariant, with the same weights, and not the same numbers."""
    plain, quirk = lively(caduceus(rc="equivariant")), exchanging(rc="equivariant").eval()
    quirk.load_state_dict(plain.state_dict())
    x = bases()
    torch.testing.assert_close(quirk(reverse_complement(x)), quirk(x).flip(1, 2), atol=1e-5, rtol=1e-5)
    assert (quirk(x) - plain(x)).abs().max() > 0.1


@ALL
def test_augment_reads_either_strand_while_training(make: Any) -> None:
    encoder, x = lively(make(rc="augment")), bases()
    given, turned = encoder.encode(x), encoder.encode(reverse_complement(x)).flip(1)
    torch.testing.assert_close(encoder(x), given)
    encoder.train()
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        for row, one, other in zip(encoder(x), given, turned):
            is_given = torch.allclose(row, one, atol=1e-5)
            assert is_given or torch.allclose(row, other, atol=1e-5)
            seen.add(is_given)
    assert seen == {True, False}


@ALL
@pytest.mark.parametrize("rc", ["none", "average", "equivariant"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(make: Any, rc: str, side: str) -> None:
    encoder, x = lively(make(rc=rc)), bases()
    junk = torch.full((2, 24, 4), float("nan"))
    pad, real = torch.zeros(2, 24, dtype=torch.bool), torch.ones(2, 64, dtype=torch.bool)
    if side == "left":
        found = encoder(torch.cat([junk, x], 1), torch.cat([pad, real], 1))
        features, rest = found[:, 24 // encoder.stride :], found[:, : 24 // encoder.stride]
    else:
        found = encoder(torch.cat([x, junk], 1), torch.cat([real, pad], 1))
        features, rest = found[:, : 64 // encoder.stride], found[:, 64 // encoder.stride :]
    torch.testing.assert_close(features, encoder(x), atol=1e-5, rtol=1e-5)
    assert (rest == 0).all()


@ALL
def test_batch_composition_changes_nothing(make: Any) -> None:
    encoder, x = lively(make(rc="equivariant")), bases(3)
    torch.testing.assert_close(encoder(x)[1:2], encoder(x[1:2]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [hyenadna, mamba], ids=lambda f: f.__name__)
def test_causal(make: Any) -> None:
    encoder, x = lively(make()), bases()
    other = x.clone()
    other[:, 30] = torch.tensor([1.0, 0, 0, 0]) - x[:, 30]
    change = (encoder(other) - encoder(x)).abs().amax((0, 2))
    # Rounding of the Fourier transforms reaches everywhere.
    assert (change[:30] < 1e-5).all()
    assert change[30] > 1e-2


@pytest.mark.parametrize("rc", ["none", "average", "equivariant"])
def test_pool_is_a_mean_over_present_bases(rc: str) -> None:
    whole, pooled = lively(caduceus(rc=rc)), caduceus(rc=rc, pool=4)
    pooled.load_state_dict(whole.state_dict())
    x, mask = bases(), torch.ones(2, 64, dtype=torch.bool)
    mask[:, 50:] = False
    assert pooled.stride == 4
    expected = torch.stack([whole(x)[:, start : start + 4].mean(1) for start in range(0, 64, 4)], 1)
    torch.testing.assert_close(pooled.eval()(x), expected)
    features = whole(x, mask)
    expected = torch.stack([features[:, start : start + 4].mean(1) for start in range(0, 48, 4)], 1)
    found = pooled(x, mask)
    torch.testing.assert_close(found[:, :12], expected)
    torch.testing.assert_close(found[:, 12], features[:, 48:50].mean(1))
    assert (found[:, 13:] == 0).all()


def heads(reading: str) -> StrandHead:
    return StrandHead(ExpressionHead(WIDTH), reading).eval()


@ALL
def test_invariant_head_is_equal_on_both_strands_and_an_oriented_one_is_not(make: Any) -> None:
    encoder, x = lively(make(rc="equivariant")), bases()
    given, other = encoder(x), encoder(reverse_complement(x))
    invariant, oriented = heads("invariant"), heads("oriented")
    torch.testing.assert_close(invariant(given), invariant(other), atol=1e-5, rtol=1e-5)
    assert (oriented(given) - oriented(other)).abs().min() > 1e-4


def test_unknown_bases_have_a_vector_of_their_own() -> None:
    stem = TokenEmbedding(3, 16, (7, 8, 9, 10), 11)
    x = torch.tensor([[[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]])
    torch.testing.assert_close(stem(x)[0], stem.weight[[7, 11, 10]])
    mask = torch.tensor([[True, False, False]])
    torch.testing.assert_close(stem(x, mask)[0], stem.weight[[7, 11, 10]] * mask[0][:, None])


def test_gradients_reach_the_bases() -> None:
    x = bases().requires_grad_()
    lively(caduceus())(x).square().sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(-1) > 0).all()


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="width 4, the backbone 8"):
        SequenceEncoder(TokenEmbedding(4), MambaEncoder(8, 1))
    with pytest.raises(ConfigError, match="rc 'both'"):
        caduceus(rc="both")
    with pytest.raises(ConfigError, match="pool 0"):
        caduceus(pool=0)
    with pytest.raises(ConfigError, match="window of 63 bp"):
        binned()(bases(length=63))
    with pytest.raises(ConfigError, match="in a table of 8"):
        TokenEmbedding(4, 8, (7, 8, 9, 10), 11)
    with pytest.raises(ConfigError, match="reading 'left'"):
        StrandHead(ExpressionHead(4), "left")
