"""Contrast of two views of the same rows: InfoNCE (van den Oord et al. 2018), both ways (CLIP, Radford et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

CHUNK = 4096  # rows from which the similarities of all pairs are not held at once


def contrastive_loss(first: Tensor, second: Tensor, scale: Tensor, chunk: int = CHUNK) -> Tensor:
    """Mean of the cross-entropies first to second and second to first, with each row's own partner as the answer.

    Parameters
    ----------
    first, second : Tensor (B, D)
        Row n of one is the partner of row n of the other. Normalised by the caller where cosines are meant.
    scale : Tensor ()
        Factor of the similarities: one over the temperature.
    chunk : int
        Of more rows than this, the similarities are made (again in backward) by so many rows at a time: memory grows
        with B instead of its square.

    Returns
    -------
    Tensor ()
        In nats.
    """
    own = torch.arange(len(first), device=first.device)
    if len(first) <= chunk:
        logits = first @ second.T * scale
        return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
    parts = [
        checkpoint(_summed, queries[rows], keys, scale, rows, use_reentrant=False)
        for queries, keys in ((first, second), (second, first))
        for rows in own.split(chunk)
    ]
    return torch.stack(parts).sum() / (2 * len(first))


def _summed(queries: Tensor, keys: Tensor, scale: Tensor, own: Tensor) -> Tensor:
    return functional.cross_entropy(queries @ keys.T * scale, own, reduction="sum")
