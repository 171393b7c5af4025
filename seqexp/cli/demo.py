"""`seqexp demo`: the whole chain on a simulated genome whose truth is known."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from seqexp.core.classes import add_allow_classes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqexp demo",
        description="Simulate a small genome with planted elements and decoys, train a model, evaluate it on held-out "
        "chromosomes, find its elements, compare them with MACS3 peaks and the planted truth, and write a report. "
        "No network, no GPU; about five minutes on two cores. With --histology: simulate stained sections with planted "
        "effects instead, train mclSTExp and neural stain learning on one patient, predict expression in the other.",
    )
    parser.add_argument("--histology", action="store_true", help="the demo of the histology wing")
    parser.add_argument("--out", type=Path, help="folder for data and run (runs/demo, or runs/demo_histology)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the genome and of the training (default: 0)")
    parser.add_argument("--config", help="training config (dna/demo.yaml, or histology/demo.yaml)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier demo in the folder")
    add_allow_classes(parser)
    return parser


def main(argv: list[str]) -> int:
    """Run the demo; see ``seqexp demo --help``."""
    arguments = _parser().parse_args(argv)
    from seqexp.core.errors import ConfigError

    wing = "histology" if arguments.histology else "dna"
    out = arguments.out or Path("runs/demo_histology" if arguments.histology else "runs/demo")
    config = arguments.config or f"{wing}/demo.yaml"
    run_dir = out / f"seed{arguments.seed}"
    print(f"report (in a few minutes): {run_dir / 'report.html'}", flush=True)
    if (run_dir / "metrics.json").exists() and not arguments.overwrite:
        raise ConfigError("a finished demo lies there", where=run_dir, fix="give --overwrite, another --seed or --out")

    from seqexp.api.finish import summary

    started = time.monotonic()
    run = _tissue if arguments.histology else _genome
    metrics = run(out, run_dir, config, arguments.seed)
    print(summary(metrics))
    print(f"done in {time.monotonic() - started:.0f} s\nreport: {run_dir / 'report.html'}")
    return 0


def _genome(out: Path, run_dir: Path, config: str, seed: int) -> dict[str, Any]:
    """The demo of the DNA wing; returns its metrics."""
    from seqexp.api.finish import finish_run
    from seqexp.dna.simulation.config import SimulationConfig
    from seqexp.dna.simulation.simulate import simulate_genome
    from seqexp.training.fit import run_fit

    dataset = simulate_genome(out / f"data_seed{seed}", SimulationConfig(seed=seed))
    print(f"simulated genome: {dataset}", flush=True)
    run_fit(run_dir, [config], [f"--data.init_args.dataset={dataset}", f"--seed_everything={seed}"], overwrite=True)
    return finish_run(run_dir)


def _tissue(out: Path, run_dir: Path, config: str, seed: int) -> dict[str, Any]:
    """The demo of the histology wing, colour alone as a control; returns the metrics of the main run."""
    from seqexp.api.finish import finish_run
    from seqexp.dna.evaluation.settings import FinishSettings
    from seqexp.histology.simulation.tissue import TissueConfig, simulate_tissue
    from seqexp.training.fit import run_fit

    dataset = simulate_tissue(out / f"data_seed{seed}", TissueConfig(seed=seed))
    print(f"simulated sections: {dataset}", flush=True)
    control = out / f"seed{seed}_nsl"
    overrides = [f"--data.init_args.dataset={dataset}", f"--seed_everything={seed}"]
    for folder, name in ((control, "histology/demo_nsl.yaml"), (run_dir, config)):
        run_fit(folder, [name], overrides, overwrite=True)
    finish_run(control)
    metrics = finish_run(run_dir, FinishSettings(beside=(control,)))
    for effect in ("colour", "texture", "neighbourhood", "nothing"):
        print(f"  genes that follow {effect:<18}{metrics[f'truth_{effect}_pcc_mean']:.3f}")
    return metrics
