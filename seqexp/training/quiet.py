"""Messages of Lightning and torch that ask nothing of a user of seqexp."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def quiet_writer_threads() -> Iterator[None]:
    """Silence the traceback of a TensorBoard thread that cannot write: its error comes again, in the main thread."""
    told = threading.excepthook

    def tell(failure: threading.ExceptHookArgs) -> None:
        if not (issubclass(failure.exc_type, OSError) and type(failure.thread).__name__ == "_AsyncWriterThread"):
            told(failure)

    threading.excepthook = tell
    try:
        yield
    finally:
        threading.excepthook = told
