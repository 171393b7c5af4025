"""Starts the command of a test in a fresh interpreter that finds the tiny network by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HELPERS = Path(__file__).parent
ROOT = HELPERS.parents[2]


def seqexp(*arguments: object, cwd: Path, timeout: float = 180) -> subprocess.CompletedProcess[str]:
    """Run `python -m seqexp` with one thread and return what it printed."""
    path = os.pathsep.join([str(HELPERS), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "seqexp", *(str(a) for a in arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
