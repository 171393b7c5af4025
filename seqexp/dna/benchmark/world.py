"""A world of the discovery benchmark: its data, opened or simulated, and what was found in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import ConfigError
from seqexp.dna.benchmark.frame import Frame, make_frame
from seqexp.dna.benchmark.plan import DiscoveryPlan, World
from seqexp.dna.genome.alignments import AlignmentSpec
from seqexp.dna.loaders.data import SequenceData
from seqexp.dna.simulation.config import SimulationConfig
from seqexp.dna.simulation.simulate import simulate_genome
from seqexp.training.config import RunConfig
from seqexp.training.stack import config_stack

Scores = NDArray[np.float32]
Say = Callable[[str], None]


@dataclass
class WorldResults:
    """What was found in one world.

    Attributes
    ----------
    name : str
    frame : Frame
        Its bins.
    budget : float
        Share of the free bins that every ranking keeps.
    prevalence : float
        Share of the free bins of the test windows that are planted; NaN without truth.
    num_genes : dict
        Genes per split.
    rows : DataFrame
        One row per ranking and seed.
    open_accuracy : tuple of float
        Test Pearson of the reader with everything open, and its interval.
    peaks_from : str
        Where the peaks come from.
    peak_rankings : tuple of str
        Rankings by peaks.
    sizes : DataFrame
        AUPRC of the first arm by number of training genes.
    scores : dict
        Ranking and seed to the scores (R, N); seed -1 where there is none. Of later seeds, and where no reader is
        trained anew, those of the test genes alone, and zeros.
    kept : dict
        Ranking and seed to the bins (R, N) of these that are kept at the budget.
    """

    name: str
    frame: Frame
    budget: float
    prevalence: float
    num_genes: dict[str, int]
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    open_accuracy: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    peaks_from: str = ""
    peak_rankings: tuple[str, ...] = ()
    sizes: pd.DataFrame = field(default_factory=pd.DataFrame)
    scores: dict[tuple[str, int], Scores] = field(default_factory=dict)
    kept: dict[tuple[str, int], NDArray[np.bool_]] = field(default_factory=dict)


def open_world(plan: DiscoveryPlan, world: World, folder: Path, say: Say) -> tuple[Path, Frame, AlignmentSpec | None]:
    """Dataset and frame of a world, simulated where the plan says so, and the alignments the plan names."""
    dataset, alignments = world.dataset, world.alignments
    if dataset is None:
        data_folder = folder / "data"
        if not (data_folder / "dataset.yaml").is_file():
            say(f"{world.name}: simulating a genome")
            simulate_genome(data_folder, SimulationConfig(**dict(world.simulate or {})))
        dataset = data_folder
    stack = [f"--config={path}" for path in config_stack(list(plan.reader))]
    settings = RunConfig([*stack, f"--data.init_args.dataset={dataset}"])
    data, network = settings.datamodule, settings.model.network
    if not isinstance(data, SequenceData):
        raise ConfigError(f"data of type {type(data).__name__}", where=", ".join(plan.reader), expected="SequenceData")
    data.prepare_data()
    data.setup("fit")
    return dataset, make_frame(data, int(network.bin_bp), plan.promoter_bp), alignments
