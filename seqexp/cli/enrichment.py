"""`seqexp benchmark enrichment`: are known features enriched in what a selector keeps?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

EPILOG = """examples:
  seqexp benchmark enrichment --masks runs/yeast --split test --dataset data/yeast --out enrichment.tsv
  seqexp benchmark enrichment --masks runs/yeast --elements peaks.narrowPeak --dataset data/yeast --out peaks.tsv

Features are those that dataset.yaml lists under `features`, and the sites of the motifs of its file under `motifs`. Two
nulls: kept patterns rotated round their own window, and kept patterns exchanged among genes. A selector that always
takes the promoter is enriched under the first only. --elements replaces what the masks keep; their windows stay.
"""


def add_parser(kinds: Any) -> None:
    """Add the command to the kinds of ``seqexp benchmark``."""
    parser = kinds.add_parser(
        "enrichment",
        help="known features in the selected bases, against two nulls",
        description="Enrichment of known features in selected bases, with permutation nulls.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--masks", type=Path, required=True, metavar="RUN", help="run folder or masks.npz")
    parser.add_argument("--elements", type=Path, metavar="FILE", help="BED or narrowPeak to test in place of the masks")
    parser.add_argument("--dataset", type=Path, required=True, help="dataset.yaml or its folder")
    parser.add_argument("--split", choices=("train", "val", "test", "all"), default="all", help="genes (default: all)")
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument("--budget-bp", type=int, metavar="N", help="base pairs that the masks keep, in all")
    rule.add_argument("--budget-fraction", type=float, default=0.1, metavar="F", help="same as a share (default: 0.1)")
    parser.add_argument(
        "--skip-promoter-bp", type=int, default=0, metavar="BP", help="leave out this much round the TSS (default: 0)"
    )
    parser.add_argument(
        "--shared",
        choices=("nearest", "every"),
        default="nearest",
        help="whom a feature in several windows counts for; with every gene p is too small (default: nearest)",
    )
    parser.add_argument("--motifs", type=Path, metavar="FILE", help="MEME file to use instead of the dataset's")
    parser.add_argument("--max-p", type=float, default=1e-4, help="p-value of a motif site (default: %(default)s)")
    parser.add_argument("--permutations", type=int, default=500, help="draws of each null (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="table to write")


def run(arguments: argparse.Namespace) -> int:
    """Test every feature, print the strongest, write all."""
    from dataclasses import replace

    from seqexp.core.errors import ConfigError
    from seqexp.core.files import atomic_path, require_output
    from seqexp.dna.elements.calling import kept_bins
    from seqexp.dna.elements.files import load_masks
    from seqexp.dna.elements.places import Places
    from seqexp.dna.evaluation.enrichment import bins_of_elements, dataset_features, feature_enrichment
    from seqexp.dna.evaluation.matched import elements_in_places
    from seqexp.dna.genome.dataset import load_dataset
    from seqexp.dna.peaks.tables import read_peaks

    if not 0 < arguments.budget_fraction <= 1:
        raise ConfigError(f"--budget-fraction {arguments.budget_fraction}", expected="above 0 and at most 1")
    require_output(arguments.out)
    masks, spec = load_masks(arguments.masks, arguments.split), load_dataset(arguments.dataset)
    if arguments.motifs is not None:
        spec = replace(spec, motifs=arguments.motifs)
    skip = masks.promoter(arguments.skip_promoter_bp) if arguments.skip_promoter_bp else None
    if arguments.elements is not None:
        resolved = masks.resolve(read_peaks(arguments.elements), arguments.elements)
        if resolved.told:
            print(resolved.told)
        kept = bins_of_elements(elements_in_places(resolved.table, Places.of_masks(masks, "")), masks)
    else:
        whole = masks.values.size * masks.bin_bp
        budget_bp = arguments.budget_bp or int(arguments.budget_fraction * whole)
        kept = kept_bins(masks, budget_bp, skip=skip)
    features = dataset_features(spec, masks, max_p=arguments.max_p)
    table = feature_enrichment(
        kept, masks, features, arguments.permutations, seed=arguments.seed, skip=skip, shared=arguments.shared
    )
    with atomic_path(arguments.out) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g", na_rep="NaN")
    num_empty = int((table["num_sites"] == 0).sum())
    print(f"{len(masks):,} genes, {int(kept.sum()) * masks.bin_bp:,} bp kept, {len(table)} features")
    if num_empty:
        print(f"{num_empty} features have no site in the windows, such as motifs too short for --max-p")
    is_lost = table["num_lost"] > 0
    if is_lost.any():
        lost = f"{table['num_lost'].sum():,} intervals of {int(is_lost.sum())} features"
        print(f"{lost} lie on chromosomes that the masks do not know, and are left out")
    for null in ("rotated", "exchanged"):
        print(f"{int((table[f'q_{null}'] < 0.05).sum())} features with q below 0.05, {null}")
    shown = table.sort_values(["q_exchanged", "p_exchanged", "z_exchanged"], ascending=[True, True, False]).head(15)
    print(shown.to_string(index=False, float_format=lambda value: f"{value:.3g}", na_rep="-"))
    print(f"wrote {arguments.out}")
    return 0
