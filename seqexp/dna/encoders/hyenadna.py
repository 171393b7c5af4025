"""HyenaDNA: Hyena blocks on single bases, strictly causal.

Source: Nguyen et al., "HyenaDNA" (2023).
"""

from __future__ import annotations

from seqexp.dna.encoders.hyena import HyenaEncoder
from seqexp.dna.encoders.sequence import SequenceEncoder, Strands, TokenEmbedding


class HyenaDNA(SequenceEncoder):
    """HyenaDNA at one feature per base.

    Parameters
    ----------
    width, num_layers : int
        Channels D and blocks.
    max_length : int
        Bases that make one unit of time of the filters; longer windows work too. Published models count two more than
        their name says.
    rc : {"none", "augment", "average", "equivariant"}
        See :class:`SequenceEncoder`; published models were trained on the forward strand.
    pool : int
        Bases averaged into one feature.
    expand : int
        Hidden width of the network at each position, as a multiple of ``width``.
    dropout : float
        Dropout on what each half of a block adds.
    checkpoint : bool
        Recompute each block in backward.
    num_tokens : int
        Rows of the embedding; the published vocabulary has 12, padded to 16.
    """

    def __init__(
        self,
        width: int = 128,
        num_layers: int = 2,
        max_length: int = 1026,
        rc: Strands = "none",
        *,
        pool: int = 1,
        expand: int = 4,
        dropout: float = 0.0,
        checkpoint: bool = False,
        num_tokens: int = 16,
    ) -> None:
        backbone = HyenaEncoder(width, num_layers, max_length, expand=expand, dropout=dropout, checkpoint=checkpoint)
        super().__init__(TokenEmbedding(width, num_tokens, (7, 8, 9, 10), 11), backbone, rc, pool)
