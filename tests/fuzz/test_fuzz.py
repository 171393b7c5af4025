"""Damaged inputs end in one message, or in what undamaged ones give; nothing crashes, hangs or is half written.

``python tests/fuzz/campaign.py --cases 3000`` runs as many as one likes, and any one alone by its number.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from campaign import campaign, table_of
from cases import FAULTS, sample


def _check(numbers: list[int], folder: Path, is_apart: bool) -> None:
    outcomes = campaign(numbers, folder, is_apart)
    print(table_of(outcomes).to_string())
    faults = [f"case {o.number}: {o.command}, {o.damage}: {o.kind}\n{o.words}" for o in outcomes if o.kind in FAULTS]
    assert not faults, "\n\n".join(faults)
    assert {o.kind for o in outcomes} >= {"same", "refused"}


def test_a_sample(tmp_path: Path) -> None:
    _check(sample(200), tmp_path, is_apart=False)


@pytest.mark.slow
def test_the_campaign(tmp_path: Path) -> None:
    _check(list(range(3000)), tmp_path, is_apart=True)
