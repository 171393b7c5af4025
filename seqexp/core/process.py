"""Which process this is, and whether one that is named somewhere still runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one that got its number.

    Attributes
    ----------
    host : str
        Name of the machine.
    pid : int
    started : str
        When it began, as the system tells it: equal for the same process only. Empty where the system does not tell.
    boot, namespace : str
        Of the machine and of its process numbers, so that a restarted machine and another container are recognised.
    command : str
        What was called.
    since : str
        Time of the claim, UTC.
    """

    host: str
    pid: int
    started: str
    boot: str
    namespace: str
    command: str
    since: str

    @classmethod
    def current(cls) -> Process:
        """This process."""
        command = " ".join([Path(sys.argv[0] or "python").name, *sys.argv[1:]])[:200]
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _started(pid), _boot(), _namespace(), command, now)

    @classmethod
    def read(cls, content: Any) -> Process | None:
        """From what :func:`dataclasses.asdict` gave; None for anything else."""
        if not isinstance(content, dict) or not isinstance(content.get("pid"), int):
            return None
        names = [name for name in cls.__dataclass_fields__ if name != "pid"]
        if not all(isinstance(content.get(name), str) for name in names):
            return None
        return cls(pid=content["pid"], **{name: content[name] for name in names})

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it ran where we cannot see it: on another machine, or in another container."""
        if self.host != socket.gethostname():
            return True
        return self.boot == _boot() and self.namespace != _namespace()

    @property
    def is_running(self) -> bool:
        """Whether it runs still; of a process elsewhere nobody can tell here, and it counts as running."""
        if self.is_elsewhere:
            return True
        is_same = _started(self.pid) in (self.started, "")  # of processes of others, a system may not tell
        return self.boot == _boot() and is_alive(self.pid) and is_same

    @property
    def is_current(self) -> bool:
        """Whether it is this very process."""
        return not self.is_elsewhere and self.pid == os.getpid() and self.is_running

    def render(self) -> str:
        """Host, number, command and time in one line."""
        return f"process {self.pid} on {self.host} ({self.command}; since {self.since})"


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine; one that ended and waits for its parent does not."""
    fields = _stat(pid)
    if fields:
        return fields[0] not in "ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # it is there, and somebody else's
        pass
    return True


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty where there is no such file."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name before it may hold anything


def _started(pid: int) -> str:
    fields = _stat(pid)
    if fields:
        return fields[19]  # clock ticks from the start of the machine
    with suppress(OSError, subprocess.SubprocessError):  # systems without /proc
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    return ""


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return ""


def _namespace() -> str:
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""
