"""Caduceus: a bidirectional Mamba that treats both strands alike.

Ph reads one strand, trained on either; PS reads both with the same parameters, which makes it equivariant.

Source: Schiff et al., "Caduceus" (2024).
"""

from __future__ import annotations

from torch import Tensor

from seqexp.dna.encoders.mamba import MambaEncoder
from seqexp.dna.encoders.sequence import SequenceEncoder, Strands, TokenEmbedding


class ExchangingMambaEncoder(MambaEncoder):
    """The bidirectional Mamba encoder as the published PS checkpoints were trained: strands change places.

    With fused norms, the published code normalises the second half of the channels as the forward strand and the
    first half as the reverse strand, in every block but not in the last norm. Each block thus reads the stream the
    other way round, position and channel, than the block before. The model stays equivariant but is another function
    than without, so weights trained this way need it.
    """

    @property
    def exchanges_strands(self) -> bool:
        """Whether, after all blocks, the stream that began as the forward strand stands in the second half."""
        return len(self.blocks) % 2 == 1

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        """See :class:`ResidualStack`."""
        for block in self.blocks:
            x, gate = x.flip(1, 2), None if gate is None else gate.flip(1)
            x = self.run_block(block, x, gate)
        x = self.norm(x)
        return x.flip(1, 2) if self.exchanges_strands else x


class Caduceus(SequenceEncoder):
    """Caduceus at one feature per base.

    Parameters
    ----------
    width : int
        Channels D per strand.
    num_layers, state_size : int
        Blocks, and states per channel.
    rc : {"none", "augment", "average", "equivariant"}
        ``equivariant`` is PS with 2 D channels; Ph is ``augment`` while training and ``average`` afterwards.
    exchange_strands : bool
        Reproduce the channel semantics of the published PS checkpoints, see :class:`ExchangingMambaEncoder`.
        Off for new models.
    pool : int
        Bases averaged into one feature.
    dropout : float
        Dropout on what each block adds.
    checkpoint : bool
        Recompute each block in backward.
    num_tokens : int
        Rows of the embedding; the published vocabulary has 12, padded to 16.
    """

    def __init__(
        self,
        width: int = 256,
        num_layers: int = 16,
        state_size: int = 16,
        rc: Strands = "equivariant",
        *,
        exchange_strands: bool = False,
        pool: int = 1,
        dropout: float = 0.0,
        checkpoint: bool = False,
        num_tokens: int = 16,
    ) -> None:
        kind = ExchangingMambaEncoder if exchange_strands else MambaEncoder
        backbone = kind(width, num_layers, state_size=state_size, dropout=dropout, checkpoint=checkpoint)
        super().__init__(TokenEmbedding(width, num_tokens, (7, 8, 9, 10), 11), backbone, rc, pool)
