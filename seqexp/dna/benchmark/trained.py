"""Rankings that are learned: train an arm in a run folder of its own, read what it says of every bin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError
from seqexp.core.files import atomic_path
from seqexp.dna.attribution.gradients import bin_attributions
from seqexp.dna.benchmark.frame import Frame
from seqexp.dna.benchmark.plan import Arm
from seqexp.objectives.contracts import ReadsInputs, Selects
from seqexp.training.fit import run_fit
from seqexp.training.folder import read_record
from seqexp.training.run import Run
from seqexp.training.stack import stack_text

ASKED_FOR = "asked_for.txt"  # config and flags of a run, beside its own record
EPOCHS = (1, 20)  # fewest and most that a fixed number of windows may mean


def train(folder: Path, configs: Sequence[str], flags: Sequence[str]) -> Run:
    """A finished run of a stack of configs; one that lies there already is opened, a broken off one is started anew.

    Raises
    ------
    ConfigError
        A finished run of other settings lies there.
    """
    record = read_record(folder)
    asked = stack_text(list(configs)) + "\n".join(["", *flags])
    if record is None or record.get("status") != "finished":
        run_fit(folder, list(configs), flags, overwrite=record is not None)
        with atomic_path(folder / ASKED_FOR) as temporary:
            temporary.write_text(asked, encoding="utf-8")
    elif (folder / ASKED_FOR).is_file() and (folder / ASKED_FOR).read_text(encoding="utf-8") != asked:
        raise ConfigError(
            "a finished run of other settings lies here",
            where=folder,
            expected=f"what {ASKED_FOR} says",
            fix="remove that folder to train it again, or give another --out",
        )
    return Run.open(folder)


def common_flags(frame_path: Path, seed: int, minutes: float, epochs: int | None) -> list[str]:
    """Flags that are the same for every arm: data, seed, and how long it may learn."""
    whole, seconds = divmod(round(minutes * 60), 60)
    flags = [f"--data.init_args.dataset={frame_path}", f"--seed_everything={seed}"]
    flags.append(f"--trainer.max_time=00:{whole // 60:02d}:{whole % 60:02d}:{seconds:02d}")
    return flags if epochs is None else [*flags, f"--trainer.max_epochs={epochs}"]


def num_epochs(windows: int | None, num_train: int) -> int | None:
    """Epochs in which ``num_train`` genes make up ``windows`` training windows."""
    return None if windows is None else int(np.clip(round(windows / max(num_train, 1)), *EPOCHS))


def arm_scores(run: Run, arm: Arm, frame: Frame) -> NDArray[np.float32]:
    """Scores (R, N) of a trained arm for the genes of the frame, gene orientation; of a frame of test genes, for those.

    Selectors answer with the posterior mean before anything is forced, so that a promoter that one of them always keeps
    does not count for it.

    Raises
    ------
    ConfigError
        The network has no selector, or no gradient of its input can be taken.
    """
    network: Any = run.network
    data: Any = run.datamodule
    loader = data.test_dataloader if set(frame.masks.splits or ()) == {"test"} else data.predict_dataloader
    if arm.score == "gradient":
        if not isinstance(network, ReadsInputs):
            raise ConfigError(
                f"arm {arm.name}: no gradients of {type(network).__name__}", expected="a network with predict_inputs()"
            )
        index, values = bin_attributions(network, loader())
    else:
        if not isinstance(network, Selects):
            raise ConfigError(f"arm {arm.name}: {type(network).__name__} selects nothing", expected="a selector")
        rows, parts = [], []
        with torch.inference_mode():
            for batch in loader():
                rows.append(batch.index.numpy())
                parts.append(network.select(batch).mean.float().numpy())
        index, values = np.concatenate(rows), np.concatenate(parts)
    return in_frame(index, values, frame)


def in_frame(index: NDArray[np.int64], values: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """Values (R', N') of genes in any order as rows of the frame; other bins are averaged or repeated into its bins.

    Raises
    ------
    ConfigError
        Windows of another length, or not the same genes.
    """
    place = {int(row): number for number, row in enumerate(index)}
    missing = [int(row) for row in frame.index if int(row) not in place]
    num_bins = frame.masks.values.shape[1]
    fine, coarse = values.shape[1] % num_bins == 0, num_bins % values.shape[1] == 0
    if missing or not (fine or coarse):
        raise ConfigError(
            f"{len(missing)} genes are missing, {values.shape[1]} bins", expected=f"all genes, {num_bins} bins"
        )
    ordered = values[[place[int(row)] for row in frame.index]]
    if fine:
        return ordered.reshape(len(ordered), num_bins, -1).mean(axis=2, dtype=np.float32)
    return np.repeat(ordered, num_bins // values.shape[1], axis=1).astype(np.float32)


def slug(name: str) -> str:
    """A ranking's name as the name of a file."""
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)
