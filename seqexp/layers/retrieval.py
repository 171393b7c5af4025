"""Answers by what is remembered: the mean of the nearest rows, nearer ones counting more."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

NEAREST = 1e-6  # distances below count as this
_CHUNK = 512  # queries at a time


def nearest_mean(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    allowed: Tensor,
    *,
    num_neighbours: int,
    order: float = 2.0,
    power: float = 2.0,
) -> Tensor:
    """Mean of the values of the keys nearest by cosine, weighted by ``1 / distance**power``.

    Parameters
    ----------
    queries : Tensor (B, D)
    keys : Tensor (K, D)
    values : Tensor (K, G)
    allowed : bool Tensor (B, K)
        Keys that may answer.
    num_neighbours : int
        Keys averaged, or all that may answer where there are fewer.
    order : float
        Of the norm that measures the distance.
    power : float
        Of the distance.

    Returns
    -------
    Tensor (B, G)
        0 of a query that no key may answer.
    """
    parts = []
    for rows in torch.arange(len(queries), device=queries.device).split(_CHUNK):
        cosine = functional.normalize(queries[rows], dim=1) @ functional.normalize(keys, dim=1).T
        cosine = cosine.masked_fill(~allowed[rows], -math.inf)
        best, which = cosine.topk(min(num_neighbours, len(keys)), dim=1)
        distance = torch.linalg.vector_norm(keys[which] - queries[rows][:, None], order, dim=2)
        weight = distance.clamp_min(NEAREST) ** -power * torch.isfinite(best)
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-30)
        parts.append(torch.einsum("bk,bkg->bg", weight, values[which]))
    return torch.cat(parts)
