"""Convolutional stems and the dilated convolutional encoder, with a gate that decides what a position may write.

The gate (B, N) in [0, 1] multiplies, in every block, what a position shows to its neighbours and the update it
receives. A position with gate 0 is invisible to all others and keeps its own residual stream, which is also how
padding is expressed. Normalisation comes before the gate, so the gate is not undone: ``layer`` looks at one position
at a time; ``batch`` uses fixed statistics at test, and learns DNA motifs in far fewer steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.core.errors import ConfigError


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of a channel-first tensor (B, D, N), each position on its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, D, N); same shape and dtype."""
        return self.norm(x.transpose(1, 2)).transpose(1, 2).to(x.dtype)


def channel_norm(kind: str, width: int) -> nn.Module:
    """Normalisation of (B, D, N): ``layer`` over the channels of a position, ``batch`` over positions and samples.

    Raises
    ------
    ConfigError
        Another ``kind``.
    """
    if kind == "layer":
        return ChannelNorm(width)
    if kind == "batch":
        return nn.BatchNorm1d(width)
    raise ConfigError(f"norm {kind!r}", expected="'layer' or 'batch'")


class ConvBlock(nn.Module):
    """Pre-normalised residual block: gated dilated convolution, GELU, pointwise convolution, dropout.

    Parameters
    ----------
    width : int
        Channels D.
    kernel_size : int
        Taps, odd, so that the length stays.
    dilation : int
        Positions between taps.
    dropout : float
        Share of updates zeroed in training.
    layer_scale : float
        Initial size of the update; small values start the block near the identity.
    norm : str
        Of :func:`channel_norm`.
    """

    def __init__(
        self,
        width: int,
        kernel_size: int = 3,
        dilation: int = 1,
        dropout: float = 0.0,
        *,
        layer_scale: float = 1.0,
        norm: str = "layer",
    ) -> None:
        super().__init__()
        self.norm = channel_norm(norm, width)
        self.spread = nn.Conv1d(
            width, width, kernel_size, dilation=dilation, padding=dilation * (kernel_size // 2), bias=False
        )
        self.shift = nn.Parameter(torch.zeros(width))
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)
        self.scale = nn.Parameter(torch.full((width,), layer_scale))

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """One update of (B, D, N); ``gate`` (B, 1, N) or None for all ones."""
        shown = self.norm(x)
        if gate is not None:
            shown = shown * gate
        spread = functional.gelu(self.spread(shown) + self.shift[:, None])
        update = self.scale[:, None] * self.dropout(self.mix(spread))
        return x + (update if gate is None else update * gate)


class ConvEncoder(nn.Module):
    """Stack of dilated residual blocks at one resolution.

    Parameters
    ----------
    width : int
        Channels D.
    dilations : sequence of int
        One block each, in positions; the receptive field is ``1 + (kernel_size - 1) * sum(dilations)``.
    kernel_size : int
        Taps of each block, odd.
    dropout : float
        Share of updates zeroed in training.
    layer_scale : float
        Initial size of each block's update.
    norm : str
        ``layer`` or ``batch``, see :func:`channel_norm`.

    Raises
    ------
    ConfigError
        An even kernel, a dilation below 1, or an unknown norm.
    """

    def __init__(
        self,
        width: int,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32),
        kernel_size: int = 3,
        dropout: float = 0.1,
        *,
        layer_scale: float = 1.0,
        norm: str = "layer",
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0 or kernel_size < 1:
            raise ConfigError(f"kernel_size {kernel_size}", expected="an odd number, so that the length stays")
        if any(dilation < 1 for dilation in dilations):
            raise ConfigError(f"dilations {list(dilations)}", expected="numbers of at least 1")
        self.width = width
        self.receptive_field = 1 + (kernel_size - 1) * sum(dilations)
        self.blocks = nn.ModuleList(
            ConvBlock(width, kernel_size, dilation, dropout, layer_scale=layer_scale, norm=norm)
            for dilation in dilations
        )
        self.norm = channel_norm(norm, width)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """Encode tokens.

        Parameters
        ----------
        x : Tensor, (B, N, D)
        gate : Tensor, (B, N), optional
            What each position may write, in [0, 1].

        Returns
        -------
        Tensor, (B, N, D)
            Normalised per position.
        """
        hidden = x.transpose(1, 2)
        channel_gate = None if gate is None else gate.unsqueeze(1).to(hidden.dtype)
        for block in self.blocks:
            hidden = block(hidden, channel_gate)
        return self.norm(hidden).transpose(1, 2)


class SequenceStem(nn.Module):
    """Bases to tokens: a convolution over the bases, residual blocks, and pooling to bins.

    Parameters
    ----------
    width : int
        Channels D of the tokens.
    bin_bp : int
        Bases per token.
    kernel_bp : int
        Bases the first convolution sees.
    stride_bp : int
        Step of the first convolution; must divide ``bin_bp``. With 3 and an upstream length divisible by 3, every
        step sits on one reading frame of a gene body that starts at the TSS.
    word_bp : int
        With a value k > 0, each step also embeds the word of k bases that starts there (4**k entries), which a
        linear filter cannot do; for instance the codons with ``stride_bp = word_bp = 3``.
    num_blocks : int
        Residual blocks at ``stride_bp`` resolution, before pooling.
    dropout : float
        Of the blocks.
    norm : str
        Of the blocks, see :func:`channel_norm`; ``batch`` also normalises what the filters find.

    Raises
    ------
    ConfigError
        ``bin_bp`` is not a multiple of ``stride_bp``, or an unknown norm.
    """

    def __init__(
        self,
        width: int,
        bin_bp: int = 1,
        kernel_bp: int = 15,
        stride_bp: int = 1,
        *,
        word_bp: int = 0,
        num_blocks: int = 1,
        dropout: float = 0.0,
        norm: str = "layer",
    ) -> None:
        super().__init__()
        if bin_bp < 1 or stride_bp < 1 or bin_bp % stride_bp:
            raise ConfigError(
                f"bin_bp {bin_bp} with stride_bp {stride_bp}", expected="bin_bp a positive multiple of stride_bp"
            )
        self.width, self.bin_bp, self.stride_bp, self.word_bp = width, bin_bp, stride_bp, word_bp
        self.pad_bp = max(kernel_bp - stride_bp, 0)
        self.filters = nn.Conv1d(4, width, max(kernel_bp, stride_bp), stride=stride_bp)
        self.words = nn.Conv1d(4**word_bp, width, 1, bias=False) if word_bp else None
        self.norm = channel_norm(norm, width) if norm != "layer" else nn.Identity()
        self.blocks = nn.ModuleList(ConvBlock(width, 5, 1, dropout, norm=norm) for _ in range(num_blocks))
        num_steps = bin_bp // stride_bp
        self.pool = nn.Conv1d(2 * width, width, 1) if num_steps > 1 else None

    def forward(self, one_hot: Tensor, mask: Tensor | None = None) -> Tensor:
        """Embed bases.

        Parameters
        ----------
        one_hot : Tensor, (B, L, 4)
            L a multiple of ``bin_bp``; zeros for an unknown base.
        mask : Tensor, (B, L) bool, optional
            False where there is no sequence: padding, which no base sees. A token that touches a base counts as
            present.

        Returns
        -------
        Tensor, (B, L / bin_bp, D)

        Raises
        ------
        ConfigError
            L is not a multiple of ``bin_bp``.
        """
        length = one_hot.shape[1]
        if length % self.bin_bp:
            raise ConfigError(f"window of {length} bp", expected=f"a multiple of bin_bp = {self.bin_bp}")
        if mask is not None:
            one_hot = one_hot.masked_fill(~mask[..., None], 0)
        gate = None if mask is None else mask.unflatten(1, (-1, self.stride_bp)).any(2)[:, None].to(one_hot.dtype)
        bases = one_hot.transpose(1, 2)
        hidden = self.filters(functional.pad(bases, (self.pad_bp // 2, self.pad_bp - self.pad_bp // 2)))
        if self.words is not None:
            hidden = hidden + self.words(_words(bases, self.word_bp, self.stride_bp))
        hidden = functional.gelu(self.norm(hidden))
        for block in self.blocks:
            hidden = block(hidden, gate)
        if self.pool is not None:
            steps = hidden.unflatten(-1, (-1, self.bin_bp // self.stride_bp))
            hidden = self.pool(torch.cat([steps.mean(-1), steps.amax(-1)], dim=1))
        return hidden.transpose(1, 2)


class SignalStem(nn.Module):
    """Signals per bin to tokens: compress, then convolve.

    Parameters
    ----------
    num_tracks : int
        Tracks T; without any, the tokens are zeros.
    width : int
        Channels D.
    kernel_size : int
        Bins the convolution sees, odd.
    num_blocks : int
        Residual blocks after it.
    dropout : float
        Of the blocks.
    """

    scale: Tensor

    def __init__(
        self, num_tracks: int, width: int, kernel_size: int = 9, num_blocks: int = 0, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(num_tracks))
        self.width = width
        self.filters = nn.Conv1d(num_tracks, width, kernel_size, padding=kernel_size // 2) if num_tracks else None
        self.blocks = nn.ModuleList(ConvBlock(width, 5, 1, dropout) for _ in range(num_blocks))

    def calibrate(self, scale: Tensor) -> None:
        """Set the unit of each track (T,), such as a high quantile of the training windows; 0 counts as 1."""
        scale = torch.as_tensor(scale, dtype=self.scale.dtype, device=self.scale.device)
        self._require_tracks(scale.shape[-1])
        self.scale.copy_(torch.where(scale > 0, scale, torch.ones_like(scale)))

    def _require_tracks(self, num_found: int) -> None:
        if num_found != len(self.scale):
            raise ConfigError(
                f"the data have {num_found} tracks, the signal stem is built for {len(self.scale)}",
                where="model: signal_stem: num_tracks",
                expected=f"num_tracks: {num_found}",
            )

    def compress(self, signals: Tensor) -> Tensor:
        """Signed logarithm in units of ``scale``: sign(s) * log(1 + 10 |s| / scale) / log(11), missing as 0."""
        self._require_tracks(signals.shape[-1])  # one track would pass for several: it is repeated in silence
        scaled = torch.nan_to_num(signals, nan=0.0) / self.scale
        return scaled.sign() * torch.log1p(10 * scaled.abs()) / 2.3978953

    def forward(self, signals: Tensor) -> Tensor:
        """Embed (B, N, T) as (B, N, D)."""
        compressed = self.compress(signals)
        if self.filters is None:
            return compressed.new_zeros(*signals.shape[:2], self.width)
        hidden = functional.gelu(self.filters(compressed.transpose(1, 2)))
        for block in self.blocks:
            hidden = block(hidden)
        return hidden.transpose(1, 2)


def _words(bases: Tensor, word_bp: int, stride_bp: int) -> Tensor:
    """One-hot words (B, 4**k, L / stride) of bases (B, 4, L): outer product of k neighbours, zero past the end."""
    padded = functional.pad(bases, (0, word_bp - 1))
    length = bases.shape[-1]
    words = bases[..., ::stride_bp]
    for step in range(1, word_bp):
        following = padded[..., step : step + length : stride_bp]
        words = (words.unsqueeze(2) * following.unsqueeze(1)).flatten(1, 2)
    return words
