"""The campaign as a script: ``python tests/fuzz/campaign.py --cases 3000``, or ``--only 17`` for one case."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from cases import Outcome, References, apart, case_of, reference_of, run_case  # noqa: E402
from outcomes import FAULTS  # noqa: E402
from worlds import write_worlds  # noqa: E402

from seqexp.core.classes import allow_classes  # noqa: E402

KINDS = ("same", "told", "silent", "refused", *FAULTS)


def references_of(numbers: list[int], worlds: Path, here: Path) -> References:
    """What the commands of these cases print and write over undamaged files."""
    situations = {case_of(number)[0] for number in numbers}
    found: References = {}
    for one in situations:
        if one.world != "made":
            found |= reference_of(one, worlds, here)
    return found


def campaign(numbers: list[int], folder: Path, is_apart: bool = True) -> Iterator[Outcome]:
    """Outcomes of cases as they come, each in a fork of its own or all in this process."""
    torch.set_num_threads(1)
    here, worlds = folder / "here", folder / "worlds"
    with allow_classes("tiny_selector"):
        worlds.mkdir(parents=True)
        write_worlds(worlds)
        references = references_of(numbers, worlds, here)

        for number in numbers:
            if is_apart:
                work = partial(run_case, number, worlds, here, references)
                yield apart(number, work, folder / "report.json")
            else:
                yield run_case(number, worlds, here, references)


def table_of(outcomes: list[Outcome]) -> pd.DataFrame:
    """Cases by command and outcome."""
    counts = Counter((outcome.command, outcome.kind) for outcome in outcomes)
    rows = {name: [counts[name, kind] for kind in KINDS] for name in dict.fromkeys(o.command for o in outcomes)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(KINDS))


def told(outcome: Outcome) -> str:
    """A case for the reader."""
    return (
        f"case {outcome.number}: {outcome.command} ({outcome.world}), {outcome.damage}: {outcome.kind}\n{outcome.words}"
    )


def main() -> None:
    """Run, print every fault and the table of outcomes, write all outcomes as TSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=3000, help="number of cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--step", type=int, default=1, help="every so manieth, to share the work")
    parser.add_argument("--only", type=int, nargs="*", help="these numbers alone, in this process")
    parser.add_argument("--out", type=Path, help="table of all outcomes")
    arguments = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    last = arguments.first + arguments.cases
    numbers = arguments.only or list(range(arguments.first, last, arguments.step))
    with tempfile.TemporaryDirectory() as folder:
        outcomes = []
        for outcome in campaign(numbers, Path(folder), is_apart=arguments.only is None):
            outcomes.append(outcome)
            if arguments.only or outcome.kind in FAULTS:
                print(told(outcome), end="\n\n", flush=True)
            if arguments.out:
                table = pd.DataFrame([asdict(outcome)])
                table.to_csv(arguments.out, sep="\t", index=False, mode="a", header=len(outcomes) == 1)
    print(table_of(outcomes).to_string())
    print(f"{len(outcomes)} cases, {sum(o.seconds for o in outcomes):.0f} s in commands")


if __name__ == "__main__":
    main()
