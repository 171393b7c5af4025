"""Several processes: bring rows together."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from seqexp.objectives.metrics import StreamingRegression


def gather_objects(value: Any) -> list[Any]:
    """The value of every process, in rank order; only our own where there is one process."""
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered


def is_first_process() -> bool:
    """Whether this process writes files and prints."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def gather_rows(stream: StreamingRegression) -> StreamingRegression:
    """The rows of all processes in one stream, the same in each process."""
    whole = StreamingRegression()
    for state in gather_objects(stream.state()):
        whole.add_state(state)
    return whole
