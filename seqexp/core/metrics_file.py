"""``metrics.json``: figures of a run (flat) or of a benchmark (by world and ranking)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from seqexp.core.files import atomic_path


def write_json(path: Path, metrics: dict[str, Any]) -> None:
    """Write the figures; JSON has no NaN, so what is not defined is null."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(plain(metrics), indent=2) + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """Figures as JSON has them: what is not finite is None, in dictionaries too."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
