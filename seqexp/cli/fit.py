"""`seqexp fit | validate | test`: flags first, torch only when there is work."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqexp.core.classes import add_allow_classes

_SETTINGS = (
    "Other flags override single settings, for example --model.lr 0.0005 --trainer.max_epochs 5 "
    "--data.init_args.batch_size 32; --print_config shows the complete config, --help-settings all settings."
)


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"seqexp {command}", description=description, epilog=_SETTINGS, allow_abbrev=False
    )
    add_allow_classes(parser)
    return parser


def fit(argv: list[str]) -> int:
    """Train a model and finish its run folder."""
    parser = _parser(
        "fit",
        "Train a model and finish its run folder: of a config, or with --dataset alone of the generic config for such "
        "data, whose tracks, contacts, covariates and targets (or genes and features) are those of the data.",
    )
    parser.add_argument(
        "-c", "--config", action="append", default=[], help="file, or name of a shipped config such as dna/yeast.yaml"
    )
    parser.add_argument("--dataset", type=Path, help="dataset.yaml or slides.yaml, or its folder, over the config's")
    parser.add_argument(
        "--window-bp",
        type=int,
        help="length of the windows, half of it upstream of the TSS; made a multiple of the bins, which is told",
    )
    parser.add_argument(
        "--run-dir", type=Path, help="run folder (default: runs/ and the name of the last config, or of the data set)"
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in the folder from its last checkpoint")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in the folder")
    parser.add_argument("--finish", choices=("true", "false"), default="true", help="evaluate and report afterwards")
    parser.add_argument("--help-settings", action="store_true", help="print every setting with its type and exit")
    arguments, overrides = parser.parse_known_args(argv)
    if not (arguments.config or arguments.dataset or arguments.resume or arguments.help_settings):
        parser.error("give --config or --dataset, or --resume with --run-dir")
    if arguments.resume and not (arguments.run_dir or arguments.config or arguments.dataset):
        parser.error("--resume needs --run-dir")
    if arguments.help_settings:
        from seqexp.training.config import RunConfig

        RunConfig(["--help"])  # prints and exits

    from seqexp.api.generic import asked_for
    from seqexp.training.fit import run_fit

    goes_on = arguments.resume and arguments.run_dir is not None
    asked = asked_for(arguments.config, arguments.dataset, arguments.window_bp, flags=overrides, keeps_config=goes_on)
    for note in asked.notes:
        print(note)
    run_dir = arguments.run_dir or Path("runs", asked.name)
    try:
        trainer = run_fit(run_dir, asked.configs, asked.flags, arguments.overwrite, resume=arguments.resume)
    except KeyboardInterrupt:
        print(f"stopped; continue with: seqexp fit --run-dir {run_dir} --resume", file=sys.stderr)
        raise
    if trainer.fast_dev_run or trainer.global_rank != 0:  # type: ignore[attr-defined]
        return 0
    print(f"trained {trainer.current_epoch} epochs, {trainer.global_step} steps: {run_dir}")
    if arguments.finish == "true":
        from seqexp.api.finish import finish_run, summary

        print(summary(finish_run(run_dir)))
        print(f"report: {run_dir / 'report.html'}")
    return 0


def _open_parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = _parser(command, description)
    parser.add_argument("--run-dir", type=Path, required=True, help="folder written by seqexp fit")
    parser.add_argument("--checkpoint", default="best", help="best, last or a file (default: best)")
    return parser


def _score(command: str, split: str, argv: list[str]) -> int:
    parser = _open_parser(command, f"Metrics of a run on its {split} split; writes nothing.")
    arguments, overrides = parser.parse_known_args(argv)

    from seqexp.training.run import Run

    run = Run.open(arguments.run_dir, arguments.checkpoint, overrides)
    metrics = run.score(split)
    print(f"{run.checkpoint}  ({run.transform.unit})")
    for name, value in metrics.items():
        print(f"  {name:<24}{value:.6g}")
    return 0


def validate(argv: list[str]) -> int:
    """Print the metrics of a run on its validation split."""
    return _score("validate", "val", argv)


def test(argv: list[str]) -> int:
    """Print the metrics of a run on its test split."""
    return _score("test", "test", argv)
