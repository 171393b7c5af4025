"""`seqexp benchmark crispri`: elements against CRISPRi enhancer-gene pairs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seqexp.cli.names import named_path

EPILOG = """examples:
  seqexp benchmark crispri --pairs EPCrisprBenchmark_combined_data.training_K562.GRCh38.tsv.gz --out crispri.tsv
  seqexp benchmark crispri --pairs PAIRS.tsv.gz --elements mine=elements_per_gene.bed --elements MACS3=a.narrowPeak \\
      --masks runs/k562 --tracks gradients=attribution.bw --out crispri.tsv

Elements that are named by gene count for that gene only, others for every gene; tables of predictions (ABC) name it in
TargetGene and have one column of scores. A pair without an element scores 0, so read the coverage beside the area.
Pairs that the table calls no valid connection, such as promoters, do not count. Baselines (distance, DHS, both, and
with H3K27ac) are always printed.
"""


def add_parser(kinds: Any) -> None:
    """Add the command to the kinds of ``seqexp benchmark``."""
    parser = kinds.add_parser(
        "crispri",
        help="elements against CRISPRi enhancer-gene pairs",
        description="Score elements against CRISPRi enhancer-gene pairs, beside trivial baselines.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pairs", type=Path, required=True, help="table in the format of the ENCODE benchmark")
    parser.add_argument(
        "--elements",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="BED or narrowPeak, elements without scores count alike; may be repeated",
    )
    parser.add_argument(
        "--masks", action="append", default=[], metavar="[NAME=]RUN", help="run folder or masks.npz; may be repeated"
    )
    parser.add_argument(
        "--tracks",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="bigWig of attributions; may be repeated",
    )
    parser.add_argument("--resamples", type=int, default=200, help="bootstrap draws of genes (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="table to write")


def run(arguments: argparse.Namespace) -> int:
    """Score, print the table, write it."""
    from seqexp.core.files import atomic_path, require_output
    from seqexp.dna.evaluation.crispri import score_files, score_table
    from seqexp.dna.evaluation.crispri_pairs import read_pairs

    require_output(arguments.out)
    pairs = read_pairs(arguments.pairs)
    files = (map(named_path, paths) for paths in (arguments.elements, arguments.masks, arguments.tracks))
    scores, told = score_files(pairs, *files)
    table = score_table(pairs, scores, arguments.resamples)
    with atomic_path(arguments.out) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g", na_rep="NaN")
    num_positive = int(pairs["is_positive"].sum())
    print(f"{len(pairs):,} pairs, {num_positive:,} positive (prevalence {num_positive / len(pairs):.3f})")
    for line in (*pairs.attrs["told"], *told):
        print(line)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}", na_rep="-"))
    print(f"wrote {arguments.out}")
    return 0
