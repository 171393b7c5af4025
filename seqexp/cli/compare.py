"""`seqexp compare`: elements against peaks at equal base-pair budgets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqexp.dna.evaluation.matched import Matched
    from seqexp.objectives.bootstrap import Bound

EPILOG = """examples:
  seqexp compare --elements elements/elements_per_gene.narrowPeak --peaks peaks.narrowPeak --out compare.tsv
  seqexp compare --elements mine.bed --peaks peaks.narrowPeak --masks runs/yeast --split test --out compare.tsv
  seqexp compare --elements a.narrowPeak --peaks b.narrowPeak --windows genes.bed --budget-bp 100000 --out compare.tsv

Both sides are cut to the windows and, best first, to one budget. Elements named by genes count in the window of their
own gene only. Elements of seqexp, on either side, say in which windows they were looked for (windows.bed beside them):
no others are compared, with --masks and --windows neither. Of other elements whose names are all genes of one split,
only windows of that split. Without any windows, the chromosomes that both have are compared in tiles of 1 Mb. OUT has
one row per window; the pooled figures go to a second table beside it, named OUT with _pooled.
"""


def main(argv: list[str]) -> int:
    """Compare, print the pooled figures, write both tables."""
    arguments = _parser().parse_args(argv)

    from seqexp.core.errors import ConfigError
    from seqexp.core.files import require_output
    from seqexp.dna.elements.files import load_masks
    from seqexp.dna.elements.places import Places, read_places
    from seqexp.dna.evaluation.matched import compare_files

    if arguments.split != "all" and not arguments.masks:
        raise ConfigError("--split without --masks", expected="masks, which know the split of each gene")
    places = None
    if arguments.masks:
        masks = load_masks(arguments.masks, arguments.split)
        genes = "all genes" if arguments.split == "all" else f"the {arguments.split} genes"
        places = Places.of_masks(masks, f"windows of {genes} of {arguments.masks}")
    elif arguments.windows:
        places = read_places(arguments.windows)
    require_output(arguments.out)
    matched = compare_files(
        arguments.elements,
        arguments.peaks,
        places,
        budget_bp=arguments.budget_bp,
        num_permutations=arguments.permutations,
        seed=arguments.seed,
    )
    pooled_path = arguments.out.with_name(f"{arguments.out.stem}_pooled{arguments.out.suffix}")
    _write(matched, arguments.out, pooled_path)
    print("\n".join([*matched.told, _render(matched)]))
    print(f"wrote {arguments.out}\nwrote {pooled_path}")
    return 0


def _write(matched: Matched, per_gene_path: Path, pooled_path: Path) -> None:
    from dataclasses import asdict

    import pandas as pd

    from seqexp.core.files import atomic_path

    ends = {f"{name}_{end}": getattr(bound, end) for name, bound in matched.bounds.items() for end in ("low", "high")}
    row = {"windows": matched.places.told, "budget_bp": matched.budget_bp, **asdict(matched.pooled), **ends}
    pooled = pd.DataFrame([row])
    for table, path in ((matched.per_gene, per_gene_path), (pooled, pooled_path)):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.6g", na_rep="NaN")


def _render(matched: Matched) -> str:
    pooled, offered = matched.pooled, matched.offered_bp
    rows = [
        ("windows", f"{pooled.num_windows:,} ({matched.places.told})"),
        ("budget on each side (bp)", f"{matched.budget_bp:,}"),
        ("elements: kept of all in windows (bp)", f"{pooled.elements_bp:,} of {offered[0]:,}"),
        ("peaks: kept of all in windows (bp)", f"{pooled.peaks_bp:,} of {offered[1]:,}"),
        ("elements inside peaks (precision)", _with_interval(matched.bounds["precision"])),
        ("peaks inside elements (recall)", _with_interval(matched.bounds["recall"])),
        ("Jaccard index", _with_interval(matched.bounds["jaccard"])),
        ("median distance to the nearest peak (bp)", f"{pooled.median_distance_bp:,.0f}"),
        ("enrichment over shifted elements", f"{pooled.enrichment:.3f}"),
        ("z, one-sided p of the enrichment", f"{pooled.enrichment_z:.2f}, {pooled.enrichment_p:.4g}"),
    ]
    return "\n".join(f"{label:<42}{value}" for label, value in rows)


def _with_interval(bound: Bound) -> str:
    return f"{bound.value:.4f}  [{bound.low:.4f}, {bound.high:.4f}] over windows"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqexp compare",
        description="Compare elements with peaks at equal base-pair budgets, over a null of shifted elements.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--elements", type=Path, required=True, help="BED or narrowPeak")
    parser.add_argument("--peaks", type=Path, required=True, help="narrowPeak or BED")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--masks", type=Path, help="run folder or masks.npz whose windows to compare in")
    where.add_argument("--windows", type=Path, help="BED of windows, named by gene")
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), default="all", help="genes of the masks (default: all)"
    )
    parser.add_argument("--budget-bp", type=int, help="per side (default: what the smaller side has)")
    parser.add_argument("--permutations", type=int, default=500, help="shifts of the null (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the shifts (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="table to write, compare.tsv")
    return parser
