"""`seqexp report`: finish a run folder again, with other settings or beside control runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from seqexp.core.classes import add_allow_classes


def main(argv: list[str]) -> int:
    """Write metrics, predictions, elements, peaks, comparison and report of a run."""
    parser = argparse.ArgumentParser(
        prog="seqexp report",
        description="Evaluate the best checkpoint of a run and write metrics.json, predictions.tsv, the elements and "
        "masks, the comparison with peaks and report.html into its folder. All options but --beside concern the "
        "elements of a network that selects them, and are refused where a run has none.",
    )
    parser.add_argument("--run-dir", type=Path, required=True, help="folder written by seqexp fit")
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="control runs to show in the same table")
    parser.add_argument("--budget-fraction", type=float, help="share of each window kept as elements (default: 0.1)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--peaks", type=Path, help="existing peaks, in any format")
    source.add_argument("--alignments", metavar="NAME", help="alignments of the dataset, for macs3 callpeak")
    source.add_argument("--track", metavar="NAME", help="track of the dataset, for a threshold on it")
    parser.add_argument("--limit-minutes", type=float, help="stop MACS3 after so long (default: 120)")
    parser.add_argument("--genes", nargs="*", default=[], help="gene ids or names to draw (default: chosen test genes)")
    add_allow_classes(parser)
    arguments = parser.parse_args(argv)

    from seqexp.api.finish import finish_run, summary
    from seqexp.dna.evaluation.settings import FinishSettings, PeakSource

    settings = FinishSettings(
        budget_fraction=arguments.budget_fraction,
        peaks=PeakSource(arguments.peaks, arguments.alignments, arguments.track, arguments.limit_minutes),
        genes=tuple(arguments.genes),
        beside=tuple(arguments.beside),
    )
    metrics = finish_run(arguments.run_dir, settings)
    print(summary(metrics))
    print(f"report: {arguments.run_dir / 'report.html'}")
    return 0
