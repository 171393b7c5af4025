"""Predict anything: windows that nobody measured, from a run folder alone, into a folder of files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqexp.api.answer import Answer, answer, require_able
from seqexp.api.files import TABLE, identity_of, write_answer
from seqexp.api.parts import kept_parts
from seqexp.api.request import Request, resolve
from seqexp.core.errors import ConfigError, DataError
from seqexp.core.files import prove_writable
from seqexp.dna.loaders.fitted import Fitted
from seqexp.training.run import Run


@dataclass(frozen=True)
class Output:
    """Where and how predictions are written.

    Attributes
    ----------
    folder : Path
        Appears whole, or not at all. What is answered on the way lies in a folder beside it, with ``.parts`` behind its
        name, from which the same command goes on after it was broken off.
    num_samples : int
        Draws of a network that predicts a distribution.
    budget_fraction : float
        Share of the base pairs of all windows kept as elements.
    is_replaced : bool
        Predictions in the folder may be replaced.
    is_shown : bool
        Show a progress bar.
    """

    folder: Path
    num_samples: int = 0
    budget_fraction: float = 0.1
    is_replaced: bool = False
    is_shown: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.budget_fraction <= 1:
            raise ConfigError(f"budget_fraction {self.budget_fraction}", expected="above 0 and at most 1")
        if self.num_samples < 0:
            raise ConfigError(f"{self.num_samples} samples", expected="0 or more")
        if (self.folder / TABLE).exists() and not self.is_replaced:
            raise DataError(
                "predictions are there already",
                where=self.folder / TABLE,
                expected="a folder without them",
                fix="give another --out, or --overwrite",
            )


def predict_anything(
    run_dir: str | Path,
    request: Request,
    output: Output,
    *,
    checkpoint: str | Path = "best",
    overrides: Sequence[str] = (),
) -> list[str]:
    """Predict what is asked for, and write it.

    Parameters
    ----------
    run_dir : path
        Folder of ``seqexp fit``; its data set is read only where windows lie on its genome.
    request : Request
    output : Output
    checkpoint, overrides
        As of :meth:`seqexp.training.run.Run.open`.

    Returns
    -------
    list of str
        A line per file that was written.
    """
    run = Run.open(run_dir, checkpoint, overrides, reads_data=False)
    require_able(run, output.num_samples)
    given = resolve(request, facts_of(run), run.datamodule.path)  # type: ignore[attr-defined]
    for note in given.notes:
        print(f"note: {note}", file=sys.stderr)
    prove_writable(output.folder.parent)
    beside = output.folder.with_name(output.folder.name + ".parts")
    with kept_parts(beside, identity_of(run, given, output.num_samples)) as parts:
        if parts.num_found:
            print(f"{parts.num_found:,} of {len(given.laid.frame):,} windows were predicted before", file=sys.stderr)
        found = answer(run, given, num_samples=output.num_samples, parts=parts, is_shown=output.is_shown)
        print(_seen(found), file=sys.stderr)
        lines = write_answer(found, output.folder, output.budget_fraction)
    return [f"{output.folder / line}" for line in lines]


def _seen(found: Answer) -> str:
    """How many of the windows the checkpoint knows, in words."""
    words = {"train": "trained on", "val": "chosen by", "no": "never seen", "unknown": "not known by a place"}
    counts = found.table["seen"].value_counts()
    told = ", ".join(f"{word} {counts[key]:,}" for key, word in words.items() if key in counts)
    return f"{len(found.table):,} windows: {told}"


def facts_of(run: Run) -> Fitted:
    """What the checkpoint of a run on DNA knows of its data.

    Raises
    ------
    ConfigError
        It is a run on tissue.
    DataError
        The checkpoint is of an earlier version, which does not say what it was trained on.
    """
    if getattr(run.datamodule, "wing", "") != "dna":
        raise ConfigError(
            f"windows of DNA for a run on {type(run.datamodule).__name__}",
            where=run.folder,
            expected="a run on DNA",
            fix="for slides: seqexp predict --run RUN --dataset slides.yaml",
        )
    if "seen" not in run.facts:
        raise DataError(
            "the checkpoint does not say what it was trained on: it is of an earlier version",
            where=run.checkpoint,
            expected="windows, tracks and scales of its data",
            fix="train it again",
        )
    return Fitted.from_state(run.facts)
