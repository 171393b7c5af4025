"""Run commands in children of a process that has imported everything, and kill them at a moment.

Reads one JSON line per command: ``argv``, ``log`` (file for its output) and ``kill_after_s`` (null: let it end).
Answers with one line: ``status`` (exit status; -9 where it was killed) and ``seconds``.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import torch

torch.set_num_threads(1)


def child(argv: list[str], log: str) -> None:
    """What the child does; never returns."""
    from seqexp.cli.main import main

    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    status = 99
    try:
        status = main(argv)
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)


def serve() -> None:
    """Answer until the input ends."""
    for name in ("seqexp.api.finish", "seqexp.cli.data", "seqexp.dna.simulation.simulate", *sys.argv[1:]):
        importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            child(order["argv"], order["log"])
        if order["kill_after_s"] is not None:
            time.sleep(order["kill_after_s"])
            os.kill(pid, signal.SIGKILL)
        _, code = os.waitpid(pid, 0)
        status = -os.WTERMSIG(code) if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)
        print(json.dumps({"status": status, "seconds": time.monotonic() - started}), flush=True)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent))
    serve()
