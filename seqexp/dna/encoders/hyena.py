"""The Hyena operator of order 2 and the causal encoder of HyenaDNA.

Sources: Poli et al., "Hyena Hierarchy" (2023), for the operator; Nguyen et al., "HyenaDNA" (2023), for its settings.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError
from seqexp.dna.encoders.scan_mixer import DepthwiseWeights
from seqexp.layers.scans.blockwise import by_blocks
from seqexp.layers.scans.long_conv import long_conv
from seqexp.layers.stack import ResidualStack, scale_for_depth

_SLOWEST, _FASTEST, _TARGET = 1.5, 0.3, 1e-2  # decays: the share of max_length after which a filter fell to 1 %
_FLOOR = 0.05


class HyenaFilter(nn.Module):
    """Taps of a long convolution as a function of their position: a small network times an exponential decay.

    Parameters
    ----------
    width : int
        Channels D.
    max_length : int
        Positions that make one unit of time. Longer sequences work: their taps go on with the same functions.
    hidden : int
        Width of the network.
    num_features : int
        Features of a position: itself and pairs of cosine and sine; odd, at least 3.
    frequency : float
        Initial frequency of the sine activations; learned.

    Raises
    ------
    ConfigError
        An even or small ``num_features``, or a ``max_length`` below 2.
    """

    decays: Tensor

    def __init__(
        self, width: int, max_length: int, hidden: int = 64, num_features: int = 5, *, frequency: float = 10.0
    ) -> None:
        super().__init__()
        if num_features < 3 or num_features % 2 == 0 or max_length < 2:
            raise ConfigError(
                f"num_features {num_features} with max_length {max_length}",
                expected="an odd num_features of at least 3, and a max_length of at least 2",
            )
        self.max_length, self.num_features = max_length, num_features
        self.layers = nn.ModuleList(nn.Linear(before, hidden) for before in (num_features, hidden, hidden))
        self.output = nn.Linear(hidden, width, bias=False)
        self.frequency = nn.Parameter(torch.full((hidden,), frequency))
        self.bias = nn.Parameter(torch.randn(width))
        slowest, fastest = (math.log(_TARGET) / share for share in (_SLOWEST, _FASTEST))
        self.register_buffer("decays", torch.linspace(slowest, fastest, width))
        for parameter in self.parameters():
            parameter._no_weight_decay = True  # type: ignore[attr-defined]

    def positions(self, length: int) -> Tensor:
        """Features (L, F) of tap positions: t / (M - 1), cos and -sin of 2 pi t f / M at the bands f, M = max_length.

        In float64, because t f / M of a million positions has more digits than float32.
        """
        t = torch.arange(length, dtype=torch.float64, device=self.decays.device)[:, None]
        bands = (self.num_features - 1) // 2
        f = torch.linspace(1e-4, bands - 1, bands, dtype=torch.float64, device=t.device)
        angle = 2 * math.pi * t * f / self.max_length
        return torch.cat([t / (self.max_length - 1), angle.cos(), -angle.sin()], dim=-1)

    def forward(self, length: int) -> Tensor:
        """Taps (D, L)."""
        features = self.positions(length).to(self.bias.dtype)
        parameters = [self.frequency, self.decays, self.output.weight, *self.layers.parameters()]
        return by_blocks(_taps, [features[None]], parameters)[0].t()


def _taps(features: Tensor, frequency: Tensor, decays: Tensor, output: Tensor, *layers: Tensor) -> Tensor:
    """Taps (1, L, D) at positions with ``features`` (1, L, F); ``layers`` are weights and biases in turn."""
    with torch.autocast(device_type=features.device.type, enabled=False):  # sines of large angles need the digits
        hidden = features
        for weight, bias in zip(layers[::2], layers[1::2]):
            hidden = torch.sin(frequency * functional.linear(hidden, weight, bias))
        fall = torch.exp(-features[..., :1] * decays.abs())
        return functional.linear(hidden, output) * (fall + _FLOOR)


class HyenaMixer(nn.Module):
    """Two gates round a long convolution: ``out((filter * (v x1)) x0)``, with x0, x1, v from a short convolution.

    Parameters
    ----------
    width : int
        Width D of input and output.
    max_length, hidden, num_features : int
        See :class:`HyenaFilter`.
    conv_size : int
        Positions the short convolution sees.
    """

    def __init__(
        self, width: int, max_length: int, hidden: int = 64, num_features: int = 5, *, conv_size: int = 3
    ) -> None:
        super().__init__()
        self.in_proj = nn.Linear(width, 3 * width)
        self.short_filter = DepthwiseWeights(3 * width, conv_size)
        self.filter = HyenaFilter(width, max_length, hidden, num_features)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """Mix ``x`` (B, N, D) along N, from left to right; ``gate`` (B, N) decides what each position may write."""
        weights = x.new_ones(x.shape[:2]) if gate is None else gate
        short = [self.short_filter.weight, self.short_filter.bias]
        halo = self.short_filter.weight.shape[-1] - 1
        mixed = by_blocks(_short_conv, [self.in_proj(x), weights], short, halo=halo)
        after, before, value = mixed.chunk(3, dim=-1)
        value = value * before
        spread = long_conv(value.transpose(1, 2), self.filter(x.shape[1])).transpose(1, 2)
        y = self.out_proj(by_blocks(_skip_and_gate, [spread, value, after], [self.filter.bias]))
        return y if gate is None else y * gate[..., None].to(y.dtype)


def _short_conv(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise causal convolution of ``gate * x``; a closed position comes out as 0, not as the bias.

    ``x`` (B, K - 1 + L, D) and ``gate`` (B, K - 1 + L) carry K - 1 earlier positions; ``weight`` is (D, 1, K).
    """
    gate = gate.to(x.dtype)
    shown = x * gate[..., None]
    taps = weight[:, 0].t().to(x.dtype)
    length = shown.shape[1] - len(taps) + 1
    y = bias.to(x.dtype)
    for shift, tap in enumerate(taps):
        y = torch.addcmul(y, shown[:, shift : shift + length], tap)
    return y * gate[:, len(taps) - 1 :, None]


def _skip_and_gate(spread: Tensor, value: Tensor, after: Tensor, bias: Tensor) -> Tensor:
    """``(spread + bias * value) * after`` of (B, N, D) tensors."""
    return (spread + bias.to(value.dtype) * value) * after


class HyenaBlock(nn.Module):
    """Pre-norm block: mixer, then a network at each position, each added to its input.

    Parameters
    ----------
    mixer : nn.Module
        Maps ``(x (B, N, D), gate)`` to (B, N, D).
    width, hidden : int
        Width D, and that of the network's hidden layer.
    dropout : float
        On what each half adds.
    """

    def __init__(self, mixer: HyenaMixer, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixer = mixer
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        x = x + self.dropout(self.mixer(self.norm1(x), gate))
        update = self.dropout(self.fc2(functional.gelu(self.fc1(self.norm2(x)), approximate="tanh")))
        return x + (update if gate is None else update * gate[..., None].to(update.dtype))


class HyenaEncoder(ResidualStack):
    """Stack of Hyena blocks with a norm at the end; strictly causal.

    Parameters
    ----------
    width : int
        Width D of input and output.
    num_layers : int
        Number of blocks.
    max_length : int
        Positions that make one unit of time of the filters: the window the encoder is meant for.
    filter_width, num_features, conv_size : int
        See :class:`HyenaFilter` and :class:`HyenaMixer`.
    expand : int
        Hidden width of the network at each position, as a multiple of ``width``.
    dropout : float
        Dropout on what each half of a block adds.
    checkpoint : bool
        Recompute each block in backward, see :class:`ResidualStack`.

    Raises
    ------
    ConfigError
        ``num_layers`` is below 1, or sizes the filter refuses.
    """

    def __init__(
        self,
        width: int,
        num_layers: int = 4,
        max_length: int = 32_768,
        *,
        filter_width: int = 64,
        num_features: int = 5,
        conv_size: int = 3,
        expand: int = 4,
        dropout: float = 0.0,
        checkpoint: bool = False,
    ) -> None:
        blocks = []
        for _ in range(num_layers):
            mixer = HyenaMixer(width, max_length, filter_width, num_features, conv_size=conv_size)
            block = HyenaBlock(mixer, width, expand * width, dropout)
            scale_for_depth(mixer.out_proj, num_layers)
            scale_for_depth(block.fc2, num_layers)
            blocks.append(block)
        super().__init__(width, blocks, nn.LayerNorm(width), checkpoint)
