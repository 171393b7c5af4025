"""`seqexp elements`: the masks of a run as BED, narrowPeak, bedGraph and bigWig."""

from __future__ import annotations

import argparse
from pathlib import Path

EPILOG = """examples:
  seqexp elements runs/yeast --out elements
  seqexp elements runs/yeast --budget-bp 500000 --split test --out elements_test
  seqexp elements runs/yeast/masks.npz --threshold 0.5 --max-gap-bp 50 --min-length-bp 100 --out elements_half

files in OUT: elements.bed and elements.narrowPeak (elements of neighbouring genes united), the same with _per_gene,
windows.bed (where was looked), mask.bedGraph and mask.bw (the highest mask where windows overlap)
"""


def main(argv: list[str]) -> int:
    """Call elements and write them."""
    arguments = _parser().parse_args(argv)

    from seqexp.core.errors import ConfigError
    from seqexp.core.files import prove_writable
    from seqexp.dna.elements.calling import call_elements
    from seqexp.dna.elements.files import load_masks, write_element_files

    if not 0 < arguments.budget_fraction <= 1:
        raise ConfigError(f"--budget-fraction {arguments.budget_fraction}", expected="above 0 and at most 1")
    prove_writable(arguments.out)
    masks = load_masks(arguments.masks, arguments.split)
    num_genes, num_bins = masks.values.shape
    budget_bp = arguments.budget_bp
    if budget_bp is None and arguments.threshold is None:
        budget_bp = int(arguments.budget_fraction * num_bins * masks.bin_bp * (num_genes, 1)[arguments.scope == "gene"])
    elements = call_elements(
        masks,
        budget_bp,
        arguments.threshold,
        arguments.scope,
        max_gap_bp=arguments.max_gap_bp,
        min_length_bp=arguments.min_length_bp,
    )
    kept_bp = int((elements["end"] - elements["start"]).sum())
    rule = f"mask at least {arguments.threshold}" if budget_bp is None else f"budget {budget_bp:,} bp {arguments.scope}"
    print(f"{num_genes} genes, {num_bins * masks.bin_bp:,} bp each, bins of {masks.bin_bp} bp; {rule}")
    print(f"{len(elements):,} elements of {elements['gene_id'].nunique():,} genes, {kept_bp:,} bp")
    for file in write_element_files(masks, elements, arguments.out):
        print(f"wrote {file}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqexp elements",
        description="Turn the masks of a finished run into elements and a mask track.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("masks", type=Path, metavar="RUN_DIR_OR_MASKS", help="a run folder, or a masks.npz")
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument("--budget-bp", type=int, metavar="N", help="base pairs to keep, in all or per gene (--scope)")
    rule.add_argument(
        "--budget-fraction", type=float, default=0.1, metavar="F", help="the same as a share (default: 0.1)"
    )
    rule.add_argument("--threshold", type=float, metavar="T", help="keep masks of at least this")
    parser.add_argument("--scope", choices=("pooled", "gene"), default="pooled", help="what the budget is of")
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="all", help="genes (default: all)")
    parser.add_argument("--max-gap-bp", type=int, default=0, metavar="BP", help="join elements this close (default: 0)")
    parser.add_argument("--min-length-bp", type=int, default=0, metavar="BP", help="drop shorter ones (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    return parser
