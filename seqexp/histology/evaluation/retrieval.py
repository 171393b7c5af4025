"""How well one embedding of a spot finds the other: for every network with two embeddings in one space."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqexp.histology.loaders.data import SpotData
from seqexp.objectives.contracts import Embeds
from seqexp.objectives.metrics import defined_mean
from seqexp.objectives.spatial import retrieval_recall


def retrieval(network: nn.Module, data: SpotData) -> dict[str, float]:
    """How often a test spot's first embedding finds its own second among all spots of its slide, mean over slides.

    Returns
    -------
    dict
        ``retrieval_recall_at_<k>``, ``retrieval_chance_at_<k>``, ``retrieval_pool`` (spots, mean over slides) and
        ``retrieval_median_rank`` (1 is best); empty where the network has not two embeddings of one width.
    """
    if not isinstance(network, Embeds):
        return {}
    pairs, slides = [], []
    device = next(network.parameters()).device
    with torch.inference_mode():
        for batch in data.test_dataloader():
            batch = batch.to(device)
            embedded = [functional.normalize(values, dim=1) for values in network.embed(batch).values()]
            if len(embedded) != 2 or embedded[0].shape != embedded[1].shape:
                return {}
            pairs.append(embedded)
            slides.append(batch.slide)
    queries, keys = (torch.cat(parts) for parts in zip(*pairs))
    return _mean_recall(queries, keys, torch.cat(slides))


def _mean_recall(queries: Tensor, keys: Tensor, slide: Tensor) -> dict[str, float]:
    scores = []
    for number in slide.unique():
        rows = slide == number
        scores.append(retrieval_recall((queries[rows] @ keys[rows].T).cpu().numpy()))
    return {f"retrieval_{name}": defined_mean([score[name] for score in scores]) for name in scores[0]}
