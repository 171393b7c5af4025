"""``seqexp data check`` of 60,000 genes, 1,000 chromosomes and 300 tracks: seconds and memory of its process."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from large_dataset import write_large_dataset

pytestmark = pytest.mark.benchmark

MAX_SECONDS, MAX_GB = 30, 1.0


def test_check_of_a_large_dataset(tmp_path: Path) -> None:
    dataset = write_large_dataset(tmp_path, 60_000, 1_000, 300)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "seqexp", "data", "check", str(dataset)], capture_output=True, text=True
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    gigabytes = after.ru_maxrss / 1e6
    print(f"\n60,000 genes, 1,000 chromosomes, 300 tracks: {seconds:.1f} s, of CPU {cpu:.1f} s, {gigabytes:.2f} GB")
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    assert cpu <= MAX_SECONDS
    assert gigabytes <= MAX_GB
