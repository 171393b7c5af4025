"""Running a command and judging what became of it: its words, its files, and what it left of others."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import signal
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from situations import Situation

from seqexp.cli.main import main

LIMIT_S = 60
FAULTS = ("traceback", "crash", "hang", "half-written", "no message", "noise", "touched", "unjudged")
_INDICES = (".fai", ".gzi")  # built beside a FASTA, and built anew where they are of another
_SAID = re.compile(r"^error: ", re.M)


class Hung(BaseException):
    """A command took longer than :data:`LIMIT_S`."""


@dataclass(frozen=True)
class Ran:
    """A command that came to its end."""

    status: int
    out: str
    err: str
    trouble: str = ""


@dataclass(frozen=True)
class Result:
    """What a command printed, without numbers and folders, and the digest of what it wrote."""

    words: str
    content: str


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hung

    earlier = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


def run(arguments: list[str], limit_s: float = LIMIT_S) -> Ran:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            with _limited(limit_s):
                status, trouble = main(arguments), ""
        except SystemExit as error:  # how argparse ends
            status, trouble = int(error.code or 0), ""
        except Hung:
            status, trouble = -1, "hang"
        except BaseException:  # noqa: BLE001 (whatever it is, it is what the campaign looks for)
            status, trouble = 1, traceback.format_exc()
    noise = "".join(f"RuntimeWarning: {w.message}\n" for w in seen if issubclass(w.category, RuntimeWarning))
    return Ran(status, out.getvalue(), err.getvalue() + noise, trouble)


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file of a world; links are not followed."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            stat = path.lstat()
            found[str(path.relative_to(folder))] = (stat.st_size, stat.st_mtime_ns)
    return found


def judged(
    ran: Ran, situation: Situation, here: Path, *, before: dict[str, tuple[int, int]], reference: Result | None
) -> str:
    """Kind of the outcome, as :class:`cases.Outcome` lists them."""
    if ran.trouble:
        return "hang" if ran.trouble == "hang" else "traceback"
    if "Traceback" in ran.err:
        return "traceback"
    if "RuntimeWarning" in ran.err:
        return "noise"
    outputs = situation.outputs.split()
    after = files_of(here)
    left = [name for name in after if name not in before and _is_of(name, outputs)]
    if _touched(before, after, situation):
        return "touched"
    if ran.status != 0:
        if left:
            return "half-written"
        is_table = situation.name == "data check" and ran.status == 1  # its table is the message
        is_usage = "usage: seqexp" in ran.err
        return "refused" if is_table or is_usage or len(_SAID.findall(ran.err)) == 1 else "no message"
    if any(not (here / name).exists() for name in outputs):
        return "half-written"
    return _compared(result_of(ran, situation, here), reference)


def _compared(found: Result, reference: Result | None) -> str:
    if reference is None or found == reference:
        return "same"
    if found.words != reference.words:
        return "told"
    return "silent"


def _is_of(name: str, outputs: list[str]) -> bool:
    return any(name == output or name.startswith(f"{output}/") for output in outputs)


def _touched(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], situation: Situation) -> list[str]:
    """Files that were there and are changed or gone, and strange ones beside the outputs."""
    changed = [name for name in before if after.get(name) != before[name]]
    strange = [name for name in after if name not in before and name.endswith(".part")]
    own = ("run/", "cache/", "store/", "made/")  # of earlier runs of the program
    return [name for name in changed + strange if not name.startswith(own) and Path(name).suffix not in _INDICES]


def result_of(ran: Ran, situation: Situation, here: Path) -> Result:
    """What is compared with an undamaged run."""
    words = re.sub(r"[\d.,]+", "#", (ran.out + ran.err).replace(str(here), ""))
    names = [*situation.outputs.split(), *(["cache"] if situation.name == "features" else [])]
    if "--resume" in situation.arguments:
        names.append("run/checkpoints/last.ckpt")
    files = [
        path for name in names for path in ([here / name] if (here / name).is_file() else (here / name).rglob("*"))
    ]
    digests = {_digest(path, here) for path in files}
    return Result("\n".join(dict.fromkeys(words.splitlines())), "".join(sorted(digests)))


def _digest(path: Path, here: Path) -> str:
    """Digest of a table, of an array or of weights; of others, which name times and folders, nothing."""
    if path.suffix == ".ckpt":
        state = torch.load(path, weights_only=False)["state_dict"]
        content = b"".join(name.encode() + value.numpy().tobytes() for name, value in sorted(state.items()))
    elif path.suffix in {".tsv", ".bed", ".narrowPeak", ".npy", ".bedGraph"}:
        content = path.read_bytes().replace(str(here).encode(), b"")
    else:
        return ""
    return hashlib.sha256(content).hexdigest()
