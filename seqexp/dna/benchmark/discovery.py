"""The discovery benchmark: every ranking of bins on equal terms, in every world of a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seqexp.core.errors import ConfigError
from seqexp.dna.benchmark.frame import Frame
from seqexp.dna.benchmark.plan import Arm, DiscoveryPlan, World
from seqexp.dna.benchmark.rankings import peak_rankings, plain_rankings
from seqexp.dna.benchmark.reading import accuracy_curve, ask_open, faithfulness, keep_best, retrain
from seqexp.dna.benchmark.scores import own_share, score_rows
from seqexp.dna.benchmark.trained import arm_scores, common_flags, num_epochs, slug, train
from seqexp.dna.benchmark.world import Say, Scores, WorldResults, open_world
from seqexp.dna.evaluation.truth import score_truth
from seqexp.training.run import Run

OPEN, ASKED = "everything open", "asked"  # folders of the reader trained on whole and on randomly masked windows


def run_discovery(plan: DiscoveryPlan, out: Path, say: Say = print) -> list[WorldResults]:
    """Run or continue a benchmark; trained arms that lie finished in ``out`` are read, not trained again.

    Parameters
    ----------
    plan : DiscoveryPlan
    out : Path
        Folder for data, runs and scores.
    say : callable
        Told what is being done.

    Raises
    ------
    ConfigError, DataError
        See :class:`DiscoveryPlan`, :func:`seqexp.training.fit.run_fit`, :class:`SequenceData`.
    """
    return [_world(plan, world, out / world.name, say, is_first=world is plan.worlds[0]) for world in plan.worlds]


def _world(plan: DiscoveryPlan, world: World, folder: Path, say: Say, *, is_first: bool) -> WorldResults:
    dataset, frame, alignments = open_world(plan, world, folder, say)
    test = frame.rows("test")
    usable = frame.usable[test]
    prevalence = float(frame.planted[test][usable].mean()) if frame.planted is not None else math.nan
    budget = plan.budget if plan.budget is not None else prevalence
    if not 0 < budget < 1:
        raise ConfigError("a budget of planted elements without any", where=plan.path, fix="give a share: budget: 0.1")
    num_genes = {split: len(frame.rows(split)) for split in ("train", "val", "test")}
    epochs = num_epochs(world.windows or plan.windows, num_genes["train"])
    peaks, peaks_from = peak_rankings(
        frame,
        folder / "peaks",
        plan.q_values,
        alignments,
        budget=budget,
        peak_track=world.peak_track,
    )
    scores: dict[tuple[str, int], Scores] = {(name, -1): values for name, values in peaks.items()}
    scores |= {(name, -1): values for name, values in plain_rankings(frame).items()}
    own: dict[tuple[str, int], float] = {}
    for arm in plan.arms_of(world):
        for number, seed in enumerate(arm.seeds or world.seeds):
            run = _trained(folder, arm, seed, common_flags(dataset, seed, plan.minutes, epochs), say=say)
            # A reader is trained on what the first seed keeps; of the others, test genes are enough.
            is_read = number == 0 and plan.is_retrained(world.name, arm.name)
            scores[arm.name, seed] = arm_scores(run, arm, frame) if is_read else _of_test(run, arm, frame)
            own[arm.name, seed] = own_share(run) if arm.score == "mask" else math.nan
    results = WorldResults(
        world.name, frame, budget, prevalence, num_genes, peaks_from=peaks_from, peak_rankings=tuple(peaks)
    )
    results.scores = scores
    results.kept = {key: keep_best(values, frame, budget) for key, values in scores.items()}
    results.rows = score_rows(frame, scores, results.kept, own)
    reader_epochs = num_epochs(plan.reader_windows, num_genes["train"])
    _read(plan, results, scores, folder, flags=common_flags(dataset, 0, plan.minutes, reader_epochs), say=say)
    if is_first and plan.sizes and frame.planted is not None:
        results.sizes = _sizes(plan, world, dataset, folder, results=results, say=say)
    return results


def _of_test(run: Run, arm: Arm, frame: Frame) -> Scores:
    """Scores (R, N) of the test genes, and zeros for all others."""
    scores = np.zeros(frame.masks.values.shape, np.float32)
    scores[frame.rows("test")] = arm_scores(run, arm, frame.of_split("test"))
    return scores


def _trained(folder: Path, arm: Arm, seed: int, flags: list[str], *, say: Say) -> Run:
    say(f"{folder.name}: {arm.name}, seed {seed}")
    return train(folder / "arms" / slug(arm.name) / f"seed{seed}", arm.config, [*flags, *arm.flags])


def _read(
    plan: DiscoveryPlan,
    results: WorldResults,
    scores: Mapping[tuple[str, int], Scores],
    folder: Path,
    *,
    flags: list[str],
    say: Say,
) -> None:
    """What predictors make of the kept bins; the first seed of every ranking."""
    frame, table = results.frame, results.rows
    first = table.drop_duplicates("arm").index
    say(f"{results.name}: reader trained on random masks")
    asked = train(folder / "readers" / ASKED, plan.reader, [*flags, "--model.network.init_args.random_masks=0.8"])
    full = ask_open(asked, frame)
    for at in first:
        key = (str(table.at[at, "arm"]), int(table.at[at, "seed"]))
        for name, value in vars(faithfulness(asked, frame, results.kept[key], full)).items():
            table.loc[at, name] = value
        for share, value in accuracy_curve(asked, frame, scores[key], plan.curve).items():
            table.loc[at, f"curve_{share:g}"] = value
    first = [at for at in first if plan.is_retrained(results.name, str(table.at[at, "arm"]))]
    if not first:
        return
    say(f"{results.name}: reader with everything open")
    bound = retrain(folder / "readers" / slug(OPEN), plan.reader, flags, None, frame=frame)
    results.open_accuracy = bound[:3]
    for at in first:
        key = (str(table.at[at, "arm"]), int(table.at[at, "seed"]))
        say(f"{results.name}: reader trained anew under the mask of {key[0]}")
        bound = retrain(folder / "readers" / slug(key[0]), plan.reader, flags, results.kept[key], frame=frame)
        table.loc[at, ["retrain", "retrain_low", "retrain_high"]] = bound[:3]
        if key[0] == plan.arms[0].name:
            blind = [*flags, "--model.network.init_args.is_blind=true"]
            say(f"{results.name}: reader of the pattern of that mask alone")
            bound = retrain(
                folder / "readers" / f"{slug(key[0])}_pattern", plan.reader, blind, results.kept[key], frame=frame
            )
            table.loc[at, "pattern"] = bound.value


def _sizes(
    plan: DiscoveryPlan, world: World, dataset: Path, folder: Path, *, results: WorldResults, say: Say
) -> pd.DataFrame:
    """AUPRC of the first arm by number of training genes."""
    arm, seed = plan.arms[0], world.seeds[0]
    test, num_train = results.frame.of_split("test"), results.num_genes["train"]
    assert test.planted is not None
    rows = []
    for size in plan.sizes:
        if size >= num_train:  # the arm as it is
            own = results.rows[(results.rows["arm"] == arm.name) & (results.rows["seed"] == seed)].iloc[0]
            rows.append({"genes": num_train, **{name: own[name] for name in ("auprc", "auprc_low", "auprc_high")}})
            break
        flags = common_flags(dataset, seed, plan.minutes, num_epochs(plan.windows, size))
        limited = Arm(arm.name, arm.config, arm.score, (*arm.flags, f"--data.init_args.max_train_genes={size}"))
        run = _trained(folder / "sizes" / str(size), limited, seed, flags, say=say)
        area = score_truth(arm_scores(run, limited, test), test.planted, is_used=test.usable)
        rows.append({"genes": size, "auprc": area.value, "auprc_low": area.low, "auprc_high": area.high})
    return pd.DataFrame(rows)
