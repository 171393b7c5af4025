"""What the machine refuses (room, permission, memory, a reader of the output) ends in one message, in every command."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from seqexp.cli import main as module
from seqexp.cli.last_net import as_message
from seqexp.cli.main import COMMANDS, Command, main
from seqexp.core.errors import DataError
from seqexp.histology.slides.flat import scratch

WORKER = (
    "Caught {kind} in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
    '  File "a.py", line 1, in f\n    g()\n{module}{kind}: {text}\n'
)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write: No space left on device"),
        (OSError(errno.EFBIG, "x", "/a/b"), "where:    /a/b"),
        (PermissionError(errno.EACCES, "x", "/a/b"), "the system refused: Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/a']"), "set TMPDIR"),
        (OSError("Unable to open file (signature not found)"), "signature not found"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 99 bytes"), "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "not enough memory"),
        (RuntimeError("DataLoader worker (pid 9) is killed by signal: Bus error. Try shared memory"), "num_workers 0"),
        (
            DataError(WORKER.format(kind="DataError", module="seqexp.core.errors.", text="torn file")),
            "error: torn file",
        ),
        (OSError(WORKER.format(kind="OSError", module="", text="[Errno 28] No space left")), "[Errno 28] No space"),
    ],
)
def test_refusals_become_one_message(
    raised: Exception, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> int:
        raise raised

    monkeypatch.setattr(module, "_broken", fail, raising=False)
    monkeypatch.setitem(COMMANDS, "demo", Command("seqexp.cli.main:_broken", ""))
    assert main(["demo"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("error: ") == 1
    assert told in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("mistake", [RuntimeError("mat1 and mat2"), KeyError("a"), ValueError("x"), AssertionError()])
def test_mistakes_of_the_program_are_not_hidden(mistake: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: list[str]) -> int:
        raise mistake

    assert as_message(mistake) is None
    monkeypatch.setattr(module, "_broken", fail, raising=False)
    monkeypatch.setitem(COMMANDS, "demo", Command("seqexp.cli.main:_broken", ""))
    with pytest.raises(type(mistake)):
        main(["demo"])


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "seqexp", "--help"], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_into_a_full_file_is_one_message() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "seqexp", "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: cannot write: No space left on device\n")
    assert done.stderr.count(b"error") == 1


OUTPUTS = {
    "elements": ["elements", "no_run", "--out", "{out}"],
    "compare": ["compare", "--elements", "a.bed", "--peaks", "b.bed", "--out", "{out}/x.tsv"],
    "crispri": ["benchmark", "crispri", "--pairs", "a.tsv", "--out", "{out}/x.tsv"],
    "peaks": ["peaks", "--narrowpeak", "a.bed", "--out", "{out}/x.narrowPeak"],
    "prepare": ["data", "prepare", "simulated_dna", "--out", "{out}"],
    "folds": ["benchmark", "folds", "--config", "c", "--dataset", "d", "--splits", "s", "--out", "{out}"],
    "report": ["report", "--run-dir", "{out}"],
}


@pytest.mark.parametrize("command", OUTPUTS)
@pytest.mark.parametrize("obstacle", ["file", "below a file", "dangling", "read-only"])
def test_an_output_that_cannot_be_is_refused_before_any_work(
    command: str, obstacle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    paths = {"file": "file", "below a file": "file/x", "dangling": "link", "read-only": "/sys/seqexp"}
    out = str(tmp_path / paths[obstacle])
    assert main([part.format(out=out) for part in OUTPUTS[command]]) == 2
    error = capsys.readouterr().err
    assert error.lstrip().startswith("error: cannot write into ")
    assert error.count("error: ") == 1
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/sys")
    with pytest.raises(DataError, match="no room to decode") as caught:
        scratch((10, 10, 3), "uint8")
    assert "TMPDIR" in str(caught.value)
