"""`seqexp demo`: the whole chain on a simulated genome whose truth is known."""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqexp demo",
        description="Simulate a small genome with planted elements and decoys, train a model, evaluate it on held-out "
        "chromosomes, find its elements, compare them with MACS3 peaks and the planted truth, and write a report. "
        "No network, no GPU; about five minutes on two cores.",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder for data and run (runs/demo)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the genome and of the training (default: 0)")
    parser.add_argument("--config", default="dna/demo.yaml", help="training config (dna/demo.yaml)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier demo in the folder")
    return parser


def main(argv: list[str]) -> int:
    """Run the demo; see ``seqexp demo --help``."""
    arguments = _parser().parse_args(argv)
    from seqexp.core.errors import ConfigError
    from seqexp.core.files import require_writable

    run_dir = arguments.out / f"seed{arguments.seed}"
    print(f"report (in a few minutes): {run_dir / 'report.html'}", flush=True)
    if (run_dir / "metrics.json").exists() and not arguments.overwrite:
        raise ConfigError("a finished demo lies there", where=run_dir, fix="give --overwrite, another --seed or --out")
    require_writable(arguments.out)

    from seqexp.dna.simulation.config import SimulationConfig
    from seqexp.dna.simulation.simulate import simulate_genome
    from seqexp.report.elements import PeakSource
    from seqexp.report.finish import FinishSettings, finish_run, summary
    from seqexp.training.fit import run_fit

    started = time.monotonic()
    dataset = simulate_genome(arguments.out / f"data_seed{arguments.seed}", SimulationConfig(seed=arguments.seed))
    print(f"simulated genome: {dataset}  ({time.monotonic() - started:.0f} s)", flush=True)
    overrides = [f"--data.init_args.dataset={dataset}", f"--seed_everything={arguments.seed}"]
    run_fit(run_dir, [arguments.config], overrides, overwrite=arguments.overwrite, resume=False)
    print(f"trained  ({time.monotonic() - started:.0f} s)", flush=True)
    fragments = PeakSource(alignments=dataset.parent / "ATAC.fragments.bed.gz", alignment_format="BEDPE")
    metrics = finish_run(run_dir, FinishSettings(peaks=fragments))
    print(summary(metrics))
    print(f"done in {time.monotonic() - started:.0f} s\nreport: {run_dir / 'report.html'}")
    return 0
