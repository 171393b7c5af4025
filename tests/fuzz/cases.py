"""From a number to a case, from a case to its outcome: any one can be run alone by its number."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import yaml
from accepted import reason_of
from damage_bytes import Rng
from damage_values import leaves, odd_argument
from damages import damages_of
from outcomes import LIMIT_S, Result, files_of, judged, result_of, run
from situations import SITUATIONS, Situation

OF_SLOW = 4
MEMORY_BYTES = 8 * 2**30
_TABLE = [situation for situation in SITUATIONS for _ in range(situation.share)]
References = dict[str, Result]


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes
    ----------
    number : int
    command, world, damage : str
        What was run, over which world, and what was done before.
    kind : str
        ``same`` (exit 0, the outputs of an undamaged run), ``told`` (exit 0 and other words), ``silent`` (exit 0,
        other outputs under the same words, for a reason that :mod:`accepted` gives), ``refused`` (one message), or one
        of :data:`outcomes.FAULTS`.
    words : str
        End of what was printed.
    seconds : float
    """

    number: int
    command: str
    world: str
    damage: str
    kind: str
    words: str = ""
    seconds: float = 0.0


def case_of(number: int) -> tuple[Situation, Rng]:
    """Situation of a case, by its share, and the dice for the rest."""
    return _TABLE[number * 37 % len(_TABLE)], np.random.default_rng([20261128, number])


def sample(count: int) -> list[int]:
    """Numbers of the first cases, of every slow situation only a few."""
    met: Counter[int] = Counter()
    numbers: list[int] = []
    for number in itertools.count():
        if len(numbers) == count:
            break
        situation, _ = case_of(number)
        met[id(situation)] += 1
        if not (situation.is_slow and met[id(situation)] > OF_SLOW):
            numbers.append(number)
    return numbers


def run_case(number: int, worlds: Path, here: Path, references: References) -> Outcome:
    """Copy a world, damage it, run the command and judge; ``here`` is removed before and after."""
    situation, rng = case_of(number)
    copy_world(worlds, situation.world, here)
    arguments, damage = damaged(situation, here, rng)
    before = files_of(here)
    started = time.monotonic()
    ran = run(arguments)
    seconds = round(time.monotonic() - started, 2)
    kind = judged(ran, situation, here, before=before, reference=references.get(situation.key))
    if kind == "silent":
        is_told = told_by_check(here, situation, references)
        kind = "told" if is_told else "silent" if reason_of(situation.name, damage) else "unjudged"
    words = (ran.trouble or ran.err or ran.out)[-1500:]
    shutil.rmtree(here, ignore_errors=True)
    return Outcome(number, situation.name, situation.world, damage, kind, words, seconds)


def copy_world(worlds: Path, name: str, here: Path) -> None:
    """A copy of a world whose descriptions name files of the copy."""
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(worlds / name, here)
    for path in (here / "config.yaml", here / "run/config.yaml"):
        if path.is_file():
            path.write_text(path.read_text().replace(str(worlds / name), str(here)))


def damaged(situation: Situation, here: Path, rng: Rng) -> tuple[list[str], str]:
    """Damage a file of the world or an argument: the arguments to run, and what was done."""
    arguments = [argument.format(here=here) for argument in situation.arguments.split()]
    if not situation.files:
        numbers = [place for place, argument in enumerate(arguments) if argument.isdigit()]
        if numbers:
            place = int(rng.choice(numbers))
            arguments[place] = odd_argument(arguments[place - 1], rng)
        else:
            name = str(rng.choice(leaves(yaml.safe_load((here / "run/config.yaml").read_text()))))
            arguments += [f"--{name}", odd_argument(name, rng)]
            place = -1
        return arguments, f"{arguments[place - 1]} {arguments[place]!r}"
    pattern = str(rng.choice(situation.files.split()))
    path = here / str(rng.choice(sorted(str(found.relative_to(here)) for found in here.glob(pattern)) or [pattern]))
    if not path.is_file():
        return arguments, f"{pattern}: not there"
    known = damages_of(path)
    name, damage = known[int(rng.integers(len(known)))]
    told = damage(path, rng)
    return arguments, f"{pattern}: {name}{', ' * bool(told)}{told}"


def reference_of(situation: Situation, worlds: Path, here: Path) -> References:
    """What an undamaged run prints and writes; and its words in full."""
    copy_world(worlds, situation.world, here)
    ran = run([argument.format(here=here) for argument in situation.arguments.split()])
    assert ran.status == 0, ran
    found, full = result_of(ran, situation, here), Result((ran.out + ran.err).replace(str(here), ""), "")
    shutil.rmtree(here, ignore_errors=True)
    return {situation.key: found, f"full {situation.key}": full}


def told_by_check(here: Path, situation: Situation, references: References) -> bool:
    """Whether ``data check`` says of the damaged files what it does not say of the others; runs print less."""
    checks = [one for one in SITUATIONS if one.name == "data check" and one.world == situation.world and one.files]
    if not checks or situation.name not in ("fit", "predict", "features"):
        return False
    ran = run([argument.format(here=here) for argument in checks[0].arguments.split()])
    return (ran.out + ran.err).replace(str(here), "") != references[f"full {checks[0].key}"].words


def apart(number: int, work: Callable[[], Outcome], report: Path, limit_s: float = LIMIT_S + 10) -> Outcome:
    """Run a case in a fork of this process under a limit of memory, so that a crash or a hang ends it alone."""
    report.unlink(missing_ok=True)
    situation, _ = case_of(number)
    blank = Outcome(number, situation.name, situation.world, "", "crash")
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            report.write_text(json.dumps(asdict(work())))
        except Exception:  # noqa: BLE001 (of the campaign itself)
            traceback.print_exc()
        finally:
            os._exit(0)
    deadline = time.monotonic() + limit_s
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return replace(blank, kind="hang", seconds=limit_s)
        time.sleep(0.01)
    if report.is_file():
        return Outcome(**json.loads(report.read_text()))
    return replace(blank, words=f"wait status {ended[1]}")
