"""Bases in, features out: a stem, an encoder and a way to treat the two strands.

Features of an ``equivariant`` encoder hold both strands: channels D of the forward strand, then D of the reverse
strand with its channels in reverse order, so that the reverse complement of the input turns the features round in
both axes, position and channel.

Source: Schiff et al., "Caduceus" (2024), for the equivariant layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from seqexp.core.errors import ConfigError

Strands = Literal["none", "augment", "average", "equivariant"]
_STRANDS = ("none", "augment", "average", "equivariant")


def reverse_complement(one_hot: Tensor) -> Tensor:
    """The other strand of bases (B, L, 4) in the order A, C, G, T, read in its own direction."""
    return one_hot.flip(1, 2)


class TokenEmbedding(nn.Module):
    """One learned vector per base, and one for unknown bases.

    Parameters
    ----------
    width : int
        Channels D.
    num_tokens : int
        Rows of the table; published models have more than the five that are used.
    base_tokens : sequence of int
        Rows of A, C, G, T.
    unknown_token : int
        Row of an unknown base.

    Raises
    ------
    ConfigError
        A row lies outside the table.
    """

    bin_bp = 1

    def __init__(
        self, width: int, num_tokens: int = 5, base_tokens: Sequence[int] = (0, 1, 2, 3), unknown_token: int = 4
    ) -> None:
        super().__init__()
        self.rows = [*base_tokens, unknown_token]
        if len(base_tokens) != 4 or not all(0 <= row < num_tokens for row in self.rows):
            raise ConfigError(f"tokens {self.rows} in a table of {num_tokens}", expected="four bases, all in the table")
        self.width = width
        self.weight = nn.Parameter(0.02 * torch.randn(num_tokens, width))

    def forward(self, one_hot: Tensor, mask: Tensor | None = None) -> Tensor:
        """Embed bases (B, L, 4), zeros for an unknown base, as (B, L, D); 0 where ``mask`` (B, L) is False."""
        symbols = torch.cat([one_hot, 1 - one_hot.sum(-1, keepdim=True)], dim=-1)
        if mask is not None:
            symbols = symbols.masked_fill(~mask[..., None], 0)
        return symbols @ self.weight[self.rows].to(symbols.dtype)


class SequenceEncoder(nn.Module):
    """Encode bases of any length.

    Parameters
    ----------
    stem : nn.Module
        ``(one_hot (B, L, 4), mask)`` to tokens (B, L / bin_bp, D): :class:`TokenEmbedding` or
        :class:`~seqexp.dna.encoders.conv.SequenceStem`.
    backbone : nn.Module
        ``(tokens (B, N, D), gate (B, N))`` to (B, N, D): ``MambaEncoder``, ``Mamba2Encoder``, ``HyenaEncoder``, ...
    rc : {"none", "augment", "average", "equivariant"}
        The two strands: ``none`` reads the given one. ``augment`` reads either, at random per sequence, while
        training. ``average`` reads both and averages their features, position by position. ``equivariant`` reads both
        and keeps both, in twice the channels. Parameters are the same for all four, so this may be changed later.
    pool : int
        Tokens averaged into one feature.

    Attributes
    ----------
    width : int
        Channels of the features.
    stride, bin_bp : int
        Bases per feature.

    Raises
    ------
    ConfigError
        Parts of different widths, an unknown ``rc``, or a ``pool`` below 1.
    """

    def __init__(self, stem: nn.Module, backbone: nn.Module, rc: Strands = "none", pool: int = 1) -> None:
        super().__init__()
        widths = [int(part.width) for part in (stem, backbone)]  # type: ignore[arg-type]
        if widths[0] != widths[1]:
            raise ConfigError(f"the stem has width {widths[0]}, the backbone {widths[1]}", expected="one width")
        if rc not in _STRANDS:
            raise ConfigError(f"rc {rc!r}", expected="one of: " + ", ".join(_STRANDS))
        if pool < 1:
            raise ConfigError(f"pool {pool}", expected="at least 1")
        self.stem, self.backbone, self.rc, self.pool = stem, backbone, rc, pool
        self.stride = int(stem.bin_bp) * pool  # type: ignore[arg-type]
        self.bin_bp = self.stride

    @property
    def width(self) -> int:
        """Channels of the features."""
        return int(self.backbone.width) * (2 if self.rc == "equivariant" else 1)  # type: ignore[arg-type]

    def forward(self, one_hot: Tensor, mask: Tensor | None = None) -> Tensor:
        """Encode bases.

        Parameters
        ----------
        one_hot : Tensor, (B, L, 4)
            Channels A, C, G, T; zeros for an unknown base. L a multiple of ``stride``.
        mask : Tensor, (B, L) bool, optional
            False where there is no sequence. Such positions change no other feature; their own features are 0.

        Returns
        -------
        Tensor, (B, N, D)
            N = L / ``stride``, D = ``width``.

        Raises
        ------
        ConfigError
            L is not a multiple of ``stride``.
        """
        if one_hot.shape[1] % self.stride:
            raise ConfigError(f"window of {one_hot.shape[1]} bp", expected=f"a multiple of stride = {self.stride}")
        if self.rc == "none" or (self.rc == "augment" and not self.training):
            return self.encode(one_hot, mask)
        if self.rc == "augment":
            return self._encode_either(one_hot, mask)
        forward = self.encode(one_hot, mask)
        reverse = self.encode(reverse_complement(one_hot), None if mask is None else mask.flip(1))
        if self.rc == "average":
            return (forward + reverse.flip(1)) / 2
        halves = [forward, reverse.flip(1, 2)]
        if getattr(self.backbone, "exchanges_strands", False):
            halves.reverse()
        return torch.cat(halves, dim=-1)

    def encode(self, one_hot: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features (B, N, D) of the given strand alone."""
        hidden = self.stem(one_hot, mask)
        if mask is None:
            return self._pool(self.backbone(hidden, None), None)
        present = mask.unflatten(1, (hidden.shape[1], -1)).any(2).to(hidden.dtype)
        return self._pool(self.backbone(hidden * present[..., None], present), present)

    def _encode_either(self, one_hot: Tensor, mask: Tensor | None) -> Tensor:
        """Features of a strand drawn per sequence, at the positions of the given one."""
        is_turned = (torch.rand(len(one_hot), device=one_hot.device) < 0.5)[:, None]
        bases = torch.where(is_turned[..., None], reverse_complement(one_hot), one_hot)
        hidden = self.encode(bases, None if mask is None else torch.where(is_turned, mask.flip(1), mask))
        return torch.where(is_turned[..., None], hidden.flip(1), hidden)

    def _pool(self, hidden: Tensor, present: Tensor | None) -> Tensor:
        """Mean over ``pool`` tokens, present ones only."""
        if present is not None:
            hidden = hidden * present[..., None]
        if self.pool == 1:
            return hidden
        total = hidden.unflatten(1, (-1, self.pool)).sum(2)
        if present is None:
            return total / self.pool
        return total / present.unflatten(1, (-1, self.pool)).sum(2).clamp(min=1)[..., None]
