"""`seqexp benchmark`: selectors against each other and peaks, elements against experiments, models on every split."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seqexp.cli import crispri, discovery, enrichment
from seqexp.core.classes import add_allow_classes

FOLDS_EPILOG = """example:
  seqexp benchmark folds --config histology/nsl.yaml --config histology/mclstexp.yaml --dataset data/her2st \\
      --splits section_B4 section_C2 section_C3 section_C4 --out runs/her2st

Every run gets a folder of its own (OUT/CONFIG/SPLIT) and its own report. Runs that are finished are not repeated; one
that fails is named at the end, and the others go on.
"""


def main(argv: list[str]) -> int:
    """Run the benchmark that is asked for."""
    arguments = _parser().parse_args(argv)
    kinds = {"crispri": crispri.run, "folds": _folds, "enrichment": enrichment.run, "discovery": discovery.run}
    if arguments.kind != "discovery":
        return kinds[arguments.kind](arguments)

    from seqexp.core.lock import own_folder

    with own_folder(arguments.out):
        return discovery.run(arguments)


def _folds(arguments: argparse.Namespace) -> int:
    """Fit every config on every split, print the table and what failed."""
    from seqexp.api.folds import run_folds

    folds = run_folds(arguments.config, arguments.dataset, arguments.splits, arguments.out)
    if folds.table is not None:
        print("mean over genes of Pearson r on the test slides")
        print(folds.table.to_string(index=False, float_format=lambda value: f"{value:.3f}", na_rep="-"))
        print(f"wrote {folds.path}")
    for line in folds.failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if folds.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seqexp benchmark", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    crispri.add_parser(kinds)
    folds = kinds.add_parser(
        "folds",
        help="configs on every split of a slide set",
        description="Train and score configs of the histology wing on several splits, in one table beside baselines.",
        epilog=FOLDS_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folds.add_argument("--config", action="append", required=True, help="config; may be repeated")
    folds.add_argument("--dataset", type=Path, required=True, help="slides.yaml or its folder")
    folds.add_argument("--splits", nargs="+", required=True, help="names of splits")
    add_allow_classes(folds)
    folds.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="run folders and folds.tsv")
    enrichment.add_parser(kinds)
    discovery.add_parser(kinds)
    return parser
