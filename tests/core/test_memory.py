"""Freed memory is kept for the next tensor."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from seqexp.core.memory import keep_freed_memory

assert not {keeps} or keep_freed_memory()
for _ in range(3):
    np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_large_blocks_are_not_given_back_to_the_system() -> None:
    faults = {
        keeps: int(subprocess.check_output([sys.executable, "-c", PROGRAM.format(keeps=keeps)]))
        for keeps in (False, True)
    }
    assert faults[False] > 100, "the C library keeps blocks by itself here: the setting is not needed"
    assert faults[True] < faults[False] / 10


def test_the_longest_sequences_are_left_alone() -> None:
    from seqexp.core.memory import LONGEST, keep_freed_memory

    assert not keep_freed_memory(LONGEST + 1)


def test_peak_is_that_of_the_process_and_not_of_its_parent() -> None:
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    program = "from seqexp.core.memory import peak_resident_bytes as peak; a = peak(); b = bytearray(50_000_000); "
    program += "b[::4096] = b'x' * len(b[::4096]); print(a, peak())"
    before, after = map(int, subprocess.check_output([sys.executable, "-c", program]).split())
    assert before < 200_000_000
    assert 45_000_000 < after - before < 70_000_000
