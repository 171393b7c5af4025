"""The campaign itself: a planted crash, hang, bomb, half-written file and lost file are each recognised."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import outcomes
from cases import Outcome, apart, case_of, sample
from outcomes import Ran, Result, files_of, judged, run
from situations import SITUATIONS, Situation

WRITES = Situation("elements", "dna", "elements", outputs="out")
REFUSED = Ran(1, "", "error: no masks\n  where: here\n")


def _ended(work: Callable[[], object], folder: Path, limit_s: float = 30) -> str:
    def case() -> Outcome:
        work()
        return Outcome(0, "", "", "", "same")

    return apart(0, case, folder / "report.json", limit_s).kind


def test_a_fork_that_ends_badly(tmp_path: Path) -> None:
    assert _ended(lambda: None, tmp_path) == "same"
    assert _ended(lambda: os.kill(os.getpid(), signal.SIGKILL), tmp_path) == "crash"
    assert _ended(lambda: os._exit(0), tmp_path) == "crash"
    assert _ended(lambda: time.sleep(60), tmp_path, limit_s=0.3) == "hang"
    assert _ended(lambda: np.zeros(2**34), tmp_path) == "crash"  # 128 GB: over the limit of memory


def test_a_command_that_ends_badly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def ended(command: Callable[[list[str]], int], limit_s: float = 30) -> str:
        monkeypatch.setattr(outcomes, "main", command)
        return judged(run([], limit_s), WRITES, tmp_path, before={}, reference=None)

    def warns(_: list[str]) -> int:
        np.log(np.zeros(1))
        return 0

    assert ended(lambda _: [][1]) == "traceback"
    assert ended(lambda _: time.sleep(60) or 0, limit_s=0.2) == "hang"
    assert ended(warns) == "noise"
    assert ended(lambda _: 1) == "no message"


def _judged(ran: Ran, here: Path, change: Callable[[], object], reference: Result | None = None) -> str:
    here.mkdir()
    (here / "mine.tsv").write_text("a")
    before = files_of(here)
    change()
    return judged(ran, WRITES, here, before=before, reference=reference)


@pytest.mark.parametrize("name", ["out", "out/elements.bed"])
def test_files_after_a_refusal(tmp_path: Path, name: str) -> None:
    here = tmp_path / "here"

    def write() -> None:
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("half")

    assert _judged(REFUSED, here, write) == "half-written"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda here: None, "refused"),
        (lambda here: (here / "mine.tsv").unlink(), "touched"),
        (lambda here: (here / "mine.tsv").write_text("bb"), "touched"),
        (lambda here: (here / "left.1.part").write_text("b"), "touched"),
    ],
)
def test_files_of_others(tmp_path: Path, change: Callable[[Path], object], kind: str) -> None:
    here = tmp_path / "here"
    assert _judged(REFUSED, here, lambda: change(here)) == kind


def test_what_is_compared_with_an_undamaged_run(tmp_path: Path) -> None:
    found = []
    for number, (words, cell) in enumerate(
        [("3 genes", "1"), ("2 genes", "1"), ("none of genes", "1"), ("3 genes", "2")]
    ):
        here = tmp_path / str(number)

        def write(here: Path = here, cell: str = cell) -> None:
            (here / "out").mkdir()
            (here / "out/a.tsv").write_text(cell)

        reference = Result("# genes", found[0]) if found else None
        kind = _judged(Ran(0, words, ""), here, write, reference)
        found.append(outcomes.result_of(Ran(0, words, ""), WRITES, here).content if not found else kind)
    assert found[1:] == ["same", "told", "silent"]
    assert _judged(Ran(0, "", ""), tmp_path / "nothing", lambda: None) == "half-written"


def test_numbers_give_the_same_cases() -> None:
    numbers = sample(200)
    assert len(set(numbers)) == 200
    assert {case_of(n)[0].name for n in numbers} == {one.name for one in SITUATIONS}
    assert case_of(17)[1].integers(1000) == case_of(17)[1].integers(1000)
