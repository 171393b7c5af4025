"""``metrics.json``: flat figures of a run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from seqexp.core.files import atomic_path


def write_json(path: Path, metrics: dict[str, Any]) -> None:
    """Write the figures; JSON has no NaN, so what is not defined is null."""
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
