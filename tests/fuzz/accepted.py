"""Wrong inputs that are accepted under the same words, and why that is right; what fits none of these is a fault."""

from __future__ import annotations

import re

ACCEPTED: tuple[tuple[str, str, str], ...] = ()


def reason_of(command: str, damage: str) -> str:
    """Why a silent outcome is accepted; empty where nothing says so."""
    return next((why for of, what, why in ACCEPTED if re.search(of, command) and re.search(what, damage)), "")
