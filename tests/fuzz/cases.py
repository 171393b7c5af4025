"""From a number to a case, from a case to its outcome: any one can be run alone by its number."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import shutil
import signal
import time
import traceback
import warnings
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mutations import ODD_ARGUMENTS, Rng, mutations_of
from worlds import SITUATIONS, Situation

from seqexp.cli.main import main

LIMIT_S = 60
OF_SLOW = 5
FAULTS = ("traceback", "crash", "hang", "half-written", "no message", "noise")


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes
    ----------
    number : int
    command, damage : str
        What was run and what was done before.
    kind : str
        ``same`` (exit 0, the outputs of an undamaged run), ``told`` (exit 0, other outputs and other words), ``silent``
        (exit 0, other outputs under the same words), ``refused`` (one message), or one of :data:`FAULTS`.
    words : str
        End of what was printed.
    """

    number: int
    command: str
    damage: str
    kind: str
    words: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Ran:
    """A command that came to its end."""

    status: int
    out: str
    err: str
    trouble: str = ""


def case_of(number: int) -> tuple[Situation, Rng]:
    """Situation of a case, by its share of a hundred, and the dice for the rest."""
    rng = np.random.default_rng([20261128, number])
    table = [situation for situation in SITUATIONS for _ in range(situation.share)]
    return table[number * 37 % len(table)], rng


def sample(count: int) -> list[int]:
    """Numbers of the first cases, of every slow situation only a few."""
    met: Counter[int] = Counter()
    numbers = []
    for number in itertools.count():
        if len(numbers) == count:
            return numbers
        situation, _ = case_of(number)
        met[id(situation)] += 1
        if not (situation.is_slow and met[id(situation)] > OF_SLOW):
            numbers.append(number)
    return numbers


def run_case(number: int, worlds: Path, here: Path, references: dict[str, tuple[str, str]]) -> Outcome:
    """Copy a world, damage it, run the command and judge; ``here`` is removed before and after."""
    situation, rng = case_of(number)
    shutil.rmtree(here, ignore_errors=True)
    copy_world(worlds, situation.world, here)
    arguments = [argument.format(here=here) for argument in situation.arguments]
    damage = _damage(situation, here, arguments, rng)
    before = {name for name in situation.outputs if (here / name).exists()}
    started = time.monotonic()
    ran = run(arguments)
    seconds = time.monotonic() - started
    left = [name for name in situation.outputs if (here / name).exists() and name not in before]
    kind = _judged(ran, left, situation, here, references=references)
    words = (ran.trouble or ran.err or ran.out)[-1500:]
    shutil.rmtree(here, ignore_errors=True)
    return Outcome(number, situation.name, damage, kind, words, round(seconds, 2))


def copy_world(worlds: Path, name: str, here: Path) -> None:
    """A copy of a world whose descriptions name files of the copy."""
    shutil.copytree(worlds / name, here)
    for path in (here / "config.yaml", here / "run/config.yaml"):
        if path.is_file():
            path.write_text(path.read_text().replace(str(worlds / name), str(here)))


def _damage(situation: Situation, here: Path, arguments: list[str], rng: Rng) -> str:
    if not situation.files:
        numbers = [n for n, argument in enumerate(arguments) if argument.isdigit()]
        place = int(rng.choice(numbers))
        arguments[place] = str(rng.choice(ODD_ARGUMENTS))
        return f"{arguments[place - 1]} {arguments[place]!r}"
    file = str(rng.choice(situation.files))
    known = mutations_of(here / file)
    name, mutation = known[int(rng.integers(len(known)))]
    mutation(here / file, rng)
    return f"{file}: {name}"


def run(arguments: list[str]) -> Ran:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            status, trouble = main(arguments), ""
        except SystemExit as error:  # how argparse ends
            status, trouble = int(error.code or 0), ""
        except Exception:  # noqa: BLE001 (whatever it is, it is what the campaign looks for)
            status, trouble = 1, traceback.format_exc()
    noise = [str(w.message) for w in seen if issubclass(w.category, RuntimeWarning)]
    return Ran(status, out.getvalue(), err.getvalue() + "".join(f"RuntimeWarning: {text}\n" for text in noise), trouble)


def _judged(
    ran: Ran, left: list[str], situation: Situation, here: Path, *, references: dict[str, tuple[str, str]]
) -> str:
    if ran.trouble or "Traceback" in ran.err:
        return "traceback"
    if "RuntimeWarning" in ran.err:
        return "noise"
    is_table = situation.arguments[:2] == ("data", "check") and ran.status == 1  # its table is the message
    if ran.status != 0:
        if left:
            return "half-written"
        is_usage = "usage: seqexp" in ran.err
        return "refused" if is_table or is_usage or len(re.findall("^error: ", ran.err, re.M)) == 1 else "no message"
    if situation.name not in ("data check", "features") and len(left) < len(situation.outputs):
        return "same" if situation.world == "made" else "half-written"
    key = " ".join(situation.arguments)
    words, content = printed(ran, here), written(situation, here)
    if key not in references:
        return "same"
    return "same" if content == references[key][1] and content else "told" if words != references[key][0] else "silent"


def reference(situation: Situation, worlds: Path, here: Path) -> tuple[str, str]:
    """What an undamaged run prints and writes."""
    shutil.rmtree(here, ignore_errors=True)
    copy_world(worlds, situation.world, here)
    ran = run([argument.format(here=here) for argument in situation.arguments])
    assert ran.status == 0, ran
    found = printed(ran, here), written(situation, here)
    shutil.rmtree(here, ignore_errors=True)
    return found


def printed(ran: Ran, here: Path) -> str:
    """What was printed, without the name of the folder and without times."""
    return "\n".join(line for line in (ran.out + ran.err).replace(str(here), "").splitlines() if " s" not in line[-12:])


def written(situation: Situation, here: Path) -> str:
    """Digest of the tables that a command wrote; what names times or folders does not count."""
    import hashlib

    digest = hashlib.sha256()
    files = sorted(
        path
        for name in situation.outputs
        for path in ([here / name] if (here / name).is_file() else (here / name).rglob("*"))
        if path.suffix in {".tsv", ".bed", ".narrowPeak"}
    )
    for path in files:
        digest.update(path.read_bytes().replace(str(here).encode(), b""))
    return digest.hexdigest() if files else ""


def run_apart(number: int, worlds: Path, here: Path, references: dict[str, tuple[str, str]]) -> Outcome:
    """Run a case in a fork of this process, so that a crash or a hang ends it alone."""
    report = here.with_suffix(".json")
    report.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        import json

        outcome = run_case(number, worlds, here, references)
        report.write_text(json.dumps(asdict(outcome)))
        os._exit(0)
    return _awaited(child, number, report)


def _awaited(child: int, number: int, report: Path) -> Outcome:
    import json

    deadline = time.monotonic() + LIMIT_S
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Outcome(number, case_of(number)[0].name, "", "hang", "", LIMIT_S)
        time.sleep(0.01)
    if report.is_file():
        return Outcome(**json.loads(report.read_text()))
    return Outcome(number, case_of(number)[0].name, "", "crash", f"wait status {status}")
