"""A small Seq2Exp whose bins see nothing of each other before the predictor, and a batch for it."""

from __future__ import annotations

import torch
from torch import nn

from seqexp.dna.encoders.conv import ConvEncoder, SequenceStem, SignalStem
from seqexp.dna.heads.expression import ExpressionHead
from seqexp.dna.loaders.batch import SequenceBatch
from seqexp.dna.models.seq2exp import Seq2Exp
from seqexp.dna.selectors.selector import BetaSelector

WIDTH, BIN_BP, BINS, ROWS = 16, 8, 32, 3


def make_batch(num_tracks: int = 2, rows: int = ROWS) -> SequenceBatch:
    generator = torch.Generator().manual_seed(0)
    return SequenceBatch(
        codes=torch.randint(0, 4, (rows, BINS * BIN_BP), generator=generator).to(torch.uint8),
        signals=torch.rand(rows, BINS, num_tracks, generator=generator) * 5,
        target=torch.randn(rows, 1, generator=generator),
        covariates=torch.zeros(rows, 0),
        tss_bp=torch.full((rows,), BINS * BIN_BP // 2),
        index=torch.arange(rows),
        is_reversed=torch.zeros(rows, dtype=torch.bool),
        blacklist=torch.zeros(rows, BINS, dtype=torch.bool),
    )


def conv(norm: str = "layer") -> nn.Module:
    return ConvEncoder(WIDTH, dilations=(1, 2, 4), dropout=0.0, norm=norm)


def network(predictor: nn.Module | None = None, head: nn.Module | None = None, num_tracks: int = 2) -> Seq2Exp:
    torch.manual_seed(0)
    made = Seq2Exp(
        stem=SequenceStem(WIDTH, BIN_BP, kernel_bp=BIN_BP, stride_bp=BIN_BP, num_blocks=0),  # a bin sees itself only
        encoder=ConvEncoder(WIDTH, dilations=(1,), dropout=0.0),
        selector=BetaSelector(WIDTH, num_tracks),
        predictor=predictor or conv(),
        head=head or ExpressionHead(WIDTH, dropout=0.0),
        signal_stem=SignalStem(num_tracks, WIDTH, kernel_size=1) if num_tracks else None,
    )
    for parameter in made.head.parameters():  # heads may start at zero, which would make every test here hold
        if not parameter.any():
            nn.init.normal_(parameter, std=0.3)
    return made.eval()
