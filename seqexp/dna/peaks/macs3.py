"""MACS3 as a program: found, run within a time limit, and its own words where it fails."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from seqexp.core.errors import ConfigError, DataError, MissingExtraError
from seqexp.core.files import temporary_path
from seqexp.core.links import require_bound
from seqexp.core.write_errors import find_refusal, write_error, write_errors_of

LIMIT_MINUTES = 120.0
_NUM_LINES = 6
_STAMP = re.compile(r"^(?P<level>[A-Z]+)\s+@ [^\[]*\[\s*\d+ MB\]\s*")


def find_macs3() -> str:
    """Path of the ``macs3`` program of this environment.

    Raises
    ------
    MissingExtraError
        MACS3 is not installed; the message gives the line that installs it.
    """
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("macs3", path=search)
    if program is None or importlib.util.find_spec("MACS3") is None:
        raise MissingExtraError("MACS3", "macs3")
    return program


@contextmanager
def work_folder(output: Path) -> Iterator[Path]:
    """A folder beside ``output`` for what MACS3 writes, gone at the end; so the disk of the result is the one filled.

    Raises
    ------
    DataError
        The folder of ``output`` cannot be written, or is full.
    """
    require_bound(output)
    folder = temporary_path(output.absolute().with_name("macs3"))
    try:
        with write_errors_of(output, folder):
            folder.mkdir(parents=True)
            yield folder
            _require_room(folder, output)
    except DataError as error:
        _require_room(folder, output, error)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_room(folder: Path, output: Path, failure: DataError | None = None) -> None:
    """A full disk makes MACS3 fail in many words, or write less than there is with exit status 0."""
    refusal = find_refusal(folder) if folder.is_dir() else None
    if refusal is not None:
        raise write_error(refusal, output) from failure


def run_macs3(arguments: list[str], made: Path, limit_minutes: float = LIMIT_MINUTES) -> list[str]:
    """Run MACS3 and prove that it wrote its file.

    Parameters
    ----------
    arguments : list of str
        Command of MACS3 and its options.
    made : Path
        File it is to write, in a folder that is thrown away: MACS3 keeps its own temporary files there, too.
    limit_minutes : float
        MACS3 is stopped after so long, with every process it started.

    Returns
    -------
    list of str
        Its warnings.

    Raises
    ------
    MissingExtraError
        MACS3 is not installed.
    ConfigError
        The limit is not above 0.
    DataError
        MACS3 failed or was stopped; the message ends with what it said itself.
    """
    program = find_macs3()
    if not limit_minutes > 0:
        raise ConfigError(f"a limit of {limit_minutes:g} minutes", expected="a number above 0")
    command = ["macs3", *arguments]
    with _own_group([program, *arguments], made.parent) as process:
        try:
            said, _ = process.communicate(timeout=60 * limit_minutes)
        except subprocess.TimeoutExpired as error:
            _stop(process)
            said, _ = process.communicate()
            raise _failure(f"was stopped: it ran longer than {limit_minutes:g} minutes", command, said) from error
    if process.returncode != 0 or not made.is_file():
        state = f"exit status {process.returncode}" if process.returncode else "no peaks were written"
        raise _failure(f"failed ({state})", command, said)
    return [words for level, words in _lines(said) if level == "WARNING"]


def _failure(what: str, command: list[str], said: str) -> DataError:
    """The error of a run; MACS3's advice stands before its last line, so several lines are shown."""
    lines = _lines(said)
    told = [words for level, words in lines if level != "INFO"] or [words for _, words in lines]
    words = "".join(f"\n    {line}" for line in told[-_NUM_LINES:]) or " nothing"
    return DataError(
        f"macs3 {command[1]} {what}; it said:{words}",
        where=" ".join(command),
        expected="exit status 0 and a narrowPeak file within the time limit",
    )


def _lines(said: str) -> list[tuple[str, str]]:
    """Level (INFO, WARNING, …; empty for what is no log line) and text of every line, without the time stamp."""
    found = []
    level = ""
    for line in said.splitlines():
        stamp = _STAMP.match(line)
        if stamp:
            level, line = stamp["level"], line[stamp.end() :]
        elif line.startswith(("Traceback", "usage:", "macs3")):
            level = ""
        if line.strip():
            found.append((level, line.strip()))
    return found


@contextmanager
def _own_group(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, which ends with this block however the block ends."""
    environment = {**os.environ, "TMPDIR": str(folder)}
    with _ends_on_terminate() as ready:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise DataError(f"macs3 cannot be started: {error.strerror}", where=command[0]) from error
        try:
            ready()
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    """End a process and all it started; a group that is gone is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _ends_on_terminate() -> Iterator[Callable[[], None]]:
    """SIGTERM as SystemExit, so that MACS3, which does not share our group, is not left behind.

    Gives a function to call once the process is known; a signal that came before is kept until then.
    """
    came: list[int] = []
    is_ready = False

    def leave(number: int, frame: FrameType | None = None) -> None:
        came.append(number)
        if is_ready:
            raise SystemExit(128 + number)

    def ready() -> None:
        nonlocal is_ready
        is_ready = True
        if came:
            leave(came[0])

    if threading.current_thread() is not threading.main_thread():
        yield ready
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield ready
    finally:
        signal.signal(signal.SIGTERM, before)
