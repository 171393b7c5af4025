"""Attention between rows, held to the attention of torch with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqexp.layers.attention import AttentionBlock

WIDTH, HEADS, ROWS = 12, 3, 7


@pytest.mark.parametrize("mask", ["none", "one", "per row of the batch"])
def test_is_pre_norm_multi_head_attention_then_a_perceptron(mask: str) -> None:
    torch.manual_seed(0)
    block, theirs = AttentionBlock(WIDTH, HEADS, WIDTH // HEADS), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(block.qkv.weight)
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(block.out.weight)
        theirs.out_proj.bias.copy_(block.out.bias)
    rows = torch.randn(2, ROWS, WIDTH)
    is_seen = {
        "none": None,
        "one": torch.rand(ROWS, ROWS) < 0.5,
        "per row of the batch": torch.rand(2, ROWS, ROWS) < 0.5,
    }[mask]
    if is_seen is not None:
        is_seen |= torch.eye(ROWS, dtype=torch.bool)
    hidden = None if is_seen is None else ~is_seen
    if hidden is not None and hidden.dim() == 3:
        hidden = hidden.repeat_interleave(HEADS, dim=0)
    normed = block.norm(rows)
    mixed = rows + theirs(normed, normed, normed, attn_mask=hidden, need_weights=False)[0]
    torch.testing.assert_close(block(rows, is_seen), mixed + block.mlp(block.out_norm(mixed)))


def test_rows_that_see_themselves_alone_do_not_know_each_other() -> None:
    torch.manual_seed(0)
    block, rows = AttentionBlock(WIDTH, 2, 5), torch.randn(1, ROWS, WIDTH)
    apart = block(rows.transpose(0, 1)).transpose(0, 1)
    torch.testing.assert_close(block(rows, torch.eye(ROWS, dtype=torch.bool)), apart)
