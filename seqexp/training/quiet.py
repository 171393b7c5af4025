"""Messages of Lightning and torch that ask nothing of a user of seqexp."""

from __future__ import annotations

import logging
import warnings

_NOISE = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    r"Checkpoint directory .* exists and is not empty",
    r".*does not have many workers which may be a bottleneck",
    r"The number of training batches .* is smaller than the logging interval",
    r"It is recommended to use `self.log\(.*sync_dist=True",  # rows are gathered before they are scored
    r"Using `DistributedSampler` with the dataloaders",  # repeated rows are told apart by their index
)


def quiet_lightning() -> None:
    """Silence what is known to be harmless here."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in _NOISE:
        warnings.filterwarnings("ignore", message)
