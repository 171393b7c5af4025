"""`seqexp benchmark`: how well elements stand up to an experiment."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """examples:
  seqexp benchmark crispri --pairs EPCrisprBenchmark_combined_data.training_K562.GRCh38.tsv.gz --out crispri.tsv
  seqexp benchmark crispri --pairs PAIRS.tsv.gz --elements mine=elements_per_gene.bed --elements MACS3=a.narrowPeak \\
      --masks runs/k562 --out crispri.tsv

Elements that are named by gene count for that gene only, others for every gene. A pair without an element scores 0, so
read the coverage beside the area. Baselines (distance, DHS, both, and with H3K27ac) are always printed.
"""


def main(argv: list[str]) -> int:
    """Score, print the table, write it."""
    arguments = _parser().parse_args(argv)

    from seqexp.core.files import atomic_path, require_writable
    from seqexp.dna.elements import crispri
    from seqexp.dna.elements.files import load_masks

    require_writable(arguments.out.parent)
    pairs = crispri.read_pairs(arguments.pairs)
    scores = crispri.baseline_scores(pairs)
    for name, path in map(_named, arguments.elements):
        scores[name] = crispri.element_scores(pairs, crispri.read_elements(path, pairs))
    for name, path in map(_named, arguments.masks):
        scores[f"mask of {name}"] = crispri.mask_scores(pairs, load_masks(path))
    table = crispri.score_table(pairs, scores, arguments.resamples)
    with atomic_path(arguments.out) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g", na_rep="NaN")
    num_positive = int(pairs["is_positive"].sum())
    print(f"{len(pairs):,} pairs, {num_positive:,} positive (prevalence {num_positive / len(pairs):.3f})")
    if pairs.attrs["num_dropped"]:
        print(f"{pairs.attrs['num_dropped']:,} rows without a TSS or a verdict were left out")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}", na_rep="-"))
    print(f"wrote {arguments.out}")
    return 0


def _named(text: str) -> tuple[str, Path]:
    """NAME=FILE, or a file that is named after itself."""
    name, mark, path = text.partition("=")
    return (name, Path(path)) if mark else (Path(text).stem, Path(text))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seqexp benchmark", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    crispri = kinds.add_parser(
        "crispri",
        help="elements against CRISPRi enhancer-gene pairs",
        description="Score elements against CRISPRi enhancer-gene pairs, beside trivial baselines.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    crispri.add_argument("--pairs", type=Path, required=True, help="table in the format of the ENCODE benchmark")
    crispri.add_argument(
        "--elements", action="append", default=[], metavar="[NAME=]FILE", help="BED or narrowPeak; may be repeated"
    )
    crispri.add_argument(
        "--masks", action="append", default=[], metavar="[NAME=]RUN", help="run folder with masks; may be repeated"
    )
    crispri.add_argument("--resamples", type=int, default=200, help="bootstrap draws of genes (default: %(default)s)")
    crispri.add_argument("--out", type=Path, required=True, metavar="FILE", help="table to write")
    return parser
