"""Damaged inputs end in one message, or in what undamaged ones give; nothing crashes, hangs or is half written.

``python tests/fuzz/campaign.py --cases 3000`` runs as many as one likes, and any one alone by its number.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from campaign import campaign, table_of, told
from cases import sample
from outcomes import FAULTS


def _check(numbers: list[int], folder: Path, is_apart: bool) -> None:
    outcomes = list(campaign(numbers, folder, is_apart))
    print(table_of(outcomes).to_string())
    faults = [told(outcome) for outcome in outcomes if outcome.kind in FAULTS]
    assert not faults, "\n\n".join(faults)
    assert {outcome.kind for outcome in outcomes} >= {"same", "told", "refused"}


def test_a_sample(tmp_path: Path) -> None:
    _check(sample(130), tmp_path, is_apart=False)


@pytest.mark.slow
def test_the_campaign(tmp_path: Path) -> None:
    _check(list(range(3000)), tmp_path, is_apart=True)
