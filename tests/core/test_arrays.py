"""Files of arrays, damaged at every place of their head: what numpy raises is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqexp.core.arrays import UNREADABLE


def test_every_damage_of_a_head_is_known(tmp_path: Path) -> None:
    array, many = tmp_path / "a.npy", tmp_path / "a.npz"
    np.save(array, np.arange(6.0).reshape(2, 3))
    np.savez_compressed(many, a=np.arange(6), b=np.array("text"))
    rng = np.random.default_rng(0)
    num_refused = 0
    for path in (array, many):
        whole = path.read_bytes()
        for place in rng.integers(0, min(len(whole), 200), 150):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ int(rng.integers(1, 256))]) + whole[place + 1 :])
            try:
                held = np.load(path)
                _ = dict(held) if path is many else held
            except UNREADABLE:
                num_refused += 1
    assert num_refused > 100
