"""The run record: what ran, on what, with which settings, so that a figure can be traced to its run."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from seqexp import __version__
from seqexp.core.files import atomic_path

_PACKAGES = ("torch", "pytorch-lightning", "numpy", "pandas", "scipy", "pyfaidx", "pyBigWig", "macs3")


def _git(*arguments: str) -> str | None:
    """Output of git in the folder of the source, or None where that is no checkout."""
    folder = Path(__file__).resolve().parent
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def make_run_record(config: dict[str, Any], seed: int | None, data_fingerprint: str) -> dict[str, Any]:
    """Versions, git state, machine, seed, data fingerprint and the full config of a run.

    Parameters
    ----------
    config : dict
        Complete settings of the run, as YAML would hold them.
    seed : int or None
        Seed of the run.
    data_fingerprint : str
        Identity of the input files (:func:`seqexp.core.files.fingerprint`).
    """
    return {
        "seqexp": __version__,
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "seed": seed,
        "data_fingerprint": data_fingerprint,
        "config": config,
    }


def write_run_record(path: str | Path, record: dict[str, Any]) -> None:
    """Write a run record as JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")
