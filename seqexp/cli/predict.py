"""`seqexp predict`: what a run says of the genes of a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from seqexp.core.classes import add_allow_classes

_SETTINGS = "Other flags override single settings of the data, for example --data.init_args.num_workers 4."


def main(argv: list[str]) -> int:
    """Predict, and write what was predicted."""
    arguments, overrides = _parser().parse_known_args(argv)
    if arguments.dataset is not None:
        overrides = [f"--data.init_args.dataset={arguments.dataset}", *overrides]

    from seqexp.training.predict import predict_run, predictions_path, write_predictions
    from seqexp.training.processes import is_first_process
    from seqexp.training.run import Run

    run = Run.open(arguments.run_dir, arguments.checkpoint, overrides)
    output = predictions_path(run, arguments.output)
    frame = predict_run(run)
    if is_first_process():
        write_predictions(frame, output)
        print(f"wrote {len(frame)} predictions: {output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqexp predict",
        description="Predict all labelled rows of the data of a run, or of another data set, as a table.",
        epilog=_SETTINGS,
        allow_abbrev=False,
    )
    add_allow_classes(parser)
    parser.add_argument(
        "--run", "--run-dir", dest="run_dir", type=Path, required=True, metavar="RUN", help="folder of seqexp fit"
    )
    parser.add_argument("--checkpoint", default="best", help="best, last or a file (default: best)")
    parser.add_argument(
        "--dataset", type=Path, help="dataset.yaml or slides.yaml to predict (default: that of the run)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="TSV to write (default: predictions-DATA-CHECKPOINT.tsv in the run folder; no file there is replaced)",
    )
    return parser
