"""The campaign as a script: ``python tests/fuzz/campaign.py --cases 3000``, or ``--only 17 --show`` for one case."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from cases import FAULTS, Outcome, case_of, reference, run_apart, run_case  # noqa: E402
from worlds import SITUATIONS, write_worlds  # noqa: E402

from seqexp.core.classes import allow_classes  # noqa: E402


def references_of(worlds: Path, here: Path) -> dict[str, tuple[str, str]]:
    """What every command prints and writes over undamaged files."""
    return {" ".join(s.arguments): reference(s, worlds, here) for s in SITUATIONS if s.world != "made"}


def campaign(numbers: list[int], folder: Path, is_apart: bool = True) -> list[Outcome]:
    """Outcomes of cases, each in a fork of its own or all in this process."""
    torch.set_num_threads(1)
    with allow_classes("tiny_selector"):
        worlds = folder / "worlds"
        if not worlds.is_dir():
            worlds.mkdir(parents=True)
            write_worlds(worlds)
        references = references_of(worlds, folder / "here")
        one = run_apart if is_apart else run_case
        return [one(number, worlds, folder / "here", references) for number in numbers]


def table_of(outcomes: list[Outcome]) -> pd.DataFrame:
    """Cases by command and outcome."""
    counts = Counter((outcome.command, outcome.kind) for outcome in outcomes)
    kinds = ["same", "told", "silent", "refused", *FAULTS]
    rows = {
        command: [counts[command, kind] for kind in kinds] for command in dict.fromkeys(o.command for o in outcomes)
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=kinds)


def main() -> None:
    """Run, print the table of outcomes and every fault, write all outcomes as TSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=3000, help="cases from --first on")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--step", type=int, default=1, help="every so manieth, to share the work")
    parser.add_argument("--only", type=int, nargs="*", help="these numbers alone, in this process")
    parser.add_argument("--out", type=Path, help="table of all outcomes")
    arguments = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    last = arguments.first + arguments.cases
    numbers = arguments.only or list(range(arguments.first, last, arguments.step))
    with tempfile.TemporaryDirectory() as folder:
        outcomes = campaign(numbers, Path(folder), is_apart=arguments.only is None)
    for outcome in outcomes:
        if arguments.only or outcome.kind in FAULTS:
            print(f"case {outcome.number}: {outcome.command}, {outcome.damage}: {outcome.kind}\n{outcome.words}\n")
    print(table_of(outcomes).to_string())
    print(
        f"{sum(o.seconds for o in outcomes):.0f} s in commands; situations: {len({id(case_of(n)[0]) for n in numbers})}"
    )
    if arguments.out:
        pd.DataFrame([asdict(o) for o in outcomes]).to_csv(arguments.out, sep="\t", index=False)


if __name__ == "__main__":
    main()
