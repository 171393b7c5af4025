"""Seeds that depend on what is drawn, not on which worker draws it."""

from __future__ import annotations

import hashlib


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """64-bit seed of one sample in one epoch: the same for any number of workers, devices or resumes."""
    digest = hashlib.blake2b(f"{seed}:{epoch}:{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
